"""What stands below a table: choices, n, floors, cut prompts, comparisons, notes."""

import re
from collections.abc import Iterable, Mapping

from diffusion4k.manifest import Manifest
from diffusion4k.metrics import families
from diffusion4k.paper import verdicts
from diffusion4k.paper.spec import column_key

ALIKE = "≈"  # the difference from the baseline row lies inside its interval
# beside the difference
MARKS = {verdicts.REPRODUCED: "✓", verdicts.NOT_REPRODUCED: "✗", verdicts.DIRECTION: "✗→"}
# how lines begin that speak of published numbers, which the form without them leaves out
OF_PUBLISHED = ("Published ", "[", *MARKS.values(), "Not judged")


def lines(spec: Mapping, rows: list, published: Mapping, values: Mapping) -> list[str]:
    """The spec's lines, n, why rows are empty, notes on published numbers, notes of manifests."""
    notes = list(spec.get("footer", []))
    notes += _sample_sizes(spec["columns"], rows)
    metrics = {column["metric"] for column in spec["columns"]}
    notes += _crops(values, metrics)
    notes += _long_prompts(values)
    notes += _floors(values, spec["columns"])
    notes += _baselines(rows)
    notes += _judged(rows)
    empty: dict[str, list[str]] = {}
    for row in rows:
        if row.get("reason"):
            empty.setdefault(row["reason"], []).append(row["label"])
    for column in spec["columns"] if spec["rows"] else ():
        if "reason" in column:
            empty.setdefault(column["reason"], []).append(column["label"])
    notes += [f"{', '.join(labels)}: {reason}" for reason, labels in empty.items()]
    noted: dict[str, list[str]] = {}
    for row in spec["rows"]:
        for column in spec["columns"]:
            key = row.get("published_as", row["key"])
            cell = published.get((key, column_key(column)))
            if cell and cell.note and cell.value is not None:
                label = re.sub(r"@\d+(x\d+)?", "", row["label"])  # a size is ours
                name = f"{label} {column['label']}"
                noted.setdefault(cell.note, []).append(name)
    notes += [f"Published {', '.join(where)}: {note}" for note, where in noted.items()]
    notes += [
        f"Published beside {row['label']}: the numbers of {row['published_label']}"
        for row in spec["rows"]
        if "published_as" in row
    ]
    sources = dict.fromkeys(row["source"] for row in rows if row.get("source"))
    notes += [f"[{i}] as published by {source}" for i, source in enumerate(sources, start=1)]
    notes += together(note for source in values.values() for note in source.notes)
    return list(dict.fromkeys(notes))


def together(notes: Iterable[str]) -> list[str]:
    """The notes, once each; those that say the same of several names become one line."""
    names: dict[str, list[str]] = {}
    for note in dict.fromkeys(notes):
        name, _, text = note.partition(" ")
        names.setdefault(text, []).append(name)
    return [
        f"{name[0]} {text}".rstrip() if len(name) == 1 else f"{', '.join(name)}: each {text}"
        for text, name in names.items()
    ]


def _sample_sizes(columns: list, rows: list) -> list[str]:
    """One line with the n behind ours, a column each, or a range where rows differ."""
    parts = []
    for column in columns:
        cells = [row["cells"][column_key(column)] for row in rows]
        sizes = sorted({cell["n"] for cell in cells if cell["n"] is not None})
        if sizes:
            ends = sizes[:1] + sizes[1:][-1:]
            parts.append((column["label"], " to ".join(f"{n:,}" for n in ends)))
    if not parts:
        return []
    if len({size for _, size in parts}) == 1:
        return [f"Ours: n = {parts[0][1]}"]
    return ["Ours: " + ", ".join(f"{label} n = {size}" for label, size in parts)]


