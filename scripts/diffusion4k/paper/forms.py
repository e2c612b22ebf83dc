"""The files of a table: CSV, HTML, Markdown, LaTeX, and LaTeX of our numbers alone."""

from pathlib import Path
from typing import Any

from diffusion4k import files
from diffusion4k.paper import latex, render


def write(table: dict[str, Any], output: Path, name: str) -> list[Path]:
    """Write a table, of numbers or of prompts, beside its manifest `output`; returns the files."""
    texts = {
        "csv": render.tidy_csv(table),
        "html": render.page(table),
        "md": render.markdown(table),
        "tex": latex.latex(table, name),
        "ours.tex": latex.latex(table, name, ours_only=True),
    }
    paths = {output.with_suffix(f".{suffix}"): text for suffix, text in texts.items()}
    for path, text in paths.items():
        files.write_text(path, text)
    return [*paths]
