"""Tables: where each number comes from, and how rows are called."""

import json
import math
from pathlib import Path

from diffusion4k import shape
from diffusion4k.config import fidelity
from diffusion4k.config.endpoints import given
from diffusion4k.config.resolve import Config
from diffusion4k.dag import code, train
from diffusion4k.dag.paths import file, root
from diffusion4k.endpoints import prompts
from diffusion4k.metrics import families

CONTEXT = "config/published/context.csv"


def chosen(config: Config, section: str) -> list[str]:
    """The names of `tables` or `figures` that all of a run means: `targets`, or every one.

    Those with a number first, in its order: an overlay's entries come before the paper's others.
    """
    targets = config.get("targets")
    names = [name for name in config[section] if targets is None or name in targets]
    numbers = {name: name.partition("_")[2] for name in names}
    return sorted(names, key=lambda n: int(numbers[n]) if numbers[n].isdecimal() else math.inf)


def tables(config: Config, names) -> list[str]:
    """The manifests of tables."""
    return [f"{root(config)}/tables/{name}.json" for name in names]


def label(config: Config, row: str, evaluation: str | None, of: list[str] = ()) -> str:
    """A row's name as the paper writes it; models carry their size, as in SD3-F16-WLF@4096.

    `of`: the families of the table's columns.
    """
    entry = config["evaluations"][evaluation] if evaluation else config["latents"]
    size = shape.text(entry["size"])
    if "efficiency" in of:
        cost = config["efficiency"][row]
        return f"{cost['label']}@{size}{' (CPU offload)' if cost.get('offload') else ''}"
    for section in ("unavailable", "splits", "vaes"):
        if row in config[section]:
            return config[section][row]["label"]
    if row in families.rated():
        return families.columns()[row][1].label
    return f"{config['models'][row]['label']}@{size}"


def row_label(config: Config, table: str, row: str) -> str:
    """A row's name in a table; of a table in words the prompt's."""
    if table in in_words(config):
        return row.replace("_", " ")
    evaluation = config["tables"][table].get("evaluation")
    return label(config, row, evaluation, families_of(config, table))


def in_words(config: Config) -> list[str]:
    """The tables of prompts."""
    return [name for name, table in config["tables"].items() if table.get("kind") == "prompts"]


def in_numbers(config: Config) -> list[str]:
    """The tables that have columns."""
    return [name for name in config["tables"] if name not in in_words(config)]


def prompt_files(config: Config, table: str) -> list[Path]:
    """The files of a table of prompts, in order."""
    return [prompts.path(row) for row in config["tables"][table]["rows"]]


def families_of(config: Config, table: str) -> list[str]:
    """The metric families of a table's columns, as they come."""
    of = families.columns()
    return list(dict.fromkeys(of[c][0].name for c in config["tables"][table]["columns"]))


def number(config: Config, family: str, row: str, evaluation: str | None) -> str:
    """The manifest that holds the numbers of one family for one row of a table."""
    pattern = families.get(family).manifest
    if family == "training":
        row = train.same(config, row)
    last = f"{train.CHAIN.segments(config)[-1]:06d}"
    where = pattern.format(row=row, evaluation=evaluation, family=family, last_step=last)
    return file(config, where)


def reason(config: Config, row: str, of: list[str]) -> str | None:
    """Why no run can fill a row, if none can."""
    if any(families.get(family).rows == "ratings" for family in of):
        if "ratings" not in config:
            return "ratings were never released: give ratings.path"
        family, _ = families.rated()[row]
        lacking = sorted(set(family.networks) - set(config["sources"]))
        if lacking:
            paths = " and ".join(f"sources.{network}.path" for network in lacking)
            return f"its weights are never downloaded: give {paths}"
    captions = config["models"].get(row, {}).get("captions")
    if captions and any(families.get(family).generated for family in of):
        entry = config["captions"][captions]
        if not given(entry):
            return f"{entry['reason']}: give captions.{captions}.path"
    return config["unavailable"].get(row, {}).get("reason")


def numbers(config: Config, table: str) -> list[tuple[str, str]]:
    """(ROW:FAMILY, manifest) for every number of a table that a run can give."""
    entry, of = config["tables"][table], families_of(config, table)
    return [
        (f"{row}:{family}", number(config, family, row, entry.get("evaluation")))
        for row in entry["rows"]
        if not reason(config, row, of)
        for family in of
        if families.get(family).manifest
    ]


