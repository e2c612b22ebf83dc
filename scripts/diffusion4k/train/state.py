"""Checkpoints that are whole or ignored.

A checkpoint is a folder: `state/` (accelerate's: weights, optimizer), `loss.parquet` (one row a
step since step 0) and `done.json`, which is written last and holds the size of every file. It is
written under a temporary name, synced and renamed, so that a process may die at any moment.
"""

import json
import os
import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.torch import load_model

from diffusion4k.errors import UserError

if TYPE_CHECKING:
    from accelerate import Accelerator

STATE, HISTORY, DONE = "state", "loss.parquet", "done.json"
# the processes' own random numbers, which accelerate saves and no draw of ours takes
PROCESSES = f"{STATE}/random_states_*"
Row = dict[str, float | int]


def save(
    accelerator: "Accelerator", folder: Path, step: int, history: Sequence[Row], *, keep: int = 2
) -> Path:
    """Save the training after `step` steps as `folder`/checkpoint-<step>; the last `keep` stay.

    Every process calls it; `history` is the main process's.
    """
    target = folder / f"checkpoint-{step:06d}"
    temporary = _temporary(target)
    if accelerator.is_main_process:
        _fresh(temporary)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(temporary / STATE))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        pq.write_table(pa.Table.from_pylist(list(history)), temporary / HISTORY)
        sharded = accelerator.num_processes if accelerator.deepspeed_plugin else 0
        _seal(temporary, target, {"step": step, "sharded_over": sharded})
        for old in _checkpoints(folder)[:-keep]:
            shutil.rmtree(old)
    accelerator.wait_for_everyone()
    return target


def load(accelerator: "Accelerator", folder: Path) -> tuple[int, list[Row]]:
    """Load a checkpoint into the prepared model and optimizer: its step, and the history so far.

    A replicated state loads on any number of processes. DeepSpeed shards its state over the
    processes that saved it: another number, or a change to or from DeepSpeed, is a UserError.

    All that a later step depends on is restored bit for bit (`launch.recount` does the rest where
    the optimizer is offloaded). On the CPU, and on GPUs with `deterministic`, the steps that follow
    are then those of an uninterrupted training, bit for bit; on GPUs without it attention's
    backward pass may add in another order each time.
    """
    done = _done(folder)
    if done is None:
        raise UserError(f"{folder}: the checkpoint is missing or damaged; make its step again")
    sharded = accelerator.num_processes if accelerator.deepspeed_plugin else 0
    if sharded != done["sharded_over"]:
        saved, current = (
            f"ZeRO over {count} processes" if count else "no ZeRO"
            for count in (done["sharded_over"], sharded)
        )
        raise UserError(
            f"{folder}: was saved with {saved}, this training has {current}; continue with as many "
            "GPUs and the same train.zero_stage, or begin again: delete the model's folder of "
            "train/ and run once more"
        )
    accelerator.load_state(str(folder / STATE))
    accelerator.step = 0  # counts micro-batches, of which another world has another number a step
    return done["step"], pq.read_table(folder / HISTORY).to_pylist()


def mean_loss(history: Sequence[Row]) -> float:
    """The mean loss of the last 100 steps, which a manifest reports."""
    return statistics.fmean(row["loss"] for row in history[-100:])


def latest(folder: Path) -> Path | None:
    """The newest whole checkpoint in `folder`, None when there is none."""
    whole = [path for path in _checkpoints(folder) if _done(path) is not None]
    return whole[-1] if whole else None


def sweep(folder: Path, *, keep: int | None = None) -> None:
    """Remove half-written checkpoints from `folder`, and all but the last `keep` whole ones."""
    whole = [path for path in _checkpoints(folder) if _done(path) is not None]
    stay = whole if keep is None else whole[-keep:]
    for path in [*folder.glob(".checkpoint-*.tmp"), *_checkpoints(folder)]:
        if path not in stay:
            shutil.rmtree(path)


