"""Put a trained transformer into its base pipeline: a diffusers folder that stands by itself.

The folder pipeline/ lies beside the manifest. What does not change is hard-linked, not copied.
"""

import argparse
import time
from pathlib import Path

from diffusion4k import cli, manifest
from diffusion4k.pipelines.export import export, trained_root
from diffusion4k.pipelines.folder import TRANSFORMER, PipelineFolder


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    flags.add_argument("--pipeline", type=Path, required=True, help="manifest of the base pipeline")
    flags.add_argument("--state", type=Path, required=True, help="manifest of the training step")
    flags.add_argument("--encoder", choices=["stride", "dilation"], default="stride")
    flags.add_argument("--decoder", choices=["folded", "upsample", "published"], default="folded")
    flags.add_argument("--output", type=Path, required=True, help="manifest, …/pipeline.json")
    return flags


def run(args: argparse.Namespace) -> None:
    started = time.time()
    base, state = PipelineFolder.open(args.pipeline), manifest.read(args.state)
    trained = trained_root(state)
    base.check_files(transformer=False)
    state.sound(path for path in state.paths() if path.is_relative_to(trained / TRANSFORMER))
    folder = args.output.with_suffix("")
    files = export(base, trained, folder, encoder=args.encoder, decoder=args.decoder)
    manifest.write(
        args.output,
        root=folder,
        files=files,
        inputs={"pipeline": args.pipeline, "state": args.state},
        settings=vars(args),
        results={key: state.results[key] for key in ("step",) if key in state.results},
        started=started,
        notes=[*base.notes, *state.notes],
    )
    print(f"{folder}: {len(files)} files")


if __name__ == "__main__":
    cli.main(run, parser())
