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
