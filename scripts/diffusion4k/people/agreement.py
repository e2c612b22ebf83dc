"""How far raters agree, by libraries: Krippendorff's alpha, Fleiss' kappa.

1 is full agreement, 0 what chance gives, below 0 less than that. Alpha takes raters who answered
different things; kappa counts only what all of them answered. Where a number is not defined (one
rater, or all answers alike) it is None.
"""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np

from diffusion4k.people.votes import QUESTIONS, Vote

Answers = Mapping[tuple[str, Hashable], float]  # (rater, what was rated) => a number


def of_votes(votes: Iterable[Vote]) -> dict[str, dict[str, Any]]:
    """question => {"alpha", "kappa", "raters", "units"} of people's choices (nominal).

    A unit is a prompt's pair; of the two models the one that comes first by name counts as 0.
    """
    by_question = {}
    votes = [vote for vote in votes if vote.kind == "people"]
    for question in QUESTIONS:
        answers = {}
        for vote in (v for v in votes if v.question == question):
            models = tuple(sorted((vote.first, vote.second)))
            value = 2 if vote.chosen is None else models.index(vote.chosen)
            answers[vote.rater, (vote.prompt_id, models)] = value
        if answers:
            by_question[question] = of(answers, "nominal")
    return by_question


def of(answers: Answers, level: str) -> dict[str, Any]:
    """{"alpha", "kappa", "raters", "units"}; `level`: nominal or ordinal, of alpha's differences.

    Kappa has no order of answers and stands for nominal ones only.
    """
    import krippendorff

    raters = sorted({rater for rater, _ in answers})
    units = sorted({unit for _, unit in answers})
    table = np.full((len(raters), len(units)), np.nan)  # raters x units
    for (rater, unit), value in answers.items():
        table[raters.index(rater), units.index(unit)] = value
    result = {"alpha": None, "raters": len(raters), "units": len(units)}
    twice = (~np.isnan(table)).sum(0) > 1  # alpha is of units with two answers or more
    if twice.any() and len(np.unique(table[:, twice][~np.isnan(table[:, twice])])) > 1:
        result["alpha"] = float(krippendorff.alpha(table, level_of_measurement=level))
    if level == "nominal":
        result["kappa"] = kappa(table[:, ~np.isnan(table).any(0)])
    return result


def kappa(table: np.ndarray) -> float | None:
    """Fleiss' of (raters, units), all answered; None for one rater, no unit, or equal answers."""
    from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

    if len(table) < 2 or len(np.unique(table)) < 2:
        return None
    counts, _ = aggregate_raters(table.T.astype(int))
    return float(fleiss_kappa(counts))
