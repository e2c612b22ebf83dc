"""Put what was trained into its base pipeline: a diffusers folder that stands by itself.

The folder pipeline/ lies beside the manifest. What does not change is hard-linked, not copied.
"""

import argparse
import time
from pathlib import Path

from diffusion4k import cli, manifest
from diffusion4k.errors import UserError
from diffusion4k.pipelines.export import export, trained_root
from diffusion4k.pipelines.folder import TRANSFORMER, PipelineFolder, vae_folder
from diffusion4k.vae import DECODERS, ENCODERS


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    flags.add_argument("--pipeline", type=Path, required=True, help="manifest of the base pipeline")
    flags.add_argument("--state", type=Path, help="manifest of the training step")
    flags.add_argument("--vae", type=Path, help="manifest of another VAE, or of its pipeline")
    flags.add_argument("--encoder", choices=ENCODERS, default="stride")
    flags.add_argument("--decoder", choices=DECODERS, default="folded")
    flags.add_argument("--output", type=Path, required=True, help="manifest, …/pipeline.json")
    return flags


def run(args: argparse.Namespace) -> None:
    started = time.time()
    if not (args.state or args.vae):
        raise UserError("--state, --vae: give what is to be put into the pipeline")
    base, inputs = PipelineFolder.open(args.pipeline), {"pipeline": args.pipeline}
    base.check_files(transformer=args.state is None)
    notes, results, trained, vae = list(base.notes), {}, None, None
    if args.state:
        state, inputs["state"] = manifest.read(args.state), args.state
        trained = trained_root(state)
        state.sound(path for path in state.paths() if path.is_relative_to(trained / TRANSFORMER))
        results = {key: state.results[key] for key in ("step",) if key in state.results}
        notes += state.notes
    if args.vae:
        other, inputs["vae"] = manifest.read(args.vae), args.vae
        vae = vae_folder(other)
        other.sound(path for path in other.paths() if path.is_relative_to(vae))
        notes += other.notes
    folder = args.output.with_suffix("")
    forms = {"encoder": args.encoder, "decoder": args.decoder}
    files = export(base, trained, folder, vae=vae, **forms)
    manifest.write(
        args.output,
        root=folder,
        files=files,
        inputs=inputs,
        settings=vars(args),
        results=results,
        started=started,
        notes=list(dict.fromkeys(notes)) if args.vae else notes,
    )
    print(f"{folder}: {len(files)} files")


if __name__ == "__main__":
    cli.main(run, parser())
