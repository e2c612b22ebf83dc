"""A training step of the scale-consistent VAE: ours against the released order of computing it.

    python benchmarks/train_vae.py [--size 512] [--batch 32] [--dtype bfloat16] [--quick]
    python benchmarks/train_vae.py --memory [--keep]

Ours is the trainer's own step (train/autoencoder.py), decoder and discriminator, on pictures that
are in memory, in one process, without accelerate's launch, logging and saving; the reference
computes the same terms as the released script: the decoder twice, the enlarged map kept, VGG-16 and
the discriminator once more backward for the adaptive weight. Random weights at the real size, the
optimizers included. `limit_tflops` is the device's matrix products in the convolutions' precision.
The plan takes what is measured in float32, the workflow's default; bfloat16 has a JSON of its own.

`--memory` counts the GB of either part of a step without a GPU, as memory.py does: of one image,
since those of a micro-batch add up; `--keep`: without checkpointing.
"""

import dataclasses
from types import SimpleNamespace

import harness
import memory
import networks
import torch
from accelerate import Accelerator
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from diffusion4k.backbones.architecture import VAE
from diffusion4k.estimate import autoencoder as arithmetic
from diffusion4k.sources.miniature import architectures as miniature
from diffusion4k.train import launch
from diffusion4k.train.autoencoder import ScaleConsistency
from diffusion4k.train.autoencoder_settings import AutoencoderSettings
from diffusion4k.train.average import Average
from diffusion4k.vae import discriminator, scale_consistency
from diffusion4k.vae.discriminator import Discriminator, gradient_penalty, hinge
from diffusion4k.vae.f16 import make_f16


def lpips_network(device: torch.device) -> torch.nn.Module:
    """LPIPS-VGG with random weights."""
    import lpips

    with device:
        made = lpips.LPIPS(net="vgg", pretrained=False, pnet_rand=True, verbose=False)
    made.scaling_layer.to(device)  # its buffers are born on the CPU
    return made.eval().requires_grad_(False)


def task(settings: AutoencoderSettings, accelerator: Accelerator, *, quick: bool):
    """Our task, its networks on the accelerator's device."""
    device = accelerator.device
    made = ScaleConsistency(settings)
    made.accelerator, made.job = accelerator, SimpleNamespace(processes=1)
    made.teacher = networks.vae("flux", device, torch.float32, quick=quick, factor=8)
    made.teacher.requires_grad_(False)
    made.student = networks.vae("flux", device, torch.float32, quick=quick, factor=8)
    make_f16(made.student, decoder=settings.decoder_form).train()
    if settings.gradient_checkpointing:
        made.student.enable_gradient_checkpointing()
    made.trained = scale_consistency.trained(made.student, encoder=False)
    with device:
        made.opponent = Discriminator(
            settings.discriminator_hidden, settings.discriminator_depth
        ).train()
    made.lpips = lpips_network(device)
    made.ema = Average(made.trained, settings.ema)
    made.optimizer = launch.optimizer_for(settings, made.trained)
    made.opponents_optimizer = launch.optimizer_for(settings, made.opponent.parameters())
    return made


