"""The scale-consistent VAE: a Task of the trainer.

A step trains the decoder once and then the discriminator, as a pair of the released steps does.
Gradients are averaged over processes by hand: a network that is called by another method than
`forward` passes DistributedDataParallel by, which is how the released decoders came to be each
rank's own.
"""

import contextlib
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from diffusion4k import manifest, monitor
from diffusion4k.data import listing, shards
from diffusion4k.errors import UserError
from diffusion4k.perceptual import lpips_vgg
from diffusion4k.train import launch, samples, trainer
from diffusion4k.train.autoencoder_settings import AutoencoderSettings
from diffusion4k.train.average import Average
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


@dataclasses.dataclass
class View:
    """A micro-batch's pictures, (B, 3, H, W) in [-1, 1], and what the terms would do to them."""

    picture: Tensor
    terms: Tensor  # (3,): squared error, LPIPS, adversarial
    steady: Tensor  # gradient of the first two, as the picture's
    adversarial: Tensor | None  # of the third
    pulls: Tensor | None  # (2, …): of LPIPS and the adversarial term, of the last convolution
    decoded: tuple[Tensor, Tensor] | None  # picture and scale consistency with what made them


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
        how = {"resize": settings.resize, "size": settings.size, "flip": settings.flip_probability}
        self.photographs = Photographs(training, seed=settings.seed, a_step=settings.images, **how)
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
        self.ema = Average(self.trained, settings.ema) if settings.ema else None
        # evaluation_mode: no DistributedDataParallel
        self.student, self.opponent = (
            accelerator.prepare_model(network, evaluation_mode=True)
            for network in (student, opponent)
        )
        other = dataclasses.replace(settings, learning_rate=settings.discriminator_learning_rate)
        self.optimizer, self.opponents_optimizer = (
            accelerator.prepare_optimizer(launch.optimizer_for(own, list(parameters)))
            for own, parameters in ((settings, self.trained), (other, self.opponent.parameters()))
        )
        if self.ema:
            accelerator.register_for_checkpointing(self.ema)

    def batches(self, steps: range) -> Iterator[Batch]:
        """Of each step the decoder's micro-batches, then the discriminator's own."""
        groups, own = self.settings.dealt(self.job.processes, self.accelerator.process_index)
        parts = [*itertools.chain(*groups), *own]
        keys = [[(step, slot) for slot in part] for step in steps for part in parts]
        return samples.loading(self.photographs, keys, workers=self.job.workers)

    def step(self, number: int, batches: Iterator[Batch]) -> Row:
        settings = self.settings
        fighting = settings.adversarial > 0 and number >= settings.adversarial_start
        groups, further = settings.dealt(self.job.processes)
        if not fighting:  # nothing is shared
            groups = [[part] for part in itertools.chain(*groups)]
        vectors = adversary.vectors(self.opponent) if fighting else None
        terms, real, fake = 0, [], []
        for group in groups:
            parts = [self._to_device(next(batches)) for _ in group]
            values, pictures = self.train_decoder(parts, len(groups), vectors)
            terms = terms + values / len(groups)
            real += [part["pixels"] for part in parts]
            fake += pictures
        norm = self._update(self.optimizer, self.trained)
        row = dict(zip(TERMS, self.accelerator.reduce(terms, "mean").tolist(), strict=True))
        if further:
            real = [self._to_device(next(batches))["pixels"] for _ in further]
        row |= self._train_discriminator(real, fake) if fighting else {}
        if self.ema:
            # the released code counts its discriminator's steps too, which have images of their own
            for _ in range(2 if fighting and further else 1):
                self.ema.update()
        loss = row["loss_mse"] + settings.lpips * row["loss_lpips"]
        loss += settings.scale_consistency * row["loss_scale_consistency"]
        # without the adversarial term, which has no direction of its own
        head = {"loss": loss, "gradient_norm": norm, "learning_rate": settings.learning_rate}
        return head | row

    def train_decoder(
        self, parts: Sequence[Batch], groups: int, vectors: Sequence[Tensor] | None
    ) -> tuple[Tensor, list[Tensor]]:
        """One of `groups` groups, which have an adaptive weight each: adds to the gradients.

        parts: its micro-batches, pixels (B, 3, H, W) in [-1, 1], eps and teacher_eps. vectors: the
        discriminator's, that each begins with; None: it takes no part yet. Returns TERMS, (5,)
        without gradient, and the pictures, clamped to [-1, 1]. What each term does to the pictures
        is known before the one backward pass. The weight is of all parts, so where these are
        several, all go forward once before, without the teacher.
        """
        alone, share = len(parts) == 1, len(parts) * groups
        views = [self._view(part, vectors, compare=alone) for part in parts]
        weight = views[0].terms.new_zeros(())
        if vectors:
            pulls = torch.stack([view.pulls for view in views]).mean(0)
            pulls = self.accelerator.reduce(pulls, "mean")  # of all processes
            weight = scale_consistency.adaptive_weight(*pulls).float()
        terms = 0
        for part, view in zip(parts, views, strict=True):
            consistency = self._pull(view.decoded or self.reconstruct(part), view, weight, share)
            view.decoded = None
            values = torch.stack([*view.terms[:2], consistency, view.terms[2], weight])
            terms = terms + values / len(parts)
        return terms, [view.picture for view in views]

    def reconstruct(self, batch: Batch, *, compare: bool = True) -> tuple[Tensor, Tensor | None]:
        """The student's pictures (B, 3, H, W), float32 in [-1, 1], and the scale consistency."""
        with self.accelerator.autocast():
            with torch.set_grad_enabled(self.settings.encoder == "trained"):
                z = scale_consistency.latents(self.student, batch["pixels"], batch["eps"])
            if compare:
                with torch.no_grad():
                    teacher_z = scale_consistency.latents(
                        self.teacher, batch["pixels"], batch["teacher_eps"]
                    )
                    _, teacher_map = scale_consistency.decode(self.teacher, teacher_z)
            unclamped, own_map = scale_consistency.decode(self.student, z)
            consistency = scale_consistency.consistency(own_map, teacher_map) if compare else None
        return unclamped.float().clamp(-1, 1), consistency

    def _view(self, batch: Batch, vectors: Sequence[Tensor] | None, *, compare: bool) -> View:
        """What the terms do to the pictures; with `compare` all that goes backward is kept."""
        photograph = batch["pixels"]
        decoded = self.reconstruct(batch, compare=compare)
        seen = decoded[0].detach().requires_grad_()
        mse = F.mse_loss(seen, photograph)
        lpips = self.lpips(seen, photograph).mean()
        (of_mse,) = torch.autograd.grad(mse, seen)
        (of_lpips,) = torch.autograd.grad(lpips, seen)
        steady = of_mse + self.settings.lpips * of_lpips
        adversarial, of_adversarial, pulls = torch.zeros_like(mse), None, None
        if vectors:
            adversary.restore(self.opponent, vectors)
            self.opponent.requires_grad_(False)
            adversarial = -self.opponent(seen).mean()
            self.opponent.requires_grad_(True)
            (of_adversarial,) = torch.autograd.grad(adversarial, seen)
            last = self.student.decoder.conv_out.weight
            pulls = torch.stack([
                torch.autograd.grad(decoded[0], last, of_term, retain_graph=True)[0]
                for of_term in (of_lpips, of_adversarial)
            ])  # fmt: skip
        terms = torch.stack([mse, lpips, adversarial]).detach().float()
        kept = decoded if compare else None
        return View(seen.detach(), terms, steady, of_adversarial, pulls, kept)

    def _pull(
        self, decoded: tuple[Tensor, Tensor], view: View, weight: Tensor, share: int
    ) -> Tensor:
        """The backward pass of a micro-batch, one of `share`; its scale consistency."""
        picture, consistency = decoded
        total = view.steady
        if view.adversarial is not None:
            total = total + self.settings.adversarial * weight * view.adversarial
        of_consistency = torch.full_like(consistency, self.settings.scale_consistency / share)
        torch.autograd.backward([picture, consistency], [total / share, of_consistency])
        return consistency.detach().float()

    def _train_discriminator(self, real: list[Tensor], fake: list[Tensor]) -> Row:
        terms, vectors = 0, adversary.vectors(self.opponent)
        for index, photograph in enumerate(real):
            adversary.restore(self.opponent, vectors)
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
        return adversary.collapse([*history[1 - monitor.WINDOW :], row])

    def ids(self, number: int) -> Sequence[str]:
        return self.photographs.ids(number)

    def draw(self, folder: Path, number: int) -> None:
        """Held-out photographs, what the F8 VAE makes of them, and what this one does so far."""
        if not self.held_out:
            return
        photographs = [photograph.sound() for photograph in self.held_out]
        vaes, file = (self.teacher, self.student), folder / f"step-{number:06d}.png"
        with self.ema.applied() if self.ema else contextlib.nullcontext():
            pictures.save(file, vaes, photographs, self.settings.size)

    def export(self) -> Callable[[Path], None]:
        if self.ema:
            self.ema.apply()
        student = self.accelerator.unwrap_model(self.student, keep_fp32_wrapper=False)
        student.register_to_config(_name_or_path="")  # not where it lay

        def write(folder: Path) -> None:
            student.save_pretrained(folder / "vae")

        return write
