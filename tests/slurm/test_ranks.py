"""Several processes in a job: DDP and ZeRO-2 on one node, and two nodes; the weights are the same.

On CPUs: the GPUs are fake, so torch finds none and the processes talk by gloo.
"""

import json

import pytest
from safetensors.numpy import load_file

from slurm_fixtures import MODEL, Arena, checkout

TARGET = f"{MODEL}/step-000040.json"
WAYS = {
    "ddp": {"gpus": 2, "nodes": 1},
    "zero": {"gpus": 2, "nodes": 1},
    "nodes": {"gpus": 2, "nodes": 2},
}


@pytest.fixture(scope="module")
def arenas(slurm, prepared, tmp_path_factory):
    """The same training three ways, at the same time."""
    made = {}
    for name, how in WAYS.items():
        arena = Arena(checkout(prepared, tmp_path_factory.mktemp(name)), slurm)
        arena.configure(backbones={"sd3": {"train": how | {"micro_batch": 4}}})
        # a failure must not be tried again and again
        arena.configure(train={"slots": 1, "zero_stage": 2 if name == "zero" else 0})
        arena.start(TARGET)
        made[name] = arena
    yield made
    for arena in made.values():
        arena.runs[-1].process.kill()


def weights(arena: Arena) -> dict:
    return load_file(arena.folder / TARGET.removesuffix(".json") / "transformer"
                     / "diffusion_pytorch_model.safetensors")  # fmt: skip


@pytest.mark.parametrize("name", WAYS)
def test_two_processes_train_as_one_job(arenas, name):
    arena = arenas[name]
    assert arena.runs[-1].wait() == 0, arena.runs[-1].text
    assert len(arena.submitted("train_kept")) == 1
    made = json.loads((arena.folder / TARGET).read_text(encoding="utf-8"))
    assert made["settings"]["processes"] == 2 and made["device"] == "2 x cpu"


def test_what_sbatch_was_asked(arenas):
    (one,) = arenas["ddp"].submitted("train_kept")
    assert "--nodes=1" in one and "--gpus=a100:2" in one and "--ntasks" not in one
    (two,) = arenas["nodes"].submitted("train_kept")
    assert "--nodes=2" in two and "--ntasks=2" in two and "--gres=gpu:a100:1" in two
    assert "--gpus" not in two and "per-gpu" not in two


def test_the_weights_do_not_depend_on_where_the_processes_run(arenas):
    ddp, zero, nodes = (weights(arenas[name]) for name in ("ddp", "zero", "nodes"))
    assert ddp.keys() == zero.keys() == nodes.keys()
    assert all((nodes[key] == ddp[key]).all() for key in ddp)
    # DeepSpeed clips gradients with its own arithmetic: the last bits differ
    assert all(abs(zero[key] - ddp[key]).max() < 1e-5 for key in ddp)


def test_a_launch_that_gives_fewer_processes_is_refused(slurm, prepared, tmp_path):
    """As a site's own launcher might: the trainer counts what started before it trains."""
    arena = Arena(checkout(prepared, tmp_path / "fewer"), slurm)
    arena.configure(backbones={"sd3": {"train": {"gpus": 2, "micro_batch": 4}}}, train={"slots": 1})
    path = arena.folder / "scripts/diffusion4k/dag/resources.py"
    text = path.read_text(encoding="utf-8")
    assert "--nproc-per-node {gpus}" in text
    path.write_text(text.replace("--nproc-per-node {gpus}", "--nproc-per-node 1", 1))
    run = arena.start(TARGET)
    assert run.wait() != 0
    assert "--processes 2, but 1 started" in run.text
