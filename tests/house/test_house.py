"""The house's own rules: imports follow the flow of data, files stay small, names stay out."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from diffusion4k import backbones, digest

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "scripts" / "diffusion4k"
# each room may import from those named with it, and from the files of the library's own folder
ROOMS = {
    # of one file each, for every other
    "device": set(),
    "images": set(),
    "perceptual": set(),
    "shape": set(),
    "weights": set(),
    "endpoints": set(),
    "data": {"endpoints"},
    "backbones": set(),
    "vae": set(),
    "pipelines": {"backbones", "vae"},
    # the miniature describes its networks as the released are, and pretrains a VAE for use as F16
    "sources": {"backbones", "vae"},
    "latents": {"backbones", "data", "pipelines", "vae"},
    "train": {"backbones", "data", "latents", "pipelines", "vae"},
    "generate": {"backbones", "data", "pipelines", "vae"},
    "metrics": {"data"},
    "people": {"data", "endpoints"},
    "figures": {"data", "metrics", "people"},
    # the report shows pictures with their scores, what stands behind numbers, and whether that is
    # the miniature
    "paper": {"config", "data", "endpoints", "figures", "ledger", "metrics", "people", "sources"},
    # what there is of backbones, metric families and kinds of figures is asked where it is defined
    "config": {
        *("backbones", "data", "endpoints", "figures", "latents", "metrics", "people", "train"),
        "vae",
    },
    "dag": {
        *("backbones", "config", "data", "endpoints", "figures", "ledger", "metrics", "people"),
        "sources",
    },
    # what looks over all of it: before the first job, the report
    "run": {"cluster", "config", "dag", "estimate", "metrics", "sources"},
    "estimate": {"backbones", "config", "dag", "metrics", "sources"},
    "ledger": set(),
    "cluster": {"backbones", "config", "dag", "estimate", "sources", "train"},
}


EVERYBODYS = {"device", "images", "perceptual", "shape", "weights"}
# The loose files of the library's own folder decide no byte: no digest counts them, and an edit
# makes no job run again (diffusion4k/digest.py). What computes goes into a room.
LOOSE = {
    "__init__", "background", "cli", "damage", "digest", "environment", "errors", "files", "finite",
    "limits",
    "manifest", "monitor", "progress", "signals", "streams",
}  # fmt: skip


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / name for name in listed.stdout.split() if (ROOT / name).is_file()]


@pytest.mark.parametrize("room", ROOMS)
def test_nothing_imports_upwards(room):
    allowed = ROOMS[room] | {room} | EVERYBODYS
    for path in (LIBRARY / room).rglob("*.py"):
        for name in digest.imports(path):
            other = name.split(".")[1] if "." in name else room
            assert other not in ROOMS or other in allowed, f"{path} imports {name}"


def test_every_room_is_known():
    found = {path.parent.name for path in LIBRARY.glob("*/__init__.py")}
    assert found == set(ROOMS)


def test_loose_files_tell_check_and_record_and_compute_nothing():
    assert {path.stem for path in LIBRARY.glob("*.py")} == LOOSE
    for path in LIBRARY.glob("*.py"):
        rooms = {name.split(".")[1] for name in digest.imports(path) if "." in name} - LOOSE
        # how much memory is used is told; what a room computes is nothing that one could pass on
        assert rooms <= ({"device"} if path.stem == "monitor" else set()), path


def test_no_file_is_longer_than_300_lines_and_no_script_than_150():
    for path in tracked("*.py", "*.smk", "Snakefile", "*.js", "*.css", "*.html"):
        most = 150 if path.parent == ROOT / "scripts" else 300
        assert len(path.read_text(encoding="utf-8").splitlines()) <= most, path


TORCHS = {"forward", "extra_repr"}  # methods that PyTorch's documentation tells


def undocumented(trees: dict[str, ast.Module]) -> list[str]:
    """Public functions, classes and methods without a docstring.

    A method that a base class of ours documents needs none of its own.
    """
    nodes = [(file, node) for file, tree in trees.items() for node in ast.walk(tree)]
    classes = {node.name: node for _, node in nodes if isinstance(node, ast.ClassDef)}
    owners = {m: c for c in classes.values() if not c.name.startswith("_") for m in c.body}

    def inherited(node: ast.FunctionDef) -> bool:
        bases = [classes.get(ast.unparse(base)) for base in owners[node].bases]
        named = [m for base in filter(None, bases) for m in base.body]
        return any(getattr(m, "name", "") == node.name and ast.get_docstring(m) for m in named)

    lines = []
    for file, node in nodes:
        of_module = node in trees[file].body or node in owners
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or not of_module:
            continue
        known = node in owners and (node.name in TORCHS or inherited(node))
        if not (node.name.startswith("_") or known or ast.get_docstring(node)):
            lines.append(f"{file}: {node.name}")
    return lines


def test_every_public_name_of_the_library_has_a_docstring():
    toy = """class Base:
    "Told."
    def told(self):
        "Told."
class Child(Base):
    def told(self):
        def inner(): pass
    def other(self): pass
