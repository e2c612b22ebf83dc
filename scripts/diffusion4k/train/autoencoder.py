"""The scale-consistent VAE: a Task of the trainer.

A step trains the decoder once and then the discriminator, as a pair of the released steps does.
Gradients are averaged over processes by hand: a network that is called by another method than
`forward` passes DistributedDataParallel by, which is how the released decoders came to be each
rank's own.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from diffusers.training_utils import EMAModel
from torch import Tensor
from torch.nn import functional as F

from diffusion4k import manifest, monitor
from diffusion4k.data import listing, shards
from diffusion4k.errors import UserError
from diffusion4k.perceptual import lpips_vgg
from diffusion4k.train import launch, samples, trainer
from diffusion4k.train.autoencoder_settings import AutoencoderSettings
from diffusion4k.train.job import Job
from diffusion4k.train.photographs import Photographs
from diffusion4k.train.task import Row, Task
from diffusion4k.vae import discriminator as adversary
from diffusion4k.vae import pictures, reconstruct, scale_consistency

Batch = dict[str, Tensor]
TERMS = ("loss_mse", "loss_lpips", "loss_scale_consistency", "loss_adversarial", "adaptive_weight")
OF_DISCRIMINATOR = ("loss_discriminator", "loss_gradient_penalty")
OF_DISCRIMINATOR += ("discriminator_real", "discriminator_fake")
DRAWN = 4  # held-out photographs, at each save
SATURATED = 1e-3  # of a probability: the sigmoid passes a thousandth of its gradient


def run(recipe: AutoencoderSettings, job: Job) -> None:
    """Train a segment. All that decides its weights is reached from here."""
    trainer.run_job(ScaleConsistency(recipe), job)


class ScaleConsistency(Task):
    """The decoder of a pipeline's F16 VAE, trained towards the F8 VAE that it was made from."""

    out_of_memory = (
        "vae_training.micro_batch (the batches are kept), or set vae_training."
        "gradient_checkpointing or precision: bfloat16"
    )

    def __init__(self, settings: AutoencoderSettings):
        self.settings = settings

    def take(self, job: Job) -> None:
        settings = self.settings
        self.job, self.base = job, manifest.read(job.pipeline)
        if None in (job.dataset, job.images, job.vgg16):
            raise UserError("--dataset, --images, --vgg16: a VAE's training needs all three")
        training, held_out = listing.read(manifest.read(job.images), manifest.read(job.dataset))
        self.held_out = shards.spread(held_out, DRAWN)
        self.photographs = Photographs(
            training,
            seed=settings.seed,
            a_step=settings.images,
            resize=settings.resize,
            size=settings.size,
            flip=settings.flip_probability,
        )
        (self.vgg16,) = manifest.read(job.vgg16).sound()

    def prepare(self, accelerator) -> None:
        settings, self.accelerator = self.settings, accelerator
        root = launch.whole(accelerator, self.base, *(["vae"] if self.base.within("vae") else []))
        options = {"dtype": torch.float32, "device": accelerator.device, "tiling": False}
        options |= {"encoder": settings.encoder_form, "decoder": settings.decoder_form}
        # the teacher comes from the pipeline whenever a job begins, and is part of no checkpoint
        self.teacher = reconstruct.load(root, factor=8, **options).requires_grad_(False)
        student = reconstruct.load(root, factor=16, **options).train()
        self.trained = scale_consistency.trained(student, encoder=settings.encoder == "trained")
        if settings.gradient_checkpointing:
            student.enable_gradient_checkpointing()
        torch.manual_seed(settings.seed)  # the discriminator begins alike on every process
        opponent = adversary.Discriminator(
            settings.discriminator_hidden, settings.discriminator_depth
        ).train()
        self.lpips = lpips_vgg(self.vgg16).to(accelerator.device)
        self.ema = EMAModel(self.trained, decay=settings.ema) if settings.ema else None
        # evaluation_mode: no DistributedDataParallel
        self.student, self.opponent = (
            accelerator.prepare_model(network, evaluation_mode=True)
            for network in (student, opponent)
        )
        rates = settings.learning_rate, settings.discriminator_learning_rate
        self.optimizer, self.opponents_optimizer = (
            accelerator.prepare_optimizer(
                launch.optimizer_for(
                    dataclasses.replace(settings, learning_rate=rate), list(parameters)
                )
            )
            for rate, parameters in zip(
                rates, (self.trained, self.opponent.parameters()), strict=True
            )
        )
        if self.ema:
            self.ema.to(accelerator.device)
            accelerator.register_for_checkpointing(self.ema)

    def resumed(self) -> None:
        if self.ema:
            self.ema.to(self.accelerator.device)

    def batches(self, steps: range) -> Iterator[Batch]:
        """Of each step the decoder's micro-batches, then the discriminator's own."""
        settings, processes = self.settings, self.job.processes
        keys = []
        for step in steps:
            first = 0
            for name in ("decoder_batch", "discriminator_batch"):
                total = getattr(settings, name)
                share = settings.share(name, processes)
                begin = first + self.accelerator.process_index * share.stop
                mine = range(begin, begin + share.stop)
                keys += samples.keys(range(step, step + 1), mine, share.step)
                first += total
        return samples.loading(self.photographs, keys, workers=self.job.workers)

    def step(self, number: int, batches: Iterator[Batch]) -> Row:
        settings, processes = self.settings, self.job.processes
        fighting = settings.adversarial > 0 and number >= settings.adversarial_start
        count = len(settings.share("decoder_batch", processes))
        of_discriminator = len(settings.share("discriminator_batch", processes))
        terms, real, fake = 0, [], []
        for _ in range(count):
            batch = self._to_device(next(batches))
            values, picture = self.train_decoder(batch, count, fighting=fighting)
            terms = terms + values / count
            real.append(batch["pixels"])
            fake.append(picture)
        norm = self._update(self.optimizer, self.trained)
        row = dict(zip(TERMS, self.accelerator.reduce(terms, "mean").tolist(), strict=True))
        if of_discriminator:
            real = [self._to_device(next(batches))["pixels"] for _ in range(of_discriminator)]
        row |= self._train_discriminator(real, fake) if fighting else {}
        if self.ema:
            # the released code counts its discriminator's steps too, which have images of their own
            for _ in range(2 if fighting and of_discriminator else 1):
                self.ema.step(self.trained)
        loss = row["loss_mse"] + settings.lpips * row["loss_lpips"]
        loss += settings.scale_consistency * row["loss_scale_consistency"]
        # without the adversarial term, which has no direction of its own
        head = {"loss": loss, "gradient_norm": norm, "learning_rate": settings.learning_rate}
        return head | row

    def train_decoder(self, batch: Batch, count: int, *, fighting: bool) -> tuple[Tensor, Tensor]:
        """One micro-batch of `count`: adds to the decoder's gradients.

        batch: pixels (B, 3, H, W) in [-1, 1], eps and teacher_eps. Returns TERMS, (5,) without
        gradient, and the pictures, clamped to [-1, 1]. One pass through the decoder, and one
        backward pass through every network: what each term does to the pictures is known before.
        """
        settings, photograph = self.settings, batch["pixels"]
        picture, consistency = self.reconstruct(batch)
        seen = picture.detach().requires_grad_()
        mse = F.mse_loss(seen, photograph)
        lpips = self.lpips(seen, photograph).mean()
        (of_mse,) = torch.autograd.grad(mse, seen)
        (of_lpips,) = torch.autograd.grad(lpips, seen)
        total = of_mse + settings.lpips * of_lpips
        adversarial = weight = torch.zeros((), device=seen.device)
        if fighting:
            self.opponent.requires_grad_(False)
            adversarial = -self.opponent(seen).mean()
            self.opponent.requires_grad_(True)
            (of_adversarial,) = torch.autograd.grad(adversarial, seen)
            weight = self._adaptive_weight(picture, of_lpips, of_adversarial)
            total = total + settings.adversarial * weight * of_adversarial
        torch.autograd.backward(
            [picture, consistency],
            [total / count, torch.full_like(consistency, settings.scale_consistency / count)],
        )
        values = torch.stack([mse, lpips, consistency, adversarial, weight]).detach()
        return values.float(), seen.detach()

    def reconstruct(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The student's pictures (B, 3, H, W), float32 in [-1, 1], and the scale consistency."""
        with self.accelerator.autocast():
            with torch.set_grad_enabled(self.settings.encoder == "trained"):
                z = scale_consistency.latents(self.student, batch["pixels"], batch["eps"])
            with torch.no_grad():
                teacher_z = scale_consistency.latents(
                    self.teacher, batch["pixels"], batch["teacher_eps"]
                )
                _, teacher_map = scale_consistency.decode(self.teacher, teacher_z)
            unclamped, own_map = scale_consistency.decode(self.student, z)
            consistency = scale_consistency.consistency(own_map, teacher_map)
        return unclamped.float().clamp(-1, 1), consistency

    def _adaptive_weight(self, picture: Tensor, *of_terms: Tensor) -> Tensor:
        """Of all processes' micro-batches together."""
        last = self.student.decoder.conv_out.weight
        pulls = [
            torch.autograd.grad(picture, last, of_term, retain_graph=True)[0]
            for of_term in of_terms
        ]
        pulls = self.accelerator.reduce(torch.stack(pulls), "mean")
        return scale_consistency.adaptive_weight(*pulls)

    def _train_discriminator(self, real: list[Tensor], fake: list[Tensor]) -> Row:
        terms = 0
        for index, photograph in enumerate(real):
            photograph = photograph.detach().requires_grad_()
            of_real = self.opponent(photograph)
            of_fake = self.opponent(fake[index % len(fake)])
            hinge = adversary.hinge(of_real, of_fake)
            penalty = adversary.gradient_penalty(photograph, of_real)
            ((hinge + penalty) / len(real)).backward()
            values = torch.stack([hinge, penalty, of_real.mean(), of_fake.mean()]).detach()
            terms = terms + values / len(real)
        norm = self._update(self.opponents_optimizer, list(self.opponent.parameters()))
        values = self.accelerator.reduce(terms, "mean").tolist()
        row = dict(zip(OF_DISCRIMINATOR, values, strict=True))
        return row | {"discriminator_gradient_norm": norm}

    def _update(self, optimizer, parameters: list[Tensor]) -> float:
        """Average the gradients over processes, clip them and step; their norm before."""
        if self.job.processes > 1:
            vector = torch.cat([parameter.grad.flatten() for parameter in parameters])
            vector = self.accelerator.reduce(vector, "mean")
            for parameter, part in zip(
                parameters, vector.split([p.numel() for p in parameters]), strict=True
            ):
                parameter.grad.copy_(part.view_as(parameter))
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.settings.clip)
        optimizer.step()
        optimizer.zero_grad()
        return float(norm)

    def _to_device(self, batch: Batch) -> Batch:
        """On the device; pixels become [-1, 1], float32."""
        batch = {k: v.to(self.accelerator.device, non_blocking=True) for k, v in batch.items()}
        return batch | {"pixels": batch["pixels"].float() / 127.5 - 1}

    def ailment(self, row: Row, history: Sequence[Row]) -> str | None:
        for name, value in row.items():
            if not math.isfinite(value):
                return f"{name} {value}"
        return collapse([*history[1 - monitor.WINDOW :], row])

    def ids(self, number: int) -> Sequence[str]:
        return self.photographs.ids(number)

    def draw(self, folder: Path, number: int) -> None:
        """Held-out photographs, what the F8 VAE makes of them, and what this one does so far."""
        if not self.held_out:
            return
        if self.ema:
            self.ema.store(self.trained)
            self.ema.copy_to(self.trained)
        photographs = [photograph.sound() for photograph in self.held_out]
        vaes = (self.teacher, self.student)
        pictures.save(folder / f"step-{number:06d}.png", vaes, photographs, self.settings.size)
        if self.ema:
            self.ema.restore(self.trained)

    def export(self) -> Callable[[Path], None]:
        if self.ema:
            self.ema.copy_to(self.trained)
        student = self.accelerator.unwrap_model(self.student, keep_fp32_wrapper=False)
        student.register_to_config(_name_or_path="")  # not where it lay

        def write(folder: Path) -> None:
            student.save_pretrained(folder / "vae")

        return write


def collapse(rows: Sequence[Row]) -> str | None:
    """What says, of the last hundred steps all, that the discriminator teaches nothing any more.

    It answers the same to photographs and reconstructions, at an end of the sigmoid, where that
    has no gradient; or the adaptive weight stands at its largest for want of one.
    """
    if len(rows) < monitor.WINDOW or any("discriminator_real" not in row for row in rows):
        return None
    if all(row["adaptive_weight"] >= scale_consistency.LARGEST_WEIGHT for row in rows):
        return "the discriminator has collapsed: the adaptive weight stands at its largest"
    answers = ("discriminator_real", "discriminator_fake")
    ends = {_end(row[name]) for row in rows for name in answers}
    if len(ends) == 1 and None not in ends:
        answer = rows[-1]["discriminator_real"]
        return f"the discriminator has collapsed: it answers {answer:.4f} to every picture"
    return None


def _end(probability: float) -> int | None:
    """0 or 1 for a probability there, None for one between."""
    return round(probability) if min(probability, 1 - probability) < SATURATED else None
