"""Whether trainings fit the jobs that they are given, without asking a cluster."""

import json
import re
from pathlib import Path

from configs import load, merge
from conftest import ROOT
from diffusion4k.cluster import doctor, trainings
from diffusion4k.config import resolve as config

SITE = {
    "gpu_request": "gpu", "gpu_model": "a100", "gpu_partition": "gpu", "cpu_partition": "cpu",
    "max_mem_mb": 600_000,
}  # fmt: skip


def configuration(**changes) -> dict:
    raw = load("config.yaml")
    merge(raw, {"site": SITE})
    merge(raw, changes)
    return config.resolve(raw)


def slots(benchmarks: Path = ROOT / "benchmarks/results", **changes) -> dict[str, doctor.Finding]:
    found = trainings.slots(configuration(**changes), benchmarks)
    return {finding.what: finding for finding in found}


def test_segments_that_do_not_fit_their_slots():
    """Estimated: a Flux step takes 37.9 s, 32 images of 4 x 402.3 TFLOP on 8 GPUs."""
    assert slots()["slots"].ok
    (short,) = slots(site={"max_runtime": 240}).values()
    assert str(short).startswith("FIX  slots of flux_f16_wlf: estimated: at 37.9 s a step (170 ")
    assert "12 jobs of 220 minutes are 4,183 of a segment's 5,000 steps" in short.detail
    ways = "train.segment: 4183 or less, train.slots: 15, or site.max_runtime: 283"
    assert short.detail.endswith(f"; set {ways}")
    for change in ({"train": {"segment": 4000}}, {"train": {"slots": 15}}):
        assert slots(site={"max_runtime": 240}, **change)["slots"].ok
    assert slots(site={"max_runtime": 283})["slots"].ok
    (short,) = slots(resources={"train": {"runtime": 240}}).values()
    assert "or resources.train.runtime: 283" in short.detail
    own = {"flux": {"train": {"resources": {"runtime": 240}}}}
    (short,) = slots(backbones=own).values()
    assert "or backbones.flux.train.resources.runtime: 283" in short.detail


def test_segments_of_a_vaes_training_that_do_not_fit_theirs():
    v2 = {"vaes": {"mine": {"backbone": "flux", "recipe": "sc", "label": "mine"}}}
    assert slots(**v2)["slots"].ok and "vae mine 5,000 steps of" in slots(**v2)["slots"].detail
    tight = {"resources": {"train_vae": {"runtime": 30}}, "train": {"slots": 4}}
    (short,) = slots(**v2, **tight).values()
    assert str(short).startswith("FIX  slots of vae mine: estimated: at ")
    assert "TFLOP/s a GPU, plan.vae_tflops)" in short.detail
    segment, count, minutes = re.search(
        r"vae_training\.segment: (\d+) or less, train\.slots: (\d+), or "
        r"resources\.train_vae\.runtime: (\d+)$",
        short.detail,
    ).groups()
    for change in (
        tight | {"vae_training": {"segment": int(segment)}},
        tight | {"train": {"slots": int(count)}},
        tight | {"resources": {"train_vae": {"runtime": int(minutes)}}},
    ):
        assert slots(**v2, **change)["slots"].ok
    assert not [*trainings.memory(configuration(**v2))]
    (short,) = trainings.memory(configuration(**v2, resources={"train_vae": {"mem_mb": 1000}}))
    assert "memory of vae mine" in str(short) and "raise resources.train_vae.mem_mb" in str(short)


def test_an_offloaded_optimizer_that_does_not_fit_what_is_asked_for():
    """Flux: 11.9 billion weights of 16 bytes, on two GPUs of 60 GB of the node's memory each."""
    assert not [*trainings.memory(configuration())]
    two = {"gpus": 2}
    (short,) = trainings.memory(configuration(backbones={"flux": {"train": two}}))
    assert str(short).startswith(
        "FIX  memory of flux_f16_wlf: asks for 120 GB a node, weights and optimizer take 190 GB "
    )
    assert "raise backbones.flux.train.resources.mem_mb" in short.detail
    two["resources"] = {"mem_mb": 120000}
    assert not [*trainings.memory(configuration(backbones={"flux": {"train": two}}))]
    # on the GPUs: a resumed rank reads its share of masters and moments, 12 bytes a weight, first
    two |= {"offload_optimizer": False, "resources": {"mem_mb": 60000}}
    (short,) = trainings.memory(configuration(backbones={"flux": {"train": two}}))
    assert "asks for 120 GB a node, weights and optimizer take 143 GB there" in short.detail
    two["resources"] = {"mem_mb": 72000}
    assert not [*trainings.memory(configuration(backbones={"flux": {"train": two}}))]


def test_weights_that_do_not_fit_what_is_asked_for():
    """Flux in full on one GPU: 11.9 billion weights of 4 bytes, and of 2 in the file."""
    own = {"gpus": 1, "zero_stage": 0, "optimizer": "adamw_8bit", "offload_optimizer": False}
    (short,) = trainings.memory(configuration(backbones={"flux": {"train": own}}))
    assert "asks for 60 GB a node, weights and optimizer take 71 GB there" in short.detail
    own["resources"] = {"mem_mb": 96000}
    assert not [*trainings.memory(configuration(backbones={"flux": {"train": own}}))]


def test_segments_at_a_rate_that_was_measured(tmp_path):
    row = {"side": "ours", "stage": "train", "backbone": "flux", "tflops": 400.0}
    record = {"date": "2026-01-01", "device": "H200", "rows": [row]}
    (tmp_path / "h200.json").write_text(json.dumps(record), encoding="utf-8")
    short = {"site": {"max_runtime": 240}, "plan": {"device": "H200"}}
    assert slots(tmp_path, **short)["slots"].ok
    found = slots(tmp_path, **short, train={"slots": 4})["slots of flux_f16_wlf"]
    assert "(400 TFLOP/s a GPU, measured on H200)" in found.detail
