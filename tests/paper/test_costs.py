"""What a run took: read from manifests, with the arithmetic of the cost model."""

import json
import time

import pytest

from configs import resolve
from diffusion4k import manifest
from diffusion4k.errors import UserError
from diffusion4k.estimate import cost
from diffusion4k.paper.report import costs, units
from diffusion4k.run import report


def made(path, seconds, device="cpu", **record):
    path.parent.mkdir(parents=True, exist_ok=True)
    empty = {"inputs": {}, "settings": {}, "device": device} | record
    started = time.time() - seconds
    manifest.write(path, root=path.parent, files=[], started=started, **empty)
    return manifest.read(path)


@pytest.fixture
def run(tmp_path):
    return tmp_path / "results" / "paper"


def test_gpus_count_and_time_is_what_all_segments_took(run):
    config = resolve()
    trained = {"step": config["train"]["steps"], "seconds_training": 7200.0}
    step = run / f"train/sd3_f16_wlf/step-{config['train']['steps']:06d}.json"
    last = made(step, 100, "2 x NVIDIA H100 80GB HBM3", results=trained)
    known = json.loads(report.arithmetic(config))
    (work,) = costs.stages({step: last}, known)
    assert (work.jobs, work.seconds, work.gpus, work.gpu_hours) == (1, 7200, 2, 4)
    assert work.flops == cost.of(config, ("train", "sd3_f16_wlf")).flops
    line = work.line(price=2.5)
    assert line["cost"] == "10.00" and not work.line(0)["cost"]
    assert line["gpu_hours"] == "4.00"
    assert line["share"] == f"{work.flops / 7200 / 2 / 989e12:.0%}"


def test_a_vaes_training_is_a_line_of_its_own_with_its_arithmetic(run):
    """Half of it is done; what is reconstructed by it, and which images it saw, is other work."""
    config = resolve(vaes={"mine": {"backbone": "flux", "recipe": "sc", "label": "mine"}})
    step = config["vae_training"]["steps"] // 2
    ends = {"step": step, "seconds_training": 7200.0}
    paths = [run / f"vae/mine/train/step-{step:06d}.json", run / "vae/images.json"]
    paths += [run / "vae/mine/reconstruction-0-of-1.json"]
    device = "4 x NVIDIA H100 80GB HBM3"
    chain = {paths[0]: made(paths[0], 100, device, results=ends)}
    chain |= {path: made(path, 50, device) for path in paths[1:]}
    stages = costs.stages(chain, json.loads(report.arithmetic(config)))
    shown = [(stage.stage, stage.name, stage.jobs) for stage in stages]
    assert shown == [("train_vae", "mine", 1), ("vae", "", 1), ("vae", "mine", 1)]
    assert (stages[0].seconds, stages[0].gpu_hours) == (7200, 8)
    assert stages[0].flops == pytest.approx(cost.of(config, ("train_vae", "mine")).flops / 2)
    assert costs.total(stages).seconds == pytest.approx(7300, abs=2)


def test_shards_are_added_up_and_scores_have_no_arithmetic(run):
    config = resolve()
    shards = [run / f"generate/flux_f16/eval_4096/shard-{n}-of-5.json" for n in range(2)]
    chain = {path: made(path, 50) for path in shards}
    score = run / "metrics/flux_f16/eval_4096/texture-0-of-5.json"
    chain[score] = made(score, 10)
    drawn, scored = costs.stages(chain, json.loads(report.arithmetic(config)))
    assert (drawn.stage, drawn.name, drawn.jobs) == ("generate", "flux_f16/eval_4096", 2)
    assert drawn.seconds == pytest.approx(100, abs=1)
    every = cost.of(config, ("generate", "flux_f16", "eval_4096")).flops
    assert drawn.flops == pytest.approx(every * 2 / 5)
    assert (scored.flops, scored.line(2)["rate"], scored.line(2)["gpu_hours"]) == (0, "", "")
    assert drawn.line(2)["share"] == ""  # nobody says what a CPU's peak is
    assert costs.total([drawn, scored]).jobs == 3


@pytest.mark.parametrize(
    ("device", "tera"),
    [
        ("NVIDIA H200", 989),
        ("8 x NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("2 x NVIDIA A800-SXM4-80GB", 312),
        ("NVIDIA A100-PCIE-40GB", 312),
        ("NVIDIA GeForce RTX 4090", 165.2),
        # slower boards of the same names
        ("NVIDIA GeForce RTX 4090 D", None),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("NVIDIA H100 PCIe", None),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None),
        ("AMD EPYC CPU", None),
    ],
)
def test_a_boards_peak_is_found_by_the_name_that_torch_gives_it(device, tera):
    assert costs.peak_of(device) == (tera and pytest.approx(tera * 1e12))
    work = costs.StageCost("generate", "x", device, seconds=1, gpus=1, flops=1e14)
    assert work.line(0)["share"] == (f"{100 / tera:.0%}" if tera else "")


def test_what_answers_were_paid_is_part_of_the_cost(run):
    judged = made(run / "people/judge.json", 1, results={"cost": 3.25})
    other = made(run / "metrics/sd3_f16/eval_4096/fid.json", 1, results={"cost": 99.0})
    stages = costs.stages({judged.path: judged, other.path: other}, {})
    assert [stage.line(2)["cost"] for stage in stages] == ["", "3.25"]
    assert costs.total(stages).line(2)["cost"] == "3.25"


def test_everything_behind_is_read_once_and_what_is_gone_passed_over(run):
    source = made(run / "sources/sd3.json", 1)
    gone = {"model": source.path, "start": run / "gone.json"}
    part = made(run / "generate/sd3_f16/eval_4096/shard-0-of-5.json", 1, inputs=gone)
    table = made(run / "tables/table_3.json", 1, inputs={"a": part.path, "b": source.path})
    assert set(costs.behind([table])) == {source.path, part.path, table.path}


def test_answers_of_raters_are_no_manifests_and_stay(run, tmp_path):
    answers = tmp_path / "answers/pairs-ann.json"
    answers.parent.mkdir()
    answers.write_text('{"rater": "ann", "answers": []}', encoding="utf-8")
    votes = made(run / "people/votes.json", 1, inputs={"answers-0": answers})
    figure = made(run / "figures/figure_6.json", 1, inputs={"votes": votes.path})
    assert set(costs.behind([figure])) == {votes.path, figure.path}
    votes.path.write_text('{"root": ', encoding="utf-8")  # what lies in a run is one
    with pytest.raises(UserError, match="votes.json: not a manifest"):
        costs.behind([figure])


def test_numbers_have_the_prefix_that_fits():
    shown = [units.scaled(value, "FLOP") for value in (12, 999.6, 2.44e12, 3.9e21, 5e22)]
    assert shown == ["12 FLOP", "1 kFLOP", "2.44 TFLOP", "3.9 ZFLOP", "50 ZFLOP"]
    assert [units.duration(s) for s in (0.42, 12.3, 200, 18600)] == [
        *("0.4 s", "12 s", "3 min 20 s", "5 h 10 min")
    ]
    assert [units.size(n) for n in (12, 3_714_759, 44e9)] == ["12 B", "3.71 MB", "44 GB"]
