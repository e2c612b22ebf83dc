"""Code as an input: a digest of a script and of everything of ours that decides its bytes.

It follows first-party imports transitively, also those inside functions, into the library's rooms
(its folders), which compute. The loose files of the library's own folder tell, check and record;
they decide no byte and do not count (`counts`). It is taken over the syntax trees: comments,
docstrings, formatting, and the words of an error, of --help or on stderr do not count either. The
rules put it into `params`; Snakemake then re-runs exactly the jobs whose code an edit reaches.
"""

import ast
import functools
import hashlib
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from diffusion4k.errors import UserError

SCRIPTS = Path(__file__).resolve().parent.parent
PACKAGE = "diffusion4k"
LIBRARY = SCRIPTS / PACKAGE
_DOCUMENTED = {ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef}
WORDS = {"help", "metavar", "description"}  # arguments that are for people


@functools.cache
def digest(
    script: str,
    *,
    leave_out: tuple[str, ...] = (),
    with_modules: tuple[str, ...] = (),
    also: tuple[Path, ...] = (),
) -> str:
    """Hex digest (16 digits) of `script`, a file below scripts/, and of the modules it reaches.

    `leave_out` names modules (`diffusion4k.pipelines.stock`) that this job can reach but never
    uses, `with_modules` those that it imports by name (`diffusion4k.backbones.sd3`), which the
    syntax tree does not show; `also` names other files whose bytes count, such as a template.
    """
    total = hashlib.sha256()
    for path in sorted(reach(Path(script), leave_out, with_modules)):
        total.update(_tree(path).encode())
    for path in sorted(also):
        total.update(Path(path).read_bytes())
    return total.hexdigest()[:16]


@functools.cache
def of_this_process() -> str:
    """The digest of the script that is running, taken when first asked; "" outside scripts/.

    Every module counts that it may import by name.
    """
    script = Path(sys.argv[0]).resolve()
    if script.parent != SCRIPTS or not script.is_file():
        return ""
    return digest(script.name, with_modules=_by_name(Path(script.name)))


def modules(names: Collection[str]) -> dict[str, str]:
    """Name below scripts/ => digest (8 digits) of each of these files that is there."""
    paths = {name: SCRIPTS / name for name in names}
    return {
        name: hashlib.sha256(_tree(path).encode()).hexdigest()[:8]
        for name, path in sorted(paths.items())
        if path.is_file()
    }


@functools.cache
def modules_of_this_process() -> dict[str, str]:
    """`modules` of the running script and all that it reaches; {} outside scripts/."""
    script = Path(sys.argv[0]).resolve()
    if script.parent != SCRIPTS or not script.is_file():
        return {}
    paths = reach(Path(script.name), with_modules=_by_name(Path(script.name)))
    return modules([str(path.relative_to(SCRIPTS)) for path in paths])


@functools.cache
def reaches(script: str, module: str) -> bool:
    """Whether a script imports the module, at whatever remove."""
    return not reach(Path(script)).isdisjoint(_file(module))


def reach(
    script: Path, leave_out: Collection[str] = (), with_modules: Collection[str] = ()
) -> set[Path]:
    """The script, `with_modules`, and every file that counts of those they import, transitively.

    UserError for one of `with_modules` that is not there: its edits would make nothing run again.
    """
    if missing := [name for name in with_modules if not _file(name)]:
        raise UserError(
            f"{missing[0].replace('.', '/')}.py: not there; what a module defines (FAMILY, KIND,"
            " BACKBONE) has the module's name, by which jobs find the code that they depend on"
        )
    reached: set[Path] = set()
    waiting = [SCRIPTS / script, *(path for name in with_modules for path in _file(name))]
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            files = (p for name in imports(path) if name not in leave_out for p in _file(name))
            waiting += filter(counts, files)
    return reached


@functools.cache
def counts(path: Path) -> bool:
    """Whether a file may decide bytes: all but the loose files of the library's own folder."""
    return path.parent != LIBRARY


