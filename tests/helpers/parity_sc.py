"""One miniature step of the scale-consistent VAE, the same for our code and for the released code.

As parity.py, whose draws and weights it takes: `released_sc.py` puts them through a checkout of the
released code and writes golden/released-sc.safetensors, `test_parity_sc.py` holds ours against it.
"""

from pathlib import Path
from types import SimpleNamespace

import lpips
import torch
from safetensors.torch import save_file

import parity
import tiny
from diffusion4k.train.autoencoder import ScaleConsistency
from diffusion4k.train.autoencoder_settings import AutoencoderSettings
from diffusion4k.train.average import Average
from diffusion4k.vae import scale_consistency
from diffusion4k.vae.discriminator import Discriminator
from diffusion4k.vae.f16 import make_f16

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "released-sc.safetensors"
SIZE, BATCH = 128, 2
HIDDEN, DEPTH = 32, 4  # of the miniature's discriminator
RECIPE = {"scale_consistency": 1.0, "lpips": 0.1, "adversarial": 0.05, "ema": 0.9999}


def pixels(name: str) -> torch.Tensor:
    """(2, 3, 128, 128) uint8: smooth, as photographs are."""
    coarse = parity.draw(f"sc {name}", BATCH, 3, SIZE // 8, SIZE // 8).tanh()
    smooth = torch.nn.functional.interpolate(coarse, scale_factor=8, mode="bilinear")
    return (127.5 * (smooth + 1)).round().to(torch.uint8)


def batch(name: str) -> dict[str, torch.Tensor]:
    """As our loader gives it: the pixels, the noise of both posteriors."""
    return {
        "pixels": pixels(name),
        "eps": parity.draw("sc eps", BATCH, 16, SIZE // 16, SIZE // 16),
        "teacher_eps": parity.draw("sc teacher", BATCH, 16, SIZE // 8, SIZE // 8),
    }


def batches() -> list[dict[str, torch.Tensor]]:
    """The decoder's and the discriminator's own, of a step."""
    return [batch("first"), {"pixels": pixels("second")}]


def one_by_one() -> list[dict[str, torch.Tensor]]:
    """The same as micro-batches of one picture."""
    return [
        {key: value[index : index + 1] for key, value in both.items()}
        for both in batches()
        for index in range(BATCH)
    ]


def vae() -> torch.nn.Module:
    return parity.fill(tiny.vae(*parity.VAE["flux"]))


@torch.no_grad()
def fill_discriminator(discriminator: torch.nn.Module) -> torch.nn.Module:
    """Weights by their names, the vectors of the power iteration too."""
    parity.fill(discriminator)
    for name, vector in discriminator.named_buffers():
        vector.copy_(torch.nn.functional.normalize(parity.draw(name, *vector.shape), dim=0))
    return discriminator.train()


def vgg16() -> dict[str, torch.Tensor]:
    """The weights of LPIPS's network by the package's names, slice1.0.weight."""
    network = lpips.LPIPS(net="vgg", pretrained=False, pnet_rand=True, verbose=False).net
    return parity.fill(network).state_dict()


def save_vgg16(path: Path) -> Path:
    """The same in torchvision's layout."""
    weights = {f"features.{k.partition('.')[2]}": v.contiguous() for k, v in vgg16().items()}
    save_file(weights, path)
    return path


def apart(ours: dict, theirs: dict) -> float:
    """How far two sets of gradients are apart, relative to the second's norm."""
    assert ours.keys() == theirs.keys()
    difference = torch.cat([(ours[name] - theirs[name]).flatten() for name in ours])
    return float(
        difference.norm() / torch.cat([value.flatten() for value in theirs.values()]).norm()
    )


def stepped(distance, accelerator, processes, batches, form="published", **changes):
    """Our task after one step: it, its row, and the gradients that its optimizers got.

    distance: LPIPS of `save_vgg16`'s file, as `lpips_vgg` loads it, in the dtype of the step.
    """
    values = {"decoder_batch": BATCH, "discriminator_batch": BATCH, "micro_batch": BATCH}
    values |= {"resize": SIZE, "size": SIZE, "discriminator_depth": DEPTH}
    task = ScaleConsistency(AutoencoderSettings(**RECIPE | values | changes))
    task.accelerator, task.job = accelerator, SimpleNamespace(processes=processes)
    task.teacher = vae().requires_grad_(False)
    task.student = make_f16(vae(), decoder=form).train()
    trained = task.settings.encoder == "trained"
    task.trained = scale_consistency.trained(task.student, encoder=trained)
    task.lpips = distance
    task.opponent = fill_discriminator(Discriminator(HIDDEN, DEPTH))
    task.ema = Average(task.trained, task.settings.ema)
    how = {"lr": 1e-5, "betas": (0.9, 0.999), "weight_decay": 1e-4, "eps": 1e-8}
    task.optimizer = torch.optim.AdamW(task.trained, **how)
    task.opponents_optimizer = torch.optim.AdamW(task.opponent.parameters(), **how)
    gradients = {}
    for name, network, optimizer in (
        ("decoder", task.student, task.optimizer),
        ("discriminator", task.opponent, task.opponents_optimizer),
    ):

        def step(*arguments, name=name, network=network, real=optimizer.step):
            gradients[name] = {
                n: p.grad.clone() for n, p in network.named_parameters() if p.grad is not None
            }
            return real(*arguments)

        optimizer.step = step
    return task, task.step(0, iter(batches)), gradients
