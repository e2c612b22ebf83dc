"""scripts/efficiency.py on the CPU: the clock, the memory, and what is too large."""

import pytest
import torch

import efficiency
import tiny
from diffusion4k import manifest
from diffusion4k.errors import UserError
from diffusion4k.generate import sampler


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    root = tmp_path_factory.mktemp("sources")
    for name in ("sd3", "flux"):
        tiny.save_pipeline(name, root)
    return root


def run(sources, tmp_path, *more, model="sd3", size=64):
    output = tmp_path / "cost.json"
    flags = ["--model", sources / f"{model}.json", "--size", size, "--output", output]
    flags += ["--timed-steps", 4, "--t5-tokens", 8, "--dtype", "float32", "--device", "cpu", *more]
    efficiency.run(efficiency.parser().parse_args([*map(str, flags)]))
    return manifest.read(output)


@pytest.mark.parametrize("model", ["sd3", "flux"])
def test_seconds_of_a_step_and_memory(sources, tmp_path, model, monkeypatch):
    """Of 3 + 4 steps that take 10, 10, 10, 2, 2, 2 and 2 s by a clock of ours, 2 s each."""
    ticks = iter([10, 20, 30, 32, 34, 36, 38])
    monkeypatch.setattr(efficiency.time, "perf_counter", lambda: float(next(ticks)))
    record = run(sources, tmp_path, model=model)
    assert record.results["seconds_per_step"] == 2
    assert 0.1 < record.results["memory_gb"] < 100
    assert record.notes == ["random weights (test)", "measured on a CPU"]


def test_more_than_the_model_has_positions_for_is_a_result(sources, tmp_path):
    record = run(sources, tmp_path, "--vae-factor", 8, size=1024)
    assert record.results == {"failed": "positions for 128 px at most"}


@pytest.mark.parametrize("where", ["load", "sample"])
def test_too_little_memory_is_a_result(sources, tmp_path, monkeypatch, where):
    def full(*_arguments, **_named):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    if where == "load":
        monkeypatch.setattr(efficiency.PipelineFolder, "load", full)
    else:
        kind = "diffusers.StableDiffusion3Pipeline.__call__"
        monkeypatch.setattr(kind, full)
    record = run(sources, tmp_path)
    assert record.results == {"failed": "out of GPU memory"}


def test_offloading_without_a_gpu_is_a_result_and_another_size_an_error(sources, tmp_path):
    assert run(sources, tmp_path, "--offload").results == {"failed": "offloading needs a GPU"}
    with pytest.raises(UserError, match="multiple of"):
        run(sources, tmp_path, size=50)
    assert issubclass(sampler.TooLarge, UserError)
