"""Prompts of one's own: a text file, JSONL, or texts; each with an id that names its pictures.

The id follows from the text alone, so that a line more or another order changes no picture, also
where a picture's seed derives from its id.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from diffusion4k.errors import UserError

ROOT = Path(__file__).resolve().parents[3]
SHOWN = 10  # faulty lines in the one line for people
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Prompt:
    """A text and its id, which is safe as a file's name."""

    id: str
    text: str


def read(path: str | Path) -> list[Prompt]:
    """The prompts of a UTF-8 file: .jsonl (`text`, perhaps `id`), or any other with a text a line.

    Lines without a sign are passed over. UserError with the numbers of the lines for what is no
    such object, an empty text, half a character, a text or an id that comes twice, an id that is
    no plain file name, and for a file without prompts.
    """
    path = Path(path)
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{path}: no such file of prompts") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error}); save it as UTF-8") from None
    # at line feeds alone: str.splitlines also parts at U+2028 and U+0085, which texts may have
    lines = [(n, line) for n, line in enumerate(content.split("\n"), start=1) if line.strip()]
    record = _object if path.suffix == ".jsonl" else lambda line: {"text": line}
    return _checked(str(path), ((f"line {n}", record(line)) for n, line in lines))


def of_texts(texts: Sequence[str], where: str) -> list[Prompt]:
    """The prompts of some texts; `where` names them in a UserError, as of `read`."""
    return _checked(where, ((f"text {n}", {"text": t}) for n, t in enumerate(texts, start=1)))


def of_set(entry: dict) -> list[Prompt]:
    """The prompts of an entry of the configuration's `prompts`; UserError as of `read`.

    A file's relative path is from the workflow's folder, where Snakemake starts.
    """
    if "file" in entry:
        return read(ROOT / Path(entry["file"]).expanduser())
    return of_texts(entry["texts"], "texts")


def derived_id(text: str) -> str:
    """The first words of a text in plain letters, and eight digits of its SHA-256."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower())[:40].strip("-")
    return f"{words or 'prompt'}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _object(line: str) -> dict | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    known = isinstance(record, dict) and set(record) <= {"text", "id"}
    texts = known and all(isinstance(value, str) for value in record.values())
    return record if texts and "text" in record else None


def _checked(where: str, records: Iterable[tuple[str, dict | None]]) -> list[Prompt]:
    prompts: dict[str, Prompt] = {}
    texts: dict[str, str] = {}
    faults = []
    for place, record in records:
        reason = _fault(record)
        if not reason:
            text = record["text"].strip()
            prompt = Prompt(record.get("id", "") or derived_id(text), text)
            if (first := texts.setdefault(text, place)) != place:
                reason = f"the same text as {first}"
            elif prompts.setdefault(prompt.id, prompt) is not prompt:
                reason = f"the id {prompt.id!r} comes twice"
        if reason:
            faults.append(f"{place}: {reason}")
    if faults:
        more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise UserError(f"{where}, {'; '.join(faults[:SHOWN])}{more}")
    if not prompts:
        raise UserError(f"{where}: no prompt in it; write one a line")
    return list(prompts.values())


def _fault(record: dict | None) -> str:
    if record is None:
        return "not a JSON object of texts with the keys text and perhaps id"
    text, own = record["text"], record.get("id", "")
    if not text.strip():
        return "an empty text"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(text[error.start]):04x}"
        return f"the text has half a character ({half}, at {error.start}); complete or drop it"
    if own and not ID.fullmatch(own):
        return f"the id {own!r}: letters, digits, _ . - only, 100 at most; it names files"
    return ""
