"""How the cost grows with resolution, prompts and GPUs: simulated, from the FLOP model.

    python benchmarks/scaling.py [--tflops 170] [--bandwidth 200] [--quick]

Nothing is run. Time is FLOPs over the sustained rate of a GPU: `--tflops`, or what full runs
of other benchmarks measured on `--on DEVICE`. Training on n GPUs adds, in every step, the ring
reduce-scatter of bf16 gradients and all-gather of bf16 weights, 4 P (n - 1) / n bytes a GPU at
`--bandwidth` GB/s, not overlapped with arithmetic. Generation shares nothing.
"""

from pathlib import Path

import harness
import yaml

from diffusion4k import backbones
from diffusion4k.config import resolve as configuration
from diffusion4k.estimate import flops, plan

SIZES = (1024, 2048, 3072, 4096, 6144)  # px; SD3's positions end at 6144
PROMPTS = (1, 3, 10, 30, 100)
GUIDANCE = 7.0
GPUS = (1, 2, 4, 8)


def resolutions(rate) -> list[harness.Row]:
    """Seconds a picture: 50 steps and decoding, and a training step, by side in px."""
    rows = []
    for name, tokens in (("sd3", 77), ("flux", 512)):
        backbone = backbones.get(name)
        architecture, guided = backbone.architecture, backbone.predictions(GUIDANCE)
        for size in SIZES:
            side = {"height": size, "width": size}
            step = guided * flops.forward(backbone, architecture, **side, t5_tokens=tokens)
            decode = flops.decode(architecture.vae, **side)
            forward = flops.forward(backbone, architecture, **side, t5_tokens=77)
            train = flops.training(forward, recompute=True)
            for what, stage, count in (
                ("generate", "generate", 50 * step + decode),
                ("train", "train", train),
            ):
                seconds = count / rate(stage, name) / 1e12
                rows.append(line(f"{what} a picture, {name}", size, seconds, "resolution"))
    return rows


def prompts(config: dict, measured: dict) -> list[harness.Row]:
    """GPU seconds and GB of generation in all tables, by times the paper's prompts."""
    rows = []
    for times in PROMPTS:
        splits = {
            name: split | ({"count": split["count"] * times} if "eval" in name else {})
            for name, split in config["splits"].items()
        }
        made = plan.Plan(config | {"splits": splits}, measured)
        works = [work for work in made.everything if work.key[0] == "generate"]
        row = line(
            "generate all images of the tables", times, made.gpu_hours(works) * 3600, "prompts"
        )
        rows.append(row | {"disk_gb": sum(work.gb for work in works)})
    return rows


def gpus(config: dict, rate, bandwidth: float) -> list[harness.Row]:
    """Seconds a training step at the paper's size and global batch, by GPUs."""
    rows, size = [], config["latents"]["size"]
    for name, entry in config["backbones"].items():
        backbone, batch = backbones.get(name), entry["train"]["global_batch"]
        architecture, shape = backbone.architecture, {"height": size, "width": size}
        forward = flops.forward(backbone, architecture, **shape, t5_tokens=77)
        work = batch * flops.training(forward, recompute=True)
        for n in GPUS:
            talk = 4 * architecture.parameters * (n - 1) / n / (bandwidth * 1e9)
            seconds = work / n / (rate("train", name) * 1e12) + talk
            row = line(f"train a step of {batch}, {name}", n, seconds, "GPUs")
            rows.append(row | {"share_of_linear": 1 - talk / seconds})
    return rows


def line(case: str, x: int, seconds: float, axis: str) -> harness.Row:
    return {"case": case, "side": "simulated", "axis": axis, "at": x, "seconds": seconds}


def draw(rows: list[harness.Row], path: Path, title: str) -> None:
    """One panel an axis, both scales logarithmic, a line a case; written to `path`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    labels = {
        "resolution": "side of the picture (px)",
        "prompts": "times the paper's prompts",
        "GPUs": "GPUs",
    }
    figure, panels = pyplot.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for panel, (axis, label) in zip(panels, labels.items(), strict=True):
        unit = 3600 if axis == "prompts" else 1
        for case in dict.fromkeys(row["case"] for row in rows if row["axis"] == axis):
            points = [(row["at"], row["seconds"] / unit) for row in rows if row["case"] == case]
            panel.plot(*zip(*points, strict=True), marker="o", label=case)
        ticks = sorted({row["at"] for row in rows if row["axis"] == axis})
        panel.set(
            xscale="log",
            yscale="log",
            xlabel=label,
            ylabel=f"{'hours' if unit > 1 else 'seconds'} of a GPU",
        )
        panel.set_xticks(ticks, [str(tick) for tick in ticks], minor=False)
        panel.minorticks_off()
        # plain numbers at 1, 2, 5, …: a range may hold a single power of ten
        panel.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5), numticks=20))
        panel.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,g}"))
        panel.legend(fontsize=8)
    panels[-1].set_ylabel("seconds")
    figure.suptitle(title, fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--tflops", type=float, default=170.0, help="that a GPU sustains")
    parser.add_argument("--on", metavar="DEVICE", help="take the rates measured on it")
    parser.add_argument("--bandwidth", type=float, default=200.0, help="GB/s a GPU, one way")
    args = parser.parse_args()
    raw = yaml.safe_load((harness.ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    tflops = raw["plan"]["tflops"] = args.tflops
    config = configuration.resolve(raw)
    measured = plan.measured(harness.ROOT / "benchmarks/results", args.on)

    def rate(stage: str, name: str) -> float:
        return measured.get((stage, name), tflops)

    rows = resolutions(rate) + prompts(config, measured) + gpus(config, rate, args.bandwidth)
    basis = f"{tflops:g} TFLOP/s a GPU" + (f", measured rates of {args.on}" if measured else "")
    title = f"simulated: FLOP model at {basis}; {args.bandwidth:g} GB/s between GPUs"
    folder = args.output or (None if args.quick else harness.ROOT / "benchmarks/results")
    if folder is not None:
        draw(rows, folder / "scaling-simulated.png", title)
    harness.report("scaling", args, "simulated", rows, basis=title)


if __name__ == "__main__":
    main()
