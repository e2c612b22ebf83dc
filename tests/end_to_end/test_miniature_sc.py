"""`make demo-sc` and what it must show: six minutes on two cores, by `pytest -m sc`."""

import json
import subprocess
import sys

import pandas as pd
import pytest

from conftest import copy_workflow

pytestmark = pytest.mark.sc
STEPS = 680


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The run's folder."""
    workflow = copy_workflow(tmp_path_factory.mktemp("sc"))
    command = [sys.executable, "scripts/demo.py", "--config", "config/miniature-sc.yaml"]
    done = subprocess.run(command, cwd=workflow.folder, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-20000:]
    return workflow.folder / "results" / "miniature-sc"


@pytest.mark.parametrize("error", ["nmse", "lpips"])
def test_training_lowers_the_error_of_f16(run, error):
    """On crops of photographs that it saw others of by a fifth, on unseen ones by an eighth."""

    def of(vae: str) -> float:
        path = run / "vae" / vae / "reconstruction.json"
        found = json.loads(path.read_text(encoding="utf-8"))["results"]
        assert found[error]["n"] == (7 if vae.endswith("unseen") else 6)
        return found[error]["value"]

    assert of("flux_f8_eval") < of("flux_vae_sc") < 0.8 * of("flux_eval")
    assert of("flux_f8_unseen") < of("flux_vae_sc_unseen") < 0.875 * of("flux_unseen")


def test_scale_consistency_falls(run):
    (path,) = run.glob(f"vae/flux_vae_sc/train/step-{STEPS:06d}/loss.parquet")
    losses = pd.read_parquet(path)["loss_scale_consistency"]
    assert len(losses) == STEPS
    assert losses[-STEPS // 3 :].mean() < 0.8 * losses[: STEPS // 10].mean()


def test_models_take_it_and_share_their_fine_tuning(run):
    (path,) = run.glob("tables/table_scgeneration.json")
    table = json.loads(path.read_text(encoding="utf-8"))["results"]
    assert [row["key"] for row in table["rows"]] == [
        "flux_f16", "flux_f16_sc", "flux_f16_wlf", "flux_f16_sc_wlf",
    ]  # fmt: skip
    assert {path.parent.name for path in run.glob("train/*/step-*.json")} == {"flux_f16_wlf"}
