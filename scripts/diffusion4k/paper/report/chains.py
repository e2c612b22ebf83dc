"""The pages that numbers lead to: what a manifest behind a table rests on, to the sources."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from diffusion4k.files import write_text
from diffusion4k.ledger import trace
from diffusion4k.ledger.chain import Run
from diffusion4k.manifest import Manifest
from diffusion4k.paper.footer import together
from diffusion4k.paper.tables import measured
from diffusion4k.sources.miniature.notes import plumbing


def write(tables: Sequence[Manifest], run: Path, folder: Path) -> dict[str, Path]:
    """{manifest that a table of `run` has numbers from: its chain's page}, written to `folder`.

    A page says at its top which numbers were read there, and of miniature or random inputs.
    """
    opened, pages = Run(run), {}
    values = (value for table in tables for value in table.results.get("provenance", []))
    numbers = _numbers(tables, opened)
    home = Path(os.path.relpath(run / "report.html", folder)).as_posix()
    for source in dict.fromkeys(value["manifest"] for value in values):
        path = opened.locate(source)
        name = opened.name(path)
        pages[source] = (
            folder / f"{re.sub(r'[^a-zA-Z0-9_]+', '-', name.removesuffix('.json'))}.html"
        )
        links = opened.chain(path)
        notes = (note for link in links if link.manifest for note in link.manifest.notes)
        warnings = together(dict.fromkeys(note for note in notes if plumbing(note)))
        text = trace.document(name, links, f"{home}#provenance", numbers.get(name, ()), warnings)
        write_text(pages[source], text)
    return pages


def _numbers(tables: Iterable[Manifest], run: Run) -> dict[str, list[str]]:
    """Name of a manifest to the numbers that tables have from it, as a person would name them."""
    numbers: dict[str, list[str]] = {}
    for table in tables:
        rows = {row["key"]: row for row in table.results["rows"]}
        columns = {column["key"]: column for column in table.results["columns"]}
        for cell in trace.cells(table):
            if cell.value is None:
                continue
            column = columns[cell.column]
            name = f"{table.results['title']}: {rows[cell.row]['label']}, {column['label']}"
            compared = table.inputs.get(f"{cell.row}:{column['family']}:against")
            for source in cell.sources:
                value = f" {measured(cell.value, column['digits'])}"
                if source == compared:
                    against = rows[cell.row]["cells"][cell.column].get("against")
                    value = f", its difference to {against['label']}" if against else ""
                numbers.setdefault(run.name(run.locate(source)), []).append(name + value)
    return numbers
