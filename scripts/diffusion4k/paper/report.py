"""The report: one self-contained HTML page from the manifests of tables, figures and sources."""

import base64
import io
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markupsafe import Markup
from PIL import Image

from diffusion4k import manifest
from diffusion4k.config.fidelity import states
from diffusion4k.errors import UserError
from diffusion4k.manifest import Manifest
from diffusion4k.paper import render
from diffusion4k.paper.footer import together
from diffusion4k.paper.verdicts import PLUMBING

ORIGINS = ("path", "make", "url", "hub")
LARGEST_PNG = 300_000  # bytes; a larger figure holds photographs, which JPEG keeps well
WIDEST = 2000  # px of an embedded picture

CITATION = """\
@inproceedings{zhang2025diffusion4k,
  title     = {Diffusion-4K: Ultra-High-Resolution Image Synthesis with Latent Diffusion Models},
  author    = {Zhang, Jinjin and Huang, Qiuyu and Liu, Junjie and Guo, Xiefan and Huang, Di},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year      = {2025},
  note      = {arXiv:2503.18352}
}"""


def build(
    template: Path,
    *,
    title: str,
    run: str,
    tables: Sequence[Manifest],
    figures: Sequence[Manifest],
    sources: Sequence[Manifest],
    config: Mapping[str, Any],
    scaling: Path | None = None,
) -> str:
    """The page. Pictures are embedded, styles are inline, nothing is fetched when it is opened.

    `scaling` is the JSON that benchmarks/scaling.py writes, with its picture beside it.

    The banner stands when a note of any manifest calls something random or miniature.
    """
    folder = jinja2.FileSystemLoader(template.parent)
    environment = jinja2.Environment(
        loader=folder, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    notes = dict.fromkeys(
        note for group in (tables, figures, sources) for made in group for note in made.notes
    )
    return environment.get_template(template.name).render(
        title=title,
        run=run,
        made=time.strftime("%d %B %Y, %H:%M UTC", time.gmtime()),
        warnings=together(note for note in notes if PLUMBING.search(note)),
        tables=[_table(made) for made in tables],
        figures=[_figure(made) for made in figures] + ([_scaling(scaling)] if scaling else []),
        sources=[_source(made, config.get("sources") or {}) for made in sources],
        fidelity=[(name.replace("_", " "), state) for name, state in states(config).items()],
        provenance=[_provenance(made) for made in tables],
        config=yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True),
        citation=CITATION,
    )


def origins(manifests: Iterable[Manifest]) -> list[Manifest]:
    """The sources that `manifests` were made from: what their inputs lead to, itself made of none.

    An input that is gone, such as the state of a finished segment, is passed over.
    """
    waiting, known = list(manifests), {}
    while waiting:
        for path in map(Path, waiting.pop().inputs.values()):
            if path not in known and path.is_file():
                known[path] = manifest.read(path)
                waiting.append(known[path])
    return [known[path] for path in sorted(known) if not known[path].inputs]


def data_uri(path: Path) -> str:
    """A PNG as a data: address; a large one as a JPEG of at most WIDEST px."""
    raw, kind = path.read_bytes(), "png"
    if len(raw) > LARGEST_PNG:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        picture.thumbnail((WIDEST, 4 * WIDEST), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=88)
        raw, kind = buffer.getvalue(), "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(raw).decode('ascii')}"


def duration(seconds: float) -> str:
    """For people: 0.4 s, 12 s, 3 min 20 s, 5 h 10 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def size(count: float) -> str:
    """Bytes for people, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _table(made: Manifest) -> dict[str, Any]:
    results = made.results
    try:
        return {
            "id": made.path.stem,
            "title": results["title"],
            "caption": results["caption"],
            "html": Markup(render.html(results)),
            "footer": results["footer"],
        }
    except (KeyError, TypeError) as error:
        raise UserError(f"{made.path}: not a table ({error}); make it again") from None


def _figure(made: Manifest) -> dict[str, Any]:
    pictures = [path for path in made.paths() if path.suffix == ".png"]
    if not pictures:
        raise UserError(f"{made.path}: lists no PNG; delete the manifest and run again")
    made.listed(pictures[0]).sound()
    with Image.open(pictures[0]) as opened:
        width, height = opened.size
    return {
        "id": made.path.stem,
        "title": made.results.get("title", made.path.stem),
        "caption": made.results.get("caption", ""),
        "data": data_uri(pictures[0]),
        "width": width,
        "height": height,
        "notes": together(made.notes),
    }


def _scaling(path: Path) -> dict[str, Any]:
    """The plots of cost against resolution, prompts and GPUs, with what they were reckoned from."""
    picture = path.with_suffix(".png")
    basis = json.loads(path.read_text(encoding="utf-8"))["basis"]
    with Image.open(picture) as opened:
        width, height = opened.size
    return {
        "id": "scaling",
        "title": "Cost as the work grows",
        "caption": f"At the paper's scale, not this run's. {basis[:1].upper()}{basis[1:]}.",
        "data": data_uri(picture),
        "width": width,
        "height": height,
        "notes": [],
    }


def _source(made: Manifest, configured: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Where a source came from: as the config says, and what lies there."""
    entry = configured.get(made.path.stem) or made.settings
    key = next((key for key in ORIGINS if entry.get(key)), None)
    words = {"make": "made by this workflow", "path": "here", "url": "one file", "hub": "hub"}
    return {
        "name": made.path.stem,
        "how": words.get(key, ""),
        "where": str(entry.get(key, "")) if key else str(made.root),
        # the commit that was fetched; the configuration may name a branch
        "revision": str(made.settings.get("revision") or entry.get("revision") or ""),
        "files": len(made.files),
        "size": size(sum(file.bytes for file in made.files)),
        "seconds": duration(made.seconds),
        "notes": made.notes,
    }


def _provenance(made: Manifest) -> dict[str, Any]:
    """The manifests behind a table, each once with the values that it gave."""
    grouped: dict[str, dict[str, Any]] = {}
    for value in made.results.get("provenance", []):
        line = grouped.setdefault(value["manifest"], value | {"rows": [], "families": []})
        _append(line["rows"], value["row"])
        _append(line["families"], value["family"])
    for line in grouped.values():
        line["seconds"] = duration(line["seconds"])
        line["code"] = line["code"][:12]
    return {
        "id": made.path.stem,
        "title": made.results["title"],
        "path": str(made.path),
        "command": made.command,
        "lines": list(grouped.values()),
    }


def _append(names: list[str], name: str) -> None:
    if name not in names:
        names.append(name)


def terminal(tables: Iterable[Manifest]) -> str:
    """All tables as Markdown."""
    return "\n".join(render.markdown(made.results) for made in tables)
