"""The numbers that the paper and others published, read from config/published/*.csv."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from diffusion4k.errors import UserError


@dataclass(frozen=True)
class Published:
    """One published cell; `value` is None where the paper prints no number, `note` says why.

    `digits`: as many as are printed behind the point, None for those of the column.
    """

    value: float | None
    note: str = ""
    digits: int | None = None


@dataclass(frozen=True)
class Context:
    """One number of another system on the same evaluation, with the publication it comes from."""

    source: str
    evaluation: str
    system: str
    metric: str
    value: float
    digits: int = 0


def read(path: str | Path) -> dict[tuple[str, str], Published]:
    """(row, metric) => Published, from a tidy CSV with the columns row, metric, value, note.

    Raises UserError, with the line's number, for another header, a value that is no finite number,
    or a cell that comes twice. An empty value needs a note.
    """
    cells: dict[tuple[str, str], Published] = {}
    for where, line in _lines(path, ["row", "metric", "value", "note"]):
        key = (line["row"], line["metric"])
        if key in cells:
            raise UserError(f"{where}: {key[0]}, {key[1]} comes twice; remove one")
        if not line["value"] and not line["note"]:
            raise UserError(f"{where}: neither value nor note; write one of them")
        value = _number(where, line["value"]) if line["value"] else None
        cells[key] = Published(value, line["note"], _digits(line["value"]))
    return cells


def read_context(path: str | Path) -> list[Context]:
    """All rows of a CSV with the columns source, evaluation, system, metric, value."""
    rows, keys = [], set()
    for where, line in _lines(path, ["source", "evaluation", "system", "metric", "value"]):
        value = {"value": _number(where, line["value"]), "digits": _digits(line["value"])}
        row = Context(**(line | value))
        key = (row.source, row.evaluation, row.system, row.metric)
        if key in keys:
            raise UserError(f"{where}: {row.system}, {row.metric} comes twice; remove one")
        keys.add(key)
        rows.append(row)
    return rows


def _lines(path: str | Path, header: list[str]):
    try:
        with Path(path).open(newline="", encoding="utf-8") as handle:
            reader = csv.DictReader(handle, restkey="", strict=True)
            if reader.fieldnames != header:
                raise UserError(f"{path}: the header must be {','.join(header)}")
            for line in reader:
                where = f"{path}, line {reader.line_num}"
                if "" in line or None in line.values():
                    raise UserError(f"{where}: not {len(header)} columns; quote texts with commas")
                yield where, line
    except FileNotFoundError:
        raise UserError(f"{path}: no such file of published numbers") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error}); save it as UTF-8") from None
    except csv.Error as error:
        where = f"{path}, line {reader.line_num}"
        raise UserError(f"{where}: no CSV ({error}); is a quotation mark left open?") from None


def _number(where: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{where}: {text!r} is not a finite number")
    return value


def _digits(text: str) -> int:
    return len(text.partition(".")[2])
