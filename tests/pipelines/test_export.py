"""The round trip export -> load, and what loads as a pipeline."""

import json

import pytest
import safetensors.torch
import torch

import export
import tiny
from diffusion4k import manifest
from diffusion4k.errors import UserError
from diffusion4k.pipelines import export as pipelines
from diffusion4k.pipelines.folder import PipelineFolder
from tiny_generation import contents, make, make_sources


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return make_sources(tmp_path_factory.mktemp("sources"))


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


def load(path, **forms):
    folder = PipelineFolder.open(path)
    return folder.load(dtype=torch.float32, device="cpu", forms=folder.forms(**forms))


def test_export_then_load(sources, trained, tmp_path):
    output = tmp_path / "train" / "pipeline.json"
    for _ in range(2):  # the second replaces the first
        forms = ("--encoder", "dilation", "--decoder", "published")
        record = do_export(sources, trained, output, *forms)
    assert record.root == tmp_path / "train" / "pipeline" and record.results == {"step": 4}
    assert record.notes == ["random weights (test)"]
    assert sorted(p.name for p in output.parent.iterdir()) == [
        ".pipeline.made", "pipeline", "pipeline.json", "step-000004", "step-000004.json",
    ]  # fmt: skip
    base = sources / "sd3" / "vae" / "diffusion_pytorch_model.safetensors"
    assert (record.root / "vae" / base.name).samefile(base)

    pipeline = load(output)
    assert pipeline.vae_scale_factor == 16
    assert pipeline.vae.encoder.conv_in.dilation == (2, 2)
    assert pipeline.vae.decoder.conv_out.form == "published"
    state = manifest.read(trained).root
    expected = type(pipeline.transformer).from_pretrained(state / "transformer").state_dict()
    torch.testing.assert_close(pipeline.transformer.state_dict(), expected)
    again = load(output, decoder="folded")
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
    files = pipelines.export(PipelineFolder.open(base), manifest.read(trained).root, root)
    assert not any(path.is_symlink() for path in files)
    assert not (root / ".cache").exists()
    assert PipelineFolder.open(root).forms() == {
        "vae_factor": 16,
        "encoder": "stride",
        "decoder": "folded",
    }


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
            pipeline = load(tmp_path)
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
        load(tmp_path)


def test_loading_what_is_no_pipeline(sources, tmp_path):
    with pytest.raises(UserError, match="no such manifest"):
        load(tmp_path / "nothing.json")
    with pytest.raises(UserError, match="no diffusers pipeline"):
        load(tmp_path)
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(UserError, match="not a pipeline that diffusers can load"):
        load(tmp_path)


def test_export_replaces_an_earlier_one_and_nothing_else(sources, trained, tmp_path):
    output = tmp_path / "mine.json"
    for _ in range(2):
        made = do_export(sources, trained, output)
    own = tmp_path / "mine/notes.txt"
    own.write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match=r"mine: .*notes\.txt in it would be deleted"):
        do_export(sources, trained, output)
    assert own.is_file() and all(path.is_file() for path in made.paths())
