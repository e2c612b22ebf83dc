"""What votes say: win rates with intervals, Bradley-Terry strengths.

People's votes and each judge's stand apart: `by` is "people" or "judge:<name>". A tie is half a
vote for either. Votes on one prompt resemble each other, those of several raters and a judge's in
both orders alike, so an interval (95 %) resamples prompts, each with all of its votes. Where each
prompt has one vote, or all prompts agree (a resample then has no spread), it is Wilson's, of as
many votes as there are prompts.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from diffusion4k.people.votes import QUESTIONS, Vote

RESAMPLES, LEVEL = 10_000, 0.95
Pair = tuple[str, str]


def source(vote: Vote) -> str:
    """Whose vote it is: "people", or "judge:<name>"."""
    return "people" if vote.kind == "people" else f"judge:{vote.rater}"


def sources(votes: Iterable[Vote]) -> list[str]:
    """Everybody whose votes there are, people first."""
    return sorted({source(vote) for vote in votes}, key=lambda name: (name != "people", name))


def share(vote: Vote, model: str) -> float:
    """1.0 where a model was chosen, 0.5 for a tie, 0.0 where the other was."""
    return 0.5 if vote.chosen is None else float(vote.chosen == model)


def win_rates(votes: Sequence[Vote], pairs: Iterable[Pair], *, seed: int) -> list[dict[str, Any]]:
    """{"better", "than", "question", "rate", "interval", "n", "prompts", "by"} of each pair.

    `rate`: the share, 0 to 1, of n votes that chose `better`, a pair's first model. What nobody
    voted on is left out.
    """
    rows = []
    for by in sources(votes):
        for better, than in pairs:
            for question in QUESTIONS:
                shares: dict[str, list[float]] = defaultdict(list)
                for vote in votes:
                    pair = {vote.first, vote.second}
                    asked = (source(vote), vote.question) == (by, question)
                    if asked and pair == {better, than}:
                        shares[vote.prompt_id].append(share(vote, better))
                if shares:
                    row = {"better": better, "than": than, "question": question, "by": by}
                    rows.append(row | rate(list(shares.values()), seed=seed))
    return rows


def rate(shares: Sequence[Sequence[float]], *, seed: int) -> dict[str, Any]:
    """{"rate", "interval", "n", "prompts"} of votes, a list for each prompt; see the module."""
    from scipy import stats
    from statsmodels.stats.proportion import proportion_confint

    wins = np.array([sum(of_prompt) for of_prompt in shares])
    counts = np.array([len(of_prompt) for of_prompt in shares])
    value = float(wins.sum() / counts.sum())
    if counts.max() == 1 or len(set(wins / counts)) == 1:
        prompts = len(shares)
        interval = proportion_confint(value * prompts, prompts, alpha=1 - LEVEL, method="wilson")
    else:
        interval = stats.bootstrap(
            (wins, counts),
            lambda w, c, axis: w.sum(axis) / c.sum(axis),
            n_resamples=RESAMPLES,
            paired=True,
            confidence_level=LEVEL,
            method="percentile",
            rng=np.random.default_rng(seed),
        ).confidence_interval
    low, high = (min(max(float(end), 0.0), 1.0) for end in interval)
    return {
        "rate": value,
        "interval": [low, high],
        "n": int(counts.sum()),
        "prompts": len(shares),
    }


def strengths(votes: Sequence[Vote]) -> list[dict[str, Any]]:
    """Bradley-Terry's of more than two models that were compared with each other, a row a question.

    {"by", "question", "strengths": {model: logarithm, their mean 0}, "n"}; instead of strengths
    "reason" where there are none: a model that won or lost all has no finite one. P(i over j) is
    1 / (1 + exp(s_j - s_i)).
    """
    import choix
    from scipy.sparse.csgraph import connected_components

    rows = []
    for by in sources(votes):
        for question in QUESTIONS:
            part = [v for v in votes if (source(v), v.question) == (by, question)]
            models = sorted({model for vote in part for model in (vote.first, vote.second)})
            wins = np.zeros((len(models), len(models)))
            for vote in part:
                i, j = models.index(vote.first), models.index(vote.second)
                wins[i, j] += share(vote, vote.first)
                wins[j, i] += share(vote, vote.second)
            count, group = connected_components(wins + wins.T, directed=False)
            for k in range(count):
                members = np.flatnonzero(group == k)
                if len(members) < 3:
                    continue
                own = wins[np.ix_(members, members)]
                row = {"by": by, "question": question, "n": int(own.sum())}
                if connected_components(own, connection="strong")[0] == 1:
                    values = choix.ilsr_pairwise_dense(own)
                    names = [models[member] for member in members]
                    row["strengths"] = dict(zip(names, map(float, values), strict=True))
                else:
                    row["reason"] = "a model, or several, won or lost every vote against the others"
                rows.append(row)
    return rows
