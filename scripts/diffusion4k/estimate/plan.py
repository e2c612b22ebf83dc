"""What a run takes before it starts: jobs, GPU hours, wall time, disk; a table's and in all."""

import json
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from diffusion4k.config.resolve import Config, origin
from diffusion4k.dag import paper
from diffusion4k.estimate import cost, repositories
from diffusion4k.estimate.cost import STAGES, Cost, Key
from diffusion4k.metrics import families


class Plan:
    """The work of one configuration, and sums over the part that a target needs."""

    def __init__(self, config: Config, measured: dict[tuple[str, str], float] | None = None):
        self.config, self.measured = config, measured or {}

    def tflops(self, work: Cost) -> float:
        """The sustained rate of a GPU at this work: measured, or plan.tflops."""
        name = work.key[1]
        model = self.config["models"].get(name)
        backbone = cost.backbone_of(self.config, model) if model else name
        return self.measured.get((work.key[0], backbone), self.config["plan"]["tflops"])

    @property
    def targets(self) -> dict[str, list[Cost]]:
        """Everything that each target needs."""
        return self.tables

    @cached_property
    def tables(self) -> dict[str, list[Cost]]:
        """Everything that each table needs, in the order data flows."""
        names = paper.chosen(self.config, "tables")
        return {name: self.closure(self._table_keys(name)) for name in names}

    @cached_property
    def everything(self) -> list[Cost]:
        """What all tables together need, each work once."""
        names = paper.chosen(self.config, "tables")
        return self.closure(key for name in names for key in self._table_keys(name))

    def closure(self, keys: Iterable[Key]) -> list[Cost]:
        """The works of these keys and all that they need, those that are needed first."""
        works: dict[Key, Cost] = {}

        def add(key: Key) -> None:
            if key not in works:
                work = cost.of(self.config, key)
                for other in work.needs:
                    add(other)
                works[key] = work

        for key in keys:
            add(key)
        order = list(STAGES)
        return sorted(works.values(), key=lambda work: order.index(work.key[0]))

    def gpu_hours(self, works: Iterable[Cost]) -> float:
        return sum(work.gpu_hours(self.tflops(work)) for work in works)

    def wall_hours(self, works: list[Cost]) -> float:
        """The longest chain of work that waits for other work; every job finds its GPUs free."""
        known = {work.key: work for work in works}

        def until(key: Key) -> float:
            work = known[key]
            own = work.wall_hours(self.tflops(work))
            return own + max((until(k) for k in work.needs if k in known), default=0.0)

        return max((until(key) for key in known), default=0.0)

    def sources(self, works: Iterable[Cost]) -> list[str]:
        """The sources that these works read, as the configuration orders them."""
        read = {source for work in works for source in work.sources}
        return [name for name in self.config["sources"] if name in read]

    def source_gb(self, name: str) -> float | None:
        """GB to download; None where unknown, 0 for what you have or what is made here."""
        source = self.config["sources"][name]
        if origin(source) in ("path", "make"):
            return 0.0
        if url := source.get("url"):
            return repositories.FILES.get(url.rpartition("/")[2])
        known = repositories.REPOSITORIES.get(source.get("hub", ""))
        return known.gb if known else None

    def disk(self) -> dict[str, float]:
        """GB of the run at its peak by stage, downloads apart, which lie in HF_HOME."""
        stages: dict[str, float] = {}
        for work in self.everything:
            if work.gb:
                stages[work.key[0]] = stages.get(work.key[0], 0.0) + work.gb
        return stages

    def _table_keys(self, name: str) -> list[Key]:
        """The works that a table's numbers are read from."""
        table, keys = self.config["tables"][name], []
        against, evaluation = table.get("against", {}), table.get("evaluation")
        pairs = [key.split(":") for key, _ in paper.numbers(self.config, name)]
        compared = (key.split(":") for key, _ in paper.comparisons(self.config, name))
        pairs += [(against[row], family) for row, family in compared]
        for row, name in pairs:
            family = families.get(name)
            if name == "correlation":
                ratings, (of, _) = self.config["ratings"], families.rated()[row]
                keys += [(of.stage, model, ratings["evaluation"]) for model in ratings["models"]]
            elif "{evaluation}" in family.manifest:
                keys.append((family.stage, row, evaluation))
            else:
                keys.append((family.stage, row))
            if name == "fid":
                keys.append(("features", "reference", evaluation))
        return keys


def measured(folder: Path, device: str | None) -> dict[tuple[str, str], float]:
    """(stage, backbone) => TFLOP/s, from the last full run of each benchmark on this device."""
    rates: dict[tuple[str, str], float] = {}
    records = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")]
    for record in sorted(records, key=lambda record: record["date"]):
        if record["device"] == device and not record.get("quick"):
            for row in record.get("rows", []):
                if row.get("side") == "ours" and "stage" in row and "tflops" in row:
                    rates[row["stage"], row["backbone"]] = row["tflops"]
    return rates
