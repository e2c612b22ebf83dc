"""`make demo-sc` and what it must show: ten minutes on two cores, by `pytest -m sc`."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from conftest import copy_workflow
from diffusion4k.images import center_crop, load_rgb, to_float
from diffusion4k.train.autoencoder import TERMS
from diffusion4k.vae import reconstruct, scale_consistency

pytestmark = pytest.mark.sc
STEPS = 400


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The run's folder."""
    workflow = copy_workflow(tmp_path_factory.mktemp("sc"))
    command = [sys.executable, "scripts/demo.py", "--config", "config/miniature-sc.yaml"]
    done = subprocess.run(command, cwd=workflow.folder, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-20000:]
    return workflow.folder / "results" / "miniature-sc"


@pytest.mark.parametrize("error", ["nmse", "lpips"])
@pytest.mark.parametrize(("split", "photographs"), [("_eval", 6), ("_unseen", 7)])
def test_training_lowers_the_error_of_f16_by_a_fifth(run, error, split, photographs):
    """On other crops of photographs that it saw, and on photographs that no training saw.

    Decoded exactly the untrained one no longer moves pictures by a pixel; against it, too, by more
    than rounding.
    """

    def of(vae: str) -> float:
        path = run / "vae" / vae / "reconstruction.json"
        found = json.loads(path.read_text(encoding="utf-8"))["results"]
        assert found[error]["n"] == photographs
        return found[error]["value"]

    trained = "flux_vae_sc" + split.removesuffix("_eval")
    assert of(f"flux_f8{split}") < of(trained) < 0.8 * of(f"flux{split}")
    exactly = {"nmse": 0.99, "lpips": 0.95}[error]
    assert of(trained) < exactly * of(f"flux_exact{split}") < of(f"flux{split}")


@pytest.mark.parametrize(("folder", "count", "most"), [("seen", 72, 0.8), ("unseen", 7, 0.9)])
def test_scale_consistency_falls_on_every_photograph(run, folder, count, most):
    """Seen in training or not; `most`: what is left of it on average."""

    def load(root: Path, factor: int):
        forms = {"encoder": "stride", "decoder": "published", "tiling": False}
        where = {"dtype": torch.float32, "device": torch.device("cpu")}
        return reconstruct.load(root, factor=factor, **forms, **where)

    @torch.no_grad()
    def last_map(vae, pixels: torch.Tensor) -> torch.Tensor:
        latents = vae.encode(pixels).latent_dist.mean
        return scale_consistency.decode(vae, latents)[1]

    pipeline = run / "sources" / "flux"
    trained = run / "vae" / "flux_vae_sc" / "train" / f"step-{STEPS:06d}"
    teacher, *students = load(pipeline, 8), load(pipeline, 16), load(trained, 16)
    ratios = []
    for file in sorted((run / "sources" / "photographs" / folder).glob("*.png")):
        image = center_crop(load_rgb(file, exif_transpose=False), 256)
        pixels = torch.from_numpy(to_float(image))[None]
        target = last_map(teacher, pixels)
        before, after = (
            scale_consistency.consistency(last_map(student, pixels), target).item()
            for student in students
        )
        ratios.append(after / before)
    assert len(ratios) == count and max(ratios) < 1
    assert sum(ratios) / count < most


def test_every_term_of_the_loss_is_kept_of_every_step(run):
    (path,) = run.glob(f"vae/flux_vae_sc/train/step-{STEPS:06d}/loss.parquet")
    losses = pd.read_parquet(path)
    assert len(losses) == STEPS and set(TERMS) < set(losses.columns)


def test_models_take_it_and_share_their_fine_tuning(run):
    (path,) = run.glob("tables/table_scgeneration.json")
    table = json.loads(path.read_text(encoding="utf-8"))["results"]
    assert [row["key"] for row in table["rows"]] == [
        "flux_f16", "flux_f16_sc", "flux_f16_wlf", "flux_f16_sc_wlf",
    ]  # fmt: skip
    assert {path.parent.name for path in run.glob("train/*/step-*.json")} == {"flux_f16_wlf"}
