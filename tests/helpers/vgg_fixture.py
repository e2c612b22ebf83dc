"""LPIPS's random network, which tests of reconstructions share."""

import pytest


@pytest.fixture(scope="session")
def vgg(tmp_path_factory):
    """lpips' own network with a random backbone, and that backbone in torchvision's layout."""
    import lpips  # not before pytest has chosen the processor
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    network = lpips.LPIPS(net="vgg", pnet_rand=True, verbose=False).eval()
    path = tmp_path_factory.mktemp("vgg16") / "model.safetensors"
    state = network.net.state_dict()
    save_file({f"features.{k.partition('.')[2]}": v for k, v in state.items()}, path)
    return network, path
