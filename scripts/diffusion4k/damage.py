"""What is wrong with weights that do not load, in one line; it decides no byte of those that do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError

from safetensors import SafetensorError, safe_open

from diffusion4k.errors import UserError
from diffusion4k.files import walk

_POINTER = b"version https://git-lfs"
_ERRORS = (AttributeError, EOFError, KeyError, OSError, RuntimeError, TypeError, ValueError)


@contextmanager
def loading(path: str | Path, what: str) -> Iterator[None]:
    """Load `path`, a file or a folder, in the block; UserError when it turns out not to be `what`.

    The reason is what is wrong with the file (with the first damaged one of a folder), else the
    library's first sentence, without torch's advice to load the file with weights_only=False. A GPU
    that is out of memory and a library that is itself broken stay what they are.
    """
    try:
        yield
    except UserError:
        raise
    except (*_ERRORS, SafetensorError, UnpicklingError) as error:
        # torch's, and diffusers' of a module of its own; both a RuntimeError, but no fault of files
        no_memory = type(error).__name__ == "OutOfMemoryError"
        if no_memory or str(error).startswith("Failed to import"):
            raise
        reason = _damage(Path(path)) or _first_sentence(error)
        raise UserError(f"{path}: not {what} ({reason}); fetch it again") from error


def _damage(path: Path) -> str:
    """What can be seen of it from outside; "" when the file, or each in the folder, looks whole."""
    if path.is_dir():
        files = [file for file in walk(path) if file.suffix == ".safetensors" and file.is_file()]
        damages = ((file.relative_to(path), _damage(file)) for file in files)
        return next((f"{name}: {damage}" for name, damage in damages if damage), "")
    if not path.is_file():
        return ""
    with path.open("rb") as handle:
        start = handle.read(len(_POINTER))
    if not start:
        return "zero bytes"
    if start == _POINTER:
        return "a pointer of Git LFS instead of the file"
    if path.suffix == ".safetensors":
        try:
            with safe_open(path, "numpy"):  # reads the header and compares the file's length
                pass
        except SafetensorError as error:
            return f"damaged, {_first_sentence(error)}"
    return ""


def _first_sentence(error: Exception) -> str:
    if isinstance(error, UnpicklingError):
        return "damaged, or more than tensors"
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0].split(". ")[0].rstrip(".: ")
