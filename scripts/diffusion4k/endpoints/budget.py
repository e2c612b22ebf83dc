"""What answers cost together, and the limit that stops before it is exceeded."""

import threading
from dataclasses import dataclass

from diffusion4k.errors import UserError


@dataclass(frozen=True)
class Price:
    """Of a million tokens, in any currency."""

    input: float
    output: float

    def of(self, input_tokens: int, output_tokens: int) -> float:
        """What so many tokens cost."""
        return (self.input * input_tokens + self.output * output_tokens) / 1e6


class Budget:
    """Costs of a job's answers, of those that earlier runs paid for too; for several threads."""

    def __init__(self, limit: float):
        self.limit, self.spent = limit, 0.0
        self._held = 0.0  # the most that requests on their way may cost
        self._changed = threading.Condition()

    def add(self, cost: float) -> None:
        """Count what is paid already."""
        with self._changed:
            self.spent += cost

    def hold(self, most: float) -> None:
        """Wait until `most` fits below the limit; UserError when it will not."""
        with self._changed:
            while self.spent + self._held + most > self.limit:
                if not self._held:
                    raise UserError(
                        f"stopped before a cost of {self.limit:g} (max_cost) is exceeded:"
                        f" {self.spent:.4g} are spent, and the next answer may cost {most:.2g};"
                        " all answers are kept: raise max_cost and run the same command again"
                    )
                self._changed.wait()
            self._held += most

    def settle(self, most: float, cost: float) -> None:
        """In place of what was held, count what was paid."""
        with self._changed:
            self._held = max(0.0, self._held - most)
            if self._held < 1e-12:
                self._held = 0.0  # what sums of floats leave
            self.spent += cost
            self._changed.notify_all()