def others(folder: Path, stop_step: int) -> list[Path]:
    """Checkpoint folders of the segment that ends at `stop_step` made by other code or settings.

    `folder` is …/progress/<key>-<stop step>/checkpoints-<key of the inputs>.
    """
    ends = [path for last, path in _segments(folder) if last == stop_step]
    folders = {path for end in {*ends, folder.parent} for path in end.glob("checkpoints-*")}
    return sorted(folders - {folder})


def forget(folder: Path, stop_step: int) -> None:
    """Once a segment is published: drop what nobody needs, of earlier segments and other settings.

    The last checkpoint in `folder` stays. It is hard links to what was published and takes no room,
    and when the job is yet called failed and Snakemake deletes its outputs, no step is lost.
    """
    sweep(folder, keep=1)
    earlier = [path for last, path in _segments(folder) if last < stop_step]
    for path in [
        *others(folder, stop_step),
        *(p for e in earlier for p in e.glob("checkpoints-*")),
    ]:
        shutil.rmtree(path)


def _segments(folder: Path) -> list[tuple[int, Path]]:
    """The last step and the progress folder of each of a training's segments."""
    siblings = ((path.name.rpartition("-")[2], path) for path in folder.parent.parent.glob("*-*/"))
    return [(int(last), path) for last, path in siblings if last.isdecimal()]


def publish(checkpoint: Path, target: Path, add: Callable[[Path], None]) -> list[Path]:
    """Make `target` a copy of `checkpoint` (hard links where the file system can) plus what `add`
    writes into it; it is whole or absent. Returns its files."""
    temporary = _temporary(target)
    _fresh(temporary)
    for name in (STATE, HISTORY):
        source = checkpoint / name
        if source.is_dir():
            shutil.copytree(source, temporary / name, copy_function=_link)
        else:
            _link(source, temporary / name)
    add(temporary)
    done = _done(checkpoint) or {}
    _seal(temporary, target, {key: done[key] for key in ("step", "sharded_over")})
    return _files(target)


def portable(accelerator: "Accelerator") -> None:
    """Let accelerate save the bare model's keys, so that a state loads on any number of processes.

    Without this the keys of a DDP state begin with `module.` and those of one process do not.
    """

    def saving(models, weights, folder):
        for index, state in enumerate(weights):
            weights[index] = {key.removeprefix("module."): value for key, value in state.items()}

    def loading(models, folder):
        while models:  # what a hook takes from the list, accelerate does not load itself
            model = accelerator.unwrap_model(models.pop(), keep_fp32_wrapper=True)
            load_model(model, Path(folder) / "model.safetensors")

    accelerator.register_save_state_pre_hook(saving)
    accelerator.register_load_state_pre_hook(loading)


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))


def _done(folder: Path) -> dict[str, Any] | None:
    """The seal of a whole checkpoint; None when it is missing or a file has another size."""
    try:
        done = json.loads((folder / DONE).read_text(encoding="utf-8"))
        sizes = {name: (folder / name).stat().st_size for name in done["files"]}
    except (OSError, ValueError, KeyError):
        return None
    return done if sizes == done["files"] else None


def _seal(temporary: Path, target: Path, record: Mapping[str, Any]) -> None:
    files = _files(temporary)
    sizes = {str(path.relative_to(temporary)): path.stat().st_size for path in files}
    seal = temporary / DONE
    seal.write_text(json.dumps({**record, "files": sizes}, indent=1) + "\n", encoding="utf-8")
    folders = [path for path in temporary.rglob("*") if path.is_dir()]
    for path in [*files, seal, *folders, temporary]:
        _sync(path)
    if target.exists():
        others = {path.name for path in target.iterdir()}
        if others := sorted(others - {path.name for path in temporary.iterdir()}):
            raise UserError(
                f"{target}: is made anew, and {others[0]} in it is of no checkpoint; move it away"
            )
        shutil.rmtree(target)
    temporary.rename(target)
    _sync(target.parent)


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name}.tmp")


def _fresh(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
