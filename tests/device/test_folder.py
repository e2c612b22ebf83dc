"""A pipeline's folder, as every stage loads it, on a GPU that is none: all of it lies there."""

import pytest
import torch

from diffusion4k import backbones
from diffusion4k.generate import sampler
from diffusion4k.pipelines.folder import PipelineFolder
from fake_gpu import fake_gpu, real, without
from tiny import save_manifest, save_pipeline
from tiny_stock import pipeline as stock

LOW = torch.bfloat16


@pytest.fixture(autouse=True)
def files(monkeypatch):
    """What is read from files has values: only then it can be moved."""
    read = real(PipelineFolder._from_pretrained)
    monkeypatch.setattr(PipelineFolder, "_from_pretrained", read)


def places(pipeline) -> set[tuple[str, torch.dtype]]:
    """Where the weights of its networks lie, and what they are."""
    networks = [part for part in pipeline.components.values() if isinstance(part, torch.nn.Module)]
    weights = [weight for network in networks for weight in network.parameters()]
    return {(weight.device.type, weight.dtype) for weight in weights}


@pytest.mark.parametrize("without_transformer", [False, True], ids=["whole", "to encode with"])
@pytest.mark.parametrize("name", backbones.NAMES)
def test_all_networks_lie_on_the_gpu(tmp_path, name, without_transformer):
    folder = PipelineFolder.open(save_pipeline(name, tmp_path))
    how = {"dtype": LOW, "without_transformer": without_transformer}
    with fake_gpu() as device:
        assert places(folder.load(device=device, **how)) == {("cuda", LOW)}
        staying = without(PipelineFolder.load, "pipeline.to(device)", "pipeline")
        assert places(staying(folder, device=device, **how)) == {("cpu", LOW)}


@pytest.mark.parametrize("name", ["pixart", "sana"])
def test_a_pipeline_without_an_adapter_samples_there(tmp_path, name):
    stock(name).save_pretrained(tmp_path / name)
    folder = PipelineFolder.open(save_manifest(tmp_path / f"{name}.json", tmp_path / name))
    how = sampler.SamplerSettings(height=64, width=64, steps=1, guidance=4.5, t5_tokens=20)
    with fake_gpu() as device:
        made = folder.load(device=device, dtype=LOW)
        assert places(made) == {("cuda", LOW)}
        assert sampler.sample(made, folder.backbone, "a cup", 0, how).shape == (64, 64, 3)
        made.transformer.to("cpu")
        with pytest.raises(RuntimeError, match="device"):
            sampler.sample(made, folder.backbone, "a cup", 0, how)
