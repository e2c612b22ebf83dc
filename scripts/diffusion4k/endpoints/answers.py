"""What an endpoint answered, kept by the content of what it was asked: nothing is paid twice.

A file an answer, named after a digest of endpoint, model, settings, texts and pictures. The folder
is shared by all runs; who wants an answer anew deletes its file.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from diffusion4k.errors import UserError
from diffusion4k.files import write_text


@dataclass(frozen=True)
class Answer:
    """One answer, or a refusal: then `refusal` says how, and `text` may be empty.

    Tokens are those that the server counted, or were reckoned where it counts none.
    """

    text: str
    refusal: str
    input_tokens: int
    output_tokens: int


class Answers:
    """The answers in a folder, which is made with the first of them."""

    def __init__(self, folder: Path):
        self._folder = folder

    def path(self, digest: str) -> Path:
        """Where the answer of this digest is, or would be."""
        return self._folder / digest[:2] / f"{digest}.json"

    def find(self, digest: str) -> Answer | None:
        """The answer of this digest, if there is one; UserError for a file that holds none."""
        path = self.path(digest)
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            return Answer(**record["answer"])
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(f"{path}: not an answer ({error}); delete it and run again") from None

    def save(self, digest: str, request: dict, answer: Answer) -> None:
        """Write an answer with what was asked. Atomic."""
        record = {"asked": request, "answer": asdict(answer)}
        write_text(self.path(digest), json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def digest(request: dict) -> str:
    """Hex SHA-256 of what was asked, a mapping that JSON can hold."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
