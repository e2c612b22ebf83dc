"""A finished run of one table, manifests and small files alone: what the ledger is tried on."""

import json
import time
from pathlib import Path

from diffusion4k import manifest

SPEC = {
    "title": "Table 3",
    "columns": [{"metric": "fid", "label": "FID", "digits": 2, "family": "fid"}],
    "rows": [
        {"key": "sd3_f16", "label": "SD3-F16@2048"},
        {"key": "sd3_f16_wlf", "label": "SD3-F16-WLF@2048"},
        {"key": "flux_f16", "label": "Flux-F16@2048"},
    ],
}


def link(
    path: Path,
    inputs: dict[str, Path],
    *,
    text: str | None = None,
    results: dict | None = None,
    settings: dict | None = None,
    keep: tuple[str, ...] = (),
) -> Path:
    """Write the manifest at `path`, with a bulk of one file when there is a `text`."""
    root = path.with_suffix("")
    files = []
    if text is not None:
        root.mkdir(parents=True, exist_ok=True)
        files = [root / "bulk.txt"]
        files[0].write_text(text, encoding="utf-8")
    manifest.write(
        path,
        root=root,
        files=files,
        inputs=inputs,
        settings=settings or {"step": path.stem},
        results=results,
        started=time.time() - 3,
        keep=keep,
    )
    return path


def write(
    run: Path,
    *,
    latents: str = "latents/sd3",
    seed: int = 0,
    fid: float = 12.5,
    spread: float = 0.5,
) -> Path:
    """A run below `run`: sources → latents → two segments → pictures → features → FID → table."""
    data = link(run / "sources/aesthetic_4k.json", {}, text="photographs")
    base = link(run / "sources/sd3.json", {}, text="weights")
    encoded = run / "latents/sd3/shard-0-of-1.json"
    link(encoded, {"pipeline": base, "dataset": data}, text=latents)
    train, seeded = run / "train/sd3_f16_wlf", {"seed": seed}
    first, last = train / "step-000300.json", train / "step-000600.json"
    made_of = {"pipeline": base, "latents_0": encoded}
    link(first, made_of, text=f"300 {latents}")
    link(last, made_of | {"start": first}, text=f"600 {latents}", keep=("start",))
    for file in (first.with_suffix("") / "bulk.txt", first):
        file.unlink()
    link(train / "pipeline.json", {"pipeline": base, "state": last}, text=f"600 {latents}")
    numbers = {}
    for model, pipeline in {"sd3_f16": base, "sd3_f16_wlf": train / "pipeline.json"}.items():
        shard = run / f"generate/{model}/eval_2048/shard-0-of-1.json"
        read = manifest.read(pipeline).digest
        link(shard, {"model": pipeline, "dataset": data}, text=f"{read} {seed}", settings=seeded)
        features = run / f"metrics/{model}/eval_2048/features-0-of-1.json"
        link(features, {"images": shard, "dataset": data}, text=f"features {read} {seed}")
        value = {"value": fid, "n": 6, "interval": [fid - spread, fid + spread]}
        numbers[model] = link(
            features.with_name("fid.json"), {"0": features}, results={"fid": value}
        )
    rows = [
        {**row, "reason": "", "cells": {"fid": cell(numbers.get(row["key"]))}}
        for row in SPEC["rows"]
    ]
    link(
        run / "tables/table_3.json",
        {f"{model}:fid": path for model, path in numbers.items()},
        text=json.dumps(rows),
        results={"rows": rows, "columns": [{"key": "fid", "label": "FID"}]},
        settings={"spec": json.dumps(SPEC)},
    )
    return run


def cell(path: Path | None) -> dict:
    """A table's cell of an aggregate; of a row that nobody ran without one."""
    if path is None:
        return {"ours": None, "verdict": "not run", "verdict_reason": ""}
    found = manifest.read(path).results["fid"]
    return {
        "ours": found["value"],
        "interval": found["interval"],
        "verdict": "not judged",
        "verdict_reason": "",
    }
