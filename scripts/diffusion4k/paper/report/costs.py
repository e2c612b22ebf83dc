"""What a run took, from the manifests behind its results: device, hours, cost, FLOP/s."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusion4k import manifest
from diffusion4k.manifest import Manifest
from diffusion4k.paper.report.units import duration, scaled

# a pattern of torch's name of the board => FLOP/s of bfloat16 matrices without sparsity, summed in
# float32, as NVIDIA's data sheets have it. Slower boards of a name have none
PEAKS = {
    r"H200(?! NVL)": 989e12,
    r"H100(?! (PCIe|NVL))": 989e12,
    r"A[18]00": 312e12,
    r"RTX 4090(?! (D|Laptop))": 165.2e12,
}
TRAININGS = ("train/", "train_vae/")  # what a key of segments begins with
ASKS = ("captions", "people")  # stages that ask models behind an address
# stage/model…: FLOPs of all its jobs, and how many those are; of a training, how many steps
# (run/report.py)
Known = Mapping[str, tuple[float, int]]
ORDER = ("sources", "captions", "data", "prompts", "train_vae", "latents", "train", "generate")
ORDER += ("pictures", "vae", "efficiency", "metrics", "people", "tables", "figures")


@dataclass
class StageCost:
    """The jobs of one stage, of one model where it has any, on one device; `flops` 0: not known.

    paid: for answers of models, in the currency of their price.
    """

    stage: str
    name: str
    device: str
    jobs: int = 0
    seconds: float = 0.0
    gpus: int = 0
    flops: float = 0.0
    paid: float = 0.0

    @property
    def gpu_hours(self) -> float:
        """Of all its jobs; 0 without a GPU."""
        return self.gpus * self.seconds / 3600

    @property
    def rate(self) -> float:
        """FLOP/s of one device, start and saving included."""
        return self.flops / max(self.seconds, 1e-9) / max(1, self.gpus)

    def line(self, price: float) -> dict[str, Any]:
        """What the page shows; `price` of a GPU-hour."""
        peak = peak_of(self.device)
        share = f"{self.rate / peak:.0%}" if peak and self.flops else ""
        return {
            "stage": self.stage,
            "name": self.name.replace("/", ", "),
            "device": self.device,
            "jobs": self.jobs,
            "time": duration(self.seconds),
            "gpu_hours": f"{self.gpu_hours:,.2f}" if self.gpus else "",
            "cost": f"{cost:,.2f}" if (cost := self.gpu_hours * price + self.paid) else "",
            "work": scaled(self.flops, "FLOP") if self.flops else "",
            "rate": scaled(self.rate, "FLOP/s") if self.flops else "",
            "share": share,
        }


def peak_of(device: str) -> float | None:
    """FLOP/s of PEAKS for a device as a manifest has it; None of one that nobody looked up."""
    if " MIG " in device:  # a part of a board
        return None
    return next((peak for name, peak in PEAKS.items() if re.search(rf"\b{name}\b", device)), None)


def behind(manifests: Iterable[Manifest]) -> dict[Path, Manifest]:
    """Path => every manifest that `manifests` rest on, themselves among them.

    An input that is gone, such as the state of a finished segment, is passed over, and so are
    files of the user's.
    """
    known = {m.path: m for m in manifests}
    waiting = list(known.values())
    while waiting:
        for path in map(Path, waiting.pop().inputs.values()):
            if path not in known and path.is_file() and manifest.is_one(path):
                known[path] = manifest.read(path)
                waiting.append(known[path])
    return known


def stages(chain: Mapping[Path, Manifest], known: Known) -> list[StageCost]:
    """The cost of every stage, in the order data flows.

    known: the arithmetic of what the cost model counts.
    """
    by_stage: dict[tuple[str, str, str], StageCost] = {}
    for path, job in sorted(chain.items()):
        stage, key = _place(path)
        if stage is None:
            continue
        device, gpus = _device(job)
        name = key.partition("/")[2]
        cost = by_stage.setdefault((stage, name, device), StageCost(stage, name, device, gpus=gpus))
        cost.jobs += 1
        cost.paid += job.results.get("cost", 0.0) if stage in ASKS else 0.0
        flops, count = known.get(key, (0.0, 1))
        step = job.results.get("step") if key.startswith(TRAININGS) else None
        if step is not None:  # its last manifest has the seconds of all segments
            cost.seconds = max(cost.seconds, job.results.get("seconds_training", job.seconds))
            cost.flops = max(cost.flops, flops * step / count)
        else:
            cost.seconds += job.seconds
            cost.flops += flops / count
    order = {stage: place for place, stage in enumerate(ORDER)}
    return sorted(by_stage.values(), key=lambda cost: (order.get(cost.stage, 99), cost.name))


def total(parts: Iterable[StageCost]) -> StageCost:
    """All of it; GPUs of different kinds together."""
    parts = list(parts)
    gpu_seconds = sum(cost.gpus * cost.seconds for cost in parts)
    seconds = sum(cost.seconds for cost in parts)
    whole = StageCost("all", "", "", sum(cost.jobs for cost in parts), seconds)
    whole.flops = sum(cost.flops for cost in parts)
    whole.paid = sum(cost.paid for cost in parts)
    whole.gpus = 0 if not gpu_seconds else gpu_seconds / seconds
    return whole


def _place(path: Path) -> tuple[str | None, str]:
    """The stage of a manifest, and its key among the `known`, "" where it can have none."""
    parts = path.with_suffix("").parts
    if "results" not in parts:
        return None, ""
    below = parts[parts.index("results") + 2 :]
    if len(below) < 2:
        return None, ""
    stage, *rest = below
    if stage == "train" and rest[-1].startswith("step"):
        return stage, f"train/{rest[0]}"
    if stage == "vae" and rest[1:2] == ["train"]:
        return "train_vae", f"train_vae/{rest[0]}"
    if stage == "generate" and len(rest) == 3:
        return stage, f"generate/{rest[0]}/{rest[1]}"
    if stage == "latents":
        return stage, f"latents/{rest[0]}"
    if stage == "vae" and rest[-1].startswith("reconstruction-"):
        return stage, f"reconstruct/{rest[0]}"
    return stage, ""


def _device(job: Manifest) -> tuple[str, int]:
    """(the device as the manifest has it, GPUs): `8 x NVIDIA H100` are eight, a CPU none."""
    count = re.match(r"(\d+) x ", job.device)
    if job.device in ("", "cpu") or "CPU" in job.device:
        return job.device or "cpu", 0
    return job.device, int(count[1]) if count else 1
