"""What was reproduced: the paper's claims with verdicts, and the state of its 24 items."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from diffusion4k.manifest import Manifest
from diffusion4k.paper import claims, spec, verdicts
from diffusion4k.paper.report.units import counted

# arXiv 2503.18352
PAPER = [f"table_{n}" for n in range(1, 12)] + [f"figure_{n}" for n in range(1, 14)]

PART = "reproduced in part"
MADE = "made, not judged"
OTHERS = "made with other rows"
PARTLY = "partly made"
CANNOT = "cannot be run"
ABSENT = "not in this run"
# what the cells of a whole table say is its state: all reproduced, some, none
STATES = (
    verdicts.REPRODUCED, PART, verdicts.NOT_REPRODUCED, MADE, OTHERS, PARTLY, CANNOT, ABSENT
)  # fmt: skip

# verdict or state => a sign that needs no colour, and the class of its colour
SIGNS = {
    verdicts.REPRODUCED: ("✓", "yes"),
    verdicts.DIRECTION: ("✓", "yes"),
    claims.ALIKE: ("≈", "open"),
    verdicts.NOT_REPRODUCED: ("✗", "no"),
    verdicts.NOT_JUDGED: ("○", "open"),
    verdicts.NOT_RUN: ("–", "none"),
    verdicts.CANNOT: ("⊘", "none"),
    PART: ("✓✗", "open"),
    MADE: ("●", "made"),
    OTHERS: ("◐", "made"),
    PARTLY: ("◐", "made"),
    ABSENT: ("–", "none"),
}
DECIDED = (verdicts.REPRODUCED, verdicts.DIRECTION, claims.ALIKE, verdicts.NOT_REPRODUCED)


@dataclass(frozen=True)
class Item:
    """A table or figure of the paper: its state in this run, why, and where the page shows it.

    `judged`: what the decided cells of one with gaps say, which its colour shows.
    """

    key: str
    name: str
    title: str
    state: str
    detail: str
    link: str = ""
    judged: str = ""

    @property
    def sign(self) -> tuple[str, str]:
        """The sign of its state, and the class that colours it in the page."""
        sign, kind = SIGNS[self.state]
        missed = self.judged in (PART, verdicts.NOT_REPRODUCED)
        return sign, SIGNS[self.judged][1] if missed else kind


def matrix(
    tables: Iterable[Manifest],
    figures: Iterable[Manifest],
    judged: Sequence[Mapping[str, Any]],
    config: Mapping[str, Any],
    lacking: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> list[Item]:
    """The 24 items of the paper in its order; `judged`: the claims, as claims.judge gives them.

    lacking: item => what rows of the paper's are called that this configuration's has not.
    """
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
        if key.startswith("table"):
            state, detail, decided = _table(by_key[key])
        else:
            of_item = [claim for claim in judged if claim["target"] == key]
            state, detail, decided = _figure(by_key[key], of_item)
        if key in lacking and state not in (CANNOT, ABSENT):
            state = OTHERS if state in (decided, MADE) else state
            detail = "; ".join(filter(None, [detail, f"other rows: no {', '.join(lacking[key])}"]))
        items.append(Item(key, name, title, state, detail, f"#{key}", decided))
    return items


def _judged(counts: Mapping[str, int], direction: str) -> str:
    """All of what was decided is reproduced, some, or none of it; "" where nothing was.

    direction: what a direction alone amounts to, in full (of claims) or in part (of values).
    """
    amounts = {verdicts.REPRODUCED: verdicts.REPRODUCED, verdicts.DIRECTION: direction}
    amounts |= {verdicts.NOT_REPRODUCED: verdicts.NOT_REPRODUCED}
    said = {amounts[verdict] for verdict in amounts if counts.get(verdict)}
    return said.pop() if len(said) == 1 else PART if said else ""


def _table(table: Manifest) -> tuple[str, str, str]:
    """State, detail, what is decided of a table, from its cells with a number of the paper or ours.

    All of an item's rows count, whether the paper has them or not.
    """
    rows = [row for row in table.results["rows"] if not row.get("context")]
    if table.results.get("kind") == "prompts":
        return MADE, f"in words: {counted(len(rows), 'prompt')}", ""
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
        return MADE, "published by others", ""
    if not numbers and not decided:
        reasons = dict.fromkeys(c["verdict_reason"] for c in cells if c["verdict_reason"])
        cannot = counts[verdicts.CANNOT]
        return (CANNOT, _why(reasons), "") if cannot else (ABSENT, "not run", "")
    parts = [f"{count} {verdict}" for verdict, count in (decided | lacking).items()]
    detail = ", ".join([*([] if decided else [f"{counted(numbers, 'number')} of ours"]), *parts])
    judged = _judged(decided, PART)
    return PARTLY if lacking else judged or MADE, detail, judged


def _figure(figure: Manifest, of_item: Sequence[Mapping[str, Any]]) -> tuple[str, str, str]:
    """State, detail, what is decided of a figure; without claims it is for the eye."""
    decided = Counter(claim["verdict"] for claim in of_item if claim["verdict"] in DECIDED)
    text = figure.settings.get("spec")
    request = spec.load(text) if text else {}
    if reason := request.get("settings", {}).get("reason"):
        return CANNOT, _why([reason]), ""  # drawn, to say so
    labels = request.get("labels", {})
    shown = {name.partition(":")[0] for name in figure.inputs}
    lacking = [label for row, label in labels.items() if row not in shown]
    judged = _judged(decided, verdicts.REPRODUCED)
    if lacking and len(lacking) < len(labels):
        return PARTLY, f"without {', '.join(lacking)}", judged
    if decided:
        said = ", ".join(f"{decided[verdict]} {verdict}" for verdict in DECIDED if decided[verdict])
        return judged or MADE, said, judged
    pictures = len(figure.results.get("pictures", []))
    return MADE, counted(pictures, "picture") if pictures else "", ""


def _why(reasons: Iterable[str]) -> str:
    """Reasons without what mends them, which the table or figure itself says behind a colon."""
    return "; ".join(dict.fromkeys(reason.partition(":")[0] for reason in reasons))


def groups(judged: Sequence[Mapping[str, Any]], on_page: Collection[str]) -> list[dict[str, Any]]:
    """The claims by verdict; a detail that all of a group share is said once, as `why`.

    on_page: the tables and figures that the page shows, which claims then have as `link`.
    """
    parts = []
    for verdict in claims.VERDICTS:
        if not (of_verdict := [claim for claim in judged if claim["verdict"] == verdict]):
            continue
        details = {claim["detail"] for claim in of_verdict}
        why = details.pop() if len(details) == 1 and len(of_verdict) > 1 else ""
        sign, kind = SIGNS[verdict]
        own = [
            claim
            | {"detail": "" if why else claim["detail"]}
            | {"link": f"#{claim['target']}" if claim["target"] in on_page else ""}
            for claim in of_verdict
        ]
        parts.append({"verdict": verdict, "sign": sign, "kind": kind, "why": why, "claims": own})
    return parts


def states(items: Sequence[Item]) -> list[tuple[str, str, str, int]]:
    """(state, sign, class of its colour, how many items) of the states that items have."""
    counts = Counter(item.state for item in items)
    return [(state, *SIGNS[state], counts[state]) for state in STATES if counts[state]]


def sentence(judged: Sequence[Mapping[str, Any]], items: Sequence[Item], miniature: bool) -> str:
    """The answer in words: how many of the claims were reproduced, and of the items made."""
    counts = Counter(claim["verdict"] for claim in judged)
    yes = counts[verdicts.REPRODUCED] + counts[verdicts.DIRECTION]
    decided = sum(counts[verdict] for verdict in DECIDED)
    states = Counter(item.state for item in items)
    count = sum(states[state] for state in STATES if state not in (CANNOT, ABSENT))
    text = f"Of the paper's {len(items)} tables and figures this run made {count}"
    besides = [(PARTLY, "in part"), (OTHERS, "with other rows")]
    said = [f"{states[state]} {how}" for state, how in besides if states[state]]
    text += f" ({', '.join(said)})" * bool(said) + ". "
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
