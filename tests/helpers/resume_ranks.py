"""One of several processes of a training that is killed at every step, started by test_resume.py.

    torchrun --standalone --nproc_per_node=2 tests/helpers/resume_ranks.py INPUTS FOLDER MODES

Of each mode, in FOLDER/<mode>: trains 20 steps straight, then again killed at each of the steps and
resumed each time, and killed once and resumed to the end. All of it in one pair of processes:
starting them costs more than the steps.
Each rank checks that what comes of it is the straight training, bit for bit, and prints a line. The
weights are exported in float32, which a bfloat16 training has in its optimizer only.
"""

import functools
import itertools
import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import cpuinfo
import torch
from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint

import tiny_training as training
from diffusion4k import monitor
from diffusion4k.errors import UserError
from diffusion4k.train import launch, trainer

STEPS, EVERY = 20, 3
DEATHS = (range(STEPS), (4,))  # the steps in which a training dies, after so many finished ones
MODES = {
    "ddp": {"precision": "float32", "micro_batch": 2, "gradient_checkpointing": False},
    "zero": {"precision": "bfloat16", "micro_batch": 1, "zero_stage": 2},
    # as released: DeepSpeed's CPU Adam, and recomputed activations
    "offload": {
        "precision": "bfloat16",
        "micro_batch": 1,
        "zero_stage": 2,
        "offload_optimizer": True,
        "gradient_checkpointing": True,
    },
    "vae": {"name": "vae", "micro_batch": 1},
}
MODES["time"] = MODES["ddp"]  # saves by a clock, which goes otherwise on each rank


class Killed(BaseException):
    """As SIGKILL: nothing catches it."""


def none(*_arguments, **_options) -> None:
    """Nothing."""


def clock(rank: int) -> SimpleNamespace:
    """The trainer's `time`: four minutes pass a step, on the second rank a day."""
    ticks = itertools.count(0, (240, 86400)[rank])
    return SimpleNamespace(
        time=time.time, perf_counter=time.perf_counter, monotonic=lambda: next(ticks)
    )


def run(inputs: Path, folder: Path, mode: str, stop: int | None = None) -> None:
    """Train; with `stop`, die in the step that follows `stop` finished ones, before it counts."""
    training.fresh()
    name = MODES[mode].get("name", "sd3")
    how = {"stop_step": STEPS, "save_every": EVERY, "save_dtype": "float32"}
    trainer.time = time
    if mode == "time":
        how["save_every"] = timedelta(minutes=10)
        trainer.time = clock(int(os.environ["RANK"]))
    job = training.job_for(inputs, folder, name, processes=2, **how)
    ailment = monitor.ailment

    def dying(row, past):
        if len(past) == stop:
            raise Killed
        return ailment(row, past)

    monitor.ailment = dying
    try:
        training.start(training.recipe(**MODES[mode]), job)
    finally:
        monitor.ailment = ailment


def states(folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor of the final state: weights, and with ZeRO each rank's optimizer shard."""
    found = {}
    root = folder / f"step-{STEPS:06d}" / "state"
    kinds = (".pt", ".bin", ".safetensors")
    average = root / "custom_checkpoint_0.pkl"
    for path in sorted(p for p in root.rglob("*") if p.suffix in kinds or p == average):
        if path.suffix == ".safetensors":
            content = training.load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=False)
        for name, value in leaves(content, path.name):
            found[name] = value
    return found


def leaves(node, name: str):
    if isinstance(node, torch.Tensor):
        yield name, node
    elif isinstance(node, dict | list | tuple):
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in items:
            yield from leaves(value, f"{name}/{key}")


def main() -> None:
    inputs, folder, modes = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    torch.set_num_threads(1)
    # the trainer ends its process group as it ends; here the next training goes on in it
    end, torch.distributed.destroy_process_group = torch.distributed.destroy_process_group, none
    # DeepSpeed's CPU Adam asks it each time, which takes longer than a life here
    cpuinfo.get_cpu_info = functools.cache(cpuinfo.get_cpu_info)
    for mode in modes:
        kill(inputs, folder / mode, mode)
    refused_in_8_bit(inputs, folder)
    end()


def kill(inputs: Path, folder: Path, mode: str) -> None:
    """One mode: straight, and killed."""
    run(inputs, folder / "straight", mode)
    expected = states(folder / "straight")
    assert len(expected) > 40
    check_export(folder / "straight" / f"step-{STEPS:06d}", mode)
    for deaths in DEATHS:
        killed = folder / f"killed-{len(deaths)}"
        for stop in deaths:
            try:
                run(inputs, killed, mode, stop)
            except Killed:
                pass
            else:
                raise AssertionError(f"not killed at {stop}")
        run(inputs, killed, mode)
        found = states(killed)
        assert found.keys() == expected.keys()
        different = [name for name in found if not torch.equal(found[name], expected[name])]
        assert not different, (deaths, different[:5])
        same = training.history(killed / f"step-{STEPS:06d}.json")
        assert same == training.history(folder / "straight" / f"step-{STEPS:06d}.json")
    refused_elsewhere(mode)
    print(f"{mode}: {STEPS} kills, the same state", flush=True)


def check_export(step: Path, mode: str) -> None:
    """What is exported is what the optimizer holds: as DeepSpeed itself reads it from the state."""
    if mode == "vae":  # the averaged weights
        exported = training.load_file(step / "vae" / "diffusion_pytorch_model.safetensors")
        average = torch.load(step / "state" / "custom_checkpoint_0.pkl", weights_only=False)
        trained = [name for name in exported if name.startswith("decoder")]
        shadows = {tuple(s.flatten()[:4].tolist()) for s in average["values"]}
        assert {tuple(exported[n].flatten()[:4].tolist()) for n in trained} == shadows
        return
    exported = training.load_file(step / "transformer" / "diffusion_pytorch_model.safetensors")
    if mode in ("ddp", "time"):
        expected = training.load_file(step / "state" / "model.safetensors")
    else:
        expected = get_fp32_state_dict_from_zero_checkpoint(step / "state", tag="pytorch_model")
    assert exported.keys() == expected.keys()
    for name, value in exported.items():
        assert value.dtype == torch.float32 and torch.equal(value, expected[name].float()), name
    trained = [name for name in exported if "pos_embed.pos_embed" not in name]
    assert any(not torch.equal(exported[n], exported[n].bfloat16().float()) for n in trained)


def refused_in_8_bit(inputs: Path, folder: Path) -> None:
    """Shares of weights that are longer than bitsandbytes can count, before the first step."""
    training.fresh()
    launch.LONGEST = 10_000
    settings = training.recipe(**MODES["zero"] | {"optimizer": "adamw_8bit"})
    job = training.job_for(inputs, folder / "8-bit", processes=2)
    try:
        training.start(settings, job)
    except UserError as error:
        assert "fewer than 2^31 weights" in str(error) and "each of 2 processes" in str(error)
        assert not [*job.progress_folder.glob("checkpoints-*/*")]
    else:
        raise AssertionError("a miscounted share was trained")


def refused_elsewhere(mode: str) -> None:
    """Sharded states go on with as many processes only: a wrong promise is refused in one line."""
    training.fresh()
    try:
        changes = {"micro_batch": 1} | ({"decoder_batch": 4} if mode == "vae" else {})
        changes |= {"discriminator_batch": 4} if mode == "vae" else {}
        launch.accelerator_for(training.recipe(**MODES[mode] | changes), 4)
    except UserError as error:
        assert "--processes 4, but 2 started" in str(error)
    else:
        raise AssertionError("four processes promised, two started, and nothing said")


if __name__ == "__main__":
    main()
