"""A study of two made-up models' pictures of six captions, its kits, and answers to them."""

import json
from pathlib import Path

import numpy as np

import rating_kit
import tiny_dataset
from diffusion4k import images, manifest

MODELS, PROMPTS, FOLDER = ("alpha_wlf", "alpha_base"), 6, "train"


def write(root: Path) -> dict[str, Path]:
    """model => manifest of its pictures, 160 x 128 px; "dataset": of the captions."""
    (root / "data").mkdir(parents=True, exist_ok=True)
    found = {"dataset": tiny_dataset.write_dataset(root, PROMPTS)}
    for number, model in enumerate(MODELS):
        folder = root / model
        for i in range(PROMPTS):
            pixels = tiny_dataset.photograph(100 * number + i, 160, 128)
            images.save_jpeg(folder / f"p{i}.jpg", np.ascontiguousarray(pixels))
        found[model] = tiny_dataset.source(root, model, notes=[f"made up: {model}"])
    return found


def kit(root: Path, purpose: str, *more: object, prompts: int = 5) -> manifest.Manifest:
    """A kit of `purpose` (pairs, ratings) below `root`, where `write` was."""
    of = {name: root / f"{name}.json" for name in (*MODELS, "data")}
    groups = [",".join(MODELS)] if purpose == "pairs" else MODELS
    flags = [purpose, "--images", *(f"{m}={of[m]}" for m in MODELS), "--groups", *groups]
    flags += ["--dataset", of["data"], "--folder", FOLDER, "--prompts", prompts, *more]
    return tiny_dataset.run(rating_kit, *flags, "--output", root / f"kit-{purpose}.json")


def key(made: manifest.Manifest) -> dict:
    """The key of a kit."""
    return json.loads((made.path.parent / f"{made.path.stem}-key.json").read_text("utf-8"))


def page(made: manifest.Manifest, purpose: str) -> Path:
    """The page of a kit."""
    return made.path.with_suffix("") / f"{purpose}.html"


def answered(made: manifest.Manifest, rater: str, better: str) -> dict:
    """What the kit of pairs saves for a rater who always takes the model `better`."""
    of, answers = key(made), []
    for item, entry in of["items"].items():
        for question in ("visual_aesthetics", "prompt_adherence", "fine_details"):
            choice = "first" if entry["b"] == better else "second"
            row = {"item": item, "first": "b", "second": "a", "question": question}
            answers.append(row | {"choice": choice})
    return {"kit": of["kit"], "purpose": "pairs", "rater": rater, "answers": answers}
