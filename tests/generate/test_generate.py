"""Sampling, its resume and shards."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import generate as script
import tiny
from diffusion4k import backbones, files, manifest
from diffusion4k.backbones import noise_levels
from diffusion4k.errors import UserError
from diffusion4k.generate import flags, sampler
from diffusion4k.generate.seeds import image_seed
from diffusion4k.pipelines.folder import PipelineFolder
from diffusion4k.pipelines.stock import Stock
from diffusion4k.sources import fetch
from diffusion4k.vae.f16 import make_pipeline_f16
from tiny_generation import contents, make, make_sources, run


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return make_sources(tmp_path_factory.mktemp("sources"))


@pytest.mark.parametrize("name", ["sd3", "flux"])
def test_pictures_are_the_pipelines_own(sources, tmp_path, name):
    record = make(sources, tmp_path, "--png", "--guidance", 2, "--seed", 3, model=name)
    assert record.results["images"] == 3 and record.results["seconds_per_image"] > 0
    assert record.notes == ["random weights (test)"]
    resolved = {"dtype": "float32", "decoder": "folded", "vae_factor": 16, "guidance": 2.0}
    assert resolved.items() <= record.settings.items()
    pipeline = PipelineFolder.open(sources / f"{name}.json").load(dtype=torch.float32, device="cpu")
    expected = pipeline(
        "photograph number 1",
        height=32,
        width=64,
        num_inference_steps=2,
        guidance_scale=2.0,
        max_sequence_length=8,
        generator=torch.Generator().manual_seed(3),
    ).images[0]
    actual = Image.open(tmp_path / "lossless" / "photo_1.png")
    assert np.array_equal(np.asarray(actual), np.asarray(expected))


def test_a_pipeline_is_sampled_as_others_of_its_class_are_told(sources, tmp_path):
    said = json.dumps({"sd3": {"steps": 3, "guidance": 4.0, "t5_tokens": 9}, "flux": {"steps": 1}})
    args = script.parser().parse_args(["--of-class", said, "--guidance", "2"])

    def chosen(backbone):
        settings = flags.settings(args, backbone)
        return settings.steps, settings.guidance, settings.t5_tokens

    assert chosen(backbones.get("sd3")) == (3, 2.0, 9)
    assert chosen(backbones.get("flux"))[0] == 1
    assert chosen(Stock("StableDiffusionXLPipeline")) == (50, 2.0, None)


def test_one_shard_equals_three(sources, tmp_path):
    make(sources, tmp_path / "one", "--seed-policy", "per_prompt")
    for i in range(3):
        part = make(sources, tmp_path / "three", "--seed-policy", "per_prompt", shard=i, shards=3)
        assert [file.name for file in part.files] == [f"images/photo_{i}.jpg"]
    assert contents(tmp_path / "one") == contents(tmp_path / "three")


def test_resume_makes_only_what_is_missing_or_changed(sources, tmp_path, monkeypatch):
    make(sources, tmp_path)
    before = contents(tmp_path)
    made = []
    original = sampler.sample
    monkeypatch.setattr(sampler, "sample", lambda *a, **k: made.append(a[2]) or original(*a, **k))
    (tmp_path / "images" / "photo_0.jpg").unlink()
    (tmp_path / "images" / "photo_2.jpg").write_bytes(before["photo_2.jpg"][:-9])
    make(sources, tmp_path)
    assert made == ["photograph number 0", "photograph number 2"]
    assert contents(tmp_path) == before
    done = make(sources, tmp_path, "--no-offload")
    assert len(made) == 2 and done.results["seconds_per_image"] > 0
    make(sources, tmp_path, "--steps", 1)
    assert len(made) == 5
    (tmp_path / "receipts" / "photo_1.json").write_text("{")
    make(sources, tmp_path, "--steps", 1)
    assert made[5:] == ["photograph number 1"]


def test_flux_shifts_by_the_tokens_of_an_f16_latent():
    """As diffusers does: 64 x 96 px are 2 x 3 tokens; at F8 they would be 4 x 6."""
    shared = tiny.pipeline("flux")
    pipeline = make_pipeline_f16(type(shared)(**shared.components | {"vae": tiny.vae()}))
    settings = sampler.SamplerSettings(height=64, width=96, steps=4, guidance=3.5, t5_tokens=8)
    sampler.sample(pipeline, backbones.get("flux"), "a", 0, settings)
    expected = noise_levels.shift_sigma(torch.linspace(1, 0.25, 4), noise_levels.dynamic_shift(6))
    torch.testing.assert_close(pipeline.scheduler.sigmas[:-1], expected)


def test_a_negative_prompt_steers_sd3(sources, tmp_path):
    plain = contents(make(sources, tmp_path / "plain", "--guidance", 4).root)
    steered = make(sources, tmp_path / "less", "--guidance", 4, "--negative-prompt", "blur")
    assert contents(steered.root) != plain


def test_seed_policies():
    assert {image_seed("published", 7, id) for id in "abc"} == {7}
    own = [image_seed("per_prompt", seed, id) for id in "abc" for seed in (0, 1)]
    assert len(set(own)) == 6 and all(0 <= seed < 2**63 for seed in own)
    assert own[0] == image_seed("per_prompt", 0, "a")
    with pytest.raises(UserError, match="per_prompt"):
        image_seed("random", 0, "a")


def test_decoders(sources, tmp_path):
    pictures = {}
    for decoder in ("folded", "upsample", "published"):
        make(sources, tmp_path / decoder, "--decoder", decoder, "--png")
        path = tmp_path / decoder / "lossless" / "photo_0.png"
        pictures[decoder] = np.asarray(Image.open(path)).astype(int)
    assert abs(pictures["folded"] - pictures["upsample"]).max() <= 1
    assert abs(pictures["published"][1:, 1:] - pictures["folded"][:-1, :-1]).max() <= 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--height", 4100), "--height 4100: must be a multiple of 32 px, such as 4096"),
        (("--width", 0), "multiple of 32"),
        (("--of-class", '{"sd3": {"steps": 0}}'), "--steps 0: must be at least 1"),
        (("--of-class", '{"sd3": {"t5_tokens": 600}}'), "must be from 1 to 512"),
        (("--height", 512), "positions for 256 px"),
        (("--output", "picture.gif"), "ends in .jpg or .png"),
        (("--offload", "--height", 32, "--width", 32), "needs a GPU"),
        (("--dataset", "data.json"), "either --prompt"),
    ],
)
def test_refusals(sources, flags, message):
    model = ("--model", sources / "sd3.json", "--prompt", "a", "--device", "cpu", "--width", 32)
    with pytest.raises(UserError, match=message):
        run(*model, *flags)


def test_missing_model_names_the_exported_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="none yet"):
        run("--prompt", "a")
    exported = tmp_path / "results/paper/train/sd3_f16_wlf/pipeline.json"
    exported.parent.mkdir(parents=True)
    exported.touch()
    with pytest.raises(UserError, match="results/paper/train/sd3_f16_wlf/pipeline.json"):
        run("--prompt", "a")


def test_out_of_memory_names_the_knobs(sources, tmp_path, monkeypatch):
    def exhausted(*args, **kwargs):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    pipeline_class = type(tiny.pipeline("sd3"))
    monkeypatch.setattr(pipeline_class, "__call__", exhausted)
    with pytest.raises(UserError, match="--dtype bfloat16 .*, --vae-tiling .*, --offload .*, or a"):
        make(sources, tmp_path)
    with pytest.raises(UserError) as raised:
        make(sources, tmp_path, "--dtype", "bfloat16", "--vae-tiling")
    assert "--offload" in str(raised.value)
    assert not re.search("--vae-tiling|--dtype", str(raised.value))  # in use already


def test_the_factor_of_the_vae_can_be_chosen(sources, tmp_path):
    small = ("--height", 64, "--width", 64, "--steps", 1, "--t5-tokens", 8, "--device", "cpu")
    made = {}
    for factor in (8, 16):
        output = tmp_path / f"{factor}.png"
        flags = ("--prompt", "a", *small, "--vae-factor", factor, "--output", output)
        run("--model", sources / "sd3", *flags)
        made[factor] = np.asarray(Image.open(output))
    assert made[8].shape == made[16].shape and not np.array_equal(made[8], made[16])


def test_a_hub_repository_is_fetched_when_a_person_names_it(sources, tmp_path, monkeypatch):
    asked = []

    def hub(repository, *, revision):
        asked.append((repository, revision))
        return fetch.Fetched(sources / "sd3", [])

    monkeypatch.setattr(fetch, "hub", hub)
    monkeypatch.chdir(tmp_path)
    small = ("--height", 32, "--width", 32, "--steps", 1, "--t5-tokens", 8, "--device", "cpu")
    run("--model", "owner/name", "--revision", "abc", "--prompt", "a", *small)
    assert asked == [("owner/name", "abc")]
    assert (tmp_path / "a-seed0.jpg").is_file()
    with pytest.raises(UserError, match="no/such/file.json: no such manifest"):
        run("--model", "no/such/file.json", "--prompt", "a", *small)


def test_lossless_pictures_are_kept_and_resumed(sources, tmp_path):
    make(sources, tmp_path)
    assert not (tmp_path / "lossless").exists()
    record = make(sources, tmp_path, "--png")
    names = [(f"images/photo_{i}.jpg", f"lossless/photo_{i}.png") for i in range(3)]
    assert sorted(file.name for file in record.files) == sorted(name for p in names for name in p)
    png = tmp_path / "lossless" / "photo_1.png"
    before = png.read_bytes()
    png.write_bytes(before[:-9])
    make(sources, tmp_path, "--png")
    assert png.read_bytes() == before


def damage(sources, root, part, key, value):
    """A copy of SD3's pipeline in `root`, one tensor of `part` filled with `value`."""
    shutil.copytree(sources / "sd3", root)
    (file,) = (root / part).glob("*.safetensors")
    tensors = load_file(file)
    name = next(name for name in tensors if re.search(key, name))
    tensors[name][:] = value
    save_file(tensors, file, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("part", "key", "value", "what"),
    [
        ("transformer", "weight", float("nan"), "the picture of 'a fox', seed 5"),
        # beyond what the last layer can hold: clipped, it would be white
        ("vae", r"decoder\.conv_out\.bias", float("inf"), "the picture of 'a fox', seed 5"),
    ],
)
def test_a_picture_that_is_not_finite_is_refused(sources, tmp_path, part, key, value, what):
    damage(sources, tmp_path / "broken", part, key, value)
    output = tmp_path / "fox.png"
    flags = ["--height", 32, "--width", 32, "--steps", 2, "--device", "cpu", "--output", output]
    with pytest.raises(UserError, match=f"broken: {what}: holds values that are no numbers"):
        run("--model", tmp_path / "broken", "--prompt", "a fox", "--seed", 5, *flags)
    assert not output.exists()


def test_a_text_that_is_not_finite_is_refused(sources, tmp_path):
    damage(sources, tmp_path / "sd3", "text_encoder", "weight", float("nan"))
    for name in ("data", "data.json"):
        (tmp_path / name).symlink_to(sources / name)
    manifest.write(
        tmp_path / "sd3.json",
        root=tmp_path / "sd3",
        files=files.walk(tmp_path / "sd3"),
        inputs={},
        settings={},
        started=0,
    )
    with pytest.raises(UserError, match="sd3: the text '.*', encoded: holds"):
        make(tmp_path, tmp_path / "pictures")


def test_a_changed_pipeline_is_not_sampled(sources, tmp_path):
    """Its manifest tells: one byte in gigabytes of weights."""
    shutil.copytree(sources / "sd3", tmp_path / "sd3")
    shutil.copy(sources / "sd3.json", tmp_path)
    (file,) = (tmp_path / "sd3" / "transformer").glob("*.safetensors")
    changed = bytearray(file.read_bytes())
    changed[-1] ^= 1
    file.write_bytes(changed)
    with pytest.raises(UserError, match="safetensors: its content has changed .*makes it again"):
        run("--model", tmp_path / "sd3.json", "--prompt", "a fox", "--output", tmp_path / "a.png")
