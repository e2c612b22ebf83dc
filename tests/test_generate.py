"""Sampling, its resume and shards, and the round trip export -> load."""

import json
import re

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

import export
import generate
import tiny
from diffusion4k import backbones, manifest, pipelines
from diffusion4k.errors import UserError
from diffusion4k.generate import sampler
from diffusion4k.generate.seeds import image_seed
from diffusion4k.sources import fetch
from diffusion4k.vae.f16 import make_pipeline_f16


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    root = tmp_path_factory.mktemp("sources")
    for name in ("sd3", "flux"):
        tiny.save_pipeline(name, root)
    tiny.save_dataset(root, count=3, folder="eval")
    return root


def run(*flags):
    generate.run(generate.parser().parse_args([*map(str, flags)]))


def make(sources, folder, *more, model="sd3", shard=0, shards=1):
    output = folder / f"shard-{shard}-of-{shards}.json"
    small = ["--height", 32, "--width", 64, "--steps", 2, "--t5-tokens", 8, "--device", "cpu"]
    files = ["--model", sources / f"{model}.json", "--dataset", sources / "data.json"]
    where = ["--folder", "eval", "--shard", shard, "--shards", shards, "--output", output]
    run(*files, *small, *where, *more)
    return manifest.read(output)


def contents(folder):
    return {path.name: path.read_bytes() for path in (folder / "images").iterdir()}


@pytest.mark.parametrize("name", ["sd3", "flux"])
def test_pictures_are_the_pipelines_own(sources, tmp_path, name):
    record = make(sources, tmp_path, "--png", "--guidance", 2, "--seed", 3, model=name)
    assert record.results["images"] == 3 and record.results["seconds_per_image"] > 0
    assert record.notes == ["random weights (test)"]
    resolved = {"dtype": "float32", "decoder": "folded", "vae_factor": 16, "guidance": 2.0}
    assert resolved.items() <= record.settings.items()
    pipeline = pipelines.load(sources / f"{name}.json", dtype=torch.float32, device="cpu")
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
    settings = sampler.Settings(height=64, width=96, steps=4, guidance=3.5, t5_tokens=8)
    sampler.sample(pipeline, backbones.get("flux"), "a", 0, settings)
    expected = backbones.shift_sigma(torch.linspace(1, 0.25, 4), backbones.dynamic_shift(6))
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


