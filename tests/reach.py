"""What `make quick` runs: the tests that a change reaches, nearest first, for two minutes.

    python tests/reach.py FILE …    what changed, by names from the repository's root

A test needs what it imports, the scripts that it names, and what these import in turn; the fewer
steps to what changed, the sooner it runs. What is no Python stands for folders of tests.
"""

import ast
import functools
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS, CONFTEST, SNAKEFILE = ROOT / "scripts", ROOT / "tests/conftest.py", ROOT / "Snakefile"
sys.path.insert(0, str(SCRIPTS))
from diffusion4k import digest  # noqa: E402

SECONDS = 120  # in which tests start; the longest of them takes most of a minute
LEFT_OUT = ("slurm", "end_to_end")  # folders that take too long
BARE = (SCRIPTS, ROOT / "tests", ROOT / "tests/helpers", ROOT / "benchmarks")
# how the name of a file that is no Python begins, and the tests it stands for; the first counts
STANDS_FOR = {
    "Snakefile": "dag", "rules/": "dag", "profiles/": "dag cluster", "config/published": "paper",
    "config/": "config dag", "report/rating_kit": "people", "report/": "paper",
    "benchmarks/": "benchmarks", "tests/golden/": "metrics train", "": "house",
}  # fmt: skip
UNTIL, LATE = "DIFFUSION4K_TESTS_UNTIL", "no time left"


def named(nodes: Iterable[ast.AST]) -> set[Path]:
    """The files that these nodes import by bare name, or name in a string: "scripts/fetch.py"."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
        elif isinstance(node, ast.Constant) and str(node.value).endswith(".py"):
            names.add(Path(node.value).stem)
    return {p for folder in BARE for name in names if (p := folder / f"{name}.py").is_file()}


@functools.cache
def fixtures() -> dict[str, set[Path]]:
    """What the functions of conftest.py need; those that run Snakemake, the rules."""
    body = ast.parse(CONFTEST.read_text(encoding="utf-8")).body
    needed = {f.name: named(ast.walk(f)) for f in body if isinstance(f, ast.FunctionDef)}
    return needed | dict.fromkeys(("workflow", "checkout", "copy_workflow"), {SNAKEFILE})


@functools.cache
def needs(path: Path) -> set[Path]:
    """The files that one file needs at first remove."""
    if path in (CONFTEST, SNAKEFILE):  # of the fixtures, a test needs those that it names
        return set() if path == CONFTEST else set(SCRIPTS.glob("diffusion4k/dag/*.py"))
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    files = named(nodes)
    for module in digest.imports(path):
        base = SCRIPTS.joinpath(*module.split("."))
        files.add(base / "__init__.py" if base.is_dir() else base.with_suffix(".py"))
    if path.name == "__init__.py" and any(getattr(n, "attr", "") == "import_module" for n in nodes):
        files.update(path.parent.glob("*.py"))
    if path.name.startswith("test_"):
        words = {getattr(node, "arg", getattr(node, "name", None)) for node in nodes}
        files.update({CONFTEST}, *(fixtures()[word] for word in words & fixtures().keys()))
    return files - {path}


def tests_of(changed: Iterable[str]) -> dict[str, int]:
    """Test file → steps to what changed, nearest first; of equals, the one that needs least."""
    every = {p for part in ("scripts", "tests", "benchmarks") for p in ROOT.glob(f"{part}/**/*.py")}
    steps = {ROOT / name: 0 for name in changed if ROOT / name in every}
    for name in (name for name in changed if not name.endswith(".py")):
        rooms = next(STANDS_FOR[start] for start in STANDS_FOR if name.startswith(start)).split()
        steps |= {path: 0 for room in rooms for path in ROOT.glob(f"tests/{room}/test_*.py")}
    nearest = set(steps)
    while nearest:
        nearest = {path for path in {*every, SNAKEFILE} - steps.keys() if needs(path) & nearest}
        steps |= dict.fromkeys(nearest, max(steps.values()) + 1)
    tests = [p for p in steps if p.match("test_*.py") and p.parent.name not in LEFT_OUT]
    order = sorted(tests, key=lambda path: (steps[path], len(needs(path)), path))
    return {path.relative_to(ROOT).as_posix(): steps[path] for path in order}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    items.sort(key=lambda item: config.args.index(item.nodeid.split("::")[0]))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    if time.time() > float(os.environ[UNTIL]):
        pytest.skip(LATE)


def pytest_terminal_summary(terminalreporter):
    kinds = ("passed", "failed", "skipped")
    late = [LATE in str(r.longrepr) for kind in kinds for r in terminalreporter.getreports(kind)]
    ran = f"ran {late.count(False)} of {len(late)} tests that the change reaches"
    terminalreporter.write_line(f"{ran}; the rest: make test-all")


def main() -> int:
    os.environ[UNTIL] = str(time.time() + SECONDS)
    os.chdir(ROOT)
    files = tests_of(sys.argv[1:])
    print(f"the change reaches {len(files)} files of tests", flush=True)
    return pytest.main(["-p", "reach", "-n", "auto", *files]) if files else 0


if __name__ == "__main__":
    sys.exit(main())
