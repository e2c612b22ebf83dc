"""A gallery of two models' pictures of three prompts, and of one figure's, with made-up scores."""

import json
import time
from pathlib import Path

from PIL import Image

import gallery as script
from diffusion4k import manifest
from diffusion4k.metrics import scores

ROOT = Path(__file__).resolve().parents[2]
PROMPTS = {"apple": "a red apple", "boat": 'a "boat" at <sea>', "cat": "a cat"}
# GLCM Score by prompt: B's order is another than the prompts' and than A's
GLCM = {"a": {"apple": 0.3, "boat": 0.2, "cat": 0.1}, "b": {"apple": 0.5, "boat": 0.9, "cat": 0.1}}
COLOURS = {"a": "navy", "b": "olive", "photograph": "tomato"}
SIDE = 800  # px, larger than the thumbnails and than the window of the tests


def made(path: Path, files=(), root=None, **record) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    empty = {"inputs": {}, "settings": {}} | record
    manifest.write(path, root=root or path.parent, files=files, started=time.time(), **empty)
    return path


def picture(path: Path, colour: str, side: int = SIDE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), colour).save(path)
    return path


def write(run: Path, notes=()) -> Path:
    """The folder `run` with all that a gallery reads, and the gallery; returns its page."""
    source = run / "sources/photographs"
    lines = [{"file_name": f"{id}.jpg", "text": text} for id, text in PROMPTS.items()]
    files = [picture(source / f"eval/{id}.jpg", COLOURS["photograph"], 900) for id in PROMPTS]
    files.append(source / "eval/metadata.jsonl")
    files[-1].write_text("\n".join(map(json.dumps, lines)))
    dataset = made(run / "sources/photographs.json", files, source)
    images, scored = [], []
    for model, colour in (("a", COLOURS["a"]), ("b", COLOURS["b"])):
        folder = run / f"generate/{model}/eval"
        files = [picture(folder / f"images/{id}.jpg", colour) for id in PROMPTS]
        settings = {"height": SIDE, "width": SIDE, "seed": 7, "guidance": 3.5, "steps": 20}
        shard = made(folder / "shard-0-of-1.json", files, settings=settings, notes=notes)
        images.append(f"{model}:eval={shard}")
        rows = [
            scores.Texture(id, SIDE, SIDE, 1000 * SIDE, glcm, glcm + 1)
            for id, glcm in GLCM[model].items()
        ]
        own = run / f"metrics/{model}/eval"
        own.mkdir(parents=True)
        scores.write_rows(own / "texture-0-of-1.parquet", scores.Texture, rows)
        part = made(own / "texture-0-of-1.json", [own / "texture-0-of-1.parquet"])
        aggregate = made(own / "texture.json", inputs={"scores-0": part})
        scored.append(f"{model}:eval:texture={aggregate}")
    sets = {"eval": {"title": "Eval", "dataset": str(dataset), "folder": "eval", "size": SIDE}}
    spec = {
        "run": "tiny",
        "sets": sets,
        "labels": {"a:eval": "A@800", "b:eval": "B@800"},
        "prompts": 0,
    }
    words = ["--spec", json.dumps(spec), "--images", *images, "--scores", *scored]
    words += ["--figures", str(figure(run)), "--template", str(ROOT / "report/gallery.html")]
    output = run / "report/gallery.json"
    script.run(script.parser().parse_args([*words, "--output", str(output)]))
    return output.with_suffix(".html")


def figure(run: Path) -> Path:
    """A figure with one prompt in two shapes, and a photograph that nobody drew."""
    folder = run / "pictures/figure_5"
    files = [picture(folder / f"a/{n}.jpg", COLOURS["a"], 300) for n in range(2)]
    shard = made(folder / "shard-0-of-1.json", files)
    drawn = [
        {"row": "a", "label": "A", "id": "word", "prompt": "a word", "seed": n, "height": 300,
         "width": 300, "guidance": 2.0, "steps": 4, "file": str(file)}
        for n, file in enumerate(files)
    ]  # fmt: skip
    drawn.append(drawn[0] | {"steps": None, "file": "a photograph of a data set"})
    results = {"title": "Figure 5: words", "pictures": drawn}
    return made(run / "figures/figure_5.json", inputs={"a:0": shard}, results=results)
