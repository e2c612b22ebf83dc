"""Every benchmark still runs, tiny and on the CPU; no time is asserted."""

import importlib
import json
import math
import runpy
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from accelerate.state import AcceleratorState

from diffusion4k.train.settings import Settings
from measured import REHEARSED, looked_at
from slurm_fixtures import need_slurm

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
# those that time through benchmarks/harness.py; glcm.py and texture.py have a test file each, and
# some run in the rehearsal of test_gpu_check.py
TIMED = sorted(
    path
    for path in BENCHMARKS.glob("*.py")
    if "import harness" in path.read_text("utf-8") and "def main" in path.read_text("utf-8")
    if path.stem not in REHEARSED
)


pytestmark = pytest.mark.usefixtures("fresh_accelerator")


def run(script: Path, monkeypatch, *flags) -> None:
    monkeypatch.setattr(sys, "argv", [str(script), "--quick", *map(str, flags)])
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    runpy.run_path(str(script), run_name="__main__")


@pytest.mark.parametrize("script", TIMED, ids=lambda path: path.stem)
def test_it_measures_side_by_side_and_writes_json(script, monkeypatch, tmp_path, capsys):
    if script.stem == "slurm":
        need_slurm()
    run(script, monkeypatch, "--repeats", 1, "--output", tmp_path)
    (path,) = tmp_path.glob(f"{script.stem}-*.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    looked_at(record, capsys.readouterr().out)
    if script.stem in ("generate", "train", "train_vae", "latents", "score", "vae", "slurm"):
        assert {"ours", "reference"} <= {row["side"] for row in record["rows"]}
    if script.stem == "train_vae":  # a rate of the plan
        assert all(row["stage"] == "train_vae" for row in record["rows"])


@pytest.mark.parametrize("tf32", [True, False])
def test_the_limit_is_measured_in_the_precision_of_convolutions(monkeypatch, tf32):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    harness, matmul = importlib.import_module("harness"), torch.backends.cuda.matmul
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", tf32)
    before, seen = matmul.allow_tf32, []

    def measure(*_, **__):
        seen.append(matmul.allow_tf32)
        return {"seconds": 1.0}

    monkeypatch.setattr(harness, "measure", measure)
    harness.limit(torch.device("cpu"), torch.float32, quick=True)
    assert set(seen) == {tf32} and matmul.allow_tf32 == before


def test_a_step_in_another_precision_is_no_rate_of_the_plan(monkeypatch, tmp_path):
    flags = ("--repeats", 1, "--output", tmp_path, "--dtype", "bfloat16")
    run(BENCHMARKS / "train_vae.py", monkeypatch, *flags)
    (path,) = tmp_path.glob("train_vae-*bfloat16*.json")
    assert not any("stage" in row for row in json.loads(path.read_text(encoding="utf-8"))["rows"])


def test_the_released_optimizer_in_the_cpus_memory_is_adamw_with_clipping(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    made = runpy.run_path(str(BENCHMARKS / "released_step.py"))
    how = {"learning_rate": 1e-2, "clip": 0.1, "global_batch": 1, "micro_batch": 1}
    recipe = Settings(backbone="sd3", weight_decay=0.1, **how)
    torch.manual_seed(0)
    here, there = (torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Linear(7, 3)) for _ in "12")
    there.load_state_dict(here.state_dict())
    plain = torch.optim.AdamW(here.parameters(), lr=1e-2, weight_decay=0.1)
    offloaded = made["Offloaded"](there.parameters(), recipe)
    for x in torch.randn(3, 4, 5) * torch.tensor([1.0, 9.0, 1e-3]).view(3, 1, 1):
        for model in (here, there):
            model(x).square().mean().backward()
        torch.nn.utils.clip_grad_norm_(here.parameters(), recipe.clip)
        plain.step()
        plain.zero_grad()
        offloaded.step()
        assert all(parameter.grad is None for parameter in there.parameters())
    for expected, found in zip(here.parameters(), there.parameters(), strict=True):
        torch.testing.assert_close(found, expected)
    # unfused, it took twelve times as long as DeepSpeed's
    assert offloaded.optimizer.defaults["fused"]


def test_the_gpus_idle_time_is_what_no_kernel_covers(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    uncovered = runpy.run_path(str(BENCHMARKS / "train.py"))["uncovered"]
    assert uncovered([(2, 3), (0, 4), (9, 10), (6, 8)]) == pytest.approx(0.3)
    assert uncovered([(5, 7)]) == 0


def test_the_figures_of_the_wavelet_loss(monkeypatch, capsys):
    run(BENCHMARKS / "wavelet_loss.py", monkeypatch)
    assert len(capsys.readouterr().out.splitlines()) > 3


def test_a_steps_memory_is_counted_and_autocasts_cache_would_add_to_it(monkeypatch, capsys):
    found = []
    for flags in ((), ("--cache",)):
        run(BENCHMARKS / "memory.py", monkeypatch, *flags)
        rows = [line.split("|")[1:3] for line in capsys.readouterr().out.splitlines()[2:]]
        found.append({part.strip(): float(size) for part, size in rows})
    own, cached = found
    parameters = own["weights"] / 4
    assert own["gradients"] == own["weights"]
    assert own["optimizer states"] == pytest.approx(2.03125 * parameters, abs=1e-6)
    assert own["peak"] > sum(size for part, size in own.items() if part != "peak")
    assert cached["peak"] > own["peak"]


def test_the_memory_of_a_vaes_step_grows_without_recomputation(monkeypatch, capsys):
    found = []
    for flags in ((), ("--keep",)):
        AcceleratorState._reset_state(reset_partial_state=True)
        run(BENCHMARKS / "train_vae.py", monkeypatch, "--memory", *flags)
        rows = [line.split("|")[1:3] for line in capsys.readouterr().out.splitlines()[2:]]
        found.append({part.strip(): float(size) for part, size in rows})
    own, kept = found
    other = own.pop("an image of the discriminator's")  # when the decoder's are gone
    assert own["peak"] == pytest.approx(sum(own.values()) - own["peak"], abs=2e-6)
    assert 0 < other < own["an image of a micro-batch"]
    assert kept["an image of a micro-batch"] > own["an image of a micro-batch"]


def test_the_memory_of_steps_inside_the_backward_pass_is_counted(monkeypatch, capsys):
    """No gradient outlives its step; the states are those that the step itself made."""
    run(BENCHMARKS / "memory.py", monkeypatch, "--optimizer", "adamw_8bit_bf16")
    rows = [line.split("|")[1:3] for line in capsys.readouterr().out.splitlines()[2:]]
    found = {part.strip(): float(size) for part, size in rows}
    parameters = found["weights"] / 2
    assert found["gradients"] == 0
    # of fewer than 4096 weights float32 states
    assert 2.03 * parameters < found["optimizer states"] < 2.2 * parameters
    held = found["weights"] + found["optimizer states"] + found["kept for the backward pass"]
    assert held < found["peak"] < held + found["weights"]


def test_a_gradient_that_is_read_by_anothers_layout_is_seen(monkeypatch):
    """As torch's plan of cuDNN's backward pass would read it."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    attention = runpy.run_path(str(BENCHMARKS / "attention.py"))
    inputs = [torch.randn(1, 8, 2, 16).transpose(1, 2) for _ in range(3)]
    seen, plan = torch.randn(1, 8, 2, 16).transpose(1, 2), []

    class Stale(torch.autograd.Function):
        @staticmethod
        def forward(ctx, tensor):
            return tensor.view_as(tensor)

        @staticmethod
        def backward(ctx, gradient):
            plan.append(gradient.stride())
            if gradient.stride() == plan[0]:
                return gradient
            held = torch.nn.functional.pad(gradient.transpose(1, 2).flatten(), (0, 10**4))
            return held.as_strided(gradient.shape, plan[0])

    attend = torch.nn.functional.scaled_dot_product_attention
    assert attention["two_layouts"](attend, inputs, seen)["difference"] < 1e-6
    stale = attention["two_layouts"](lambda *qkv: Stale.apply(attend(*qkv)), inputs, seen)
    assert stale["difference"] > 0.1


def test_a_side_that_does_not_work_costs_no_other(monkeypatch, tmp_path, capsys):
    """As a kernel that is not installed, or gives what is not a number."""
    flags = ("--repeats", 1, "--output", tmp_path, "--backbone", "sd3")
    with pytest.raises(SystemExit) as end:  # ours it is
        run(BENCHMARKS / "generate.py", monkeypatch, *flags, "--attention", "flash_3")
    assert end.value.code == 1
    (path,) = tmp_path.glob("generate-sd3-flash_3-*.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    assert [row["side"] for row in record["rows"]] == ["reference"]
    assert list(record["failed"]) == ["ours, step, sd3, 64 px"] and "complete" not in record
    assert "flash_3" in capsys.readouterr().out
    harness = importlib.import_module("harness")
    args = SimpleNamespace(quick=True, output=tmp_path)
    report = harness.Report("odd", args, "a card")
    report.add({"case": "a", "side": "ours", "difference": float("nan")})
    report.amend(waited=[0.5, float("inf")])
    report.add(differences={"folded": float("nan")})
    record = json.loads((tmp_path / "odd-a-card.json").read_text(encoding="utf-8"))
    assert record["rows"][0]["difference"] == "nan" and record["complete"] is False
    assert record["rows"][0]["waited"] == [0.5, "inf"] and record["differences"]["folded"] == "nan"
    with pytest.raises(SystemExit):
        harness.Report("empty", args, "a card").end()


def test_a_score_that_is_no_number_is_a_difference(monkeypatch):
    """max() of Python drops a NaN that does not come first."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    difference = runpy.run_path(str(BENCHMARKS / "score.py"))["difference"]
    assert difference([(1.0, [1.0, 2.0])], [(1.0, [1.0, 2.0])]) == 0
    assert math.isnan(difference([(1.0, [1.0, math.nan])], [(1.0, [1.0, 2.0])]))


def test_waiting_between_two_steps_is_idle_time(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    made = runpy.run_path(str(BENCHMARKS / "train.py"))
    idle, profiled = made["idle"], made["profiled"]
    for accumulate, steps in ((1, 4), (2, 2), (4, 2), (32, 2)):
        assert profiled(SimpleNamespace(accumulate=accumulate, repeats=1)) == steps
    a = torch.ones(300, 300)

    def step():
        time.sleep(0.3)
        for _ in range(10):
            a @ a

    assert idle(step, torch.device("cpu"), steps=2) > 0.5


def test_results_are_of_full_runs():
    for path in (BENCHMARKS / "results").glob("*.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        assert not record.get("quick") and record.get("complete", True), path
        assert record["device"] and record["date"], path


def test_a_deterministic_rate_is_not_the_plans_and_overwrites_no_other(monkeypatch, tmp_path):
    flags = ("--only-ours", "--repeats", 1, "--output", tmp_path, "--backbone", "sd3")
    deterministic = torch.are_deterministic_algorithms_enabled()
    try:
        for more in ((), ("--deterministic", "--accumulate", 4)):
            run(BENCHMARKS / "train.py", monkeypatch, *flags, *more)
    finally:
        torch.use_deterministic_algorithms(deterministic)
    plain, other = sorted(tmp_path.glob("*.json"), key=lambda path: "deterministic" in path.name)
    assert plain.name.startswith("train-sd3-adamw_8bit-")
    assert other.name.startswith("train-sd3-adamw_8bit-deterministic-")
    rows = [json.loads(path.read_text(encoding="utf-8"))["rows"] for path in (plain, other)]
    assert [["stage" in row for row in one] for one in rows] == [[True], [False]]
    assert ["batch 4 x 1" in one[0]["case"] for one in rows] == [False, True]
