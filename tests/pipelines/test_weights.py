"""Damaged weights, wherever they are loaded, are one line that names the file and the damage."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import tiny
import tiny_metrics
from diffusion4k import backbones
from diffusion4k.damage import loading
from diffusion4k.errors import UserError
from diffusion4k.generate import sampler
from diffusion4k.generate.settings import SamplerSettings
from diffusion4k.metrics import aesthetics, clip, inception, perceptual
from diffusion4k.pipelines.folder import PipelineFolder
from diffusion4k.train import model
from diffusion4k.train.settings import Settings
from diffusion4k.vae.f16 import load_f16

CPU = torch.device("cpu")
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
DAMAGE = [
    (lambda whole: b"", "zero bytes"),
    (lambda whole: POINTER, "a pointer of Git LFS instead of the file"),
    (lambda whole: whole[: len(whole) // 2], "incomplete|failed finding central directory"),
    (lambda whole: b"<html>429 Too Many Requests</html>", "damaged"),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A pipeline in sd3/, and the networks of the metrics."""
    root = tmp_path_factory.mktemp("whole")
    tiny.pipeline("sd3").save_pretrained(root / "sd3")
    tiny_metrics.clip_folder(root / "clip", 512)
    tiny_metrics.head_file(root / "head.pth")
    tiny_metrics.inception_file(root / "inception.pth")
    save_file({"features.0.weight": torch.zeros(64)}, root / "vgg16.safetensors")
    return root


def transformer(root: Path):
    settings = Settings(backbone="sd3", global_batch=1, micro_batch=1, precision="float32")
    return model.transformer(settings, backbones.get("sd3"), root / "sd3")


LOADERS = {
    "sd3/transformer/diffusion_pytorch_model.safetensors": [
        lambda root: PipelineFolder.open(root / "sd3").load(dtype=torch.float32, device="cpu"),
        transformer,
    ],
    "sd3/text_encoder/model.safetensors": [
        lambda root: PipelineFolder.open(root / "sd3").load(dtype=torch.float32, device="cpu")
    ],
    "sd3/vae/diffusion_pytorch_model.safetensors": [
        lambda root: load_f16(root / "sd3", dtype=torch.float32, device="cpu")
    ],
    "clip/open_clip_model.safetensors": [lambda root: clip.Clip(root / "clip", CPU)],
    "head.pth": [lambda root: aesthetics.load_head(root / "head.pth")],
    "inception.pth": [lambda root: inception.Inception(root / "inception.pth", CPU)],
    "vgg16.safetensors": [lambda root: perceptual.Lpips(root / "vgg16.safetensors", CPU)],
}


@pytest.mark.parametrize(("damage", "reason"), DAMAGE)
@pytest.mark.parametrize("name", LOADERS)
def test_a_damaged_file_is_named(whole, tmp_path, name, damage, reason):
    root = tmp_path / "root"
    shutil.copytree(whole, root)
    (root / name).write_bytes(damage((whole / name).read_bytes()))
    for load in LOADERS[name]:
        with pytest.raises(UserError, match=reason) as raised:
            load(root)
        message = str(raised.value)
        assert Path(name).name in message and message.endswith("; fetch it again")
        assert "\n" not in message and "weights_only" not in message


def test_pickles_are_not_opened_for_want_of_safetensors(whole, tmp_path):
    shutil.copytree(whole / "sd3", tmp_path / "sd3")
    weights = tmp_path / "sd3" / "vae" / "diffusion_pytorch_model.safetensors"
    torch.save({}, weights.with_suffix(".bin"))
    weights.unlink()
    with pytest.raises(UserError, match=r"vae: not a VAE .*safetensors"):
        load_f16(tmp_path / "sd3", dtype=torch.float32, device="cpu")


def test_the_librarys_first_sentence_is_the_reason(tmp_path):
    with (
        pytest.raises(UserError, match=r"here: not a model \(no such layer\); fetch it again"),
        loading(tmp_path / "here", "a model"),
    ):
        raise RuntimeError("no such layer. Try weights_only=False.\nMore lines")
    with pytest.raises(UserError, match="^mine$"), loading(tmp_path, "a model"):
        raise UserError("mine")
    with pytest.raises(torch.OutOfMemoryError), loading(tmp_path, "a model"):
        raise torch.OutOfMemoryError


@pytest.mark.parametrize("name", backbones.NAMES)
def test_weights_saved_as_a_variant_are_loaded_everywhere(tmp_path, name):
    made = tiny.pipeline(name)
    made.save_pretrained(tmp_path / "fp16", variant="fp16")
    expected = made.transformer.state_dict()
    loaded = PipelineFolder.open(tmp_path / "fp16").load(dtype=torch.float32, device=CPU)
    trained = backbones.get(name).load_transformer(tmp_path / "fp16", torch.float32)
    for network in (loaded.transformer, trained):
        assert all(torch.equal(v, expected[k]) for k, v in network.state_dict().items())
    vae = made.vae.state_dict()
    for network in (loaded.vae, load_f16(tmp_path / "fp16", dtype=torch.float32, device=CPU)):
        assert all(torch.equal(v, vae[k]) for k, v in network.state_dict().items())


def test_sd3_saved_without_t5_is_sampled_and_not_trained(tmp_path):
    made = tiny.pipeline("sd3")
    parts = made.components | {"text_encoder_3": None, "tokenizer_3": None}
    type(made)(**parts).save_pretrained(tmp_path / "sd3")
    folder = PipelineFolder.open(tmp_path / "sd3")
    pipeline = folder.load(dtype=torch.float32, device=CPU)
    settings = SamplerSettings(height=32, width=32, steps=1, guidance=1.0, t5_tokens=8)
    assert sampler.sample(pipeline, folder.backbone, "a fox", 0, settings).shape == (32, 32, 3)
    with pytest.raises(UserError, match="saved without text_encoder_3: it can be sampled, but"):
        folder.load(dtype=torch.float32, device=CPU, without_transformer=True)


def test_a_library_that_cannot_be_imported_is_no_fault_of_the_files(tmp_path):
    from diffusers.utils.import_utils import _LazyModule

    lazy = _LazyModule("diffusers", str(tmp_path / "__init__.py"), {"absent": ["Absent"]})
    with pytest.raises(RuntimeError, match="No module named"), loading(tmp_path, "a model"):
        _ = lazy.Absent