def _crops(values: Mapping[tuple[str, str], Manifest], metrics: set[str]) -> list[str]:
    """How many crops the patch metrics of the table saw."""
    heads = {column.metric or key: column.label for key, (_, column) in families.columns().items()}
    results = [r for s in values.values() for r in s.results.items() if isinstance(r[1], dict)]
    sizes = {
        (heads[name], r["crops"], r["n"]) for name, r in results if "crops" in r and name in metrics
    }
    return [
        f"{name}: {crops:,} crops of {n:,} images, at full resolution"
        for name, crops, n in sorted(sizes)
    ]


def _long_prompts(values: Mapping[tuple[str, str], Manifest]) -> list[str]:
    """A line when prompts were cut: CLIP reads 77 tokens."""
    measured = [
        source.results["long_prompts"]
        for source in values.values()
        if "long_prompts" in source.results
    ]
    counts = sorted({(long["value"], long["n"]) for long in measured if long["value"]})
    return [
        f"CLIPScore: {value:,} of {n:,} prompts are longer than CLIP's 77 tokens and were cut"
        for value, n in counts
    ]


def _floors(values: Mapping[tuple[str, str], Manifest], columns: list) -> list[str]:
    """What FID is between photographs, its bias: at which n, and how that is known."""
    floors: dict[tuple[int, ...], dict[str, float]] = {}
    for column in columns:
        measured = (s.results.get(f"{column['metric']}_floor") for s in values.values())
        if floor := next(filter(None, measured), None):
            sizes = (floor["n"], *(split["n"] for split in floor["splits"]))
            floors.setdefault(sizes, {})[column["label"]] = floor["value"]
    return [_floor_line(sizes, labels) for sizes, labels in floors.items()]


def _floor_line(sizes: tuple[int, ...], labels: Mapping[str, float]) -> str:
    """`sizes`: the floors' n, then those of the splits that it comes from, the largest first."""
    n, *splits = sizes
    shown = ", ".join(f"{label} {value:.2f}" for label, value in labels.items())
    if n == splits[0]:
        return (
            f"One half of the reference photographs against the other: {shown} (n = {n:,}, half of"
            " the table's). With more images each would be less: no bound for the numbers above"
        )
    less = ", ".join(f"{size:,}" for size in splits)
    return (
        f"Floor, of photographs against as many others: {shown} (n = {n:,}, extrapolated from"
        f" disjoint sets of {less}); a perfect model would score about that"
    )


def _baselines(rows: list[dict]) -> list[str]:
    """What the mark of an indistinguishable cell means, when there are comparisons."""
    baselines = {
        row["label"]: cell["against"]
        for row in rows
        for cell in row["cells"].values()
        if "against" in cell
    }
    if not baselines:
        return []
    pairs = ", ".join(f"{label} with {against['label']}" for label, against in baselines.items())
    return [
        f"Compared, by paired bootstrap over prompts: {pairs}; {ALIKE} where the 95 % interval of"
        " the difference holds zero"
    ]


def _judged(rows: list[dict]) -> list[str]:
    """What the marks of verdicts mean, and why numbers beside published ones have none."""
    cells = [cell for row in rows if not row.get("context") for cell in row["cells"].values()]
    present = {cell["verdict"] for cell in cells}
    whole = [verdict for verdict in MARKS if verdict in present - {verdicts.DIRECTION}]
    signs = [f"{MARKS[verdict]} {verdict}" for verdict in whole]
    limits = "as published, within rounding and both sides' sampling or the column's tolerance"
    notes = [f"{', '.join(signs)}: {limits}"] if signs else []
    if verdicts.DIRECTION in present:
        notes.append(
            f"{MARKS[verdicts.DIRECTION]} {verdicts.DIRECTION}: the value is not as published, its"
            " difference to the row that it is compared with has the published sign, and its"
            " interval, or the tolerance, excludes zero"
        )
    why: dict[str, None] = {}
    for cell in cells:
        beside = cell["ours"] is not None and cell["published"] is not None
        if beside and cell["verdict"] == verdicts.NOT_JUDGED:
            why.setdefault(cell["verdict_reason"])
    return notes + [f"Not judged beside published numbers: {reason}" for reason in why]
