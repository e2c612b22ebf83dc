"""Make pictures with a pipeline: one from a prompt, or one for each prompt of a data set.

  python scripts/generate.py --model results/paper/train/sd3_f16_wlf/pipeline.json --prompt "a fox"
  python scripts/generate.py --model owner/name --prompt "a fox" --height 2048 --width 2048
  python scripts/generate.py --model … --dataset … --folder eval/size_2048 --output shard.json

What made a picture stands beside it, in PICTURE.json. --like takes its settings, or those of a row
of the tables: --like sd3_f16_wlf, or the manifest of its pictures; other flags win.

With a data set the pictures lie in images/ beside the manifest, and a run that was stopped goes on
where it stopped: run the same command again.
"""

import argparse
import re
import time
from dataclasses import asdict
from pathlib import Path

from diffusion4k import cli, limits, manifest
from diffusion4k.errors import UserError
from diffusion4k.generate import flags as shared
from diffusion4k.pipelines.folder import PipelineFolder


def parser() -> argparse.ArgumentParser:
    flags = shared.LikeParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flags.add_argument(
        "--model", help="manifest of a pipeline, a diffusers folder, or owner/name of the hub"
    )
    flags.add_argument("--revision", default="main", help="commit, tag or branch of the hub")
    flags.add_argument("--prompt", help="make one picture of this")
    flags.add_argument("--dataset", type=Path, help="manifest of the data set with the prompts")
    flags.add_argument("--folder", help="folder inside the data set, e.g. eval/size_2048")
    flags.add_argument("--shard", type=limits.natural, default=0)
    flags.add_argument("--shards", type=limits.count, default=1)
    flags.add_argument(
        "--output", type=Path, help="the picture (by default a new one, named after prompt and "
        "seed), or the manifest to write for a data set"
    )  # fmt: skip
    flags.add_argument("--like", metavar="MODEL", help="or MANIFEST")
    shared.add_sampling(flags)
    shared.add_loading(flags, dtype="auto")
    flags.add_argument(
        "--png",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="for a data set: a lossless PNG beside each JPEG",
    )
    return flags


def run(args: argparse.Namespace) -> None:
    check(args)
    folder = PipelineFolder.open(here(args.model, args.revision))
    settings = shared.settings(args, folder.backbone)
    setup = shared.setup(args, folder)
    if args.prompt is not None:
        from diffusion4k.generate import single  # torch

        print(single.draw(args, setup, settings))
    else:
        many(args, setup, settings)


def here(model: str, revision: str) -> Path:
    """The manifest or folder that `model` means, downloaded when it is a hub repository."""
    if Path(model).exists() or not re.fullmatch(r"[\w.-]+/[\w.-]+", model):
        return Path(model)
    from diffusion4k.sources import fetch

    return fetch.hub(model, revision=revision).root


def check(args: argparse.Namespace) -> None:
    """UserError for flags that do not go together."""
    if args.model is None:
        exported = ", ".join(sorted(map(str, Path().glob("results/*/train/*/pipeline.json"))))
        raise UserError(f"--model is missing; exported pipelines here: {exported or 'none yet'}")
    if (args.prompt is None) == (args.dataset is None):
        raise UserError("give either --prompt TEXT or --dataset MANIFEST with --folder")
    suffix = args.output.suffix.lower() if args.output else None
    if args.dataset is not None and (args.folder is None or suffix != ".json"):
        raise UserError("--dataset needs --folder, and --output with the name of a .json manifest")
    if args.prompt is not None and suffix not in (None, ".jpg", ".jpeg", ".png"):
        raise UserError(f"--output {args.output}: a picture's name ends in .jpg or .png")


def many(args, setup, settings) -> None:
    """A picture for each prompt of one shard, and the manifest."""
    from diffusion4k.generate.shard import draw_shard

    started = time.time()
    dataset = manifest.read(args.dataset)
    ids, folder, drawn = draw_shard(
        setup,
        dataset,
        args.output.parent,
        settings,
        folder=args.folder,
        shard=args.shard,
        shards_in_all=args.shards,
        seed=args.seed,
        seed_policy=args.seed_policy,
        png=args.png,
    )
    title = f"generate {args.shard}/{args.shards}"
    pictures = list(cli.progress(drawn, total=len(ids), desc=title, unit="image"))
    seconds = sum(picture.seconds for picture in pictures)
    manifest.write(
        args.output,
        root=args.output.parent,
        files=[file for id in ids for file in folder.files(id)],
        inputs={"model": args.model, "dataset": args.dataset, **shared.kernel(args)},
        # with what the defaults came to
        settings=vars(args) | asdict(settings) | setup.record(),
        results={
            "images": len(pictures),
            "seconds_per_image": seconds / len(pictures) if pictures else None,
        },
        started=started,
        device=str(setup.device),
        notes=[*setup.folder.notes, *dataset.notes],
    )
    print(f"{args.output}: {len(pictures)} pictures")


if __name__ == "__main__":
    cli.main(run, parser())
