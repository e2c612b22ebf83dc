"""What `plan` takes a GPU to sustain, of backbones and of VAEs, by assumption or measured."""

import json

import pytest
from test_plan import resolved

from diffusion4k.estimate import cost, plan, shown


def test_each_backbone_has_its_rate():
    made = plan.Plan(resolved())
    works = {work.key: work for work in made.everything}
    for key, rate in (
        (("train", "sd3_f16_wlf"), 109),
        (("generate", "flux_f16", "eval_2048"), 170),
        (("generate", "sd3_f16", "eval_2048"), 109),
        (("efficiency", "flux_f8", "eval_4096"), 170),
    ):
        assert made.tflops(works[key]) == rate, key
    both = shown.by_row(made.config, "figure_10")
    hours = sum(count / (109 if row.startswith("sd3") else 170) for row, count in both.items())
    assert made.tflops(works["draw", "figure_10"]) == pytest.approx(sum(both.values()) / hours)
    one = plan.Plan(resolved(plan={"tflops": 400, "vae_tflops": 400}))
    assert {round(one.tflops(work), 6) for work in works.values() if work.flops} == {400}


PEAKS = {"bfloat16": 312, "tf32": 156, "float32": 19.5}  # TFLOP/s of an A100, dense


@pytest.mark.parametrize("size", [(), ("v2.yaml",)])
def test_a_vae_costs_the_same_whosever_it_is_and_no_more_than_the_gpu_can_do(size):
    made = plan.Plan(resolved(*size))
    works = [work for work in made.everything if work.precision]
    assert {work.key[0] for work in works} >= {"latents", "reconstruct", "rebuild"}
    for work in works:
        assert made.tflops(work) == pytest.approx(0.35 * PEAKS[work.precision], abs=0.5), work.key
    used = {work.key[0]: work.precision for work in works}
    assert used["latents"] == "bfloat16" and used["reconstruct"] == "tf32"
    hours = {work.key: made.gpu_hours([work]) for work in works}
    assert hours["reconstruct", "sd3"] == hours["reconstruct", "flux"] > 4
    if size:
        assert hours["train_vae", "sd3_vae_sc"] == hours["train_vae", "flux_vae_sc"] > 40


def test_a_vae_without_tf32_or_in_mixed_precision_has_its_rate():
    exact = plan.Plan(resolved(reconstruction={"tf32": False}))
    for key in (("reconstruct", "flux"), ("rebuild", "figure_4")):
        assert exact.tflops(cost.of(exact.config, key)) == 7
    mixed = plan.Plan(resolved("v2.yaml", vae_training={"precision": "bfloat16"}))
    assert mixed.tflops(cost.of(mixed.config, ("train_vae", "sd3_vae_sc"))) == 109
    one = plan.Plan(resolved(plan={"vae_tflops": 20}))
    assert one.tflops(cost.of(one.config, ("latents", "sd3"))) == 20
    rates = {("train_vae", "flux"): 80.0}
    measured = plan.Plan(resolved("v2.yaml"), rates)
    assert measured.tflops(cost.of(measured.config, ("train_vae", "sd3_vae_sc"))) == 80


def test_the_miniatures_vae_is_reckoned_at_its_own_size():
    """make demo-sc: 0.26 million weights, LPIPS an eighth as wide; minutes of a CPU."""
    made = plan.Plan(resolved("miniature.yaml", "miniature-sc.yaml"))
    work = cost.of(made.config, ("train_vae", "flux_vae_sc"))
    assert 1 < made.gpu_hours([work]) * 60 < 3
    assert work.gb < 0.05
    whole = plan.Plan(resolved("v2.yaml"))
    assert cost.of(whole.config, ("train_vae", "flux_vae_sc")).gb == pytest.approx(5.36, rel=0.01)


def test_a_trained_encoder_costs_its_backward_pass():
    own = {"mine": {"backbone": "flux", "recipe": "sc", "label": "mine"}}
    frozen, trained = (
        cost.of(resolved(vaes=own, vae_recipes={"sc": {"encoder": encoder}}), ("train_vae", "mine"))
        for encoder in ("frozen", "trained")
    )
    assert trained.flops > 1.1 * frozen.flops
    assert trained.gb > frozen.gb


def test_measured_rates_of_the_device_win(tmp_path):
    row = {"side": "ours", "stage": "train", "backbone": "flux", "tflops": 450.0}
    for name, device, quick, tflops in (
        ("old", "NVIDIA H200", False, 400.0),
        ("new", "NVIDIA H200", False, 450.0),
        ("quick", "NVIDIA H200", True, 1.0),
        ("other", "NVIDIA A100", False, 2.0),
    ):
        record = {"date": {"old": "2026-01-01"}.get(name, "2026-02-02"), "device": device}
        rows = [row | {"tflops": tflops}, row | {"side": "reference", "tflops": 3.0}]
        text = json.dumps(record | {"quick": quick, "rows": rows})
        (tmp_path / f"{name}.json").write_text(text, encoding="utf-8")
    made = plan.Plan(resolved(), plan.measured(tmp_path, "NVIDIA H200"))
    assert made.tflops(cost.train(made.config, "flux_f16_wlf")) == 450
    assert made.tflops(cost.train(made.config, "sd3_f16_wlf")) == 109
    assert plan.measured(tmp_path, None) == {}
