"""The trainer: rectified flow on stored latents, for any backbone, on any number of processes.

What it does to the weights is in Settings; where things lie and when it saves, in Job. To resume,
run the same command again: it goes on from the newest whole checkpoint.
"""

import math
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch

from diffusion4k import manifest, monitor
from diffusion4k.backbones.base import Backbone
from diffusion4k.data import captions as metadata
from diffusion4k.errors import UserError
from diffusion4k.latents.encode import posterior
from diffusion4k.progress import Progress
from diffusion4k.train import launch, model, randomness, samples, signals, state, step
from diffusion4k.train.job import Job
from diffusion4k.train.objectives import Bands
from diffusion4k.train.settings import Settings

Batch = dict[str, torch.Tensor]


class Interrupted(Exception):
    """Stopped by a signal or the time limit after saving at `step`; running again continues."""

    def __init__(self, step: int):
        super().__init__(f"saved at step {step}; run again to continue")
        self.step = step


def train(settings: Settings, job: Job, backbone: Backbone) -> None:
    """Train the segment and write its manifest, on every process of the launch.

    `backbone` gives load_transformer, normalise, sigmas, draw_u and velocity (see backbones).
    Interrupted: saved before the end. UserError: the launch, the inputs, or a loss that exploded.
    """
    started = time.time()
    progress = Progress(job.progress_folder, attempt=job.attempt, stop_step=job.stop_step)
    try:
        trainer = Trainer(settings, job, backbone, progress, started=started)
        trainer.run()
        trainer.publish()
        trainer.accelerator.wait_for_everyone()
    except Interrupted:
        trainer.accelerator.end_training()
        raise
    except UserError as error:
        progress.failed(error)
        raise
    except torch.cuda.OutOfMemoryError:
        error = UserError(
            f"the GPU's memory is too small for micro-batches of {settings.micro_batch}; lower "
            "backbones.<name>.train.micro_batch (the global batch is kept), or set train."
            "gradient_checkpointing, train.offload_optimizer (ZeRO-2), or train.optimizer: "
            "adamw_8bit with zero_stage: 0"
        )
        progress.failed(error)
        raise error from None
    trainer.accelerator.end_training()


