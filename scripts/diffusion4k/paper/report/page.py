"""The report's page: one HTML file from the manifests of tables, figures, claims and gallery."""

import base64
import io
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from markupsafe import Markup
from PIL import Image

from diffusion4k.config.fidelity import states
from diffusion4k.errors import UserError
from diffusion4k.manifest import Manifest
from diffusion4k.paper import render, verdicts
from diffusion4k.paper.footer import together
from diffusion4k.paper.report import answer, costs, notes, provenance, templates
from diffusion4k.sources.miniature.notes import plumbing

LARGEST_PNG = 300_000  # bytes; a larger figure holds photographs, which JPEG keeps well
WIDEST = 2000  # px of an embedded picture
FORMS = ("png", "pdf", "csv", "md", "html", "tex", "ours.tex")  # in the order they are offered

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
    config: Mapping[str, Any],
    folder: Path,
    claims: Manifest | None = None,
    gallery: Manifest | None = None,
    chains: Mapping[str, Path] = MappingProxyType({}),
    arithmetic: costs.Known = MappingProxyType({}),
    scaling: Path | None = None,
    lacking: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> str:
    """The page, to lie in `folder`, which its links to files of the run are relative to.

    Pictures are embedded, styles are inline, nothing is fetched when it is opened. `chains` are the
    pages of what numbers rest on (chains.write), `arithmetic` is what the cost model knows
    (run/report.py). `scaling` is the JSON that benchmarks/scaling.py writes, with its
    picture beside it. `lacking`: answer.matrix. The banner stands when a note of any manifest calls
    something random or miniature.
    """
    shown = [*tables, *figures, *filter(None, (claims, gallery))]
    chain = costs.behind(shown)
    sources = provenance.origins(chain.values())
    texts = dict.fromkeys(note for source in [*shown, *sources] for note in source.notes)
    warnings = together(note for note in texts if plumbing(note))
    judged = claims.results["claims"] if claims else []
    items = answer.matrix(tables, figures, judged, config, lacking)
    stages = costs.stages(chain, arithmetic)
    price = (config.get("plan") or {}).get("price", 0.0)
    drawn = [_figure(figure, folder) for figure in figures]
    set_out = [_table(table, folder) for table in tables]
    common = notes.shared([item["footer"] for item in [*set_out, *drawn]])
    for item in [*set_out, *drawn]:
        own, item["numbers"], item["miniature"] = notes.split(item["footer"], common)
        item["listed"], item["notes"] = notes.settings(own)
    return templates.named(template).render(
        title=title,
        run=run,
        about=config.get("about", "").rstrip("."),
        made=time.strftime("%d %B %Y, %H:%M UTC", time.gmtime()),
        commit=provenance.commit(),
        commits=provenance.commits(chain.values()),
        warnings=warnings,
        sentence=answer.sentence(judged, items, bool(warnings)),
        items=items,
        states=answer.states(items),
        groups=answer.groups(judged, {item.path.stem for item in [*tables, *figures]}),
        tables=set_out,
        legend=legend(tables),
        figures=drawn,
        gallery=_gallery(gallery, folder) if gallery else None,
        scaling=_scaling(scaling) if scaling else None,
        stages=[stage.line(price) for stage in stages],
        total=costs.total(stages).line(price),
        notes=common,
        sources=[provenance.source(source, config.get("sources") or {}) for source in sources],
        fidelity=[(name.replace("_", " "), state) for name, state in states(config).items()],
        provenance=[provenance.table(table, folder, chains) for table in tables],
        config=yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True),
        citation=CITATION,
    )


def legend(tables: Sequence[Manifest]) -> list[str]:
    """What the signs in the tables mean, a sentence each, of those that occur."""
    rows = [row for table in tables for row in table.results["rows"] if "cells" in row]
    cells = [cell for row in rows for cell in row["cells"].values()]
    verdict = {cell["verdict"] for cell in cells}
    sentences = {
        "Bold: the best of the paper's own numbers, as printed.": any(c["best"][0] for c in cells),
        "Ours in bold: best beyond doubt.": any(c["best"][1] for c in cells),
        "Δ: ours minus published.": any(cell["difference"] is not None for cell in cells),
        "✓ reproduced, ✗ not.": bool(verdict & {verdicts.REPRODUCED, verdicts.NOT_REPRODUCED}),
        "✗→: not the value, but the paper's direction.": verdicts.DIRECTION in verdict,
        "In brackets: the 95 % interval of ours, by bootstrap over pictures.": any(
            "interval" in cell for cell in cells
        ),
        "±: its standard error.": any("standard_error" in cell for cell in cells),
        "Below it: the difference to the row that “vs” names, on the same prompts.": any(
            "against" in cell for cell in cells
        ),
        "@: the size of our pictures in px; published numbers are of the paper's.": any(
            "@" in row["label"] for row in rows
        ),
        "A number links to what it was read from.": bool(cells),
    }
    return [sentence for sentence, occurs in sentences.items() if occurs]


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


def _downloads(item: Manifest, folder: Path) -> list[tuple[str, str]]:
    """(form, link) of each file of a table or figure."""
    files = {path.name.removeprefix(f"{item.path.stem}."): path for path in item.paths()}
    order = sorted(files, key=lambda form: FORMS.index(form) if form in FORMS else len(FORMS))
    return [(form, Path(os.path.relpath(files[form], folder)).as_posix()) for form in order]


def _table(table: Manifest, folder: Path) -> dict[str, Any]:
    results = table.results
    try:
        return {
            "id": table.path.stem,
            "title": results["title"],
            "caption": results["caption"],
            "html": Markup(render.html(results, provenance.chain(table), provenance.quoted(table))),
            "footer": results["footer"],
            "columns": [
                (c["label"], c["about"]) for c in results.get("columns", ()) if c.get("about")
            ],
            "downloads": _downloads(table, folder),
        }
    except (KeyError, TypeError) as error:
        raise UserError(f"{table.path}: not a table ({error}); make it again") from None


def _figure(figure: Manifest, folder: Path) -> dict[str, Any]:
    pictures = [path for path in figure.paths() if path.suffix == ".png"]
    if not pictures:
        raise UserError(f"{figure.path}: lists no PNG; delete the manifest and run again")
    figure.listed(pictures[0]).sound()
    title = figure.results.get("title", figure.path.stem)
    caption = figure.results.get("caption", "")
    return _picture(pictures[0]) | {
        "id": figure.path.stem,
        "title": title,
        "caption": caption,
        "alt": f"{title}. {caption}".strip(),
        "footer": together(figure.notes),
        "downloads": _downloads(figure, folder),
    }


def _picture(path: Path) -> dict[str, Any]:
    with Image.open(path) as opened:
        width, height = opened.size
    return {"data": data_uri(path), "width": width, "height": height}


def _gallery(gallery: Manifest, folder: Path) -> dict[str, Any]:
    """Where the gallery is, and how many pictures of how many prompts it shows."""
    pages = [path for path in gallery.paths() if path.suffix == ".html"]
    return gallery.results | {"link": os.path.relpath(pages[0], folder)}


def _scaling(path: Path) -> dict[str, Any]:
    """The plots of cost against resolution, prompts and GPUs, with what they were reckoned from."""
    basis = json.loads(path.read_text(encoding="utf-8"))["basis"]
    title, what = "Cost as the work grows", f"{basis[:1].upper()}{basis[1:]}."
    return _picture(path.with_suffix(".png")) | {
        "title": title,
        "caption": f"At the paper's scale, not this run's. {what}",
    }
