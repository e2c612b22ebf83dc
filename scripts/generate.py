"""Make pictures with a pipeline: one from a prompt, or one for each prompt of a data set.

  python scripts/generate.py --model results/paper/train/sd3_f16_wlf/pipeline.json --prompt "a fox"
  python scripts/generate.py --model owner/name --prompt "a fox" --height 2048 --width 2048
  python scripts/generate.py --model … --dataset … --folder eval/size_2048 --output shard.json

With a data set the pictures lie in images/ beside the manifest, and a run that was stopped goes on
where it stopped: run the same command again.
"""

import argparse
import json
import re
import time
from dataclasses import asdict
from pathlib import Path

from diffusion4k import cli, digest, manifest
from diffusion4k.data import captions as metadata
from diffusion4k.errors import UserError
from diffusion4k.pipelines import open as pipelines


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flags.add_argument(
        "--model", help="manifest of a pipeline, a diffusers folder, or owner/name of the hub"
    )
    flags.add_argument("--revision", default="main", help="commit, tag or branch of the hub")
    flags.add_argument("--prompt", help="make one picture of this")
    flags.add_argument("--dataset", type=Path, help="manifest of the data set with the prompts")
    flags.add_argument("--folder", help="folder inside the data set, e.g. eval/size_2048")
    flags.add_argument("--shard", type=int, default=0)
    flags.add_argument("--shards", type=int, default=1)
    flags.add_argument(
        "--output", type=Path, help="the picture (by default named after prompt and seed), or the "
        "manifest to write for a data set"
    )  # fmt: skip
    flags.add_argument("--height", type=int, default=4096, help="px, multiple of 32 (4096)")
    flags.add_argument("--width", type=int, default=4096, help="px, multiple of 32 (4096)")
    # the defaults of other pipelines are their own
    flags.add_argument("--steps", type=int, help="denoising steps (SD3 28, Flux 50)")
    flags.add_argument("--guidance", type=float, help="guidance scale (SD3 and Flux 7.0)")
    flags.add_argument("--t5-tokens", type=int, help="1 to 512 (SD3 256, Flux 512)")
    flags.add_argument(
        "--of-class", type=json.loads, default={}, metavar="JSON",
        help='other defaults, by class: {"sd3": {"steps": 50}, "flux": {"guidance": 7}}'
    )  # fmt: skip
    flags.add_argument("--negative-prompt", default="", help="not for Flux")
    flags.add_argument("--seed", type=int, default=0)
    flags.add_argument(
        "--seed-policy", choices=["published", "per_prompt"], default="published",
        help="the same seed for every prompt of a data set, as released, or one derived from its id"
    )  # fmt: skip
    # of SD3 and Flux; other pipelines keep their own VAE
    flags.add_argument(
        "--vae-factor", type=int, choices=[8, 16], help="default: what the pipeline says, else 16"
    )
    flags.add_argument("--encoder", choices=["stride", "dilation"], help="default: the pipeline's")
    flags.add_argument(
        "--decoder", choices=["folded", "upsample", "published"],
        help="folded and upsample are exact, published is shifted by 1 px; default: the pipeline's"
    )  # fmt: skip
    flags.add_argument(
        "--dtype", choices=["auto", "float32", "bfloat16", "float16"], default="auto",
        help="auto: bfloat16 on a GPU, else float32"
    )  # fmt: skip
    flags.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    flags.add_argument(
        "--offload", action=argparse.BooleanOptionalAction, default=False,
        help="keep on the GPU only the model at work: slower, in much less memory"
    )  # fmt: skip
    flags.add_argument(
        "--vae-tiling", action=argparse.BooleanOptionalAction, default=False,
        help="decode in overlapping tiles: less memory, other pixels where tiles blend"
    )  # fmt: skip
    flags.add_argument(
        "--attention", choices=["native", "auto"], default="native",
        help="native: torch's own; auto: the first faster kernel that works here, other last bits"
    )  # fmt: skip
    flags.add_argument(
        "--compile", action=argparse.BooleanOptionalAction, default=False,
        help="torch.compile the transformer: a slow first step, then faster; other last bits"
    )  # fmt: skip
    flags.add_argument(
        "--png",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="for a data set: a lossless PNG beside each JPEG",
    )
    return flags


def run(args: argparse.Namespace) -> None:
    check(args)
    import torch

    from diffusion4k.generate import kernels, sampler

    cuda = torch.cuda.is_available()
    device = args.device if args.device != "auto" else "cuda" if cuda else "cpu"
    if device == "cuda" and not cuda:
        raise UserError("--device cuda: torch sees no GPU here; use --device cpu")
    dtype = args.dtype
    if dtype == "auto":
        dtype = "float32" if device == "cpu" else "bfloat16"
    source = pipelines.source(here(args.model, args.revision))
    backbone = pipelines.adapter(source.root)
    settings = sampler.Settings(
        height=args.height,
        width=args.width,
        negative_prompt=args.negative_prompt,
        **sampling(args, backbone),
    )
    # a wrong combination fails here, not after the models are loaded
    settings.check_sides(backbone.multiple)
    backbone.call_arguments(t5_tokens=settings.t5_tokens, negative_prompt=args.negative_prompt)
    forms = pipelines.forms(source.root, args.encoder, args.decoder, args.vae_factor)

    how = {"dtype": dtype, "device": device} | forms

    def load():
        pipeline = pipelines.load(
            source.root,
            dtype=getattr(torch, dtype),
            device=device,
            **forms,
            offload=args.offload,
            tiling=args.vae_tiling,
        )
        # what is in use, for the manifest
        how["kernels"] = kernels.prepare(pipeline, attention=args.attention, compiled=args.compile)
        return pipeline

    if args.prompt is not None:
        one(args, load, backbone, settings)
    else:
        many(args, load, backbone, settings, source, how)


