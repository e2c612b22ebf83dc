"""From a table's cell to all that it rests on, for people, for programs and for the report."""

import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusion4k.errors import UserError
from diffusion4k.ledger.chain import Link, Run
from diffusion4k.manifest import Manifest

BRIEF = 120  # characters of a setting that are shown; `--format json` has all


@dataclass(frozen=True)
class Cell:
    """A number of a table, by the keys of its row and column; `value` is None where there is none.

    `sources` are what it was taken from: the aggregate's manifest, and a comparison's; of what is
    `quoted`, a publication's number or a prompt's words, the file of config/ that has it. `status`
    is the verdict, or who is quoted.
    """

    table: str
    row: str
    column: str
    value: float | str | None
    status: str
    sources: tuple[str, ...]
    quoted: bool = False

    @property
    def title(self) -> str:
        """The cell and its value in a line."""
        if not self.quoted:
            return f"{self.table}, {self.row}, {self.column}: {self.value}"
        value = "" if isinstance(self.value, str) else f"{self.value}, "
        return f"{self.table}, {self.row}, {self.column}: {value}{self.status}"


def cells(table: Manifest) -> list[Cell]:
    """Every cell of a finished table that this run filled, or might have."""
    if "spec" not in table.settings:
        return []  # a table in words
    spec = json.loads(_text(table.settings["spec"]))
    families = {column.get("key", column["metric"]): column["family"] for column in spec["columns"]}
    filled = []
    for row in table.results["rows"]:
        for key, family in families.items():
            if row.get("context") or key not in row["cells"]:
                continue
            places = (f"{row['key']}:{family}", f"{row['key']}:{family}:against")
            sources = tuple(table.inputs[place] for place in places if place in table.inputs)
            shown = row["cells"][key]
            status = shown["verdict_reason"] or shown["verdict"]
            filled.append(Cell(table.path.stem, row["key"], key, shown["ours"], status, sources))
    return filled


def quoted(table: Manifest) -> list[Cell]:
    """Every cell that no run fills: the numbers of other publications, the prompts in words."""
    name, quotes = table.path.stem, []
    for row in table.results["rows"]:
        if "text" in row:
            source = (table.inputs[row["key"]],) if row["key"] in table.inputs else ()
            quotes.append(Cell(name, row["key"], "text", row["text"], row["note"], source, True))
        elif row.get("context"):
            source = (table.inputs["context"],) if "context" in table.inputs else ()
            quotes += [
                Cell(name, row["key"], key, shown["published"], row["source"], source, True)
                for key, shown in row["cells"].items()
                if shown["published"] is not None
            ]
    return quotes


def cell(run: Run, table: str, row: str, column: str) -> Cell:
    """One cell; row and column by key or label, as SD3-F16-WLF and FID. UserError for no such."""
    manifest = run.read(run.folder / "tables" / f"{table}.json")
    known = [*cells(manifest), *quoted(manifest)]
    with_cells = {c.row for c in known}
    rows = {r["key"]: r["label"] for r in manifest.results["rows"] if r["key"] in with_cells}
    columns = {c["key"]: c["label"] for c in manifest.results["columns"]} or {"text": "text"}
    row, column = _named("row", row, rows), _named("column", column, columns)
    matches = [c for c in known if (c.row, c.column) == (row, column)]
    if not matches:
        raise UserError(f"{table}, {row}, {column}: nothing is published there")
    return matches[0]


def trace(run: Run, of: Cell) -> list[Link]:
    """The chain behind a cell: the table, its aggregate, and on to the sources, or what it quotes.

    UserError for a cell that no run filled.
    """
    if of.value is None or not of.sources:
        older = "quoted, by a table that does not yet name from where: make it again"
        why = of.status if of.value is None else older
        raise UserError(f"{of.table}, {of.row}, {of.column}: holds no number of ours ({why})")
    links = run.chain(run.folder / "tables" / f"{of.table}.json")
    wanted = {run.name(run.locate(source)) for source in of.sources}
    table, others = links[0], {link.name: link for link in links[1:]}
    reached: set[str] = set()
    waiting = sorted(wanted)
    while waiting:
        name = waiting.pop()
        if name not in reached and name in others:
            reached.add(name)
            waiting += others[name].inputs
    chain = [Link(table.name, table.manifest, tuple(sorted(wanted)), table.fault)]
    return chain + [link for link in links[1:] if link.name in reached]


def text(links: list[Link]) -> str:
    """The chain for a terminal: a block a link."""
    return "\n".join("\n".join(_lines(link)) for link in links)


