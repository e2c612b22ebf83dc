"""LaTeX documents by Debian's TeX Live, and what their logs must not say."""

import os
import re
import shutil
import subprocess

from absent import absent

WHOLE = os.environ | {"max_print_line": "10000"}  # lines of the log, else broken anywhere
MOST = 3.0  # pt beyond the margin that nobody sees
PACKAGES = ("booktabs", "adjustbox", "graphicx")
FAULTS = ("LaTeX Error", "Undefined", "undefined", "Missing character", "too large for page",
          "multiply defined", "not found")  # fmt: skip


def document(folder, inputs, preamble=""):
    """Compile one document in `folder` that has every one of `inputs`, each on a page of its own.

    A missing TeX Live is a skip, in CI a failure. Fails where TeX stops, complains of something
    undefined, missing or wider than the page. Returns its log.
    """
    program = shutil.which("pdflatex")
    if not program:
        absent("no pdflatex: apt-get install texlive-latex-recommended texlive-latex-extra")
    lines = [r"\documentclass{article}", rf"\usepackage{{{','.join(PACKAGES)}}}", preamble]
    lines += [r"\begin{document}", "Tables and figures."]
    lines += [rf"\input{{{name}}}\clearpage" for name in inputs]
    text = "\n".join([*lines, r"\end{document}", ""])
    (folder / "all.tex").write_text(text, encoding="utf-8")
    command = [program, "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    for _ in range(2):  # labels are known the second time
        done = subprocess.run(command, cwd=folder, env=WHOLE, capture_output=True, timeout=300)
        log = (folder / "all.log").read_text(encoding="utf-8", errors="replace")
        assert done.returncode == 0, log[-4000:]
    wide = [float(pt) for pt in re.findall(r"Overfull \\[hv]box \(([\d.]+)pt too", log)]
    assert max(wide, default=0) <= MOST, log
    for fault in FAULTS:
        assert fault not in log, re.findall(rf"^.*{fault}.*$", log, flags=re.MULTILINE)
    return log
