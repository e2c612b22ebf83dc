"""Table 2's reconstruction of one photograph, as the rule runs it: seconds, peak memory.

    python benchmarks/reconstruct.py [--size 4096] [--factor 16] [--decoder published] [--whole]

scripts/reconstruct.py in a process of its own: photograph, VAE of the real size there and back,
every metric of the pair; weights are random. `ours` works in tiles (`reconstruction.vae_tiling`),
with --whole also not in tiles, which on a CPU takes the memory of every layer at full size, and
that without TensorFloat-32 (`exact`): beside it, PSNR tells what TF32 changes on a GPU.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import harness
import networks
import torch
from pictures import photographs

from diffusion4k import cli, manifest
from diffusion4k.metrics import scores
from diffusion4k.sources.miniature import metric_networks

SCRIPT = harness.ROOT / "scripts" / "reconstruct.py"
SIDES = {"tiles": ["--vae-tiling", "--tf32"], "whole": ["--tf32"], "exact": ["--no-tf32"]}


def sources(root: Path, size: int, *, quick: bool) -> dict[str, Path]:
    """Manifests of a data set of one photograph and of three networks, by the script's flags."""
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    vae = AutoencoderKL(**networks.architecture("sd3", quick=quick).vae)
    makers = {
        "inception": metric_networks.make_inception,
        "vgg16": metric_networks.make_vgg16,
        "vae": lambda folder: vae.save_pretrained(folder),
        "dataset": lambda folder: dataset(folder, size),
    }
    found = {}
    for name, make in makers.items():
        (root / name).mkdir()
        make(root / name)
        files = [path for path in (root / name).rglob("*") if path.is_file()]
        found[name] = root / f"{name}.json"
        manifest.write(
            found[name], root=root / name, files=files, inputs={}, settings={}, started=time.time()
        )
    return found


def dataset(folder: Path, size: int) -> None:
    (folder / "train").mkdir()
    (sample,) = photographs(folder / "train", 1, height=size, width=size)
    line = json.dumps({"file_name": sample.path.name, "text": sample.text})
    (folder / "train" / "metadata.jsonl").write_text(line + "\n", encoding="utf-8")


def run(flags: dict[str, object], output: Path) -> harness.Row:
    command = [sys.executable, str(SCRIPT), "--output", str(output)]
    command += [str(word) for flag, value in flags.items() for word in (f"--{flag}", value)]
    command += SIDES[output.stem]
    log = output.with_suffix(".log")
    to_log = [(os.POSIX_SPAWN_OPEN, 2, log, os.O_WRONLY | os.O_CREAT, 0o644)]
    child = os.posix_spawn(sys.executable, command, os.environ, file_actions=to_log)
    _, status, usage = os.wait4(child, 0)
    if status:
        print(said := log.read_text(encoding="utf-8", errors="replace")[-3000:])
        raise RuntimeError(f"exit status {os.waitstatus_to_exitcode(status)}: {said[-300:]}")
    made = manifest.read(output)
    psnr = scores.read_rows([made], scores.Reconstruction, 1)["psnr"][0]
    memory = "host_gb" if torch.cuda.is_available() else "peak_gb"  # not the GPU's
    peak = usage.ru_maxrss * 1024 / 1e9
    return {"seconds": made.seconds, memory: peak, "psnr": float(psnr)}


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--size", type=int, default=4096, help="px")
    parser.add_argument("--factor", type=int, choices=(8, 16), default=16)
    parser.add_argument("--decoder", choices=("folded", "published"), default="published")
    parser.add_argument("--whole", action="store_true", help="also not in tiles")
    args = parser.parse_args()
    device = harness.device(args)
    size = 320 if args.quick else args.size
    vae = f"F{args.factor}" + (f" {args.decoder}" if args.factor == 16 else "")
    report = harness.Report(
        f"reconstruct-{vae.lower().replace(' ', '-')}", args, harness.device_name(device),
        weights="random", threads=cli.threads(), load=os.getloadavg()[0],
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as temporary:
        flags = sources(Path(temporary), size, quick=args.quick) | {
            "size": size, "factor": args.factor, "decoder": args.decoder, "device": device.type,
        }  # fmt: skip
        for name in SIDES if args.whole else ["tiles"]:
            row = {"case": f"{vae}, {size} px", "side": "ours" if name == "tiles" else name}
            try:
                report.add(row | run(flags, Path(temporary) / f"{name}.json"))
            except RuntimeError as error:
                report.fail(name, error)
    report.end()


if __name__ == "__main__":
    main()
