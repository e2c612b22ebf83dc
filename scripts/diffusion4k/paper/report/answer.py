"""What was reproduced: the paper's claims with verdicts, and the state of its 24 items."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from diffusion4k.manifest import Manifest
from diffusion4k.paper import claims, spec, verdicts
from diffusion4k.paper.report.units import counted

# arXiv 2503.18352
PAPER = [f"table_{n}" for n in range(1, 12)] + [f"figure_{n}" for n in range(1, 14)]

JUDGED = "made and judged"
MADE = "made, not judged"
PARTLY = "partly made"
CANNOT = "cannot be run"
ABSENT = "not in this run"
STATES = (JUDGED, MADE, PARTLY, CANNOT, ABSENT)

# verdict or state => a sign that needs no colour, and the class of its colour
SIGNS = {
    verdicts.REPRODUCED: ("✓", "yes"),
    claims.DIRECTION: ("✓", "yes"),
    claims.ALIKE: ("≈", "open"),
    verdicts.NOT_REPRODUCED: ("✗", "no"),
    verdicts.NOT_JUDGED: ("○", "open"),
    verdicts.NOT_RUN: ("–", "none"),
    verdicts.CANNOT: ("⊘", "none"),
    JUDGED: ("✓", "yes"),
    MADE: ("●", "made"),
    PARTLY: ("◐", "made"),
    ABSENT: ("–", "none"),
}
DECIDED = (verdicts.REPRODUCED, claims.DIRECTION, claims.ALIKE, verdicts.NOT_REPRODUCED)


@dataclass(frozen=True)
class Item:
    """A table or figure of the paper: its state in this run, why, and where the page shows it."""

    key: str
    name: str
    title: str
    state: str
    detail: str
    link: str = ""

    @property
    def sign(self) -> tuple[str, str]:
        """The sign of its state, and the class that colours it in the page."""
        return SIGNS[self.state]


def matrix(
    tables: Iterable[Manifest],
    figures: Iterable[Manifest],
    judged: Sequence[Mapping[str, Any]],
    config: Mapping[str, Any],
) -> list[Item]:
    """The 24 items of the paper in its order; `judged`: the claims, as claims.judge gives them."""
    by_key = {item.path.stem: item for item in [*tables, *figures]}
    items = []
    for key in PAPER:
        section = config.get(f"{key.partition('_')[0]}s") or {}
        name = key.replace("_", " ").capitalize()
        title = section.get(key, {}).get("title", name).partition(": ")[2]
        if key not in by_key:
            why = "no target of this configuration" if key not in section else "not asked for"
            items.append(Item(key, name, title, ABSENT, why))
            continue
        of_item = [claim for claim in judged if claim["target"] == key]
        state = _table if key.startswith("table") else _figure
        items.append(Item(key, name, title, *state(by_key[key], of_item), f"#{key}"))
    return items


def _table(table: Manifest, of_item: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """State and detail of a table, from its cells that have a number of the paper or of ours."""
    rows = [row for row in table.results["rows"] if not row.get("context")]
    if table.results.get("kind") == "prompts":
        return MADE, f"in words: {counted(len(rows), 'prompt')}"
    cells = [cell for row in rows for cell in row["cells"].values()]
    counts = Counter(
        cell["verdict"]
        for cell in cells
        if cell["ours"] is not None or cell["published"] is not None or cell["published_note"]
    )
    numbers = sum(cell["ours"] is not None for cell in cells)
    # "out of memory" as published is a result without a number
    decided = {v: counts[v] for v in DECIDED if counts[v]}
    lacking = {v: counts[v] for v in (verdicts.NOT_RUN, verdicts.CANNOT) if counts[v]}
    if not cells:
        return MADE, "published by others"
    if not numbers and not decided:
        reasons = dict.fromkeys(c["verdict_reason"] for c in cells if c["verdict_reason"])
        return (CANNOT, _why(reasons)) if counts[verdicts.CANNOT] else (ABSENT, "not run")
    parts = [f"{count} {verdict}" for verdict, count in (decided | lacking).items()]
    detail = ", ".join([*([] if decided else [f"{counted(numbers, 'number')} of ours"]), *parts])
    if lacking:
        return PARTLY, detail
    return (JUDGED if decided else MADE), detail


def _figure(figure: Manifest, of_item: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """State and detail of a figure: claims judge it; without any it is for the eye."""
    decided = Counter(claim["verdict"] for claim in of_item if claim["verdict"] in DECIDED)
    text = figure.settings.get("spec")
    request = spec.load(text) if text else {}
    if reason := request.get("settings", {}).get("reason"):
        return CANNOT, _why([reason])  # drawn, to say so
    labels = request.get("labels", {})
    shown = {name.partition(":")[0] for name in figure.inputs}
    lacking = [label for row, label in labels.items() if row not in shown]
    if lacking and len(lacking) < len(labels):
        return PARTLY, f"without {', '.join(lacking)}"
    if decided:
        return JUDGED, ", ".join(f"{count} {verdict}" for verdict, count in decided.items())
    pictures = len(figure.results.get("pictures", []))
    return MADE, counted(pictures, "picture") if pictures else ""


def _why(reasons: Iterable[str]) -> str:
    """Reasons without what mends them, which the table or figure itself says behind a colon."""
    return "; ".join(dict.fromkeys(reason.partition(":")[0] for reason in reasons))


def groups(judged: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The claims by verdict; a detail that all of a group share is said once, as `why`."""
    parts = []
    for verdict in claims.VERDICTS:
        if not (of_verdict := [claim for claim in judged if claim["verdict"] == verdict]):
            continue
        details = {claim["detail"] for claim in of_verdict}
        why = details.pop() if len(details) == 1 and len(of_verdict) > 1 else ""
        sign, kind = SIGNS[verdict]
        own = [claim | {"detail": "" if why else claim["detail"]} for claim in of_verdict]
        parts.append({"verdict": verdict, "sign": sign, "kind": kind, "why": why, "claims": own})
    return parts


