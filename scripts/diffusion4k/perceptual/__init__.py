"""The network of LPIPS (Zhang 2018) with VGG-16: a distance of the metrics, a loss of training."""

import warnings
from pathlib import Path

from diffusion4k.damage import loading
from diffusion4k.errors import UserError


def lpips_vgg(backbone: Path):
    """LPIPS-VGG, version 0.1: a frozen torch module in evaluation mode, float32, on the CPU.

    Two (B, 3, H, W) in [-1, 1] => (B, 1, 1, 1). The linear heads come from the lpips package,
    `backbone` is a file in torchvision's layout (`features.N.weight`, as timm/vgg16.tv_in1k has
    it): nothing is downloaded. Its convolutions may be narrower, as a miniature's are: each head
    then weighs the channels that there are. UserError for another file.
    """
    import lpips
    import torch
    from safetensors.torch import load_file

    heads = Path(lpips.__file__).with_name("weights") / "v0.1" / "vgg.pth"
    weights = torch.load(heads, map_location="cpu", weights_only=True)
    # meta spares the random initialisation of a whole VGG-16; the warnings are torchvision's
    with torch.device("meta"), warnings.catch_warnings(action="ignore"):
        network = lpips.LPIPS(net="vgg", pretrained=False, pnet_rand=True, verbose=False)
    network.scaling_layer = lpips.ScalingLayer()
    with loading(backbone, "VGG-16 in safetensors"):
        file = load_file(backbone)
    widths = {}
    for name in network.net.state_dict():  # slice2.5.weight is features.5.weight
        part, _, rest = name.partition(".")
        if (source := f"features.{rest}") not in file:
            raise UserError(f"{backbone}: no tensor {source}; VGG-16 in torchvision's layout?")
        weights[f"net.{name}"] = file[source]
        widths[f"lin{int(part[-1]) - 1}.model.1.weight"] = len(file[source])
    for name, tensor in weights.items():
        module, _, parameter = name.rpartition(".")
        tensor = tensor[:, : widths[name]] if name in widths else tensor
        setattr(network.get_submodule(module), parameter, torch.nn.Parameter(tensor))
    return network.eval().requires_grad_(False)
