"""Where numbers and data came from: sources, manifests behind tables, the commit."""

import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from diffusion4k.manifest import Manifest
from diffusion4k.paper.report.units import duration, size

RESULTS = ("tables", "figures")  # of which some rest on nothing: prompts, published numbers
ORIGINS = ("path", "make", "url", "hub", "file", "texts")


def source(manifest: Manifest, configured: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Where a source came from: as the config says, and what lies there."""
    entry = configured.get(manifest.path.stem) or manifest.settings
    key = next((key for key in ORIGINS if entry.get(key)), None)
    words = {"make": "made by this workflow", "path": "here", "url": "one file", "hub": "hub"}
    words |= {"file": "here", "texts": "the configuration,"}
    places = entry | {"texts": f"prompts.{manifest.path.stem}.texts"}
    return {
        "name": manifest.path.stem,
        "how": words.get(key, ""),
        "where": str(places[key] if key else manifest.root),
        # the commit that was fetched; the configuration may name a branch
        "revision": str(manifest.settings.get("revision") or entry.get("revision") or ""),
        "files": len(manifest.files),
        "size": size(sum(file.bytes for file in manifest.files)),
        "seconds": duration(manifest.seconds),
        "notes": manifest.notes,
    }


def table(manifest: Manifest, folder: Path, pages: Mapping[str, Path]) -> dict[str, Any]:
    """The manifests behind a table, each once with the values that it gave.

    `link` of each leads from the report's `folder` to the manifest, `chain` to the page of what
    that rests on, "" where `pages` has none.
    """
    lines: dict[str, dict[str, Any]] = {}
    for value in manifest.results.get("provenance", []):
        line = lines.setdefault(
            value["manifest"],
            value
            | {
                "rows": [],
                "families": [],
                "seconds": duration(value["seconds"]),
                "code": value["code"][:12],
                "link": _link(value["manifest"], folder),
                "chain": _link(pages[value["manifest"]], folder)
                if value["manifest"] in pages
                else "",
                "anchor": anchor(manifest.path.stem, value["row"], value["family"]),
            },
        )
        _append(line["rows"], value["row"])
        _append(line["families"], value["family"].replace(":against", ", difference"))
    return {
        "id": manifest.path.stem,
        "title": manifest.results["title"],
        "path": str(manifest.path),
        "link": _link(manifest.path, folder),
        "quoted": _quoted(manifest),
        "quoted_anchor": quoted(manifest).removeprefix("#"),
        "lines": list(lines.values()),
    }


def quoted(manifest: Manifest) -> str:
    """Where the page says which files hold the published numbers of a table, "" for none."""
    return f"#quoted-{manifest.path.stem}" if _quoted(manifest) else ""


def _quoted(manifest: Manifest) -> list[str]:
    return [manifest.inputs[name] for name in ("published", "context") if name in manifest.inputs]


def anchor(table: str, row: str, family: str) -> str:
    """The id of the line on this page that says what a number was read from."""
    return f"from-{table}-{row}-{family.replace(':', '-')}"


def chain(manifest: Manifest) -> Callable[[str, str], str]:
    """A function of (row, column's family) to where a number's chain is shown, "" for nowhere.

    The one place that decides where the link of a number leads.
    """
    first: dict[str, str] = {}  # a manifest has one line, whichever value named it first
    places: dict[tuple[str, str], str] = {}
    for value in manifest.results.get("provenance", []):
        own = anchor(manifest.path.stem, value["row"], value["family"])
        places[value["row"], value["family"]] = first.setdefault(value["manifest"], own)
    return lambda row, family: f"#{places[row, family]}" if (row, family) in places else ""


def commits(chain: Iterable[Manifest]) -> list[str]:
    """The commits that what the page shows was made at, 12 digits each, the most frequent first."""
    known = (manifest.environment.get("commit") for manifest in chain)
    return [name for name, _ in Counter(c[:12] for c in known if c).most_common()]


def commit() -> str:
    """The commit of this checkout, "" where there is no git."""
    where = Path(__file__).resolve().parent
    try:
        done = subprocess.run(
            ["git", "-C", str(where), "rev-parse", "--short=12", "HEAD"],
            capture_output=True, text=True, encoding="utf-8", timeout=60, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def origins(chain: Iterable[Manifest]) -> list[Manifest]:
    """The sources among a chain's manifests: what is made of nothing, and read by others."""
    sources = (m for m in chain if not m.inputs and m.path.parent.name not in RESULTS)
    return sorted(sources, key=lambda m: m.path)


def _link(path: str | Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _append(names: list[str], name: str) -> None:
    if name not in names:
        names.append(name)
