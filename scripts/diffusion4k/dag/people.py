"""What people are asked about, and the files that came back from them."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from diffusion4k import shape
from diffusion4k.config.resolve import Config
from diffusion4k.dag import code, draw, generate
from diffusion4k.dag.paths import file, root
from diffusion4k.endpoints import prompts
from diffusion4k.people import answers

KIT = Path(__file__).resolve().parents[3] / "report" / "rating_kit"  # the page's own files
NEEDED = "votes needed: the target rating_kit asks for them, `votes` takes them (docs/people.md)"
CAPTION = (
    "The share of votes that the first model's pictures got. Which models the paper compared, and"
    " its percentages, are not known to us."
)


def kit(config: Config, purpose: str) -> str:
    """The manifest of a kit; `purpose`: pairs or ratings."""
    return f"{root(config)}/people/kit-{purpose}.json"


def kit_code() -> str:
    """Digest of the code that makes a kit, and of the page's own files."""
    return code.of("rating_kit.py", also=sorted(KIT.iterdir()))


def votes(config: Config) -> list[str]:
    """The manifest of the counted votes; none where nobody voted."""
    voters = config.get("votes") or judges(config)
    return [file(config, "people/votes.json")] if voters else []


def judges(config: Config) -> list[str]:
    """The manifest of the model that judges; none without one."""
    return [file(config, "people/judge.json")] if "judge" in config else []


def asked_of(config: Config, by: str) -> bool:
    """Whether the configuration has votes `by` people, or a model that judges."""
    return bool(config.get("votes")) if by == "people" else "judge" in config


def judge_code() -> str:
    """Digest of the judge's code and of its prompts."""
    texts = map(prompts.path, ("preference_system", "preference"))
    return code.of("judge.py", also=texts)


def figure(config: Config, rows: Iterable[str]) -> dict[str, Any]:
    """What a figure of votes says: its caption, its pairs, and why there are no votes, if so."""
    reason = None if votes(config) else NEEDED
    return {"caption": CAPTION, "labels": compared(config, rows), "settings": {"reason": reason}}


def compared(config: Config, rows: Iterable[str]) -> dict[str, str]:
    """ "a,b" => "A@SIZE over B@SIZE" of the pairs whose first model is a row of a figure."""
    size = shape.text(config["evaluations"][config["people"]["evaluation"]]["size"])
    names = {name: model["label"] for name, model in config["models"].items()}
    return {
        f"{a},{b}": f"{names[a]}@{size} over {names[b]}@{size}"
        for row in rows
        for a, b in config["people"]["pairs"]
        if a == row
    }


def groups(config: Config, purpose: str) -> list[list[str]]:
    """The models of each item of a kit: two of a pair, or one that is rated."""
    study = config["people"]
    return study["pairs"] if purpose == "pairs" else [[model] for model in study["rated"]]


def joined(pairs: Iterable[Iterable[str]]) -> list[str]:
    """Groups of models as flags have them: a,b."""
    return [",".join(pair) for pair in pairs]


def models(config: Config, purpose: str) -> list[str]:
    """The models that a kit shows."""
    return list(dict.fromkeys(m for group in groups(config, purpose) for m in group))


def pictures(config: Config, purpose: str) -> list[tuple[str, str]]:
    """(model, manifest) of the pictures that a kit shows: drawn for it, or of somebody's folder."""

    def of(model: str) -> list[str]:
        if model in generate.brought(config):
            return generate.manifests(config, model, config["people"]["evaluation"])
        return draw.drawn(config, f"{draw.PEOPLE}{model}")

    return [(model, path) for model in models(config, purpose) for path in of(model)]


def dataset(config: Config) -> str:
    """The data set of the study's prompts."""
    return generate.dataset(config, config["people"]["evaluation"])


def captions(config: Config, purpose: str) -> list[tuple[str, str]]:
    """(model, data set) of the models whose pictures are of other captions than the evaluation's.

    What raters read beside a picture is what it was drawn from.
    """
    of = config["people"]["evaluation"]
    read = [(model, generate.dataset(config, of, model)) for model in models(config, purpose)]
    return [(model, path) for model, path in read if path != generate.dataset(config, of)]


def folder(config: Config) -> str:
    """The folder of the study's prompts in their data set."""
    split = config["evaluations"][config["people"]["evaluation"]]["split"]
    return config["splits"][split]["folder"]


def of(purpose: str, value: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A flag's value in the kit of this purpose; no flag in the other's."""
    return lambda wildcards: value(wildcards) if wildcards.purpose == purpose else None


def voted(config: Config) -> dict[str, Any]:
    """What votes are counted from: raters' files and the kit they are of, a judge's manifest."""
    returned = _returned(config, "pairs", config.get("votes", []))
    return returned | ({"judges": judges(config)} if judges(config) else {})


def rated(config: Config) -> dict[str, Any]:
    """What ratings come from: the raters' files, and the kit that they are of."""
    return _returned(config, "ratings", config["ratings"]["path"])


def count_code(script: str, returned: dict[str, Any]) -> str:
    """Digest of the code that counts, and of the bytes of the files that raters sent back.

    A corrected file may be older than the count: what is moved or copied may keep its time.
    """
    return code.of(script, also=map(Path, returned["answers"]))


def _returned(config: Config, purpose: str, given: str | list[str]) -> dict[str, Any]:
    paths = list(dict.fromkeys(p for matches in answers.files(given).values() for p in matches))
    returned = {"answers": [str(path) for path in paths]}
    return returned | ({"kit": kit(config, purpose)} if any(map(answers.of_kit, paths)) else {})