def here(model: str, revision: str) -> Path:
    """The manifest or folder that `model` means, downloaded when it is a hub repository."""
    if Path(model).exists() or not re.fullmatch(r"[\w.-]+/[\w.-]+", model):
        return Path(model)
    from diffusion4k.sources import fetch

    return fetch.hub(model, revision=revision).root


def sampling(args: argparse.Namespace, backbone) -> dict[str, float | int | None]:
    """Steps, guidance and T5 tokens as given, else by default; UserError for one not taken."""
    given = {name: getattr(args, name) for name in ("steps", "guidance", "t5_tokens")}
    for name, value in given.items():
        if value is not None and name not in backbone.defaults:
            flag = "--" + name.replace("_", "-")
            raise UserError(f"{flag}: {backbone.pipeline_class.__name__} takes none; leave it out")
    defaults = backbone.defaults | args.of_class.get(backbone.name, {})
    return {k: defaults.get(k) if v is None else v for k, v in given.items()}


def check(args: argparse.Namespace) -> None:
    """UserError for flags that do not go together."""
    if args.model is None:
        found = ", ".join(sorted(map(str, Path().glob("results/*/train/*/pipeline.json"))))
        raise UserError(f"--model is missing; exported pipelines here: {found or 'none yet'}")
    if (args.prompt is None) == (args.dataset is None):
        raise UserError("give either --prompt TEXT or --dataset MANIFEST with --folder")
    suffix = args.output.suffix.lower() if args.output else None
    if args.dataset is not None and (args.folder is None or suffix != ".json"):
        raise UserError("--dataset needs --folder, and --output with the name of a .json manifest")
    if args.prompt is not None and suffix not in (None, ".jpg", ".jpeg", ".png"):
        raise UserError(f"--output {args.output}: a picture's name ends in .jpg or .png")


def one(args, load, backbone, settings) -> None:
    """One picture of --prompt, with a bar over its denoising steps."""
    from diffusion4k import images
    from diffusion4k.generate import sampler

    name = re.sub(r"\W+", "-", args.prompt.lower()).strip("-")[:60] or "picture"
    output = args.output or Path(f"{name}-seed{args.seed}.jpg")
    pipeline = load()
    with cli.progress(total=settings.steps, desc="denoise", unit="step") as bar:
        pixels = sampler.sample(
            pipeline, backbone, args.prompt, args.seed, settings, on_step=bar.update
        )
    save = images.save_png if output.suffix.lower() == ".png" else images.save_jpeg
    save(output, pixels)
    print(output)


def many(args, load, backbone, settings, source, how) -> None:
    """A picture for each prompt of one shard, and the manifest.

    `how`: dtype, device, VAE forms, and once the pipeline is loaded the kernels in use.
    """
    from diffusion4k import backbones
    from diffusion4k.generate import sampler, seeds

    started = time.time()
    dataset = manifest.read(args.dataset)
    prompts = cli.shard(metadata.read(dataset.root, args.folder), args.shard, args.shards)
    unused = (*backbones.others(backbone.name), "diffusion4k.sources.fetch")
    code = digest.digest("generate.py", leave_out=unused)
    decoding = f"{how['vae_factor']} {how['decoder']} {args.vae_tiling}"
    chosen = f"{args.attention} {args.compile}"
    pictures = sampler.sample_all(
        load,
        backbone,
        prompts,
        sampler.Folder(args.output.parent, png=args.png),
        settings=settings,
        seed_of=lambda id: seeds.image_seed(args.seed_policy, args.seed, id),
        made_from=(source.fingerprint(transformer=True), code, how["dtype"], decoding, chosen),
    )
    title = f"generate {args.shard}/{args.shards}"
    made = list(cli.progress(pictures, total=len(prompts), desc=title, unit="image"))
    seconds = sum(picture.seconds for picture in made)
    manifest.write(
        args.output,
        root=args.output.parent,
        files=[picture.path for picture in made],
        inputs={"model": args.model, "dataset": args.dataset},
        # with what the defaults came to
        settings=vars(args) | asdict(settings) | how,
        results={
            "images": len(made),
            "seconds_per_image": seconds / len(made) if made else None,
        },
        started=started,
        device=how["device"],
        notes=[*source.notes, *dataset.notes],
    )
    print(f"{args.output}: {len(made)} pictures")


if __name__ == "__main__":
    cli.main(run, parser())
