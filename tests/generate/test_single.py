"""One picture from a prompt, by hand."""

import os

import pytest
from PIL import Image

import generate
from diffusion4k import manifest
from diffusion4k.generate import single
from diffusion4k.metrics import inputs
from tiny_generation import make_sources, run


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return make_sources(tmp_path_factory.mktemp("sources"))


def test_single_prompt(sources, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = ("--height", 32, "--width", 32, "--steps", 1, "--t5-tokens", 8)
    run("--model", sources / "sd3", "--prompt", "A fox, in the SNOW!", *small)
    assert capsys.readouterr().out.strip() == "a-fox-in-the-snow-seed0.jpg"
    assert Image.open("a-fox-in-the-snow-seed0.jpg").format == "JPEG"
    run("--model", sources / "flux.json", "--prompt", "a", *small, "--output", "b.png")
    assert Image.open("b.png").size == (32, 32)


def test_no_picture_is_written_over_another(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = []
    for prompt in ("A fox!", "a fox", "A fox!", "", "\N{FOX FACE}", "山の中"):
        names.append(str(single.unused_name(prompt, 0)))
        (tmp_path / names[-1]).touch()
    assert names[:3] == ["a-fox-seed0.jpg", "a-fox-seed0-2.jpg", "a-fox-seed0-3.jpg"]
    assert names[3:] == [
        "prompt-e3b0c442-seed0.jpg",
        "prompt-0a9f72e8-seed0.jpg",
        "山の中-seed0.jpg",
    ]


def test_a_picture_is_made_again_from_what_stands_beside_it(sources, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = (
        "--height",
        32,
        "--width",
        32,
        "--steps",
        2,
        "--t5-tokens",
        8,
        "--negative-prompt",
        "x",
    )
    run("--model", sources / "sd3", "--prompt", "a", *small, "--seed", 3, "--output", "b.png")
    run("--like", "b.png.json", "--output", "c.png")
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "c.png").read_bytes()
    run("--seed", 4, "--like", "b.png.json", "--steps", 1, "--output", "d.png")
    settings = [manifest.read(f"{name}.png.json").settings for name in "bcd"]
    told = [[s[k] for k in ("prompt", "steps", "seed", "negative_prompt")] for s in settings]
    assert told == [["a", 2, 3, "x"], ["a", 2, 3, "x"], ["a", 1, 4, "x"]]
    assert [picture.id for picture in inputs.folder(tmp_path)] == ["b", "c", "d"]
    with pytest.raises(SystemExit):
        run("--like", sources / "sd3.json")


OTHERS = {"prompt": "b", "model": "m", "steps": 9, "guidance": 2.0, "t5_tokens": 7}
OTHERS |= {"revision": "v", "height": 64, "width": 96, "negative_prompt": "n", "seed": 5}
OTHERS |= {"seed_policy": "per_prompt", "vae_factor": 8, "encoder": "dilation"}
OTHERS |= {"decoder": "published", "dtype": "float16", "vae_tiling": True, "attention": "auto"}
OTHERS |= {"compile": True, "kernel": "other.json"}


def test_what_is_given_wins_before_like_and_behind_it_if_it_is_the_default(tmp_path):
    """Else a picture that was asked for with seed 0 has another's."""
    path, parser = tmp_path / "other.json", generate.parser()
    manifest.write(path, root=tmp_path, files=[], inputs={}, settings=OTHERS, started=0)
    assert set(OTHERS) == set(parser.TAKEN)
    assert vars(parser.parse_args(["--like", str(path)])).items() >= OTHERS.items()
    for name in parser.TAKEN:
        default = parser.get_default(name)
        value = "given" if default is None and name in ("model", "prompt") else default
        if value is None:  # any of its values
            value = {"encoder": "stride", "decoder": "folded", "kernel": "k.json"}.get(name, 16)
        flag = "--" + name.replace("_", "-")
        given = [f"--no-{name.replace('_', '-')}"] if value is False else [flag, str(value)]
        for words in ([*given, "--like", str(path)], ["--like", str(path), *given]):
            read = vars(parser.parse_args(words))
            assert read[name] == value != OTHERS[name], name
            assert {k: read[k] for k in OTHERS if k != name} == {
                k: value for k, value in OTHERS.items() if k != name
            }
    assert parser.parse_args([]).seed == 0 and parser.parse_args([]).prompt is None


def test_the_settings_of_a_row_are_taken_by_the_models_name(sources, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for run_name, at, size, steps in (("old", 1, 96, 3), ("new", 2, 32, 1), ("new", 3, 64, 1)):
        path = tmp_path / f"results/{run_name}/generate/mine/eval_{size}/shard-0-of-1.json"
        made = {"model": str(sources / "sd3"), "seed_policy": "published", "seed": 5}
        made |= {"height": size, "width": size, "steps": steps, "t5_tokens": 8}
        manifest.write(path, root=path.parent, files=[], inputs={}, settings=made, started=0)
        os.utime(path, (at, at))
    run("--like", "mine", "--prompt", "a", "--output", "a.png")
    assert Image.open("a.png").size == (64, 64)
    assert manifest.read("a.png.json").settings["seed"] == 5
    assert "like results/new/generate/mine/eval_64/shard-0-of-1.json" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run("--like", "nobody", "--prompt", "a")
    assert "no pictures of a model of that name; of mine" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--guidance", "nan"), "should be a finite number, not nan"),
        (("--guidance", "inf"), "should be a finite number, not inf"),
        (("--seed", "1e30"), "invalid int value: '1e30'"),
        (("--seed", 2**63), "should be at least 0 and at most"),
        (("--seed", -1), "should be at least 0 and at most"),
    ],
)
def test_numbers_that_no_sampler_takes_are_one_line(words, says, capsys):
    with pytest.raises(SystemExit):
        run(*words)
    assert says in capsys.readouterr().err.splitlines()[-1]
