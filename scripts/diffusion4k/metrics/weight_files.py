"""What goes wrong while a network's weights are loaded, in one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError

from safetensors import SafetensorError

from diffusion4k.errors import UserError

_POINTER = b"version https://git-lfs"
_ERRORS = (AttributeError, EOFError, KeyError, OSError, RuntimeError, TypeError, ValueError)


@contextmanager
def loading(path: Path, what: str) -> Iterator[None]:
    """Load `path`, a file or a folder, in the block; UserError when it turns out not to be `what`.

    The reason is torch's or the library's first sentence, without torch's advice to load the file
    with weights_only=False.
    """
    try:
        yield
    except UserError:
        raise
    except (*_ERRORS, SafetensorError, UnpicklingError) as error:
        raise UserError(f"{path}: not {what} ({_reason(Path(path), error)})") from None


def _reason(path: Path, error: Exception) -> str:
    if path.is_file():
        with path.open("rb") as handle:
            start = handle.read(len(_POINTER))
        if not start:
            return "zero bytes"
        if start == _POINTER:
            return "a pointer of Git LFS instead of the file"
    if isinstance(error, UnpicklingError):
        return "damaged, or more than tensors"
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0].split(". ")[0].rstrip(".:")
