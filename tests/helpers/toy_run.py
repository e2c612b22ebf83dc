"""A run of small files on the real Snakemake, shaped as ours: what repair is tried on.

Latents of two pictures → a training of two segments, of which the first is temporary, saves are
hard links and how long it took is another file → an image a prompt → scores → a table.
`python toy_run.py STEP …` is every job.
"""

import hashlib
import os
import sys
import time
from pathlib import Path

from diffusion4k import manifest
from diffusion4k.files import write_text

SNAKEFILE = """
S = "{python} {step} "
R = "results/toy"

rule all:
    input: R + "/tables/table.json", R + "/metrics/scores.json", R + "/generate/images.json",
        R + "/train/m/step-2.json", R + "/latents/shard.json"

rule latents:
    output: R + "/latents/shard.json"
    shell: S + "latents {output}"

def start(w):
    return dict(manifest=R + "/train/m/step-1.json", state=R + "/train/m/step-1") * (w.n == "2")

rule train:
    input: latents=R + "/latents/shard.json"
    output: manifest=temp(R + "/train/m/step-1.json"), state=temp(directory(R + "/train/m/step-1"))
    shell: S + "train {output.manifest} {input.latents}"

rule train_kept:
    input: latents=R + "/latents/shard.json", start=R + "/train/m/step-1.json",
        state=R + "/train/m/step-1"
    output: manifest=R + "/train/m/step-2.json", state=directory(R + "/train/m/step-2")
    shell: S + "train {output.manifest} {input.latents} {input.start}"

rule generate:
    input: R + "/train/m/step-2.json"
    output: R + "/generate/images.json"
    shell: S + "generate {output} {input}"

rule score:
    input: R + "/generate/images.json"
    output: R + "/metrics/scores.json"
    shell: S + "score {output} {input}"

rule table:
    input: R + "/metrics/scores.json"
    output: R + "/tables/table.json"
    shell: S + "table {output} {input}"
"""


def snakefile() -> str:
    """The toy's Snakefile."""
    text = SNAKEFILE.replace("{step}", str(Path(__file__).resolve()))
    text = text.replace("{python}", sys.executable)
    start = text.index("def start"), text.index("rule train:")
    return text[: start[0]] + text[start[1] :]


def content(*parts: object) -> str:
    """What a job computes of its inputs; with TOY_NOISE in another way each time, as a GPU may."""
    noise = time.time_ns() if os.environ.get("TOY_NOISE") else 0
    return hashlib.sha256(f"{parts} {noise}".encode()).hexdigest() * 10


def main(step: str, output: Path, *inputs: Path) -> None:
    started = time.time()
    with Path("ran.txt").open("a", encoding="utf-8") as log:
        print(f"{step} {output.stem}", file=log)
    sources = [manifest.read(path) for path in inputs]
    bulk = [path for s in sources for path in s.sound() if path.suffix == ".txt"]
    read = [path.read_text(encoding="utf-8") for path in bulk]
    given = {"latents": "", "start": ""} if step == "train" else {"source": ""}
    names = dict(zip(given, inputs, strict=False))
    folder, measured = output.with_suffix(""), []
    if step in ("latents", "generate"):  # what is there is taken over
        paths = [folder / f"{name}.txt" for name in "ab"]
        for path in paths:
            if not path.is_file():
                write_text(path, content(path.stem, sorted(read)))
    elif step == "train":
        save = folder.parent / "progress" / f"{output.stem}.txt"
        if not save.is_file():
            write_text(save, content(output.stem, sorted(read)))
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / "weights.txt"]
        os.link(save, paths[0])
        measured = [folder / "seconds.tsv"]
        write_text(measured[0], f"{time.time_ns()}")
    else:
        paths = [folder / "rows.txt"]
        write_text(paths[0], content(step, sorted(read)))
    manifest.write(
        output,
        root=folder,
        files=[*paths, *measured],
        measured=measured,
        inputs=names,
        settings={"step": step},
        started=started,
        keep=["start"] if "start" in names else [],
    )


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
