"""What a run takes before it starts: jobs, GPU hours, wall time, disk; a target's and in all."""

import json
import math
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from diffusion4k.config.resolve import Config, origin
from diffusion4k.dag import draw, figures, paper, people, train, vae
from diffusion4k.estimate import basis, cost, repositories, shown
from diffusion4k.estimate.basis import Cost, Key
from diffusion4k.estimate.cost import STAGES
from diffusion4k.metrics import families


class Plan:
    """The work of one configuration, and sums over the part that a target needs."""

    def __init__(self, config: Config, measured: dict[tuple[str, str], float] | None = None):
        self.config, self.measured = config, measured or {}

    def tflops(self, work: Cost) -> float:
        """The sustained rate of a GPU at this work: measured, or plan.tflops or plan.vae_tflops."""
        stage, *of = work.key
        if work.precision:
            known = self._measured_vae(stage)
            return basis.vae_rate(self.config, work.precision) if known is None else known
        if stage == "draw" and work.flops:  # of several models in one job
            rows = shown.by_row(self.config, *of).items()
            return work.flops / sum(count / self._rate("generate", row) for row, count in rows)
        return self._rate(stage, *of[:1])

    def tflops_from(self, work: Cost) -> str:
        """Where the rate of a training is from, for people."""
        stage, name = work.key
        if work.precision:
            known, key = self._measured_vae(stage), "plan.vae_tflops"
        else:
            backbone = basis.backbone_of(self.config, self.config["models"][name])
            known, key = self.measured.get((stage, backbone)), "plan.tflops"
        return key if known is None else f"measured on {self.config['plan'].get('device')}"

    def _measured_vae(self, stage: str) -> float | None:
        """A VAE is the same network whosever it is: what was measured of one is of all."""
        return next((rate for key, rate in self.measured.items() if key[0] == stage), None)

    def _rate(self, stage: str, name: str = "") -> float:
        """Of one stage and model, entry of `efficiency`, or backbone."""
        if stage == "efficiency":
            name = self.config["efficiency"][name]["model"]
        models = self.config["models"]
        backbone = basis.backbone_of(self.config, models[name]) if name in models else name
        return self.measured.get((stage, backbone), basis.rate(self.config, backbone))

    @property
    def targets(self) -> dict[str, list[Cost]]:
        """Everything that each table and figure needs."""
        return self.tables | self.figures

    @cached_property
    def tables(self) -> dict[str, list[Cost]]:
        """Everything that each table needs, in the order data flows."""
        names = paper.chosen(self.config, "tables")
        return {name: self.closure(self._table_keys(name)) for name in names}

    @cached_property
    def figures(self) -> dict[str, list[Cost]]:
        """Everything that each figure needs."""
        names = paper.chosen(self.config, "figures")
        return {name: self.closure(self._figure_keys(name)) for name in names}

    @cached_property
    def asking(self) -> dict[str, list[Cost]]:
        """What the targets need that ask people and models, where the run has a use for answers."""
        config, kits = self.config, []
        chosen = paper.chosen(config, "figures")
        if any(figures.kind(config, name).reads == "votes" for name in chosen):
            kits.append(("kit", "pairs"))
        chosen = paper.chosen(config, "tables")
        of = {family for name in chosen for family in paper.families_of(config, name)}
        if any(families.get(family).rows == "ratings" for family in of):
            kits.append(("kit", "ratings"))
        captions = [key for split in config["splits"] for key in basis.captions_of(config, split)]
        judge = [("judge",)] if "judge" in config else []
        keys = {"rating_kit": kits, "judge": judge, "captions": captions}
        return {name: self.closure(own) for name, own in keys.items() if own}

    @cached_property
    def everything(self) -> list[Cost]:
        """What all tables and figures together need, each work once."""
        return self.closure(work.key for target in self.targets.values() for work in target)

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
        """Of all of these together."""
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
        if self.reckoned(name):
            sizes = repositories.PHOTOGRAPHS[source["hub"]]
            splits = [split for split in self.config["splits"].values() if split["source"] == name]
            if not splits or any(split["folder"] not in sizes for split in splits):
                return None
            pixels = (split.get("count", 0) * math.prod(sizes[split["folder"]]) for split in splits)
            return 3 * sum(pixels) / basis.JPEG / 1e9
        known = repositories.REPOSITORIES.get(source.get("hub", ""))
        return known.gb if known else None

    def reckoned(self, name: str) -> bool:
        """Whether a source's size is that of its splits: images, mean sides, a JPEG's share."""
        source = self.config["sources"][name]
        return origin(source) == "hub" and source["hub"] in repositories.PHOTOGRAPHS

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
            if family.rows == "ratings":
                ratings, (of, _) = self.config["ratings"], families.rated()[row]
                keys += [scores(of, model, ratings["evaluation"]) for model in ratings["models"]]
                keys += [("kit", "ratings")] if "kit" in people.rated(self.config) else []
            elif "{evaluation}" in family.manifest:
                keys.append(scores(family, row, evaluation))
            else:
                keys.append((family.stage, row))
            if family.reference:
                keys.append(("features", "reference", evaluation))
        return keys

    def _figure_keys(self, name: str) -> list[Key]:
        """The works that a figure is drawn from."""
        config = self.config
        rows, reads = config["figures"][name]["rows"], figures.kind(config, name).reads
        if reads == "votes":
            counted = people.voted(config) if people.votes(config) else {}
            kit = [("kit", "pairs")] if "kit" in counted else []
            return kit + ([("judge",)] if "judges" in counted else [])
        if reads == "pictures":
            evaluation = config["figures"][name].get("evaluation")
            brought = [row for row in rows if row not in draw.sampled(config, name)]
            return [("draw", name), *(("generate", row, evaluation) for row in brought)]
        if reads == "reconstructions":
            return [("rebuild", name)]
        if reads == "training":
            trained = [row for row in rows if row in config["models"]]
            keys = [("train", train.same(config, row)) for row in trained]
            return keys + [("train_vae", vae.same(config, r)) for r in rows if r not in trained]
        return [(reads, row) for row in rows]  # photographs, check


def scores(family: families.Family, model: str, evaluation: str) -> Key:
    """The jobs that score a model's images for a family."""
    own = () if family.jobs == family.stage else (family.jobs,)
    return (family.stage, model, evaluation, *own)


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
