"""The released scripts' training step and their optimizer in the CPU's memory, rewritten."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from diffusion4k.latents import encode
from diffusion4k.train import wavelet
from diffusion4k.train.settings import Settings

BLOCK = 2**30  # numbers a block of the CPU's memory: 4 GiB


class Offloaded:
    """AdamW on fp32 master weights in the CPU's memory, as DeepSpeed's ZeRO-2 offloads it.

    Each gradient leaves for the CPU as soon as the backward pass has made it; there it is clipped
    and the step made, and the weights come back, on CUDA all through pinned memory as there.
    `fused` is as fast on a CPU as DeepSpeedCPUAdam.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], recipe: Settings):
        self.parameters, self.clip = list(parameters), recipe.clip
        self.masters, self.gradients = on_cpu(self.parameters), on_cpu(self.parameters)
        for master, parameter in zip(self.masters, self.parameters, strict=True):
            master.copy_(parameter.detach())
        self.optimizer = torch.optim.AdamW(
            self.masters,
            lr=recipe.learning_rate,
            betas=(recipe.beta1, recipe.beta2),
            eps=recipe.epsilon,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
        self.squares: list[Tensor] = []
        for gradient, parameter in zip(self.gradients, self.parameters, strict=True):
            parameter.register_post_accumulate_grad_hook(self._taking(gradient))

    def _taking(self, gradient: Tensor):
        def take(parameter: nn.Parameter) -> None:
            self.squares.append(parameter.grad.float().square().sum())
            gradient.copy_(parameter.grad, non_blocking=True)
            parameter.grad = None

        return take

    @torch.no_grad()
    def step(self) -> None:
        """After a backward pass: clip, step, and weights back to where they compute."""
        # waits for the last gradient too, which was copied on the same stream
        norm = torch.stack(self.squares).sum().sqrt().item()
        self.squares.clear()
        if norm > self.clip:
            torch._foreach_mul_(self.gradients, self.clip / (norm + 1e-6))
        for master, gradient in zip(self.masters, self.gradients, strict=True):
            master.grad = gradient
        self.optimizer.step()
        for master, parameter in zip(self.masters, self.parameters, strict=True):
            # the next step changes no master before it has waited for these copies
            parameter.copy_(master, non_blocking=True)


def on_cpu(parameters: Sequence[Tensor]) -> list[Tensor]:
    """fp32 tensors on the CPU of these shapes, unset; pinned when the parameters are on CUDA.

    They share blocks, since torch rounds each pinned one up to a power of two.
    """

    def made() -> Iterator[Tensor]:
        left, room = sum(p.numel() for p in parameters), torch.empty(0)
        for parameter in parameters:
            count = parameter.numel()
            if count > room.numel():
                size = max(count, min(BLOCK, left))
                room = torch.empty(size, dtype=torch.float32, pin_memory=parameter.is_cuda)
            yield room[:count].view(parameter.shape)
            room, left = room[count:], left - count

    return list(made())


class Released:
    """What the released loop computes in a step: VAE and text in it, noising and loss in bf16.

    The pixels are there, in pinned memory: decoding them is its loader's work.
    """

    def __init__(self, transformer, backbone, recipe: Settings, vae, text: dict, device, size: int):
        self.transformer, self.backbone, self.recipe = transformer, backbone, recipe
        self.vae, self.device, self.size = vae, device, size
        self.random = torch.Generator().manual_seed(0)
        shape = (recipe.global_batch, 3, size, size)
        pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=self.random)
        given = {"pixels": pixels} | text
        self.given = {k: v.pin_memory() if device.type == "cuda" else v for k, v in given.items()}
        self.optimizer = Offloaded(list(transformer.parameters()), recipe)

    def __call__(self) -> Tensor:
        batch, device = self.recipe.global_batch, self.device
        pixels, *text = (v.to(device, non_blocking=True) for v in self.given.values())
        mean, logvar = encode.posterior(self.vae, pixels)
        config = self.vae.config
        x0 = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
        x0 = (x0 - (config.shift_factor or 0.0)) * config.scaling_factor
        noise = torch.randn_like(x0)
        u = torch.tensor([self.backbone.draw_u(self.random) for _ in range(batch)])
        tokens = (self.size // 32) ** 2
        sigma = self.backbone.sigmas(u, image_tokens=tokens, shifted=False, schedule_shift=3.0)
        sigma = sigma.to(device, x0.dtype)
        level = sigma.view(-1, 1, 1, 1)
        noisy = (1 - level) * x0 + level * noise
        v = self.backbone.velocity(self.transformer, noisy, sigma, *text, self.recipe.guidance)
        both = (torch.cat(wavelet.haar_bands(x), 1).float() for x in (noisy - level * v, x0))
        loss = (next(both) - next(both)).square().mean()
        loss.backward()
        self.optimizer.step()
        return loss.detach()
