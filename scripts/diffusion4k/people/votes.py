"""Votes on pairs of pictures, of people or of a model that judges, and the CSV that holds them.

A line a vote: who voted, on the pictures of which prompt, by which two models in the order in which
they were shown, on which question, and which of the two was chosen. The paper's form of answer has
no tie; a source that has one writes `tie`.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from diffusion4k.errors import UserError
from diffusion4k.files import write_text

# the paper's Figure 6 and Table 11
QUESTIONS = {
    "visual_aesthetics": "Visual Aesthetics",
    "prompt_adherence": "Prompt Adherence",
    "fine_details": "Fine Details",
}
KINDS = ("people", "judge")
CHOICES = ("first", "second", "tie")


@dataclass(frozen=True)
class Vote:
    """One line of the CSV; `first`, `second`: the models whose pictures were shown, in that order.

    `rater`: a person's name as they gave it, or a judge's; `choice`: one of CHOICES.
    """

    rater: str
    kind: str
    prompt_id: str
    first: str
    second: str
    question: str
    choice: str

    @property
    def asked(self) -> tuple[str, ...]:
        """What can be answered once. A judge is asked in both orders, a person in one."""
        shown = (self.first, self.second)
        order = shown if self.kind == "judge" else tuple(sorted(shown))
        return (self.kind, self.rater, self.prompt_id, *order, self.question)

    @property
    def chosen(self) -> str | None:
        """The model whose picture was chosen; None: neither."""
        return {"first": self.first, "second": self.second}.get(self.choice)


HEADER = [field.name for field in fields(Vote)]


def lines(path: Path, header: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """(number of the line, its cells) of a CSV that has exactly this header, else UserError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error}); save it as UTF-8") from None
    reader = csv.DictReader(io.StringIO(text, newline=""))
    rows = []
    try:
        if reader.fieldnames != list(header):
            raise UserError(f"{path}: the header must be {','.join(header)}")
        for cells in reader:
            if None in cells or None in cells.values():
                raise UserError(f"{path}, line {reader.line_num}: not {len(header)} cells")
            rows.append((reader.line_num, cells))
    except csv.Error as error:  # a cell of more than 131,072 characters
        where = f"{path}, line {reader.line_num}"
        raise UserError(f"{where}: no CSV ({error}); is a quotation mark left open?") from None
    return rows


def read(path: Path) -> list[Vote]:
    """The votes of a CSV; UserError, with the line, for what is none or is given twice."""
    return [vote for _, vote in placed(path)]


def placed(path: Path) -> list[tuple[str, Vote]]:
    """`read`, each vote with where it stands, for errors: "FILE, line N"."""
    votes = []
    for number, cells in lines(path, HEADER):
        vote = Vote(**cells)
        if reason := fault(vote):
            raise UserError(f"{path}, line {number}: {reason}")
        votes.append((f"{path}, line {number}", vote))
    once(votes)
    return votes


def fault(vote: Vote) -> str:
    """What is wrong with a vote by itself, in a line; "" if nothing."""
    if empty := [name for name in HEADER if not getattr(vote, name).strip()]:
        return f"{empty[0]} is empty"
    for name, known in (("kind", KINDS), ("question", QUESTIONS), ("choice", CHOICES)):
        if (value := getattr(vote, name)) not in known:
            return f"{name} {value!r} is none of {', '.join(known)}"
    return f"both pictures are of {vote.first}" if vote.first == vote.second else ""


def once(votes: Iterable[tuple[str, Vote]]) -> None:
    """`votes`: (where it stands, vote). UserError for a question that a rater answered twice."""
    seen: dict[tuple[str, ...], str] = {}
    for where, vote in votes:
        before = seen.setdefault(vote.asked, where)
        if before != where:
            raise UserError(
                f"{where}: {vote.rater} answered {vote.question} of {vote.prompt_id}, {vote.first}"
                f" and {vote.second}, already ({before}); keep one"
            )


def known(where: str, vote: Vote, pairs: Iterable[Sequence[str]], prompts: Iterable[str]) -> None:
    """UserError for a vote on models or on a prompt that are no part of the study."""
    if {vote.first, vote.second} not in [set(pair) for pair in pairs]:
        raise UserError(
            f"{where}: {vote.first} against {vote.second} is no pair of the study (people.pairs)"
        )
    if vote.prompt_id not in prompts:
        raise UserError(f"{where}: no prompt {vote.prompt_id!r} in the evaluation")


def write(path: Path, votes: Iterable[Vote]) -> None:
    """Write votes as a CSV, in the order given. Atomic."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows([getattr(vote, name) for name in HEADER] for vote in votes)
    write_text(path, text.getvalue())