def page(of: Cell, links: list[Link]) -> str:
    """The chain behind a cell as a page."""
    return document(of.title, links)


def document(
    title: str,
    links: list[Link],
    home: str = "",
    numbers: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> str:
    """A chain as a page of its own, UTF-8 HTML without anything from elsewhere.

    `home` is the address of the page that led here; `numbers` are what was read from the chain's
    first link, `warnings` what is to be known before they are believed.
    """
    escape = html.escape
    blocks = []
    for link in links:
        head, *lines = _lines(link)
        shown = escape("\n".join(line.strip() for line in lines))
        inputs = ", ".join(f'<a href="#{escape(n)}">{escape(n)}</a>' for n in link.inputs) or "–"
        mark = ' class="fault"' if link.fault else ""
        blocks.append(
            f'<section id="{escape(link.name)}"{mark}><h2>{escape(head)}</h2>'
            f"<p>made from {inputs}</p><pre>{shown}</pre></section>"
        )
    title = escape(title)
    back = f'<p><a href="{escape(home)}">← The report</a></p>' if home else ""
    known = "".join(f'<p class="warning">{escape(line)}</p>' for line in warnings)
    if numbers:
        items = "".join(f"<li>{escape(number)}</li>" for number in numbers)
        known += f"<p>Read from it:</p><ul>{items}</ul><p>It rests on:</p>"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><style>'
        ":root{color-scheme:light dark}h1,h2,p,pre{overflow-wrap:anywhere}"
        "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
        ".warning{border-left:4px solid #c8862a;padding-left:.7rem}"
        "pre{white-space:pre-wrap}.fault h2{color:#d3344a}</style>"
        f"{back}<h1>{title}</h1>{known}{''.join(blocks)}</html>\n"
    )


def record(of: Cell, links: list[Link]) -> dict[str, Any]:
    """The cell and its chain, JSON-able."""
    named = {"table": of.table, "row": of.row, "column": of.column, "value": of.value}
    hours = sum(link.gpu_hours for link in links)
    return named | {"gpu_hours": hours, "links": [link.record() for link in links]}


def _lines(link: Link) -> list[str]:
    lines = [link.name + (f"  BROKEN: {link.fault}" if link.fault else "")]
    if link.kept:
        lines[0] += "  (deleted as planned; its record is kept in the next)"
    if (manifest := link.manifest) is None:
        return lines
    took = f"{manifest.seconds:.1f} s"
    took += f", {link.gpu_hours:.2f} GPU-hours" * bool(link.gpu_hours)
    size = sum(file.bytes for file in manifest.files)
    where, settings = manifest.environment, manifest.settings.items()
    state = {True: ", edited since", False: "", None: ""}[where.get("dirty")]
    lines += [
        f"    made      {manifest.made} in {took} on {manifest.device}",
        f"    content   {manifest.digest}: {len(manifest.files)} files, {size} bytes",
        f"    code      {manifest.code}, commit {where.get('commit') or 'not known'}{state}",
        f"    versions  {', '.join(f'{name} {v}' for name, v in manifest.versions.items())}",
        f"    machine   {where.get('processor', '')} {where.get('driver', '')}".rstrip(),
        f"    settings  {', '.join(f'{name} {_brief(v)}' for name, v in settings)}",
        f"    command   {manifest.command}",
    ]
    return lines


def _brief(setting: Any) -> str:
    """A setting's value as JSON; of a long one, such as a table's specification, its beginning."""
    text = json.dumps(setting, ensure_ascii=False, default=str)
    return text if len(text) <= BRIEF else f"{text[:BRIEF]} …"


def _named(kind: str, given: str, labels: dict[str, str]) -> str:
    """The key that a key or a label means; a label's size, @4096, or source, [1], is optional."""

    def plain(text: str) -> str:
        return re.sub(r"[\s_-]+", "-", text.strip().lower())

    matches = [key for key in labels if plain(key) == plain(given)]
    matches = matches or [k for k, label in labels.items() if plain(label) == plain(given)]
    short = {k: re.sub(r"@.*| \[\d+\]$", "", label) for k, label in labels.items()}
    matches = matches or [k for k, label in short.items() if plain(label) == plain(given)]
    if len(matches) != 1:
        known = ", ".join(f"{key} ({label})" for key, label in labels.items())
        what = "several are called so" if matches else "no such"
        raise UserError(f"{kind} {given}: {what}; give one of {known}")
    return matches[0]


def _text(spec: str) -> str:
    return spec if spec.lstrip().startswith("{") else Path(spec).read_text(encoding="utf-8")
