"""The pictures of a figure: those of a benchmark, byte for byte, in every variation."""

import json

import pytest
from PIL import Image

import draw as script
import generate
import prompts
from diffusion4k import manifest
from diffusion4k.errors import UserError
from diffusion4k.generate import sampler
from tiny_generation import make_sources

OWN = {"steps": 2, "t5_tokens": 8}


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return make_sources(tmp_path_factory.mktemp("sources"))


def draw(sources, folder, *more, rows=("sd3",), dataset=None, shard=0, shards=1):
    output = folder / f"shard-{shard}-of-{shards}.json"
    of = {name: {"model": str(sources / f"{name}.json")} | OWN for name in rows}
    words = ["--rows", json.dumps(of), "--dataset", dataset or sources / "data.json"]
    words += ["--folder", "." if dataset else "eval", "--device", "cpu"]
    words += [*more, "--shard", shard, "--shards", shards, "--output", output]
    script.run(script.parser().parse_args([str(word) for word in words]))
    return manifest.read(output)


def by_name(made):
    return {one["file"]: (made.root / one["file"]).read_bytes() for one in made.results["pictures"]}


@pytest.mark.parametrize("policy", ["published", "per_prompt"])
def test_pictures_are_the_benchmarks_byte_for_byte(sources, tmp_path, policy):
    how = ["--seed-policy", policy]
    words = ["--model", sources / "flux.json", "--dataset", sources / "data.json", *how]
    words += ["--folder", "eval", "--height", 32, "--width", 64, "--steps", 2, "--t5-tokens", 8]
    words += ["--device", "cpu", "--guidance", 2, "--seed", 5, "--output", tmp_path / "all.json"]
    generate.run(generate.parser().parse_args([str(word) for word in words]))
    size = ["--sizes", "32x64", "--guidance", 2, "--seeds", 5, *how]
    made = draw(sources, tmp_path / "figure", "--count", 2, *size, rows=["sd3", "flux"])
    flux = [one for one in made.results["pictures"] if one["row"] == "flux"]
    assert [one["id"] for one in flux] == ["photo_0", "photo_1"]
    for one in flux:
        of_benchmark = (tmp_path / "images" / f"{one['id']}.jpg").read_bytes()
        assert (made.root / one["file"]).read_bytes() == of_benchmark
    assert len(made.files) == 4 and made.notes == ["random weights (test)"]
    made.sound()


def test_every_variation_is_drawn_once_whatever_the_shards(sources, tmp_path):
    varied = ["--count", 1, "--sizes", "32x64", "64x32", "--guidance", 1, 3, "--seeds", 0, 1]
    whole = draw(sources, tmp_path / "whole", *varied)
    records = whole.results["pictures"]
    assert [(r["height"], r["guidance"], r["seed"]) for r in records] == [
        (height, guidance, seed) for height in (32, 64) for guidance in (1, 3) for seed in (0, 1)
    ]
    assert {one["prompt"] for one in records} == {"photograph number 0"}
    with Image.open(whole.root / records[0]["file"]) as first:
        assert first.size == (64, 32)
    assert len(set(by_name(whole).values())) == 8
    parts = [draw(sources, tmp_path / "parts", *varied, shard=i, shards=3) for i in range(3)]
    assert [len(part.files) for part in parts] == [2, 3, 3]
    assert {k: v for part in parts for k, v in by_name(part).items()} == by_name(whole)


def test_a_stopped_run_goes_on_and_a_changed_prompt_is_drawn_anew(sources, tmp_path, monkeypatch):
    said = tmp_path / "mine.txt"
    said.write_text("a fox\na heron\n", encoding="utf-8")

    def listed():
        output = tmp_path / "mine.json"
        prompts.run(prompts.parser().parse_args(["--file", str(said), "--output", str(output)]))
        return output

    drawn, sample = [], sampler.sample
    monkeypatch.setattr(sampler, "sample", lambda *a, **k: drawn.append(a[2]) or sample(*a, **k))
    size = ["--sizes", "32x32", "64x32", "--in-turn"]
    first = draw(sources, tmp_path / "figure", *size, dataset=listed())
    assert [(r["prompt"], r["height"]) for r in first.results["pictures"]] == [
        ("a fox", 32),
        ("a heron", 64),
    ]
    first.path.unlink()
    (first.root / first.results["pictures"][1]["file"]).unlink()
    assert by_name(draw(sources, tmp_path / "figure", *size, dataset=listed()))
    said.write_text("a fox\na grey heron\n", encoding="utf-8")
    draw(sources, tmp_path / "figure", *size, dataset=listed())
    assert drawn == ["a fox", "a heron", "a heron", "a grey heron"]


def test_what_cannot_be_drawn_is_said_before_a_pipeline_is_loaded(sources, tmp_path):
    with pytest.raises(UserError, match="--height 40: must be a multiple of 32"):
        draw(sources, tmp_path, "--sizes", "40x32")
    for wrong in ({"sd3": {}}, {"sd3": {"model": "x", "step": 3}}):
        words = ["--rows", json.dumps(wrong), "--dataset", "x", "--sizes", "32x32"]
        with pytest.raises(UserError, match="--rows, sd3: a model, and of"):
            script.run(script.parser().parse_args([*words, "--output", str(tmp_path / "o.json")]))
    with pytest.raises(SystemExit):
        script.parser().parse_args(["--rows", "{}", "--sizes", "32"])
