"""Fine-tuning: rectified flow on stored latents, for any backbone; what `trainer` trains."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from diffusion4k import backbones, manifest
from diffusion4k.backbones.base import Backbone
from diffusion4k.data import captions as metadata
from diffusion4k.errors import UserError
from diffusion4k.latents.encode import posterior
from diffusion4k.train import launch, model, randomness, samples, state, step, trainer
from diffusion4k.train.job import Job
from diffusion4k.train.objectives import Bands
from diffusion4k.train.settings import Settings
from diffusion4k.train.task import Row, Task

Batch = dict[str, torch.Tensor]


def run(recipe: Settings, job: Job) -> None:
    """Train a segment. All that decides its weights is reached from here."""
    trainer.run_job(FineTuning(recipe, backbones.get(recipe.backbone)), job)


class FineTuning(Task):
    """A transformer on the latents of its VAE.

    `backbone` gives load_transformer, normalise, sigmas, draw_u and velocity (see backbones).
    """

    out_of_memory = (
        "backbones.<name>.train.micro_batch (the global batch is kept), or set train."
        "gradient_checkpointing, train.offload_optimizer (ZeRO-2), or train.optimizer: "
        "adamw_8bit (or adamw_8bit_bf16, the least memory) with zero_stage: 0"
    )

    def __init__(self, settings: Settings, backbone: Backbone):
        self.settings, self.backbone = settings, backbone

    def take(self, job: Job) -> None:
        settings = self.settings
        Bands(settings.wavelet, settings.levels, settings.band_weights)  # refused before loading
        self.job, self.base = job, manifest.read(job.pipeline)
        self.schedule_shift = model.schedule_shift(self.base.root)
        stored, size = samples.listing(job.latents)
        self.header = samples.header(stored[0])
        if self.header.backbone != settings.backbone:
            raise UserError(
                f"{job.latents[0]}: latents of {self.header.backbone}, but --backbone is "
                f"{settings.backbone}; give the latents of its own VAE"
            )
        draws = samples.Draws(
            seed=settings.seed,
            global_batch=settings.global_batch,
            repeat_every=settings.repeat_draws_every,
            flip=settings.flip_probability,
            u=self.backbone.draw_u,
        )
        self.cached = size <= job.cache
        self.samples = self._samples(stored, draws)

    def _samples(self, stored: list[samples.Sample], draws: samples.Draws) -> samples.Samples:
        """Stored latents, or for online ones the images that they are made from in each step."""
        job, header = self.job, self.header
        if not header.online:
            return samples.Samples(stored, draws, cache=self.cached)
        if job.dataset is None:
            raise UserError(
                f"{job.latents[0]}: online latents hold texts only; give the images by --dataset"
            )
        pictures = {s.id: s for s in metadata.of(manifest.read(job.dataset), job.folder)}
        return samples.OnlineSamples(
            stored, draws, pictures=pictures, size=header.size, cache=self.cached
        )

    def prepare(self, accelerator) -> None:
        settings = self.settings
        self.accelerator = accelerator
        root = launch.whole(accelerator, self.base, "transformer", "scheduler", "vae")
        transformer, self.dtype = model.transformer(settings, self.backbone, root)
        launch.refuse_too_long(settings, transformer, self.job.processes)
        optimizer = launch.optimizer_for(settings, transformer.parameters())
        self.model, self.optimizer = accelerator.prepare(transformer, optimizer)
        if settings.in_backward:  # weights are on their device now
            optimizer.attach()
        if not settings.zero_stage:
            state.portable(accelerator)
        self.vae = model.vae(self.header, self.base.root, accelerator.device)

    def resumed(self) -> None:
        launch.recount(self.optimizer)

    def batches(self, steps: range) -> Iterator[Batch]:
        job, settings = self.job, self.settings
        rank = self.accelerator.process_index
        mine = randomness.slots(rank, job.processes, settings.global_batch)
        workers = 0 if self.cached and self.vae is None else job.workers
        return samples.loader(self.samples, steps, mine, settings.micro_batch, workers=workers)

    def step(self, number: int, batches: Iterator[Batch]) -> Row:
        accelerator, settings = self.accelerator, self.settings
        rate = settings.learning_rate_at(number)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        count = accelerator.gradient_accumulation_steps
        total, norm, shares = 0, None, {}
        for _ in range(count):
            with accelerator.accumulate(self.model):
                loss, shares = self.loss(next(batches))
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    norm = launch.clip(
                        accelerator, settings, self.model.parameters(), self.optimizer
                    )
                self.optimizer.step()
                self.optimizer.zero_grad()
            total = total + torch.stack([loss.detach(), *shares.values()]).float() / count
        loss, *parts = accelerator.reduce(total, "mean").tolist()
        return {
            "loss": loss,
            **{f"loss_{name}": part for name, part in zip(shares, parts, strict=True)},
            "gradient_norm": float(norm),
            "learning_rate": rate,
        }

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Batch]:
        """The objective on a micro-batch of samples, with gradient, and its sub-bands' shares."""
        device = self.accelerator.device
        batch = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
        if self.vae is not None:
            mean, logvar = (x.float() for x in posterior(self.vae, batch.pop("pixels")))
            batch["z"] = mean + torch.exp(0.5 * logvar) * batch.pop("eps")
        return step.loss(
            self.backbone,
            self.model,
            batch,
            self.settings,
            self.header,
            self.schedule_shift,
            self.dtype,
        )

    def ids(self, number: int) -> Sequence[str]:
        return self.samples.ids(number)

    def notes(self) -> list[str]:
        settings, several = self.settings, self.accelerator.gradient_accumulation_steps > 1
        if not (several and settings.offload_optimizer and settings.precision == "bfloat16"):
            return []
        note = "gradients of micro-batches added up in bfloat16 (train.offload_optimizer)"
        return [f"{settings.backbone}: {note}"]

    def export(self) -> Callable[[Path], None]:
        dtype = model.DTYPES[self.job.save_dtype or self.settings.precision]
        network = self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        zero, main = bool(self.settings.zero_stage), self.accelerator.is_main_process
        network = model.trained(network, dtype, zero=zero, keep=main)
        return lambda folder: network.save_pretrained(folder / "transformer")