class Trainer:
    """What one process holds: `run` trains, `publish` writes the segment's result."""

    def __init__(self, settings: Settings, job: Job, backbone, progress: Progress, *, started):
        self.settings, self.job, self.backbone, self.started = settings, job, backbone, started
        self.progress = progress
        Bands(settings.wavelet, settings.levels, settings.band_weights)  # refused before loading
        self.base = manifest.read(job.pipeline)
        self.schedule_shift = model.schedule_shift(self.base.root)
        found, size = samples.listing(job.latents)
        self.header = samples.header(found[0])
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
            u=backbone.draw_u,
        )
        self.cached = size <= job.cache
        self.samples = self._samples(found, draws)
        # stale checkpoints are never resumed: other settings or inputs have another folder
        self.folder = job.progress_folder / f"checkpoints-{job.key(settings)}"
        self.accelerator = launch.accelerator_for(settings, job.processes)
        self.main = self.accelerator.is_main_process
        self._prepare()
        self._resume()

    def _samples(self, found: list[samples.Sample], draws: samples.Draws) -> samples.Samples:
        """Stored latents, or for online ones the images that they are made from in each step."""
        job, header = self.job, self.header
        if not header.online:
            return samples.Samples(found, draws, cache=self.cached)
        if job.dataset is None:
            raise UserError(
                f"{job.latents[0]}: online latents hold texts only; give the images by --dataset"
            )
        pictures = {s.id: s for s in metadata.of(manifest.read(job.dataset), job.folder)}
        return samples.OnlineSamples(
            found, draws, pictures=pictures, size=header.size, cache=self.cached
        )

    def _prepare(self) -> None:
        settings = self.settings
        root = launch.whole(self.accelerator, self.base, "transformer", "scheduler", "vae")
        transformer, self.dtype = model.transformer(settings, self.backbone, root)
        launch.refuse_too_long(settings, transformer, self.job.processes)
        optimizer = launch.optimizer_for(settings, transformer.parameters())
        self.model, self.optimizer = self.accelerator.prepare(transformer, optimizer)
        if not settings.zero_stage:
            state.portable(self.accelerator)
        self.vae = model.vae(self.header, self.base.root, self.accelerator.device)

    def _resume(self) -> None:
        """Go on from the newest whole checkpoint of these settings and inputs, else from start."""
        self.step, self.history = 0, []
        self.good = state.latest(self.folder)
        if self.good is None and self.job.start is not None:
            start = manifest.read(self.job.start)
            self.good = launch.whole(self.accelerator, start, state.STATE, state.HISTORY)
        if self.good is not None:
            self.step, self.history = state.load(self.accelerator, self.good)
            launch.recount(self.optimizer)
        if self.step > self.job.stop_step:
            raise UserError(f"{self.good}: is past --stop-step {self.job.stop_step}; raise it")
        self.accelerator.wait_for_everyone()
        if self.main:
            self.folder.mkdir(parents=True, exist_ok=True)
            state.sweep(self.folder)
            for other in state.others(self.folder, self.job.stop_step):
                print(f"{other}: of other code, settings or inputs, not resumed; it goes when this "
                      "segment is whole", file=sys.stderr)  # fmt: skip

    def run(self) -> None:
        """Train until `stop_step`, saving on the way; at the end `good` is its checkpoint."""
        job, rank = self.job, self.accelerator.process_index
        mine = randomness.slots(rank, job.processes, self.settings.global_batch)
        steps = range(self.step, job.stop_step)
        workers = 0 if self.cached and self.vae is None else job.workers
        batches = samples.loader(
            self.samples, steps, mine, self.settings.micro_batch, workers=workers
        )
        logs = job.progress_folder / "tensorboard" if self.main else None
        deadline = self.started + (job.time_limit or math.inf)
        with signals.received(announce=self.main) as came, monitor.board(logs, self.step) as log:

            def asked() -> bool:
                return bool(came) or time.time() > deadline

            bar = monitor.bar(job.stop_step, self.step) if self.main else None
            for number in steps:
                row = self._step(batches)
                halt = self._any(asked())  # now that the step is done, on the GPU as well
                self._watch(row)
                self.history.append(row)
                self.step = number + 1
                log(row)
                self.progress.step(row)
                if bar is not None:
                    bar.set_postfix(loss=f"{row['loss']:.4g}", refresh=False)
                    bar.update()
                last = self.step == job.stop_step
                if last or halt or self.step % job.save_every == 0:
                    self._save()
                    halt = not last and (halt or self._any(asked()))
                    self.progress.saved(self.step, "saved" if halt else "running")
                    if halt:
                        raise Interrupted(self.step)
            if bar is not None:
                bar.close()

    def _any(self, asked: bool) -> bool:
        """Whether any process was asked to halt: all halt after the same step."""
        flag = torch.tensor([float(asked)], device=self.accelerator.device)
        return self.accelerator.reduce(flag, "sum").item() > 0

    def _save(self) -> None:
        self.progress.saving()
        try:
            self.good = state.save(self.accelerator, self.folder, self.step, self.history)
        except Exception as error:  # a full disk is an OSError, or safetensors' or torch's own
            raise self._unsaved(self.folder, error) from error

    def _unsaved(self, where: Path, error: Exception) -> UserError:
        return UserError(
            f"{where}: step {self.step} could not be saved: {error}; if the disk is full or a "
            f"quota used up, make room; the same command goes on from "
            f"{self.good or 'the first step'}"
        )

    def _step(self, batches: Iterator[Batch]) -> state.Row:
        """One optimizer step; the row to log."""
        began, accelerator, settings = time.perf_counter(), self.accelerator, self.settings
        rate = settings.learning_rate_at(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        count = accelerator.gradient_accumulation_steps
        total, norm, shares = 0, None, {}
        for _ in range(count):
            with accelerator.accumulate(self.model):
                loss, shares = self.loss(next(batches))
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    norm = accelerator.clip_grad_norm_(self.model.parameters(), settings.clip)
                self.optimizer.step()
                self.optimizer.zero_grad()
            total = total + torch.stack([loss.detach(), *shares.values()]).float() / count
        loss, *parts = accelerator.reduce(total, "mean").tolist()
        seconds = time.perf_counter() - began
        return {
            "step": self.step + 1,
            "loss": loss,
            **{f"loss_{name}": part for name, part in zip(shares, parts, strict=True)},
            "gradient_norm": float(norm),
            "learning_rate": rate,
            "seconds": seconds,
            "steps_per_second": 1 / seconds,
            "images_per_second": settings.global_batch / seconds,
            "memory_gb": monitor.memory_gb(),
        }

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Batch]:
        """The objective on a micro-batch of samples, with gradient, and its sub-bands' shares."""
        device = self.accelerator.device
        batch = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
        if self.vae is not None:
            mean, logvar = (x.float() for x in posterior(self.vae, batch.pop("pixels")))
            batch["z"] = mean + torch.exp(0.5 * logvar) * batch.pop("eps")
        setting = self.settings, self.header, self.schedule_shift, self.dtype
        return step.loss(self.backbone, self.model, batch, *setting)

    def _watch(self, row: state.Row) -> None:
        ill = monitor.ailment(row, self.history)
        if ill is not None:
            ids = ", ".join(dict.fromkeys(self.samples.ids(self.step)))
            raise UserError(
                f"step {row['step']}: {ill}; its samples: {ids}; the last good checkpoint: "
                f"{self.good or 'none yet'}; look at these samples, or lower --learning-rate"
            )

    def publish(self) -> None:
        """Put the last checkpoint and the weights beside the manifest, and write it.

        Every process calls it, because weights may be shared out; the main one writes.
        """
        settings, job = self.settings, self.job
        dtype = model.DTYPES[job.save_dtype or settings.precision]
        network = self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        network = model.trained(network, dtype, keep=self.main)
        if not self.main:
            return

        def export(folder: Path) -> None:
            network.save_pretrained(folder / "transformer")

        root = job.output.with_suffix("")
        try:
            files = state.publish(self.good, root, export)
        except Exception as error:  # as in _save
            raise self._unsaved(root, error) from error
        seconds = sum(row["seconds"] for row in self.history)
        manifest.write(
            job.output,
            root=root,
            files=files,
            inputs=job.inputs(),
            measured=[root / state.HISTORY, root / state.DONE],
            keep=["start"] if job.start else [],
            settings=asdict(settings) | {"stop_step": job.stop_step, "processes": job.processes},
            results={
                "step": self.step,
                "loss": state.mean_loss(self.history),
                # of the whole training, whatever number of times it was resumed
                "images_per_second": settings.global_batch * len(self.history) / seconds,
                "seconds_training": round(seconds, 3),
                "global_batch": settings.global_batch,
            },
            started=self.started,
            device=launch.device_name(self.accelerator),
            notes=self.base.notes,
        )
        state.forget(self.folder, job.stop_step)
        self.progress.saved(self.step, "finished")
