"""What the doctor found: one answer, one line."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One answer: `ok`, what was examined, what was found and what to change."""

    ok: bool
    what: str
    detail: str

    def __str__(self) -> str:
        return f"{'ok ' if self.ok else 'FIX'}  {self.what}: {self.detail}"
