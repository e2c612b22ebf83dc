"""No-reference quality of generated images, MUSIQ and MANIQA: a row an image (Table 1).

Needs the environment envs/iqa.yaml, or the one that `make env-iqa` makes:
.venv-iqa/bin/python scripts/quality.py --help
"""

import argparse
import time
from pathlib import Path

from diffusion4k import cli, manifest, shape
from diffusion4k.errors import UserError


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--images", type=Path, required=True, help="manifest of a generated shard")
    flags.add_argument("--size", type=shape.parse, help="px or HxW; default: as the manifest says")
    flags.add_argument("--musiq", type=Path, required=True, help="manifest of pyiqa's weights")
    flags.add_argument("--maniqa", type=Path, required=True, help="manifest of pyiqa's weights")
    flags.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    flags.add_argument("--output", type=Path, required=True, help="manifest to write")
    return flags


def run(args: argparse.Namespace) -> None:
    try:
        import pyiqa  # noqa: F401
        import torch
    except ImportError as error:
        raise UserError(f"{error}; run `make env-iqa` and use .venv-iqa/bin/python") from None

    from diffusion4k.device import choose_exact
    from diffusion4k.metrics import inputs, quality, scores

    started = time.time()
    torch.set_num_threads(cli.threads())
    paths = {name: getattr(args, name) for name in ("images", *quality.METRICS)}
    sources = {name: manifest.read(path) for name, path in paths.items()}
    pictures = inputs.generated(sources["images"], args.size)
    saves = scores.SavedScores(
        args.output, scores.Quality, scores.key(paths.values(), size=args.size)
    )
    device = choose_exact(args.device)
    weights = {name: inputs.weights(sources[name]) for name in quality.METRICS}
    network = quality.Quality(weights, device)

    def score(picture: inputs.Picture) -> scores.Quality:
        return scores.Quality(picture.id, **network(picture.load()))

    bar = cli.progress(pictures, desc="quality", unit="image")
    saves.finish(
        [saves.row(picture, score) for picture in bar],
        inputs=paths,
        settings=vars(args),
        started=started,
        device=str(device),
        notes=inputs.notes(*sources.values()),
    )


if __name__ == "__main__":
    cli.main(run, parser())
