"""Pipelines without an adapter of ours, sampled as they are; composed ones; refusals."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import export
import generate
import tiny
import tiny_stock
from diffusion4k import manifest
from diffusion4k.errors import UserError
from diffusion4k.pipelines.folder import PipelineFolder
from diffusion4k.pipelines.stock import Stock

SMALL = ("--height", 64, "--width", 96, "--steps", 2, "--device", "cpu")


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    root = tmp_path_factory.mktemp("sources")
    tiny_stock.pipeline("pixart").save_pretrained(root / "pixart")
    tiny_stock.pipeline("sana").save_pretrained(root / "sana", variant="bf16")
    tiny_stock.pixart_transformer().save_pretrained(root / "pixart_2k" / "transformer")
    for name in ("pixart", "sana", "pixart_2k"):
        tiny.save_manifest(root / f"{name}.json", root / name, notes=["random weights (test)"])
    tiny.save_dataset(root, count=2, folder="eval")
    return root


def run(*flags):
    generate.run(generate.parser().parse_args([*map(str, flags)]))


def one(model, output, *more):
    run("--model", model, "--prompt", "a fox", *SMALL, "--output", output, *more)
    return np.asarray(Image.open(output))


@pytest.mark.parametrize(("name", "guidance"), [("pixart", 4.5), ("sana", 4.5)])
def test_pictures_are_the_pipelines_own_at_its_own_defaults(sources, tmp_path, name, guidance):
    actual = one(sources / f"{name}.json", tmp_path / "a.png")
    pipeline = tiny_stock.pipeline(name)
    expected = pipeline(
        "a fox",
        height=64,
        width=96,
        num_inference_steps=2,
        guidance_scale=guidance,
        use_resolution_binning=False,
        clean_caption=False,
        generator=torch.Generator().manual_seed(0),
    ).images[0]
    assert np.array_equal(actual, np.asarray(expected))
    assert not np.array_equal(actual, one(sources / name, tmp_path / "b.png", "--guidance", 1))


def test_a_data_set_records_what_the_defaults_came_to(sources, tmp_path):
    output = tmp_path / "shard.json"
    data = ("--dataset", sources / "data.json", "--folder", "eval", "--output", output)
    run("--model", sources / "pixart.json", *data, *SMALL, "--steps", 1, "--decoder", "folded")
    record = manifest.read(output)
    assert [file.name for file in record.files] == ["images/photo_0.jpg", "images/photo_1.jpg"]
    resolved = {"steps": 1, "guidance": 4.5, "t5_tokens": 300, "vae_factor": None, "decoder": None}
    assert resolved.items() <= record.settings.items()
    assert record.notes == ["random weights (test)"]


def test_the_vae_can_work_in_tiles(sources, tmp_path):
    def load(name, **how):
        return PipelineFolder.open(sources / name).load(dtype=torch.float32, device="cpu", **how)

    assert not load("pixart").vae.use_tiling
    pipeline = load("pixart", tiling=True)
    assert pipeline.vae.use_tiling
    whole = one(sources / "pixart", tmp_path / "whole.png", "--height", 128)
    tiled = one(sources / "pixart", tmp_path / "tiled.png", "--height", 128, "--vae-tiling")
    assert whole.shape == tiled.shape == (128, 96, 3)
    assert not np.array_equal(whole, tiled)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--height", 40), "--height 40: must be a multiple of 16 px, such as"),
        (("--height", 36), "--height 36: must be a multiple of 8 px"),
        (("--vae-factor", 8), "a PixArtSigmaPipeline has its own"),
    ],
)
def test_refusals(sources, tmp_path, flags, message):
    with pytest.raises(UserError, match=message):
        one(sources / "pixart", tmp_path / "a.png", *flags)


def test_sanas_own_out_of_memory_names_the_knob(sources, tmp_path, monkeypatch):
    """Its pipeline makes a warning of it and fails later, on a variable that was never set."""

    def exhausted(*args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(tiny_stock.AutoencoderDC, "decode", exhausted)
    with pytest.raises(UserError, match="memory is too small for 64 x 96 px.*--vae-tiling"):
        one(sources / "sana", tmp_path / "a.png")


def test_what_a_pipeline_refuses_is_one_line(sources, tmp_path):
    with pytest.raises(UserError, match="SanaPipeline: .*divisible by 32"):
        one(sources / "sana", tmp_path / "a.png", "--height", 48)


def test_a_flag_that_the_pipeline_lacks_is_not_dropped(sources, tmp_path):
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionXLPipeline"}')
    with pytest.raises(UserError, match="--t5-tokens: StableDiffusionXLPipeline takes none"):
        one(tmp_path, tmp_path / "a.png", "--t5-tokens", 77)
    assert Stock("StableDiffusionXLPipeline").defaults == {"steps": 50, "guidance": 5.0}


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ({"_class_name": "OursPipeline"}, "OursPipeline, which diffusers .* does not have"),
        ({"_class_name": ["pipeline", "Ours"]}, "code of its own"),
        ({"_class_name": "DiTPipeline"}, "takes no prompt, height, width"),
        (
            {"_class_name": "FluxPipeline", "transformer": ["ultraflux", "FluxTransformer2DModel"]},
            "transformer is a ultraflux.FluxTransformer2DModel, own code.*images: FOLDER",
        ),
        ({"_class_name": "SanaPipeline", "vae": ["diffusers", "AutoencoderDC"]}, "can load"),
    ],
)
def test_pipelines_with_code_of_their_own_are_refused(tmp_path, index, message):
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match=message):
        one(tmp_path, tmp_path / "a.png")


def compose(base, other, output):
    flags = ("--pipeline", base, "--state", other, "--output", output)
    export.run(export.parser().parse_args([*map(str, flags)]))
    return manifest.read(output)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pipeline_is_composed_of_two_sources(sources, tmp_path, legacy):
    """PixArt-Sigma's 2K repository holds a transformer only; an older one names another class."""
    other = tmp_path / "pixart_2k"
    shutil.copytree(sources / "pixart_2k", other)
    config = other / "transformer" / "config.json"
    if legacy:
        old = json.loads(config.read_text()) | {"_class_name": "Transformer2DModel"}
        config.write_text(json.dumps(old))
    source = tiny.save_manifest(tmp_path / "pixart_2k.json", other)
    record = compose(sources / "pixart.json", source, tmp_path / "mine" / "pipeline.json")
    assert not (record.root / "diffusion4k.json").exists()
    pipeline = PipelineFolder.open(record.path).load(dtype=torch.float32, device="cpu")
    expected = tiny_stock.PixArtTransformer2DModel.from_pretrained(
        sources / "pixart_2k/transformer"
    )
    torch.testing.assert_close(pipeline.transformer.state_dict(), expected.state_dict())
    base = tiny_stock.pipeline("pixart")
    torch.testing.assert_close(pipeline.vae.state_dict(), base.vae.state_dict())


def test_composing_what_does_not_fit_is_refused(sources, tmp_path):
    with pytest.raises(
        UserError, match="PixArtTransformer2DModel, but .* a SanaTransformer2DModel"
    ):
        compose(sources / "sana.json", sources / "pixart_2k.json", tmp_path / "pipeline.json")