def states(items: Sequence[Item]) -> list[tuple[str, str, str, int]]:
    """(state, sign, class of its colour, how many items) of the states that items have."""
    counts = Counter(item.state for item in items)
    return [(state, *SIGNS[state], counts[state]) for state in STATES if counts[state]]


def sentence(judged: Sequence[Mapping[str, Any]], items: Sequence[Item], miniature: bool) -> str:
    """The answer in words: how many of the claims were reproduced, and of the items made."""
    counts = Counter(claim["verdict"] for claim in judged)
    yes = counts[verdicts.REPRODUCED] + counts[claims.DIRECTION]
    decided = sum(counts[verdict] for verdict in DECIDED)
    states = Counter(item.state for item in items)
    count = sum(states[state] for state in (JUDGED, MADE, PARTLY))
    text = f"Of the paper's {len(items)} tables and figures this run made {count}"
    text += f" ({states[PARTLY]} in part)" * bool(states[PARTLY]) + ". "
    if not judged:
        return text + "No claims of the paper are configured."
    if not decided:
        lacking = counts[verdicts.CANNOT] + counts[verdicts.NOT_RUN]
        random = f"{len(judged) - lacking} for its miniature or random inputs"
        why = [random] * (miniature and len(judged) > lacking)
        why += [f"{counts[v]} {v}" for v in (verdicts.NOT_RUN, verdicts.CANNOT) if counts[v]]
        reasons = f": {', '.join(why)}" if why else ""
        return f"{text}Of its {counted(len(judged), 'claim')} this run can judge none{reasons}."
    text += f"Of its {counted(len(judged), 'claim')} {decided} could be judged: {yes} reproduced"
    others = (verdicts.NOT_REPRODUCED, claims.ALIKE)
    return text + "".join(f", {counts[v]} {v}" for v in others if counts[v]) + "."
