"""What of the paper can be checked with the GPUs that somebody has: targets, by claims an hour."""

from dataclasses import dataclass

from diffusion4k.config.resolve import Config
from diffusion4k.dag import paper, people
from diffusion4k.estimate import memory
from diffusion4k.estimate.basis import Cost
from diffusion4k.estimate.plan import Plan

INSTANT = 1e-3  # hours; what costs less comes first whatever it checks


@dataclass(frozen=True)
class Choice:
    """A target: the GPU-hours that it adds to those chosen before it, the claims that it checks.

    `reason`: why it does not fit the budget; "" where it does.
    """

    target: str
    hours: float
    claims: tuple[str, ...]
    reason: str = ""


def choose(plan: Plan) -> list[Choice]:
    """The targets that fit plan.budget, then those that do not.

    Greedy: the next target is the one that checks most claims for each GPU-hour that it adds to
    what is chosen already; work that targets share is counted once.
    """
    budget = plan.config["plan"]["budget"]
    limit = budget["gpus"] * budget["hours"]
    waiting = dict(plan.targets)
    refused = [
        Choice(name, plan.gpu_hours(works), claims(plan.config, name), reason)
        for name, works in waiting.items()
        if (reason := _too_large(plan.config, works))
    ]
    for choice in refused:
        del waiting[choice.target]
    chosen: list[Choice] = []
    done, spent = set(), 0.0
    while waiting:
        added = {name: _hours(plan, works, done) for name, works in waiting.items()}
        worth = {name: len(claims(plan.config, name)) for name in waiting}
        best = max(
            waiting, key=lambda name: (worth[name] / max(added[name], INSTANT), -added[name])
        )
        works, hours = waiting.pop(best), added[best]
        over = spent + hours - limit
        reason = f"{over:,.0f} GPU-hours more than are left" if over > 0 else ""
        choice = Choice(best, hours, claims(plan.config, best), reason)
        if reason:
            refused.append(choice)
            continue
        chosen.append(choice)
        done |= {work.key for work in works}
        spent += hours
    return chosen + refused


def claims(config: Config, target: str) -> tuple[str, ...]:
    """The claims that a target's cells, or votes, decide; none of rows that no run can fill."""
    if target in config["figures"]:
        rows = config["figures"][target]["rows"]
        return tuple(
            name
            for name, claim in config["claims"].items()
            if claim.get("figure") == target and claim["better"] in rows
            if people.asked_of(config, claim.get("by", "people"))
        )
    table = config["tables"].get(target)
    if table is None or not table.get("columns"):  # a table in words
        return ()
    of, decided = paper.families_of(config, target), []
    for name, claim in config["claims"].items():
        rows = [claim[role] for role in ("better", "than", "best") if role in claim]
        rows += [*claim.get("cannot", []), *claim.get("fits", [])]
        there = all(row in table["rows"] and not paper.reason(config, row, of) for row in rows)
        column = claim.get("column", table["columns"][0])
        if claim.get("table") == target and there and column in table["columns"]:
            decided.append(name)
    return tuple(decided)


def _hours(plan: Plan, works: list[Cost], done: set) -> float:
    return plan.gpu_hours(work for work in works if work.key not in done)


def _too_large(config: Config, works: list[Cost]) -> str:
    """Why one of the works runs on no machine of the budget."""
    budget = config["plan"]["budget"]
    for work in works:
        name = " ".join(work.key)
        if work.gpus > budget["gpus"]:
            return f"{name}: a job on {work.gpus} GPUs"
        needed = memory.of(config, work.key) or 0
        # Table 5 is there to show what does not fit
        if needed > budget["memory_gb"] and work.key[0] != "efficiency":
            return f"{name}: about {needed:.0f} GB on a GPU"
    return ""
