"""The files that raters send back: what a rating kit saved, or a CSV of somebody's own.

A kit saves JSON, or a CSV with the same answers, in the kit's own words: item 007, picture a. The
key of the kit says what they mean. What is wrong is one line with the file and the line, or of JSON
the number of the answer.
"""

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from diffusion4k import manifest
from diffusion4k.errors import UserError
from diffusion4k.manifest import Manifest
from diffusion4k.people import votes
from diffusion4k.people.votes import QUESTIONS, Vote

HEADERS = {
    "pairs": ["kit", "rater", "item", "first", "second", "question", "choice"],
    "ratings": ["kit", "rater", "item", "rating"],
}
RATINGS_HEADER = ["model", "id", "rating"]
Cells = dict[str, str]
Key = Mapping[str, Any]  # what kit.key makes
Rating = tuple[str, str, str, float]  # rater ("" where none is named), model, prompt id, rating


def of_kit(path: Path) -> bool:
    """Whether a file is a kit's: JSON, or a CSV whose first column is the kit."""
    if path.suffix.lower() == ".json":
        return True
    with path.open(encoding="utf-8-sig", errors="replace") as handle:
        return next(csv.reader([handle.readline()]), [])[:1] == ["kit"]  # a program may quote it


def files(given: str | Sequence[str]) -> dict[str, list[Path]]:
    """Each path or pattern (*, ?, **) of `votes` or `ratings.path` => its files, by name."""
    matches = {}
    for text in [given] if isinstance(given, str) else given:
        path = Path(text).expanduser()
        pattern = str(path.relative_to(path.anchor))
        paths = [path] if path.is_file() else sorted(Path(path.anchor).glob(pattern))
        matches[text] = [path for path in paths if path.is_file()]
    return matches


def read_key(kit: Path | None, paths: Iterable[Path]) -> tuple[Manifest | None, Key | None]:
    """A kit's manifest and its key; UserError when there are answers of a kit and no manifest."""
    if kit is None:
        if of_a_kit := [path for path in paths if of_kit(path)]:
            raise UserError(f"{of_a_kit[0]}: answers to a kit; give the kit's manifest (--kit)")
        return None, None
    kit_manifest = manifest.read(kit)
    path = kit_manifest.listed(kit.with_name(f"{kit.stem}-key.json")).sound()
    return kit_manifest, json.loads(path.read_text(encoding="utf-8"))


def read_kit(path: Path, key: Key) -> list[tuple[str, Cells]]:
    """(where it stands, cells) of each answer in a kit's file; `key`: of the kit it must be of."""
    rows = _of_json(path, key) if path.suffix.lower() == ".json" else _of_csv(path, key)
    for where, cells in rows:
        if cells["kit"] != key["kit"]:
            raise UserError(
                f"{where}: of another kit ({cells['kit']}) than this run's ({key['kit']}), which"
                " has other pictures; read it with the run that made its kit. Where this run made"
                f" it, before its pictures changed, kit-{key['purpose']}-key-{cells['kit']}.json"
                " beside the kit says which models it asked about"
            )
        if cells["item"] not in key["items"]:
            raise UserError(f"{where}: the kit has no item {cells['item']!r}")
        if not cells["rater"].strip():
            raise UserError(f"{where}: no rater is named")
    return rows


def _of_csv(path: Path, key: Key) -> list[tuple[str, Cells]]:
    rows = votes.lines(path, HEADERS[key["purpose"]])
    return [(f"{path}, line {number}", cells) for number, cells in rows]


def _of_json(path: Path, key: Key) -> list[tuple[str, Cells]]:
    names = HEADERS[key["purpose"]][2:]
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        head = {name: str(saved[name]) for name in ("kit", "rater")}
        return [
            (f"{path}, answer {number}", head | {name: str(answer[name]) for name in names})
            for number, answer in enumerate(saved["answers"], start=1)
        ]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{path}: not what a kit of {key['purpose']} saves ({error!r}); ask its rater again"
        ) from None


def of_pairs(
    paths: Iterable[Path],
    key: Key | None,
    pairs: Sequence[Sequence[str]],
    prompts: Iterable[str],
    *,
    partial: bool,
) -> list[Vote]:
    """All votes of these files, in their order; `key` may be None where none is a kit's.

    UserError for a vote that is none, one on other models than `pairs` or other prompts than
    `prompts`, one given twice, and, unless `partial`, for an item that a kit's rater left out.
    """
    placed: list[tuple[str, Vote]] = []
    for path in paths:
        if not of_kit(path):
            placed += votes.placed(path)
            continue
        rows = read_kit(path, key)
        _complete(path, rows, len(key["items"]) * len(QUESTIONS), partial)
        placed += [(where, _vote(where, cells, key)) for where, cells in rows]
    votes.once(placed)
    prompts = set(prompts)
    for where, vote in placed:
        votes.known(where, vote, pairs, prompts)
    return [vote for _, vote in placed]


def _vote(where: str, cells: Cells, key: Key) -> Vote:
    """A kit's answer with models in the place of a and b."""
    item = key["items"][cells["item"]]
    shown = [item.get(cells[place]) for place in ("first", "second")]
    if None in shown or {cells["first"], cells["second"]} != {"a", "b"}:
        raise UserError(
            f"{where}: pictures {cells['first']!r} and {cells['second']!r}, not a and b"
        )
    vote = Vote(
        cells["rater"], "people", item["prompt_id"], *shown, cells["question"], cells["choice"]
    )
    if reason := votes.fault(vote):
        raise UserError(f"{where}: {reason}")
    return vote


def _complete(path: Path, rows: Sequence[tuple[str, Cells]], total: int, partial: bool) -> None:
    """UserError for a rater in `rows` who did not answer all that was asked, unless `partial`."""
    raters = [cells["rater"] for _, cells in rows]
    for rater in dict.fromkeys(raters or ["its rater"]):
        if (count := raters.count(rater)) < total and not partial:
            raise UserError(
                f"{path}: {rater} answered {count} of {total} questions; load the file in the kit"
                " and finish, or take it as it is (people.partial: true)"
            )


def of_ratings(paths: Iterable[Path], key: Key | None, *, partial: bool) -> list[Rating]:
    """All ratings of these files; `key` may be None where none is a kit's.

    UserError for a rating that is no number (a kit's: 1 to 5), one given twice by a kit's rater,
    and, unless `partial`, for an item that was left out.
    """
    ratings: list[Rating] = []
    seen: dict[tuple[str, str], str] = {}
    for path in paths:
        if not of_kit(path):
            for number, cells in votes.lines(path, RATINGS_HEADER):
                rating = _number(f"{path}, line {number}", cells["rating"])
                ratings.append(("", cells["model"], cells["id"], rating))
            continue
        rows = read_kit(path, key)
        _complete(path, rows, len(key["items"]), partial)
        for where, cells in rows:
            before = seen.setdefault((cells["rater"], cells["item"]), where)
            if before != where:
                raise UserError(f"{where}: {cells['rater']} rated this already ({before})")
            rating, item = _number(where, cells["rating"]), key["items"][cells["item"]]
            if rating not in (1, 2, 3, 4, 5):
                raise UserError(f"{where}: the rating {cells['rating']} is none of 1 to 5")
            ratings.append((cells["rater"], item["a"], item["prompt_id"], rating))
    return ratings


def _number(where: str, text: str) -> float:
    try:
        rating = float(text)
    except ValueError:
        rating = math.nan
    if not math.isfinite(rating):
        raise UserError(f"{where}: the rating {text!r} is no number")
    return rating
