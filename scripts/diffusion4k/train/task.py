"""What a trainer trains: its inputs, its networks, one step of it, and what it leaves."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from diffusion4k.manifest import Manifest
from diffusion4k.train.job import Job

Row = dict[str, float | int]


class Task(ABC):
    """One kind of training. `trainer` calls the methods in this order, on every process.

    `settings` is a frozen dataclass of all that decides the weights (and precision, zero_stage,
    global_batch, micro_batch, accumulation); `base`, once it has a job, the manifest of the
    pipeline that is trained; `out_of_memory` names what to lower when a GPU's memory is too small.
    """

    settings: Any
    base: Manifest
    out_of_memory: str

    @abstractmethod
    def take(self, job: Job) -> None:
        """Read what the job names; UserError for inputs that do not fit. No network is loaded."""

    @abstractmethod
    def prepare(self, accelerator) -> None:
        """Load the networks, and give all that a checkpoint must hold to the accelerator."""

    def resumed(self) -> None:  # noqa: B027  there is mostly nothing to do
        """Called once after a checkpoint was loaded; nothing, unless a task says otherwise."""

    @abstractmethod
    def batches(self, steps: range) -> Iterator[Any]:
        """This process's micro-batches of `steps`, one after another."""

    @abstractmethod
    def step(self, number: int, batches: Iterator[Any]) -> Row:
        """One optimizer step, counted from 0: loss, gradient_norm, and what else is to be logged.

        The values are those of all processes together.
        """

    @abstractmethod
    def ids(self, number: int) -> Sequence[str]:
        """The ids of what a step is trained on, for people; nothing is read."""

    @abstractmethod
    def export(self) -> Callable[[Path], None]:
        """What writes the result into a folder; the main process calls it."""

    def ailment(self, row: Row, history: Sequence[Row]) -> str | None:
        """Why training must stop after this step, besides what `monitor.ailment` sees."""
        return None

    def notes(self) -> list[str]:
        """What the footers of tables must say of weights that were trained like this."""
        return []

    def draw(self, folder: Path, number: int) -> None:  # noqa: B027 (most trainings draw nothing)
        """Pictures of how far the training is after `number` steps; the main process calls it."""