def _own(): pass
"""
    assert undocumented({"toy": ast.parse(toy)}) == ["toy: Child", "toy: other"]
    files = {path: path.read_text(encoding="utf-8") for path in LIBRARY.rglob("*.py")}
    trees = {str(path.relative_to(LIBRARY)): ast.parse(text) for path, text in files.items()}
    assert undocumented(trees) == []


def test_no_two_test_files_share_a_name():
    """pytest imports them by it, and would not collect the second."""
    names = [path.name for path in tracked("tests/**/test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_what_benchmarks_share_is_named_as_no_script():
    """All of them are imported by name: of two in one process, the first would stand for both."""
    folders = ("scripts", "tests/helpers")
    others = {path.stem for folder in folders for path in (ROOT / folder).glob("*.py")}
    twice = others & {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    for path in tracked("benchmarks/*.py"):
        nodes = [*ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
        shared = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
        imports = [node for node in nodes if isinstance(node, ast.Import)]
        shared |= {alias.name for node in imports for alias in node.names}
        assert not shared & twice, path


def test_the_trainer_and_the_sampler_know_no_backbone_by_name():
    for room in ("train", "generate"):
        for path in (LIBRARY / room).rglob("*.py"):
            code = re.sub(
                r'""".*?"""|#.*|"[^"\n]*"', "", path.read_text(encoding="utf-8"), flags=re.S
            )
            assert not re.search(r"\b(flux|sd3)\b", code, re.IGNORECASE), path


def test_no_code_imports_a_backbone_but_by_name():
    """An import of one would make its code count in the digests of jobs of all others."""
    modules = {backbones.module(name) for name in backbones.NAMES}
    assert modules == {f"diffusion4k.backbones.{name}" for name in backbones.NAMES}
    for path in (ROOT / "scripts").rglob("*.py"):
        assert path.parent.name == "backbones" or not modules & digest.imports(path), path


def unnamed_encodings(source: str) -> list[int]:
    """The lines of calls that read or write text in whatever encoding the locale has."""
    found = []
    for node in (n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call)):
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        owner = ast.unparse(getattr(node.func, "value", ast.Constant("")))
        words = {keyword.arg for keyword in node.keywords}
        if name in ("read_text", "write_text"):
            text = len(node.args) < (1 if name == "read_text" else 2) and owner != "files"
        elif name in ("open", "fdopen", "TemporaryFile", "NamedTemporaryFile"):
            values = (v for part in [*node.args, *node.keywords] for v in ast.walk(part))
            modes = [v.value for v in values if isinstance(v, ast.Constant)]
            binary = any(isinstance(m, str) and re.fullmatch("[rwxa+]*b[+]?", m) for m in modes)
            # these open no text
            others = ("Image", "PipelineFolder", "os", "photograph", "tarfile", "tempfile")
            text = not binary and owner not in others
        else:
            text = owner == "subprocess" and bool({"text", "universal_newlines"} & words)
        if text and "encoding" not in words:
            found.append(node.lineno)
    return found


def test_every_text_file_and_program_is_read_in_a_named_encoding():
    bad = "open(p)\np.read_text()\np.write_text(t)\nsubprocess.run(c, text=True)\nq.open('w')"
    good = "open(p, 'rb')\np.read_text('utf-8')\np.write_text(t, encoding='utf-8')\nq.open('wb')"
    assert (unnamed_encodings(bad), unnamed_encodings(good)) == ([1, 2, 3, 4, 5], [])
    for folder in ("scripts", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            found = unnamed_encodings(path.read_text(encoding="utf-8"))
            assert found == [], f"{path}: lines {found}"


def test_no_file_names_a_package_registry():
    hosts = re.compile(
        "|".join(("pypi" + r"\.org", "python" + "hosted", "npm" + "js", "debian" + r"\.org"))
    )
    for path in tracked():
        if path.suffix not in (".png", ".jpg", ".safetensors"):
            assert not hosts.search(path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-iqa.lock"])
def test_the_lock_has_a_hash_for_every_package(lock):
    text = (ROOT / lock).read_text(encoding="utf-8")
    packages = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(packages) > 100
    assert all("==" in package and "--hash=sha256:" in package for package in packages)


def test_the_picture_of_the_rules_shows_the_rules(checkout):
    def graph(text: str) -> tuple[set[str], set[tuple[str, str]]]:
        rules = dict(re.findall(r"^\t(id\d+)\[(\w+)\]$", text, flags=re.MULTILINE))
        arrows = re.findall(r"^\t(id\d+) --> (id\d+)$", text, flags=re.MULTILINE)
        return set(rules.values()), {(rules[one], rules[other]) for one, other in arrows}

    rules, arrows = graph((ROOT / "docs" / "rulegraph.md").read_text(encoding="utf-8"))
    asked = checkout.run("--rulegraph", "mermaid-js", "--config", "run=unmade", "--", "all")
    assert len(rules) > 20 and len(arrows) > 40
    assert (rules, arrows) == graph(asked.stdout), "make docs"
