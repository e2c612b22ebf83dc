"""Fixtures for tests of several folders; torch is imported after pytest has chosen a processor."""

import os

import pytest


@pytest.fixture(scope="module")
def simulated_miniature(tmp_path_factory):
    """A checkout in which the miniature is as if it had run; the module's own."""
    import simulated

    own = tmp_path_factory.getbasetemp()
    common = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    return simulated.miniature(common, tmp_path_factory.mktemp("simulated"))


@pytest.fixture
def fresh_accelerator():
    """accelerate keeps a process's precision and ranks; the next test begins without them."""
    yield
    from tiny_training import fresh

    fresh()


@pytest.fixture(scope="session")
def vgg(tmp_path_factory):
    """lpips' own network with a random backbone, and that backbone in torchvision's layout."""
    import lpips
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    network = lpips.LPIPS(net="vgg", pnet_rand=True, verbose=False).eval()
    path = tmp_path_factory.mktemp("vgg16") / "model.safetensors"
    state = network.net.state_dict()
    save_file({f"features.{k.partition('.')[2]}": v for k, v in state.items()}, path)
    return network, path


@pytest.fixture
def pyiqa(monkeypatch):
    """Stands in for pyiqa: a network of one layer whose constructor asks timm for a backbone."""
    import sys
    from types import SimpleNamespace

    import timm
    import torch

    asked = []

    def create_metric(name, *, device, pretrained):
        assert not pretrained
        asked.append(timm.create_model("test_vit", pretrained=True).default_cfg["architecture"])
        metric = torch.nn.Module()
        metric.net = torch.nn.Linear(3, 1)
        metric.forward = lambda x: metric.net(x.mean(dim=(2, 3)))
        return metric.to(device)

    monkeypatch.setitem(sys.modules, "pyiqa", SimpleNamespace(create_metric=create_metric))
    return asked
