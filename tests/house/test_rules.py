"""Rule files can be read alone: whatever one uses it imports or sets itself, but for shared words.

Snakemake runs all of them in one namespace, so that a name which two files set means, in what is
called later, whatever the last of them made of it.
"""

import ast
import builtins
import io
import re
import symtable
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.parser import parse

ROOT = Path(__file__).resolve().parents[2]
FILES = {path.stem: path for path in sorted(ROOT.glob("rules/*.smk"))}
# of Snakemake's language, as far as it is used here
SNAKEMAKE = {
    "ancient", "config", "directory", "multiext", "output", "report", "rules", "shell", "subpath",
    "temp", "unpack", "workflow",
}  # fmt: skip
# where the module of a rule file's own name is, all that it imports of ours
ROOMS = ("dag", "run")


def python(path: Path, text: str) -> str:
    """A rule file as the Python that Snakemake makes of it."""
    source = SimpleNamespace(
        get_path_or_uri=lambda secret_free=True: str(path), get_filename=lambda: path.name
    )
    cache = SimpleNamespace(open=lambda *_: io.StringIO(text))
    return parse(source, SimpleNamespace(sourcecache=cache), {}, rulecount=0)[0]


def used(table: symtable.SymbolTable) -> Iterator[str]:
    """The names that a file looks up in the namespace of all."""
    top = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (top or symbol.is_global()):
            yield symbol.get_name()
    for inner in table.get_children():
        yield from used(inner)


def imported(text: str) -> dict[str, str]:
    """Name => what it was imported as, of a rule file's lines of imports."""
    names = {}
    for line in re.findall(r"^(?:from|import) .*$", text, flags=re.MULTILINE):
        start, _, what = line.rpartition("import ")
        package = start.removeprefix("from ").strip()
        for one in what.partition("#")[0].split(","):
            name, _, alias = one.strip().partition(" as ")
            names[alias or name] = f"{package}.{name}" if package else name
    return names


def inlined(tree: ast.Module) -> set[str]:
    """Variables of comprehensions alone, which from Python 3.12 on are symbols of the module."""
    loops = [node.target for node in ast.walk(tree) if isinstance(node, ast.comprehension)]
    theirs = {node for target in loops for node in ast.walk(target)}
    stored = [node for node in ast.walk(tree) if isinstance(getattr(node, "ctx", None), ast.Store)]
    written = {node.id for node in stored if isinstance(node, ast.Name) and node not in theirs}
    return {node.id for node in theirs if isinstance(node, ast.Name)} - written


def names(path: Path, text: str) -> tuple[set[str], dict[str, str]]:
    """What a rule file uses; what it binds, each with what it means."""
    code = python(path, text)
    table = symtable.symtable(code, str(path), "exec")
    tree = ast.parse(code)
    # gone where the handler, or the comprehension, ends
    gone = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)}
    if sys.version_info >= (3, 12):  # before, the table tells a file's name from a loop's
        gone |= inlined(tree)
    symbols = (s.get_name() for s in table.get_symbols() if s.is_assigned())
    bound = {n: path.name for n in symbols if not n.startswith("__") and n not in gone}
    own = {name for name in used(table) if not name.startswith("__")} - gone
    return own, bound | imported(text)


def shared() -> set[str]:
    """The words that the head of rules/common.smk lists, and that it sets."""
    text = FILES["common"].read_text(encoding="utf-8")
    column = "\n".join(re.findall(r"^#   (\S.*?)(?:  |$)", text, flags=re.MULTILINE))
    _, bound = names(FILES["common"], text)
    return {name for name in bound if re.search(rf"\b{name}\b", column)}


def faults(path: Path, text: str) -> list[str]:
    """What a rule file uses and neither imports nor sets; which of ours it imports too many."""
    own, bound = names(path, text)
    known = bound.keys() | shared() | SNAKEMAKE | vars(builtins).keys()
    lines = [f"{name}: from another file" for name in sorted(own - known)]
    if path.stem in FILES and path.stem != "common":
        ours = {what for what in imported(text).values() if what.startswith("diffusion4k")}
        allowed = {f"diffusion4k.{room}.{path.stem}" for room in ROOMS}
        lines += [f"{what}: another stage's" for what in sorted(ours - allowed)]
    return lines


@pytest.mark.parametrize("name", FILES)
def test_a_rule_file_imports_what_it_uses_and_its_own_module_alone(name):
    path = FILES[name]
    assert faults(path, path.read_text(encoding="utf-8")) == []


def test_the_front_door_imports_what_it_uses():
    path = ROOT / "Snakefile"
    assert faults(path, path.read_text(encoding="utf-8")) == []


def test_no_name_means_two_things():
    meanings: dict[str, set[str]] = {}
    for path in [ROOT / "Snakefile", *FILES.values()]:
        for name, what in names(path, path.read_text(encoding="utf-8"))[1].items():
            meanings.setdefault(name, set()).add(what)
    assert {name: of for name, of in meanings.items() if len(of) > 1} == {}


def test_what_is_wrong_is_seen():
    path = FILES["train"]
    text = path.read_text(encoding="utf-8")
    assert faults(path, text + "\nX = lambda w: latents.check(CONFIG)\n") == [
        "latents: from another file"
    ]
    assert faults(path, text + "\nX = SPLIT\n") == ["SPLIT: from another file"]
    imports = "from diffusion4k.dag import latents\n"
    assert faults(path, imports + text) == ["diffusion4k.dag.latents: another stage's"]
    assert names(path, text + "\nfor word in ():\n    pass\n")[1]["word"] == "train.smk"
    assert shared() == {
        *("CONFIG", "key", "flags", "code", "in_and_out", "pace", "footer", "LINEAGE", "R"),
        *("alternatives", "CONDA", "asks", "threads", "shape", "UserError", "each", "named"),
    }