def pictures(settings: AutoencoderSettings) -> dict[str, torch.Tensor]:
    """A micro-batch of noise, as the loader gives it."""
    count, side = settings.micro_batch, settings.size
    return {
        "pixels": torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8),
        "eps": torch.randn(count, 16, side // 16, side // 16),
        "teacher_eps": torch.randn(count, 16, side // 8, side // 8),
    }


class Released:
    """The released order of one step of the decoder and one of the discriminator."""

    def __init__(self, made: ScaleConsistency, batch: dict[str, torch.Tensor]):
        self.made, self.batch = made, batch

    def __call__(self) -> torch.Tensor:
        made, settings = self.made, self.made.settings
        batch = made._to_device(self.batch)
        photograph = batch["pixels"]
        with made.accelerator.autocast():
            z = scale_consistency.latents(made.student, photograph, batch["eps"])
            teacher_z = scale_consistency.latents(made.teacher, photograph, batch["teacher_eps"])
            picture, _ = scale_consistency.decode(made.student, z)
            _, own_map = scale_consistency.decode(made.student, z)
            with torch.no_grad():
                _, teacher_map = scale_consistency.decode(made.teacher, teacher_z)
        picture = picture.float().clamp(-1, 1)
        enlarged = F.interpolate(own_map.float(), scale_factor=2.0, mode="nearest")
        consistency = F.mse_loss(enlarged, teacher_map.float())
        lpips = made.lpips(picture, photograph).mean()
        adversarial = -made.opponent(picture).mean()
        last = made.student.decoder.conv_out.weight
        pulls = [
            torch.autograd.grad(term, last, retain_graph=True)[0] for term in (lpips, adversarial)
        ]
        weight = scale_consistency.adaptive_weight(*pulls)
        loss = F.mse_loss(picture, photograph) + settings.lpips * lpips + consistency
        (loss + settings.adversarial * weight * adversarial).backward()
        made._update(made.optimizer, made.trained)
        made.opponent.zero_grad()
        photograph = photograph.requires_grad_()
        of_real, of_fake = made.opponent(photograph), made.opponent(picture.detach())
        (hinge(of_real, of_fake) + gradient_penalty(photograph, of_real)).backward()
        made._update(made.opponents_optimizer, list(made.opponent.parameters()))
        for _ in range(2):
            made.ema.update()
        return loss.detach()


def count_memory(settings: AutoencoderSettings, accelerator: Accelerator, *, quick: bool) -> dict:
    """GB of each part of a step with one image a micro-batch, and `peak`, of the decoder's part."""
    with FakeTensorMode():
        made = task(settings, accelerator, quick=quick)
        every = (made.student, made.teacher, made.opponent, made.lpips)
        held = [tensor for one in every for tensor in (*one.parameters(), *one.buffers())]
        alive = memory.Alive([*held, *made.ema.values])
        weights = alive.now
        with alive:
            vectors = discriminator.vectors(made.opponent)
            for _ in range(2):  # in the second the gradients of the first are there
                alive.peak = 0
                batch = made._to_device(pictures(settings))
                made.train_decoder([batch], 2, vectors)
                del batch
        decoder = alive.peak
        # of few images its weights decide where the peak is
        some, more = (discriminators_peak(made.opponent, settings.size, n) for n in (8, 16))
        gradients = sum(p.grad.untyped_storage().nbytes() for p in made.trained)
        states = 8 * sum(p.numel() for p in (*made.trained, *made.opponent.parameters()))
    parts = {"weights, the average's too": weights, "gradients": gradients}
    parts["optimizer states"] = states
    parts["an image of a micro-batch"] = decoder - weights - gradients
    parts["an image of the discriminator's"] = (more - some) / 8
    parts["peak"] = decoder + states
    return {part: value / 1e9 for part, value in parts.items()}


def discriminators_peak(opponent: Discriminator, size: int, images: int) -> int:
    """Bytes at the peak of the discriminator's part with so many photographs of `size` px."""
    alive = memory.Alive([*opponent.parameters(), *opponent.buffers()])
    with alive:
        photograph = torch.empty(images, 3, size, size, requires_grad=True)
        of_real, of_fake = opponent(photograph), opponent(torch.empty(images, 3, size, size))
        (hinge(of_real, of_fake) + gradient_penalty(photograph, of_real)).backward()
    return alive.peak


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--size", type=int, default=512, help="px")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--memory", action="store_true", help="count it, time nothing")
    parser.add_argument("--keep", action="store_true", help="no gradient checkpointing")
    args = parser.parse_args()
    device = harness.device(args)
    size, batch = (128, 2) if args.quick else (args.size, args.batch)
    settings = AutoencoderSettings(
        decoder_batch=batch, micro_batch=batch, size=size, resize=size, precision=args.dtype
    )
    if args.quick:
        small = {"discriminator_hidden": 32, "discriminator_depth": 4}
        settings = dataclasses.replace(settings, gradient_checkpointing=False, **small)
    mixed = "bf16" if args.dtype == "bfloat16" else "no"
    accelerator = Accelerator(cpu=args.memory or device.type == "cpu", mixed_precision=mixed)
    if args.memory:
        one = dataclasses.replace(
            settings, decoder_batch=2, micro_batch=1, gradient_checkpointing=not args.keep
        )
        print("| part | GB |\n|---|---|")
        for part, size in count_memory(one, accelerator, quick=args.quick).items():
            print(f"| {part} | {size:.6f} |" if args.quick else f"| {part} | {size:.1f} |")
        return
    dtype = getattr(torch, args.dtype)
    chosen = [] if args.dtype == "float32" else [args.dtype]
    limit = harness.limit(device, dtype, quick=args.quick)
    network = miniature.VAE if args.quick else VAE
    count = arithmetic.step(
        network,
        dataclasses.asdict(settings) | {"gpus": 1},
        form=settings.decoder_form,
        adversarial=True,
    )
    sample = pictures(settings)
    report = harness.Report(
        "train_vae", args, harness.device_name(device), chosen,
        dtype=str(dtype), limit_tflops=limit, settings=dataclasses.asdict(settings),
    )  # fmt: skip
    for side in ("ours", "reference"):
        made = task(settings, accelerator, quick=args.quick)
        released = Released(made, sample)
        ours = lambda made=made: made.step(0, iter([sample]))  # noqa: E731
        found = {"case": f"batch {batch}, {size} px", "side": side}
        found |= {"stage": "train_vae", "backbone": "flux"} if args.dtype == "float32" else {}
        try:
            found |= harness.measure(
                ours if side == "ours" else released, device, repeats=args.repeats
            )
        except torch.cuda.OutOfMemoryError:
            report.add({"case": found["case"], "side": side, "failed": "out of GPU memory"})
            continue
        if device.type == "cuda":
            found["peak_gb"] = torch.cuda.max_memory_allocated(device) / 1e9
        report.add(harness.achieved(found, count, limit))
        del made, released, ours
    report.end()


if __name__ == "__main__":
    main()
