"""LaTeX of texts, and of a figure: what tables and figures have in common."""

import re
import unicodedata
from collections.abc import Iterable

_SPECIAL = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "`": r"\textasciigrave{}",
    # in the old encoding of fonts, which is still the default, these print other signs
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\char34{}",
    # signs that a plain font lacks
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "→": r"$\rightarrow$",
    "Δ": r"$\Delta$",
    "Σ": r"$\Sigma$",
    "−": "$-$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "≈": r"$\approx$",
    "✓": r"$\surd$",
    "«": r"$\ll$",
    "»": r"$\gg$",
    "„": ",,",
    "′": "$'$",
    "″": "$''$",
    "\u202f": r"\,",
    "✗": r"$\times$",
}
# of the letters up to U+017F those that a plain font lacks, of the signs beyond those that it has
_LACKING = frozenset("ÐÞðþĄąĐđĘęĦħĮįĸĿŀŉŊŋŦŧŲųſ")
_PUNCTUATION = frozenset("‐‑‒–—―‖‘’“”†‡•…‰‱€")
_FIGURE = r"""% needs \usepackage{graphicx}, and \graphicspath{{folder/}} of a document elsewhere
\begin{figure}[t]
\centering
"""
# what a page has left for a picture above a caption and notes of some lines
_PICTURE = r"width=\linewidth,height=0.5\textheight,keepaspectratio"


def figure(name: str, picture: str, title: str, text: str = "", footer: Iterable[str] = ()) -> str:
    r"""A figure environment, UTF-8, that includes the file `picture`; the label is fig:NAME.

    `text` follows the title in the caption, which leaves the number to \caption; the lines of
    `footer` stand below it.
    """
    included = f"\\includegraphics[{_PICTURE}]{{{picture}}}\n"
    own = _FIGURE + included + caption(title, text, f"fig:{name}") + notes(footer)
    return checked(own + "\\end{figure}\n")


def caption(title: str, text: str, mark: str) -> str:
    r"""\caption of a title without its number, and of what follows it; \label of `mark`, if any."""
    title = re.sub(r"^(Table|Figure) \w+: *", "", title)
    title = title[:1].upper() + title[1:]
    # a sentence of its own, where more sentences follow
    title += "." * bool(text and title[-1:] not in ".:!?")
    said = f"\\caption{{{escape(' '.join(filter(None, [title, text])))}}}\n"
    return said + (f"\\label{{{mark}}}\n" if mark else "")


def notes(lines: Iterable[str]) -> str:
    """Small lines below a table or figure; "" without any."""
    text = "".join(f"\\par {escape(line)}\n" for line in lines)
    if not text:
        return ""
    head = "\n\\smallskip\n\\begin{minipage}{\\linewidth}\\footnotesize\\raggedright\n"
    return f"{head}{text}\\end{{minipage}}\n"


def checked(text: str) -> str:
    """`text`, below a comment that names the signs pdfLaTeX cannot set, if there are any."""
    if foreign := sorted(set(filter(_foreign, text))):
        return f"% XeLaTeX or LuaLaTeX, and a font that has {' '.join(foreign)}\n{text}"
    return text


def escape(text: str) -> str:
    """`text` as LaTeX that prints it and nothing else, in any place of a table or a caption."""
    # an empty line would end \caption, a control character is none that TeX reads
    text = " ".join("".join(" " if unicodedata.category(c) == "Cc" else c for c in text).split())
    text = "".join(_SPECIAL.get(character, character) for character in text)
    text = re.sub("-(?=-)", "-{}", text)  # two are one dash
    # behind \\ and \midrule these would be options of theirs
    return re.sub(r"^([\[*])", r"{\1}", text)


def _foreign(character: str) -> bool:
    """Whether pdfLaTeX stops at it: beyond Latin letters, punctuation and what it is told here."""
    return character in _LACKING or (ord(character) > 0x17F and character not in _PUNCTUATION)
