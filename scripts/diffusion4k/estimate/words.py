"""A plan as people read it: lines of columns for stages, targets, questions, budget and sources."""

import itertools
import textwrap
from collections.abc import Iterable, Iterator

from diffusion4k.config.resolve import Config, origin
from diffusion4k.estimate import budget
from diffusion4k.estimate.basis import JPEG, Cost
from diffusion4k.estimate.plan import Plan

LIST = 90  # characters of a line of names
SUMS = ("jobs", "PFLOP", "GPU time", "wall time", "GB")


def every(plan: Plan) -> Iterator[str]:
    """All parts, each followed by an empty line."""
    parts = [stages(plan), targets(plan), questions(plan), sources(plan)]
    if "budget" in plan.config["plan"]:
        parts.append(budgeted(plan))
    return itertools.chain.from_iterable(parts)


def stages(plan: Plan) -> list[str]:
    """A line for each stage and model, one for all of a stage without hours, and their sum."""
    rows = []
    working = [work for work in plan.everything if work.jobs]
    for stage, group in itertools.groupby(working, key=lambda work: work.key[0]):
        works = list(group)
        rest = [work for work in works if not work.flops]
        for part in [*([work] for work in works if work.flops), *([rest] if rest else [])]:
            of = " ".join(part[0].key[1:]) if len(part) == 1 else f"{len(part)} sets"
            images = sum(work.images for work in part)
            rows.append([stage, of, f"{images:,}", *sums(plan, part)])
    rows.append(["all", "", "", *sums(plan, plan.everything)])
    return columns(["stage", "of", "images", *heads(plan)], rows)


def targets(plan: Plan) -> list[str]:
    """A line for each target made by itself; what several share is in each."""
    rows = []
    for name, works in (plan.targets | plan.asking).items():
        trains = [work.key[1] for work in works if work.key[0] in ("train", "train_vae")]
        drawn = sum(work.images for work in works if work.key[0] in ("generate", "draw"))
        rows.append([name, *sums(plan, works), number(drawn), ", ".join(trains) or "nothing"])
    head = ["by itself", *heads(plan), "pictures", "trains"]
    return columns(head, rows, left=(0, len(head) - 1))


def questions(plan: Plan) -> list[str]:
    """A line for each model that is asked: how often, and what its answers may cost at most."""
    works = [*plan.everything, *itertools.chain.from_iterable(plan.asking.values())]
    paid = {work.key: work for work in works if work.calls}
    rows = [[" ".join(key), f"{work.calls:,}", f"{work.max_cost:g}"] for key, work in paid.items()]
    return columns(["asks a model", "calls", "costs at most"], rows, left=(0,)) if rows else []


def budgeted(plan: Plan) -> list[str]:
    """A line for each target, in the order of claims checked a GPU-hour, and what does not fit;
    then the claims themselves."""
    have, spent, rows, checked = plan.config["plan"]["budget"], 0.0, [], 0
    choices = budget.choose(plan)
    for choice in choices:
        fits = not choice.reason
        spent += choice.hours if fits else 0
        checked += len(choice.claims) if fits else 0
        so_far = [duration(spent), f"{checked}"] if fits else ["", ""]
        added = [duration(choice.hours), f"{len(choice.claims)}", *so_far]
        rows.append([choice.target, *added, choice.reason or "fits"])
    heading = (
        f"With {have['gpus']} GPU of {have['memory_gb']:g} GB for {have['hours']:g} hours,"
        f" best first; claims: {checked} of {len(plan.config['claims'])}\n"
    )
    heads = ["target", "adds", "claims", "in all", "claims", ""]
    return [heading, *columns(heads, rows, left=(0, 5)), *claims(plan, choices)]


def claims(plan: Plan, choices: list[budget.Choice]) -> list[str]:
    """The claims by name: a line for each target that checks some, and for those that none does."""
    checked = {name for choice in choices for name in choice.claims}
    unchecked = [name for name in plan.config["claims"] if name not in checked]
    parts = [(c.target, "no" if c.reason else "yes", c.claims) for c in choices if c.claims]
    parts += [("none", "–", unchecked)] if unchecked else []
    rows = []
    for target, fits, names in parts:
        first, *others = textwrap.wrap(", ".join(names), LIST)
        rows += [[target, fits, first], *(["", "", line] for line in others)]
    return columns(["checked by", "fits", "claims"], rows, left=(0, 1, 2)) if rows else []


def sums(plan: Plan, works: Iterable[Cost]) -> list[str]:
    """The columns that `heads` names, of some works together."""
    works = list(works)
    return [
        f"{sum(work.jobs for work in works):,}",
        number(sum(work.flops for work in works) / 1e15),
        duration(plan.gpu_hours(works)),
        duration(plan.wall_hours(works)),
        number(sum(work.gb for work in works)),
        *([number(plan.gpu_hours(works) * price)] if (price := _price(plan)) else []),
    ]


def heads(plan: Plan) -> list[str]:
    """Of sums; `cost`, of GPU-hours, where plan.price names one."""
    return [*SUMS, *(["cost"] if _price(plan) else [])]


def _price(plan: Plan) -> float:
    return plan.config["plan"].get("price", 0.0)


def sources(plan: Plan) -> list[str]:
    """A line for each source that is read: size where known, licence; their sum, and what ≈ is."""
    rows, names = [], plan.sources(plan.everything)
    sizes = {name: plan.source_gb(name) for name in names}
    near = {name: "≈ " if plan.reckoned(name) else "" for name in names}
    for name, gb in sizes.items():
        entry = plan.config["sources"][name]
        where = str(entry[origin(entry)])
        gated = "gated: licence and HF_TOKEN" if entry.get("gated") else ""
        rows.append([name, where, "?" if gb is None else near[name] + number(gb), gated])
    lacking = "at least " if None in sizes.values() else ""
    total = number(sum(gb for gb in sizes.values() if gb))
    rows.append(["all", "", lacking + (any(near.values()) and "≈ " or "") + total, ""])
    lines = columns(["source", "from", "GB", ""], rows, left=(0, 1, 3))
    if any(near.values()):
        how = f"images x mean height x mean width (Table 9) x 3 bytes, as JPEG 1 : {JPEG}"
        lines[-1:] = [f"≈: {how}; ?: nobody here knows", ""]
    return lines


def rates(config: Config) -> str:
    """plan.tflops, of each backbone where it differs, and plan.vae_tflops, of each precision."""
    plan = config["plan"]
    return f"{_rates(plan['tflops'])} TFLOP/s, a VAE's convolutions {_rates(plan['vae_tflops'])}"


def _rates(known: float | dict[str, float]) -> str:
    if not isinstance(known, dict):
        return f"{known:g}"
    return ", ".join(f"{rate:g} ({name})" for name, rate in known.items())


def number(value: float) -> str:
    """Three digits; – for nothing."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value else "–"


def duration(hours: float) -> str:
    """Hours, or minutes below one; – for nothing."""
    if hours and hours < 1:
        return f"{number(hours * 60)} min"
    return f"{number(hours)} h" if hours else "–"


def columns(head: list[str], rows: list[list[str]], left: tuple[int, ...] = (0, 1)) -> list[str]:
    """Lines of even columns, numbers to the right, and an empty one."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = []
    for row in [head, ["-" * width for width in widths], *rows]:
        cells = [
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return [*lines, ""]