def test_single_prompt(sources, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = ("--height", 32, "--width", 32, "--steps", 1, "--t5-tokens", 8)
    run("--model", sources / "sd3", "--prompt", "A fox, in the SNOW!", *small)
    assert capsys.readouterr().out.strip() == "a-fox-in-the-snow-seed0.jpg"
    assert Image.open("a-fox-in-the-snow-seed0.jpg").format == "JPEG"
    run("--model", sources / "flux.json", "--prompt", "a", *small, "--output", "b.png")
    assert Image.open("b.png").size == (32, 32)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--height", 4100), "--height 4100: must be a multiple of 32 px, such as 4096"),
        (("--width", 0), "multiple of 32"),
        (("--steps", 0), "at least 1"),
        (("--t5-tokens", 600), "from 1 to 512"),
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


@pytest.fixture
def trained(sources, tmp_path):
    """A training step whose transformer differs from the base's."""
    torch.manual_seed(1)
    folder = tmp_path / "train" / "step-000004"
    tiny.sd3_transformer().save_pretrained(folder / "transformer")
    (folder / "optimizer.bin").write_bytes(b"state")
    return tiny.save_manifest(tmp_path / "train" / "step-000004.json", folder, results={"step": 4})


def do_export(sources, state, output, *more, base="sd3.json"):
    flags = ["--pipeline", sources / base, "--state", state, "--output", output, *more]
    export.run(export.parser().parse_args([*map(str, flags)]))
    return manifest.read(output)


def test_export_then_load(sources, trained, tmp_path):
    output = tmp_path / "train" / "pipeline.json"
    for _ in range(2):  # the second replaces the first
        forms = ("--encoder", "dilation", "--decoder", "published")
        record = do_export(sources, trained, output, *forms)
    assert record.root == tmp_path / "train" / "pipeline" and record.results == {"step": 4}
    assert record.notes == ["random weights (test)"]
    assert sorted(p.name for p in output.parent.iterdir()) == [
        "pipeline", "pipeline.json", "step-000004", "step-000004.json",
    ]  # fmt: skip
    base = sources / "sd3" / "vae" / "diffusion_pytorch_model.safetensors"
    assert (record.root / "vae" / base.name).samefile(base)

    pipeline = pipelines.load(output, dtype=torch.float32, device="cpu")
    assert pipeline.vae_scale_factor == 16
    assert pipeline.vae.encoder.conv_in.dilation == (2, 2)
    assert pipeline.vae.decoder.conv_out.form == "published"
    state = manifest.read(trained).root
    expected = type(pipeline.transformer).from_pretrained(state / "transformer").state_dict()
    torch.testing.assert_close(pipeline.transformer.state_dict(), expected)
    again = pipelines.load(output, dtype=torch.float32, device="cpu", decoder="folded")
    assert again.vae.decoder.conv_out.form == "folded"

    make(tmp_path / "train", tmp_path / "out", "--dataset", sources / "data.json",
         "--model", output)  # fmt: skip
    make(sources, tmp_path / "base")
    assert contents(tmp_path / "out") != contents(tmp_path / "base")


def test_export_follows_links_and_leaves_hidden_files(sources, trained, tmp_path):
    base = tmp_path / "snapshot"
    for path in (sources / "sd3").rglob("*"):
        link = base / path.relative_to(sources / "sd3")
        if path.is_file():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    (base / ".cache").mkdir()
    (base / ".cache" / "lock").touch()
    root = tmp_path / "out" / "pipeline"
    files = pipelines.export(base, manifest.read(trained).root, root)
    assert not any(path.is_symlink() for path in files)
    assert not (root / ".cache").exists()
    assert pipelines.forms(root) == {"vae_factor": 16, "encoder": "stride", "decoder": "folded"}


def test_export_refuses_what_does_not_fit(sources, trained, tmp_path):
    with pytest.raises(UserError, match="SD3Transformer2DModel"):
        do_export(sources, trained, tmp_path / "x" / "pipeline.json", base="flux.json")
    empty = tiny.save_manifest(tmp_path / "empty.json", tmp_path / "nothing")
    with pytest.raises(UserError, match="0 trained transformers"):
        do_export(sources, empty, tmp_path / "x" / "pipeline.json")


def test_released_pipelines_load(sources, tmp_path):
    """A VAE class that diffusers does not have, and `stride` in its config."""
    tiny.pipeline("flux").save_pretrained(tmp_path)
    index, config = tmp_path / "model_index.json", tmp_path / "vae" / "config.json"
    for named in (["vae", "WaveletVAE"], ["diffusers", "AutoencoderKL"]):
        index.write_text(json.dumps(json.loads(index.read_text()) | {"vae": named}))
        for stride, factor in ((None, 16), (2, 16), (1, 8)):
            ours = json.loads(config.read_text()) | {"_class_name": named[1], "stride": stride}
            config.write_text(json.dumps(ours))
            pipeline = pipelines.load(tmp_path, dtype=torch.float32, device="cpu")
            assert pipeline.vae_scale_factor == factor
            assert pipeline.vae.encoder.conv_in.stride == (factor // 8, factor // 8)
            expected = tiny.pipeline("flux").vae.state_dict()
            torch.testing.assert_close(pipeline.vae.state_dict(), expected)


def test_weights_that_are_no_autoencoder_kl_are_refused(tmp_path):
    """Diffusers would draw the missing ones at random, with a warning."""
    tiny.pipeline("flux").save_pretrained(tmp_path)
    file = tmp_path / "vae" / "diffusion_pytorch_model.safetensors"
    weights = safetensors.torch.load_file(file)
    weights["decoder.skip.weight"] = weights.pop("decoder.conv_out.weight")
    safetensors.torch.save_file(weights, file)
    with pytest.raises(UserError, match="missing_keys: decoder.conv_out.weight; .*decoder.skip"):
        pipelines.load(tmp_path, dtype=torch.float32, device="cpu")


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
    assert [file.name for file in record.files] == [f"images/photo_{i}.jpg" for i in range(3)]
    png = tmp_path / "lossless" / "photo_1.png"
    before = png.read_bytes()
    png.write_bytes(before[:-9])
    make(sources, tmp_path, "--png")
    assert png.read_bytes() == before


def test_loading_what_is_no_pipeline(sources, tmp_path):
    load = {"dtype": torch.float32, "device": "cpu"}
    with pytest.raises(UserError, match="no such manifest"):
        pipelines.load(tmp_path / "nothing.json", **load)
    with pytest.raises(UserError, match="no diffusers pipeline"):
        pipelines.load(tmp_path, **load)
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(UserError, match="cannot be loaded"):
        pipelines.load(tmp_path, **load)