def comparisons(config: Config, table: str) -> list[tuple[str, str]]:
    """(ROW:FAMILY, manifest) of the paired differences that a table shows."""
    entry, of = config["tables"][table], families_of(config, table)
    evaluation = entry.get("evaluation")
    return [
        (
            f"{row}:{family}",
            file(config, f"metrics/{row}/{evaluation}/{family}-against-{other}.json"),
        )
        for row, other in entry.get("against", {}).items()
        if row in entry["rows"]
        if not (reason(config, row, of) or reason(config, other, of))
        for family in of
        if families.get(family).paired
    ]


def read_by(config: Config, table: str) -> list[str]:
    """Every manifest that a table reads."""
    return [path for _, path in numbers(config, table) + comparisons(config, table)]


def scored(config: Config) -> dict[tuple[str, str], list[str]]:
    """(model, evaluation) of the pictures that tables rest on => the families that score each."""
    pictures: dict[tuple[str, str], list[str]] = {}
    for table in chosen(config, "tables"):
        if table in in_words(config):
            continue
        evaluation = config["tables"][table].get("evaluation")
        for key, _ in numbers(config, table):
            row, _, name = key.partition(":")
            family = families.get(name)
            if family.generated:
                of = pictures.setdefault((row, evaluation), [])
                of += [name] if family.paired and name not in of else []
    # in the order of the configuration, as the columns of the page
    models, evaluations = list(config["models"]), list(config["evaluations"])
    order = sorted(pictures, key=lambda of: (evaluations.index(of[1]), models.index(of[0])))
    return {of: pictures[of] for of in order}


def columns(config: Config, table: str) -> list[str]:
    """A table's columns; where it was chosen, what corrects a headline stands in its place.

    Where both are columns they change places, so that the published number stays beside the
    released definition.
    """
    names = config["tables"][table]["columns"]
    places: dict[str, str] = {}
    for headline, (_, column) in families.columns().items():
        if not column.corrected or headline not in names:
            continue
        (section, choice), other = column.corrected[0].split("."), column.corrected[1]
        if config[section][choice] == fidelity.CORRECTED:
            places |= {headline: other, other: headline}
    return [places.get(name, name) for name in names]


def context(config: Config, table: str) -> str | None:
    """The numbers of other systems, for a table that shows them."""
    return CONTEXT if config["tables"][table].get("context") else None


def table_code(config: Config, table: str) -> str:
    """Digest of the code that makes a table, and of the published numbers that it shows."""
    shown = [Path("config/published", f"{table}.csv")]
    if config["tables"][table].get("context"):
        shown.append(Path(CONTEXT))
    return code.of("table.py", also=[path for path in shown if path.is_file()])


def prompt_code(config: Config, table: str) -> str:
    """Digest of the code that prints a table of prompts, and of their files."""
    return code.of("prompt_table.py", also=prompt_files(config, table))


def spec(config: Config, name: str, footer: list[str]) -> str:
    """What a table shows, as JSON: title, columns, rows with their labels and reasons, footer."""
    table, of = config["tables"][name], families_of(config, name)
    tolerance = table.get("tolerance", {})
    shown = {"title": table["title"], "columns": [], "rows": []}
    for key in columns(config, name):
        family, column = families.columns()[key]
        shown["columns"].append(
            {
                "key": key,
                "metric": column.metric or key,
                "family": family.name,
                "label": column.label,
                "direction": column.direction,
                "digits": column.digits,
                **{what: True for what in ("exact", "timed", "interval") if getattr(column, what)},
                **({"about": column.about} if column.about else {}),
                **({"tolerance": tolerance[key]} if key in tolerance else {}),
                **({} if family.manifest else {"reason": "nothing here measures it"}),
            }
        )
    evaluation = table.get("evaluation")
    for row in table["rows"]:
        line = {"key": row, "label": label(config, row, evaluation, of)}
        if other := config["models"].get(row, {}).get("published_as"):
            line |= {"published_as": other, "published_label": label(config, other, evaluation)}
        shown["rows"].append(line | {"reason": reason(config, row, of)})
    shown["against"] = {
        row: {"row": other, "label": label(config, other, evaluation)}
        for row, other in table.get("against", {}).items()
    }
    if table.get("context"):
        shown["context"] = table["evaluation"]
    return json.dumps(shown | {"footer": footer})
