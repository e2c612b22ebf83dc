"""Draw some pictures, as of a figure: prompts by models, sizes, guidance scales, steps and seeds.

  python scripts/draw.py --rows '{"flux": {"model": "results/paper/sources/flux.json"}}' \\
      --dataset results/paper/prompts/scenes.json --folder . --sizes 3072x4096 4096x3072 \\
      --guidance 5 5.5 --steps 50 --seeds 0 1 2 --output mine/shard.json

Pictures lie in ROW/images/ beside the manifest. A run that was stopped goes on where it stopped:
run the same command again.
"""

import argparse
import gc
import json
import re
import time
from pathlib import Path

from diffusion4k import cli, limits, manifest
from diffusion4k.data import captions, shards
from diffusion4k.errors import UserError
from diffusion4k.generate import flags as shared
from diffusion4k.pipelines.folder import PipelineFolder

# of a row: its pipeline's manifest, and what it has of its own, the manifest of its prompts too
OWN = ("model", "dataset", "steps", "guidance", "t5_tokens", "vae_factor", "vae_tiling")


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flags.add_argument(
        "--rows", type=json.loads, required=True, metavar="JSON",
        help=f"name of a row: its {', '.join(OWN)}; all but the model's manifest may be left out"
    )  # fmt: skip
    flags.add_argument(
        "--of-class", type=json.loads, default={}, metavar="JSON",
        help='defaults by class: {"sd3": {"steps": 50}, "flux": {"guidance": 7}}'
    )  # fmt: skip
    flags.add_argument("--dataset", type=Path, required=True, help="manifest with the prompts")
    flags.add_argument("--folder", default=".", help="folder in it, e.g. eval/size_2048")
    flags.add_argument("--count", type=limits.count, help="the first prompts so many; default: all")
    flags.add_argument("--spread", action=shared.SWITCH, default=False,
                       help="prompts at even distances in place of the first")  # fmt: skip
    flags.add_argument("--sizes", type=sides, nargs="+", required=True, metavar="HxW", help="px")
    flags.add_argument("--guidance", type=limits.finite, nargs="+", default=[], help="scales")
    flags.add_argument("--steps", type=limits.count, nargs="+", default=[], help="numbers of steps")
    flags.add_argument("--seeds", type=limits.seed, nargs="+", default=[0])
    flags.add_argument("--in-turn", action=shared.SWITCH, default=False, help="a size a prompt")
    flags.add_argument("--seed-policy", choices=["published", "per_prompt"], default="published")
    flags.add_argument("--negative-prompt", default="", help="not for Flux")
    flags.add_argument("--shard", type=limits.natural, default=0)
    flags.add_argument("--shards", type=limits.count, default=1)
    shared.add_loading(flags, dtype="auto")
    flags.add_argument("--output", type=Path, required=True, help="manifest to write")
    return flags


def sides(text: str) -> tuple[int, int]:
    """(height, width) of HEIGHTxWIDTH in px."""
    if not (match := re.fullmatch(r"(\d+)x(\d+)", text)):
        raise argparse.ArgumentTypeError(f"{text}: write HEIGHTxWIDTH, such as 3072x4096")
    return int(match[1]), int(match[2])


def run(args: argparse.Namespace) -> None:
    started = time.time()
    rows = {}
    for name, row in args.rows.items():
        if set(row) - set(OWN) or "model" not in row:
            raise UserError(f"--rows, {name}: a model, and of {', '.join(OWN[1:])} what it has")
        rows[name] = dict.fromkeys(OWN) | row
    datasets = {name: manifest.read(row["dataset"] or args.dataset) for name, row in rows.items()}
    prompts = {name: chosen(dataset, args) for name, dataset in datasets.items()}
    folders = {name: PipelineFolder.open(row["model"]) for name, row in rows.items()}

    from diffusion4k.generate import pictures  # torch

    varied = pictures.Variations(args.sizes, args.guidance, args.steps, args.seeds, args.in_turn)
    of = {"of_class": args.of_class, "policy": args.seed_policy}
    of["negative_prompt"] = args.negative_prompt
    # what a pipeline does not take is said before any is loaded
    planned = [
        (name, picture)
        for name, row in rows.items()
        for picture in varied.of(prompts[name], folders[name].backbone, row, **of)
    ]
    mine, root = shards.shard(planned, args.shard, args.shards), args.output.parent
    drawn, records, device = [], [], "cpu"
    with cli.progress(total=len(mine), desc=f"draw {args.shard}", unit="image") as bar:
        for name, row in rows.items():
            if not (wanted := [picture for of, picture in mine if of == name]):
                continue
            setup = shared.setup(argparse.Namespace(**vars(args) | own(row, args)), folders[name])
            device = str(setup.device)
            for picture, path in zip(
                wanted, pictures.draw(setup, wanted, root / name, "draw.py"), strict=True
            ):
                drawn.append(path)
                file = str(path.relative_to(root))
                records.append({"row": name} | picture.record() | {"file": file})
                bar.update()
            gc.collect()  # of one model at a time
    manifest.write(
        args.output,
        root=root,
        files=drawn,
        inputs={"dataset": args.dataset, **shared.kernel(args)}
        | {name: row["model"] for name, row in rows.items()}
        | {f"{name}:dataset": row["dataset"] for name, row in rows.items() if row["dataset"]},
        settings=vars(args),
        results={"pictures": records},
        started=started,
        device=device,
        notes=[note for source in (*folders.values(), *datasets.values()) for note in source.notes],
    )
    print(f"{args.output}: {len(drawn)} pictures")


def chosen(dataset: manifest.Manifest, args: argparse.Namespace) -> list[captions.CaptionedImage]:
    """The prompts that pictures are drawn of."""
    captioned = captions.of(dataset, args.folder)
    return shards.spread(captioned, args.count) if args.spread else captioned[: args.count]


def own(row: dict, args: argparse.Namespace) -> dict:
    """How a row's pipeline is loaded, where it differs from the others'."""
    return {
        "vae_factor": row["vae_factor"] or args.vae_factor,
        "vae_tiling": args.vae_tiling if row["vae_tiling"] is None else row["vae_tiling"],
    }


if __name__ == "__main__":
    cli.main(run, parser())
