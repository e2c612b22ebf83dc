"""How well a metric agrees with human ratings (Table 1): SRCC and PLCC with intervals.

The paper's ratings were never released, so ours come from a file: a CSV with the header
`model,id,rating`, one line a rating; several of one image are averaged. A metric whose lower values
are better (Compression Ratio) is counted with its sign turned, as the paper's positive numbers
imply. PLCC is of the scores as they are; no curve is fitted to them first. Several models' images
of one prompt resemble each other, in scores and in ratings: intervals resample prompts.
"""

import csv
import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from diffusion4k.errors import UserError
from diffusion4k.manifest import Manifest
from diffusion4k.metrics import aggregate, families

HEADER = ["model", "id", "rating"]
Image = tuple[str, str]  # model, prompt id


def read_ratings(path: Path) -> dict[Image, float]:
    """The mean rating of each image; UserError, with the line, for a rating that is no number."""
    ratings: dict[Image, list[float]] = defaultdict(list)
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle)
            if reader.fieldnames != HEADER:
                raise UserError(f"{path}: the header must be {','.join(HEADER)}")
            for line in reader:
                try:
                    rating = float(line["rating"])
                except (TypeError, ValueError):
                    rating = math.nan
                if None in line or not math.isfinite(rating):
                    raise UserError(f"{path}, line {reader.line_num}: the rating is no number")
                ratings[line["model"], line["id"]].append(rating)
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{path}: no such file of ratings") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error}); save it as UTF-8") from None
    return {image: float(np.mean(values)) for image, values in ratings.items()}


def read_scores(
    metric: str, model: str, shards: Sequence[Manifest], *, expected: int, choice: str
) -> dict[Image, float]:
    """A model's scores by one of families.rated(), an image each.

    `choice`: published, or corrected where the metric has such a form (the GLCM Score).
    """
    family, rated = families.rated()[metric]
    name = rated.corrected[1] if choice == "corrected" and rated.corrected else rated.metric
    rows = aggregate.rows(family.name, shards, expected)
    _, (column,) = family.statistics(rows)[name]
    pairs = zip(rows["id"], rows[column], strict=True)
    return {(model, str(id)): float(value) for id, value in pairs}


def correlate(
    scores: Mapping[Image, float], ratings: Mapping[Image, float], *, sign: int = 1, seed: int = 0
) -> aggregate.Results:
    """{"srcc", "plcc"} with n and a 95 % percentile bootstrap interval over the rated prompts.

    UserError when a rated image has no score, or when nothing can be correlated.
    """
    from scipy import stats

    missing = [f"{model}/{id}" for model, id in ratings if (model, id) not in scores]
    if missing:
        raise UserError(f"ratings of {', '.join(missing[:10])}, of which there is no score")
    x = sign * np.array([scores[image] for image in ratings], dtype=np.float64)
    y = np.array(list(ratings.values()), dtype=np.float64)
    prompts = np.array([id for _, id in ratings])
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        raise UserError(f"{len(x)} ratings: at least 3, scores and ratings not all equal, needed")

    def statistic(coefficient: Callable) -> Callable[..., float]:
        def value(a: np.ndarray, b: np.ndarray) -> float:
            with warnings.catch_warnings(action="ignore"):  # a resample of equal values: NaN
                return float(coefficient(a, b).statistic)

        return value

    results = {}
    for name, coefficient in (("srcc", stats.spearmanr), ("plcc", stats.pearsonr)):
        of = statistic(coefficient)
        results[name] = {"value": of(x, y), "n": len(x)}
        results[name] |= aggregate.interval(of, x, y, seed=seed, prompts=prompts)
    return results
