"""Shards of made-up scores, as the scoring scripts write them, and the bootstrap spelled out."""

import time
from pathlib import Path

import numpy as np

from diffusion4k import manifest
from diffusion4k.metrics import scores


def shard(path: Path, kind: type, rows: list, features: dict | None = None, notes=(), **inputs):
    """A shard of scores, as the scoring scripts write them."""
    bulk = [path.with_suffix(".parquet")]
    scores.write_rows(bulk[0], kind, rows)
    if features:
        bulk.append(path.with_suffix(".safetensors"))
        scores.write_features(bulk[1], **features)
    manifest.write(
        path,
        root=path.parent,
        files=bulk,
        inputs=inputs,
        settings={},
        started=time.time(),
        notes=notes,
    )
    return manifest.read(path)


def textures(ids) -> list[scores.Texture]:
    return [scores.Texture(f"i{i}", 64, 128, 1000 + 100 * i, 0.5 + 0.1 * i, 5.0 + i) for i in ids]


def alignments(ids) -> list[scores.Alignment]:
    return [scores.Alignment(f"i{i}", 20.0 + i, 30.0 + i, 75 + i, 5.0) for i in ids]


def bootstrap(statistic, *columns: np.ndarray, seed: int) -> np.ndarray:
    """The 2.5th and 97.5th percentile of 1,000 resamples of the rows, spelled out."""
    random = np.random.default_rng(seed)
    draws = [random.integers(0, len(columns[0]), len(columns[0])) for _ in range(1000)]
    values = sorted(statistic(*(column[draw] for column in columns)) for draw in draws)
    return np.percentile(values, [2.5, 97.5])