def _by_name(script: Path) -> tuple[str, ...]:
    """The modules of the packages that a script reaches and that import their own by name."""
    packages = (path.parent for path in sorted(reach(script)) if path.name == "__init__.py")
    return tuple(
        ".".join(path.relative_to(SCRIPTS).with_suffix("").parts)
        for package in packages
        if any(
            isinstance(node, ast.Attribute) and node.attr == "import_module"
            for node in ast.walk(_parse(package / "__init__.py"))
        )
        for path in sorted(package.glob("*.py"))
    )


@functools.cache
def imports(path: Path) -> frozenset[str]:
    """Full names of the first-party modules that one file imports; packages on the way included."""
    ours = {name for name in _read(path)[0] if name.split(".")[0] == PACKAGE}
    parents = {name.rsplit(".", depth)[0] for name in ours for depth in range(name.count(".") + 1)}
    return frozenset(name for name in ours | parents if _file(name))


def _statements(body: list[ast.AST]) -> Iterator[ast.AST]:
    """Every statement of a body and below it; no expression holds an import."""
    for node in body:
        yield node
        for inner in ("body", "orelse", "handlers", "finalbody", "cases"):
            if below := getattr(node, inner, None):
                yield from _statements(below)


def _absolute(path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = path.relative_to(SCRIPTS).parts[: -node.level]
    return ".".join([*package, *([node.module] if node.module else [])])


@functools.cache
def _file(module: str) -> tuple[Path, ...]:
    base = SCRIPTS.joinpath(*module.split("."))
    return tuple(p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file())


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@functools.cache
def _read(path: Path) -> tuple[set[str], str]:
    """The names that a file imports, and its tree; what is parsed is dropped, being large."""
    parsed, names = _parse(path), set()
    for node in _statements(parsed.body):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(path, node)
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names, _canonical(parsed)


def _tree(path: Path) -> str:
    return _read(path)[1]


@functools.cache
def _fields(kind: type[ast.AST]) -> list[tuple[str, str]]:
    return [(name, f"('{name}', ") for name in kind._fields]


def _canonical(node) -> str:
    """The tree as nested tuples, written out: no positions, words for people or empty fields.

    ast.dump would do but for its output changing between Python versions (an upgrade of the
    interpreter must not retrain a model); fields that a newer version adds are empty here.
    """
    if isinstance(node, list):
        return _tuple([*map(_canonical, node)])
    if not isinstance(node, ast.AST):
        return repr(node)
    kind, fewer = type(node), {}
    if kind in _DOCUMENTED:
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(getattr(first.value, "value", None), str):
            fewer["body"] = node.body[1:]
    elif kind is ast.Call:
        fewer["keywords"] = [word for word in node.keywords if word.arg not in WORDS]
        fewer["args"] = _without_words(node)
    parts = [f"'{kind.__name__}'"]
    for name, opening in _fields(kind):
        value = fewer[name] if name in fewer else getattr(node, name, None)
        if value is not None and value != []:
            parts.append(f"{opening}{_canonical(value)})")
    return _tuple(parts)


def _tuple(parts: list[str]) -> str:
    """As `repr` writes a tuple of these."""
    return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"


def _without_words(call: ast.Call) -> list[ast.expr]:
    """A call's arguments but for what they say to people: an error, a recipe's flag, a note."""
    name = getattr(call.func, "id", "")
    if name == "UserError":
        return []
    if name == "flag":  # its help (train/settings.py)
        return call.args[1:]
    on_stderr = any(w.arg == "file" and ast.unparse(w.value) == "sys.stderr" for w in call.keywords)
    if name == "print" and on_stderr:
        parts = (arg.values if isinstance(arg, ast.JoinedStr) else [arg] for arg in call.args)
        return [node for part in parts for node in part if not isinstance(node, ast.Constant)]
    return call.args
