"""Stateless randomness: every draw is a function of the seed and of what it is drawn for.

Nothing is carried from step to step, so a resumed training draws what an uninterrupted one does,
and nothing knows the number of processes, so another number of GPUs draws the same.

A step's batch has slots 0 … global_batch - 1, shared out among the processes in contiguous slices.
"""

import functools
import hashlib

import torch


def generator(seed: int, *keys: int | str) -> torch.Generator:
    """A CPU generator of its own for `keys`. (torch keeps 32 bits of the derived seed.)"""
    digest = hashlib.sha256(repr((seed, *keys)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big"))


def sample_index(seed: int, position: int, count: int) -> int:
    """Which of `count` samples is the `position`-th of the training: a new permutation an epoch."""
    epoch, place = divmod(position, count)
    return int(_permutation(seed, epoch, count)[place])


def slot_generator(
    seed: int, step: int, slot: int, repeat_every: int = 0, kind: str = "draws"
) -> torch.Generator:
    """The draws of one kind of one slot of one step's global batch.

    With `repeat_every` > 0 slots that far apart draw alike. The released code seeds every rank with
    the same number, so all ranks draw the same crops, flips, timesteps and noise: `repeat_every`
    is then its batch per GPU (SD3 8, Flux 4), on however many GPUs we train.
    """
    return generator(seed, kind, step, slot % repeat_every if repeat_every else slot)


def slots(rank: int, processes: int, global_batch: int) -> range:
    """The slots of the global batch that one process computes; `processes` divides the batch."""
    size = global_batch // processes
    return range(rank * size, (rank + 1) * size)


@functools.lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, count: int) -> torch.Tensor:
    return torch.randperm(count, generator=generator(seed, "order", epoch))
