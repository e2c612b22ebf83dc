"""The paper's prompts (Table 11), each a text file in config/prompts: read here, and nowhere else.

A file begins with lines "# …", which are not sent: the first is its title, the others say whose
words they are. `{caption}` in a text stands for the caption of the images.
"""

from dataclasses import dataclass
from pathlib import Path

from diffusion4k.errors import UserError

FOLDER = Path("config/prompts")
CAPTION = "{caption}"


@dataclass(frozen=True)
class Prompt:
    """What a model is asked; `name` is the file's stem, `note` says whose words `text` is."""

    name: str
    title: str
    note: str
    text: str

    def of(self, caption: str) -> str:
        """The text for images of this caption."""
        return self.text.replace(CAPTION, caption)


def path(name: str) -> Path:
    """The file of a prompt."""
    return FOLDER / f"{name}.txt"


def read(path: str | Path) -> Prompt:
    """The prompt in a file; UserError when there is none, or nothing in it."""
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{path}: no such prompt; config/prompts holds the paper's") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error}); save it as UTF-8") from None
    head = 0
    while head < len(lines) and lines[head].startswith("#"):
        head += 1
    title, *notes = [line.lstrip("# ") for line in lines[:head]] or [path.stem]
    text = "\n".join(lines[head:]).strip()
    if not text:
        raise UserError(f"{path}: nothing to ask below its lines of '#'; write the prompt there")
    return Prompt(path.stem, title, " ".join(notes), text)
