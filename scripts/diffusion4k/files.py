"""Files that are whole or absent: atomic writes, checksums, names that stay in their folder."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diffusion4k.errors import UserError


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and renamed into place.

    The temporary name keeps the suffix, because image libraries choose the format by it. When the
    block raises, the temporary file is removed and `path` is left as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` (UTF-8) atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def link(file: Path, target: Path) -> None:
    """Let `target` have the bytes of `file`: a hard link, or a copy across file systems. Atomic."""
    with atomic(target) as temporary:
        try:
            os.link(file.resolve(), temporary)
        except OSError:
            shutil.copyfile(file, temporary)


def sha256(path: str | Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def inside(root: str | Path, name: str) -> Path:
    """`root / name`, for a `name` that comes from a data file.

    Raises UserError when the name is absolute or climbs out of `root`; links are not followed,
    because hub snapshots are folders of links.
    """
    root = Path(root)
    normal = Path(os.path.normpath(root / name))
    if not name or Path(name).is_absolute() or not normal.is_relative_to(os.path.normpath(root)):
        raise UserError(f"{root}: the file name {name!r} leaves its folder; mend the metadata")
    return normal
