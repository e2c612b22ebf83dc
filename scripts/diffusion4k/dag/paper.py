"""Tables and figures as the rules see them: where each number and picture comes from."""

import json
from pathlib import Path

from diffusion4k.config import fidelity
from diffusion4k.config.resolve import PAIRED, RATED
from diffusion4k.dag.flags import flags
from diffusion4k.dag.stages import Stages

CONTEXT = "config/published/context.csv"
# a headline, as released -> (the choice, the column that is chosen instead)
CORRECTED = {
    "glcm": ("glcm_choice", "glcm_entropy"),
    "clipscore": ("clip_choice", "clipscore_end_token"),
}


class Paper:
    """Inputs, labels and specifications of the tables and figures of one configuration."""

    def __init__(self, stages: Stages):
        self.stages = stages
        self.config = stages.config

    def tables(self, names) -> list[str]:
        return [f"{self.stages.root}/tables/{name}.json" for name in names]

    def figures(self, names) -> list[str]:
        return [f"{self.stages.root}/figures/{name}.json" for name in names]

    def figures_of(self, kind: str) -> list[str]:
        return [name for name, f in self.config["figures"].items() if f["kind"] == kind]

    def label(self, row: str, evaluation: str | None, families=()) -> str:
        """A row's name as the paper writes it; models carry their size, as in SD3-F16-WLF@4096."""
        if "efficiency" in families:
            cost = self.config["efficiency"][row]
            offloaded = " (CPU offload)" if cost.get("offload") else ""
            return f"{cost['label']}@{self.stages.size(evaluation)}{offloaded}"
        for section in ("unavailable", "splits", "vaes"):
            if row in self.config[section]:
                return self.config[section][row]["label"]
        if row in RATED:
            return self.config["columns"][row]["label"]
        size = self.stages.size(evaluation) if evaluation else self.config["latents"]["size"]
        return f"{self.config['models'][row]['label']}@{size}"

    def value_file(self, family: str, row: str, evaluation: str | None) -> str:
        """The manifest that holds the numbers of one family for one row of a table."""
        if family == "sizes":
            return self.stages.checked(row)
        if family == "training":
            return self.stages.last_step(row)
        if family == "correlation":
            return f"{self.stages.root}/metrics/ratings/{row}.json"
        if family == "efficiency":
            return f"{self.stages.root}/efficiency/{row}/{evaluation}.json"
        if family == "reconstruction":
            return f"{self.stages.root}/vae/{row}/reconstruction.json"
        return f"{self.stages.root}/metrics/{row}/{evaluation}/{family}.json"

    def table_values(self, name: str) -> list[tuple[str, str]]:
        """(ROW:FAMILY, manifest) for every number of a table that a run can give."""
        table = self.config["tables"][name]
        families = self.families(name)
        return [
            (f"{row}:{family}", self.value_file(family, row, table.get("evaluation")))
            for row in table["rows"]
            if not self.reason(row, families)
            for family in families
        ]

    def reason(self, row: str, families) -> str | None:
        """Why no run can fill a row, if none can."""
        if "correlation" in families and "ratings" not in self.config:
            return "ratings were never released: give ratings.path"
        if "correlation" in families and RATED[row] == "quality":
            lacking = sorted({"musiq", "maniqa"} - set(self.config["sources"]))
            if lacking:
                paths = " and ".join(f"sources.{network}.path" for network in lacking)
                return f"pyiqa's weights are never downloaded: give {paths}"
        return self.config["unavailable"].get(row, {}).get("reason")

    def families(self, name: str) -> list[str]:
        columns = self.config["tables"][name]["columns"]
        return list(dict.fromkeys(self.config["columns"][c]["family"] for c in columns))

    def columns(self, name: str) -> list[str]:
        """A table's columns; where it was chosen, what corrects a headline stands in its place.

        Where both are columns they change places, so that the published number stays beside the
        released definition.
        """
        found = self.config["tables"][name]["columns"]
        for headline, (choice, correct) in CORRECTED.items():
            if self.config["metrics"][choice] == fidelity.CORRECTED:
                places = {headline: correct} | ({correct: headline} if headline in found else {})
                found = [places.get(column, column) for column in found]
        return found

    def table_comparisons(self, name: str) -> list[tuple[str, str]]:
        """(ROW:FAMILY, manifest) of the paired differences that a table shows."""
        table = self.config["tables"][name]
        folder = f"{self.stages.root}/metrics/{{}}/{table.get('evaluation')}"
        return [
            (f"{row}:{family}", f"{folder.format(row)}/{family}-against-{other}.json")
            for row, other in table.get("against", {}).items()
            if row in table["rows"]
            for family in self.families(name)
            if family in PAIRED
        ]

    def published_files(self, name: str) -> list[Path]:
        """The CSV files that a table shows beside ours, for the digest of its job's code."""
        shown = [Path("config/published", f"{name}.csv")]
        if self.config["tables"][name].get("context"):
            shown.append(Path(CONTEXT))
        return [path for path in shown if path.is_file()]

    def table_flags(self, wildcards) -> str:
        table, families = self.config["tables"][wildcards.table], self.families(wildcards.table)
        columns = [
            {"key": column, "metric": self.config["columns"][column].get("metric", column)}
            | self.config["columns"][column]
            for column in self.columns(wildcards.table)
        ]
        rows = [
            {
                "key": row,
                "label": self.label(row, table.get("evaluation"), families),
                "reason": self.reason(row, families),
            }
            for row in table["rows"]
        ]
        spec = {"title": table["title"], "columns": columns, "rows": rows}
        if against := table.get("against"):
            evaluation = table.get("evaluation")
            spec["against"] = {row: self.label(other, evaluation) for row, other in against.items()}
        if table.get("context"):
            spec["context"] = table["evaluation"]
        return flags(
            name=wildcards.table,
            spec=json.dumps(spec | {"footer": [fidelity.describe(self.config)]}),
            published=f"config/published/{wildcards.table}.csv",
            context=CONTEXT if table.get("context") else None,
            values=[f"{key}={path}" for key, path in self.table_values(wildcards.table)],
            comparisons=[f"{k}={path}" for k, path in self.table_comparisons(wildcards.table)],
        )

    def table_inputs(self, wildcards) -> list[str]:
        pairs = self.table_values(wildcards.table) + self.table_comparisons(wildcards.table)
        return [path for _, path in pairs]

    def figure_rows(self, name: str) -> list[tuple[str, str]]:
        """(ROW, manifest) for everything that a figure shows."""
        figure = self.config["figures"][name]
        files = {
            "gallery": lambda row: self.stages.image_shards(row, figure["evaluation"]),
            "histogram": lambda row: [self.stages.checked(row)],
            "curves": lambda row: [self.stages.last_step(row)],
            "reconstruction": lambda row: self.stages.reconstruction_shards(row)[:1],
        }[figure["kind"]]
        return [(row, path) for row in figure["rows"] for path in files(row)]

    def figure_reference(self, wildcards) -> list[str]:
        """The source of the photographs that a gallery puts beside generated images."""
        figure = self.config["figures"][wildcards.figure]
        if figure["kind"] != "gallery":
            return []
        return [self.stages.split_source(self.stages.evaluation_split(figure["evaluation"]))]

    def figure_flags(self, wildcards) -> str:
        figure = self.config["figures"][wildcards.figure]
        evaluation = figure.get("evaluation")
        labels = {row: self.label(row, evaluation) for row in figure["rows"]}
        gallery = {}
        if figure["kind"] == "gallery":
            gallery = {
                "reference": self.figure_reference(wildcards)[0],
                "folder": self.stages.evaluation_folder(evaluation),
                "size": self.stages.size(evaluation),
                "prompts": figure.get("prompts", 6),
                "zoom": [figure["zoom"][k] for k in ("top", "left", "size")]
                if "zoom" in figure
                else None,
            }
        return flags(
            spec=json.dumps({"title": figure["title"], "labels": labels}),
            rows=[f"{row}={path}" for row, path in self.figure_rows(wildcards.figure)],
            **gallery,
        )
