"""The pages that numbers lead to: what a manifest behind a table rests on, to the sources."""

import re
from collections.abc import Iterable
from pathlib import Path

from diffusion4k.files import write_text
from diffusion4k.ledger import trace
from diffusion4k.ledger.chain import Run
from diffusion4k.manifest import Manifest


def write(tables: Iterable[Manifest], run: Path, folder: Path) -> dict[str, Path]:
    """{manifest that a table of `run` has numbers from: its chain's page}, written to `folder`."""
    opened, pages = Run(run), {}
    values = (value for table in tables for value in table.results.get("provenance", []))
    for source in dict.fromkeys(value["manifest"] for value in values):
        path = opened.locate(source)
        name = opened.name(path)
        pages[source] = (
            folder / f"{re.sub(r'[^a-zA-Z0-9_]+', '-', name.removesuffix('.json'))}.html"
        )
        write_text(pages[source], trace.document(name, opened.chain(path)))
    return pages
