"""The trainer: one segment of whatever Task it is given, on any number of processes.

What is done to the weights is the task's (finetune.py, autoencoder.py); where things lie and when
it saves, the Job's. To resume, run the same command again: it goes on from the newest whole
checkpoint.
"""

import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from diffusion4k import environment, manifest, monitor, signals
from diffusion4k.errors import UserError
from diffusion4k.progress import Progress
from diffusion4k.train import launch, state
from diffusion4k.train.job import Job
from diffusion4k.train.task import Row, Task


class Interrupted(Exception):
    """Stopped by a signal or the time limit after saving at `step`; running again continues."""

    def __init__(self, step: int):
        super().__init__(f"saved at step {step}; run again to continue")
        self.step = step


def train(task: Task, job: Job) -> None:
    """Train the segment and write its manifest, on every process of the launch.

    Interrupted: saved before the end. UserError: the launch, the inputs, or a loss that exploded.
    """
    started = time.time()
    progress = Progress(job.progress_folder, attempt=job.attempt, stop_step=job.stop_step)
    try:
        trainer = Trainer(task, job, progress, started=started)
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
            f"the GPU's memory is too small for micro-batches of {task.settings.micro_batch};"
            f" lower {task.out_of_memory}"
        )
        progress.failed(error)
        raise error from None
    trainer.accelerator.end_training()


def run_job(task: Task, job: Job) -> None:
    """`train`, for a script: exit status 75 where it was interrupted, and one process says so."""
    try:
        train(task, job)
    except Interrupted as stop:
        if os.environ.get("RANK", "0") == "0":
            print(stop, file=sys.stderr)
        sys.exit(75)


class Trainer:
    """What one process holds: `run` trains, `publish` writes the segment's result."""

    def __init__(self, task: Task, job: Job, progress: Progress, *, started: float):
        self.task, self.settings, self.job, self.started = task, task.settings, job, started
        self.progress = progress
        task.take(job)
        # stale checkpoints are never resumed: other settings or inputs have another folder
        self.folder = job.progress_folder / f"checkpoints-{job.key(self.settings)}"
        self.accelerator = launch.accelerator_for(self.settings, job.processes)
        self.main = self.accelerator.is_main_process
        task.prepare(self.accelerator)
        self._resume()

    def _resume(self) -> None:
        """Go on from the newest whole checkpoint of these settings and inputs, else from start."""
        self.step, self.history = 0, []
        self.good = state.latest(self.folder)
        if self.good is None and self.job.start is not None:
            start = manifest.read(self.job.start)
            self.good = launch.whole(self.accelerator, start, state.STATE, state.HISTORY)
        if self.good is not None:
            self.step, self.history = state.load(self.accelerator, self.good)
            self.task.resumed()
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
        job = self.job
        steps = range(self.step, job.stop_step)
        batches = self.task.batches(steps)
        logs = job.progress_folder / "tensorboard" if self.main else None
        deadline = self.started + (job.time_limit or math.inf)
        saved = time.monotonic()
        with signals.received(announce=self.main) as came, monitor.board(logs, self.step) as log:

            def asked() -> bool:
                return bool(came) or time.time() > deadline

            bar = monitor.bar(job.stop_step, self.step) if self.main else None
            for number in steps:
                row = self._step(number, batches)
                # now that the step is done, on the GPU as well; it is the first process's clock
                due = self.main and job.save_is_due(number + 1, time.monotonic() - saved)
                halt, due = self._any(asked(), due)
                self._watch(row)
                self.history.append(row)
                self.step = number + 1
                log(row)
                self.progress.step(row)
                if bar is not None:
                    bar.set_postfix(loss=f"{row['loss']:.4g}", refresh=False)
                    bar.update()
                last = self.step == job.stop_step
                if last or halt or due:
                    self._save()
                    saved = time.monotonic()
                    halt = not last and (halt or self._any(asked())[0])
                    self.progress.saved(self.step, "saved" if halt else "running")
                    if halt:
                        raise Interrupted(self.step)
            if bar is not None:
                bar.close()

    def _any(self, *flags: bool) -> list[bool]:
        """Whether each flag is set on any process: all halt, and save, after the same step."""
        own = torch.tensor([float(flag) for flag in flags], device=self.accelerator.device)
        return [count > 0 for count in self.accelerator.reduce(own, "sum").tolist()]

    def _save(self) -> None:
        self.progress.saving()
        try:
            self.good = state.save(self.accelerator, self.folder, self.step, self.history)
        except Exception as error:  # a full disk is an OSError, or safetensors' or torch's own
            raise self._unsaved(self.folder, error) from error
        if self.main:
            self.task.draw(self.job.progress_folder / "pictures", self.step)

    def _unsaved(self, where: Path, error: Exception) -> UserError:
        return UserError(
            f"{where}: step {self.step} could not be saved: {error}; if the disk is full or a "
            f"quota used up, make room; the same command goes on from "
            f"{self.good or 'the first step'}"
        )

    def _step(self, number: int, batches: Iterator[Any]) -> Row:
        """One optimizer step; the row to log."""
        began = time.perf_counter()
        row = self.task.step(number, batches)
        seconds = time.perf_counter() - began
        return {
            "step": number + 1,
            **row,
            "seconds": seconds,
            "steps_per_second": 1 / seconds,
            "images_per_second": self.settings.global_batch / seconds,
            "memory_gb": monitor.memory_gb(),
        }

    def _watch(self, row: Row) -> None:
        ill = monitor.ailment(row, self.history) or self.task.ailment(row, self.history)
        if ill is not None:
            ids = ", ".join(dict.fromkeys(self.task.ids(self.step)))
            raise UserError(
                f"step {row['step']}: {ill}; its samples: {ids}; the last good checkpoint: "
                f"{self.good or 'none yet'}; look at these samples, or lower --learning-rate"
            )

    def publish(self) -> None:
        """Put the last checkpoint and the weights beside the manifest, and write it.

        Every process calls it, because weights may be shared out; the main one writes.
        """
        settings, job = self.settings, self.job
        export = self.task.export()
        if not self.main:
            return
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
            measured=[root / state.HISTORY, root / state.DONE, *root.glob(state.PROCESSES)],
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
            device=environment.devices(self.accelerator.device, self.accelerator.num_processes),
            notes=[*self.task.base.notes, *job.start_notes(), *self.task.notes()],
        )
        state.forget(self.folder, job.stop_step)
        self.progress.saved(self.step, "finished")
