"""A model that judges pairs of pictures in people's place: the paper's questions, in both orders.

A model prefers a place as well as a picture, so each pair is asked twice, its pictures exchanged.
Both answers are votes of their own; where they contradict each other, each picture has one, as in a
tie, and the manifest counts how often that is.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from diffusion4k.data.captions import CaptionedImage
from diffusion4k.endpoints.answers import Answer
from diffusion4k.endpoints.chat import Question
from diffusion4k.endpoints.prompts import Prompt
from diffusion4k.errors import UserError
from diffusion4k.manifest import Listed
from diffusion4k.people.pictures import text
from diffusion4k.people.votes import QUESTIONS, Vote

NO_FORM = "an answer of another form"
_VERDICT = re.compile(r"the\W+(first|second)\W+image\W+is\W+better(\W+or\W+the\W)?", re.IGNORECASE)
_NUMBER = re.compile(r"^\W*(?:question\s*)?([1-9])\s*[.):]", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Shown:
    """A pair as it is shown once: the models' names in the order of their pictures."""

    prompt: CaptionedImage
    first: str
    second: str


def shown(
    pairs: Iterable[Sequence[str]],
    prompts: Iterable[CaptionedImage],
    own: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> list[Shown]:
    """Each prompt of each pair (a, b), with a first and with b first.

    `own`: model => id => text of models with captions of their own. UserError for a pair of two
    texts.
    """
    both = []
    for prompt in prompts:
        for a, b in pairs:
            drawn = text(prompt.id, (a, b), {prompt.id: prompt.text}, own)
            of_pair = replace(prompt, text=drawn)
            both += [Shown(of_pair, a, b), Shown(of_pair, b, a)]
    return both


def question(
    pair: Shown, pictures: Mapping[str, Mapping[str, Listed]], system: Prompt, asked: Prompt
) -> Question:
    """What is asked of a pair. `pictures`: model => prompt's id => picture; UserError if none."""
    two = []
    for model in (pair.first, pair.second):
        if pair.prompt.id not in pictures[model]:
            raise UserError(f"{model}: no picture of {pair.prompt.id}; generate it first")
        two.append(pictures[model][pair.prompt.id])
    return Question(asked.of(pair.prompt.text), two, system.text)


def choices(text: str) -> dict[str, str] | None:
    """question => "first" or "second", of an answer in the paper's form; None for another form.

    The answer to a question is the first verdict behind its number; without numbers there must be
    one verdict a question. One that only repeats the form, "… or …", is none.
    """
    matches = list(_NUMBER.finditer(text))
    numbers = [match[1] for match in matches]
    if numbers == [str(i) for i in range(1, len(QUESTIONS) + 1)]:
        ends = [*(match.start() for match in matches[1:]), len(text)]
        parts = [text[match.end() : end] for match, end in zip(matches, ends, strict=True)]
        verdicts = [_VERDICT.search(part) for part in parts]
    else:
        verdicts = list(_VERDICT.finditer(text))
    if len(verdicts) != len(QUESTIONS) or not all(verdicts) or any(v[2] for v in verdicts):
        return None
    return {name: v[1].lower() for name, v in zip(QUESTIONS, verdicts, strict=True)}


def refusal(answer: Answer) -> str:
    """Why an answer gives no votes; "" for one that does. A cut one counts when it is complete."""
    if choices(answer.text):
        return ""
    return answer.refusal or NO_FORM


def votes(rater: str, asked: Sequence[Shown], answers: Sequence[Answer]) -> list[Vote]:
    """The votes of all answers, a question each; those of a pair only when both orders have them.

    A pair that was answered in one order alone would bring the place's advantage with it.
    """
    parsed = [choices(answer.text) for answer in answers]
    answered = {(o.prompt.id, o.first, o.second) for o, c in zip(asked, parsed, strict=True) if c}
    return [
        Vote(rater, "judge", pair.prompt.id, pair.first, pair.second, name, choice)
        for pair, chosen in zip(asked, parsed, strict=True)
        if chosen and (pair.prompt.id, pair.second, pair.first) in answered
        for name, choice in chosen.items()
    ]


def contradictions(cast: Iterable[Vote]) -> dict[str, dict[str, int]]:
    """question => {"pairs": answered in both orders, "contradict": those that chose two models}."""
    chosen: dict[tuple, list[str | None]] = {}
    for vote in cast:
        pair = tuple(sorted((vote.first, vote.second)))
        chosen.setdefault((vote.question, vote.prompt_id, pair), []).append(vote.chosen)
    counts = {name: {"pairs": 0, "contradict": 0} for name in QUESTIONS}
    for (name, *_), two in chosen.items():
        if len(two) == 2:
            counts[name]["pairs"] += 1
            counts[name]["contradict"] += two[0] != two[1]
    return counts
