"""The miniature as the paper computes, run once: bf16, ZeRO-2 with offload, guidance, online."""

import json
import math
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from absent import absent
from conftest import copy_workflow
from two_ranks import ENVIRONMENT

pytestmark = pytest.mark.e2e
MODELS = ("sd3_f16_wlf", "flux_f16_wlf")
MODE = {
    "precision": "bfloat16",
    "zero_stage": 2,
    "offload_optimizer": True,
    "gradient_checkpointing": True,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The run's folder."""
    if not shutil.which("g++"):
        text = "DeepSpeed builds its CPU Adam with g++"
        absent(text)
    workflow = copy_workflow(tmp_path_factory.mktemp("paper-mode"))
    command = [sys.executable, "scripts/demo.py", "--config", "config/miniature-bf16.yaml"]
    # DeepSpeed's CPU Adam lies where the tests of training build it, with ninja from the PATH
    place = {name: ENVIRONMENT[name] for name in ("TORCH_EXTENSIONS_DIR", "PATH")}
    done = subprocess.run(
        command, cwd=workflow.folder, env=os.environ | place, capture_output=True, text=True
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-20000:]
    return workflow.folder / "results" / "miniature-bf16"


def read(path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("model", MODELS)
def test_it_trains_in_the_papers_mode_and_goes_on_from_a_segment(run, model):
    made = read(run / "train" / model / "step-000004.json")
    assert {key: made["settings"][key] for key in MODE} == MODE
    assert made["settings"]["global_batch"] == 2 * made["settings"]["micro_batch"]
    assert made["inputs"]["start"].endswith("step-000002.json")
    assert made["results"]["step"] == 4 and math.isfinite(made["results"]["loss"])


@pytest.mark.parametrize("model", MODELS)
def test_its_weights_moved_in_bf16_steps_of_fp32_masters(run, model):
    name = model.split("_")[0]
    file = "transformer/diffusion_pytorch_model.safetensors"
    before = load_file(run / "sources" / name / file)
    after = load_file(run / "train" / model / "step-000004" / file)
    assert before.keys() == after.keys()
    assert {tensor.dtype for tensor in after.values()} == {torch.bfloat16}
    moved = [not torch.equal(after[key], before[key].bfloat16()) for key in before]
    assert sum(moved) > len(moved) / 2


def test_pictures_are_guided_and_of_the_published_decoder(run):
    pictures = {}
    for model in (*MODELS, "sd3_f16"):
        folder = run / "generate" / model / "eval_4096"
        settings = read(folder / "shard-0-of-1.json")["settings"]
        assert settings["guidance"] == 7.0 and settings["dtype"] == "bfloat16"
        assert (settings["encoder"], settings["decoder"]) == ("stride", "published")
        paths = sorted((folder / "images").iterdir())
        pictures[model] = [np.asarray(Image.open(path)).astype(int) for path in paths]
        assert {picture.shape for picture in pictures[model]} == {(128, 128, 3)}
        assert len(pictures[model]) == 6 and all(p.std() > 1 for p in pictures[model])
    pairs = zip(pictures["sd3_f16"], pictures["sd3_f16_wlf"], strict=True)
    assert all(abs(a - b).mean() > 1 for a, b in pairs), "training changed no picture"


def test_its_latents_are_encoded_in_training(run):
    for name in ("sd3", "flux"):
        made = read(run / "latents" / name / "shard-0-of-1.json")
        assert (made["settings"]["mode"], made["settings"]["dtype"]) == ("online", "bfloat16")


def test_it_makes_its_targets_and_no_others(run):
    made = {path.stem for part in ("tables", "figures") for path in (run / part).glob("*.json")}
    assert made == {"table_8", "table_10", "figure_s1"}
    assert (run / "report.html").is_file()
