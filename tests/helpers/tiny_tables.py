"""A made-up table: its spec, manifests of made-up numbers, and the table that they give."""

import time
from pathlib import Path

from diffusion4k import manifest
from diffusion4k.paper import published, tables
from diffusion4k.sources.miniature import notes

PUBLISHED = Path(__file__).resolve().parents[2] / "config" / "published"
NOTE = notes.NETWORK.format("clip")
SAID = "train: 2 images come twice"  # a note that takes no number its meaning
SPEC = {
    "title": "Table 3: Aesthetic-Eval@2048",
    "columns": [
        {"metric": "fid", "label": "FID", "direction": "lower", "digits": 2, "family": "fid"},
        {"metric": "clipscore", "label": "CLIPScore", "direction": "higher", "digits": 2}
        | {"family": "alignment"},
    ],
    "rows": [
        {"key": "sd3_f16", "label": "SD3-F16@2048"},
        {"key": "sd3_f16_wlf", "label": "SD3-F16-WLF@2048", "reason": None},
        {"key": "flux_f16", "label": "Flux-F16@2048"},
        {"key": "pixart_30k", "label": "PixArt-30k", "reason": "data never released"},
    ],
    "footer": ["fidelity: published"],
}


def made(path, results, notes=(SAID,), files=(), device="cpu"):
    path.parent.mkdir(parents=True, exist_ok=True)
    manifest.write(
        path,
        root=path.parent,
        files=files,
        inputs={},
        settings={},
        results=results,
        started=time.time() - 90,
        device=device,
        notes=notes,
    )
    return manifest.read(path)


def values(folder):
    """{(row, family): manifest} of all but flux_f16's and sd3_f16_wlf's CLIPScore."""
    fid = {"sd3_f16": 45.0, "sd3_f16_wlf": 40.004, "flux_f16": 39.996}
    found = {
        (row, "fid"): made(folder / f"{row}-fid.json", {"fid": {"value": value, "n": 12}})
        for row, value in fid.items()
    }
    score = {"value": 31.25, "n": 6, "interval": [30.5, 32.0]}
    found["sd3_f16", "alignment"] = made(folder / "align.json", {"clipscore": score})
    return found


def assemble(values, spec=SPEC, **more):
    return tables.assemble(spec, published.read(PUBLISHED / "table_3.csv"), values, **more)
