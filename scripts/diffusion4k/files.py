"""Files that are whole or absent: atomic writes, checksums, names that stay in their folder."""

import hashlib
import json
import os
import shutil
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from diffusion4k.errors import UserError

DESKTOPS = (".DS_Store", "Thumbs.db")  # which a desktop puts wherever somebody looks


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and renamed into place.

    The temporary name keeps the suffix, because image libraries choose the format by it, and is
    short, because `path` may have the longest name that the file system takes. When the block
    raises, the temporary file is removed and `path` is left as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    short = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    temporary = path.with_name(f".{short}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` (UTF-8) atomically; bytes of a file's name that are not UTF-8 are escaped."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def alike(name: str) -> str:
    """A name without what file systems treat alike: case, and how accents are composed."""
    return unicodedata.normalize("NFC", name).casefold()


def shown(name: str | Path) -> str:
    r"""`name` as text that can be printed and stored: bytes that are not UTF-8 as \udcXX."""
    return str(name).encode("utf-8", "backslashreplace").decode()


def link(file: Path, target: Path) -> None:
    """Let `target` have the bytes of `file`: a hard link, or a copy across file systems. Atomic."""
    with atomic(target) as temporary:
        try:
            os.link(file.resolve(), temporary)
        except OSError:
            shutil.copyfile(file, temporary)


@contextmanager
def anew(folder: str | Path) -> Iterator[Path]:
    """Yield an empty folder; on success it takes the place of `folder`, else that is as it was.

    What lies in `folder` is deleted then. UserError, before the block too, unless all of it is what
    an earlier call put there: see `refuse_others`.
    """
    folder = Path(os.path.realpath(folder))
    part = folder.with_name(f".{folder.name}.tmp")
    refuse_others(folder)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        refuse_others(folder)
        # of both, since a kill may come before the one takes the other's place
        old, new = _listed(folder), dict(_below(part))
        shared = {name: new[name] and old[name] for name in new.keys() & old.keys()}
        _list(folder, old | new | shared)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def refuse_others(folder: str | Path) -> None:
    """UserError when a folder that is to be made anew holds what `anew` did not put there.

    What it did is listed beside the folder, in .NAME.made: the manifest, which Snakemake deletes
    before a job, cannot tell. A file in place of a link counts as another.
    """
    folder = Path(os.path.realpath(folder))
    listed = _listed(folder)
    others = sorted(n for n, link in _below(folder) if n not in listed or listed[n] and not link)
    if folder.is_file():
        raise UserError(f"{folder}: a file; a folder is to be written there, choose another name")
    if others:
        more = f" and {len(others) - 1} more files" if len(others) > 1 else ""
        raise UserError(
            f"{folder}: is made anew, and {shown(others[0])}{more} in it would be deleted, which"
            " nothing says were made here; move the folder away, or choose another output"
        )


def keep_only(folder: Path, paths: Iterable[Path]) -> None:
    """Delete what earlier calls left in `folder` but `paths`; what else lies there stays."""
    kept = {path.relative_to(folder).as_posix() for path in paths}
    for name in _listed(folder).keys() - kept:
        inside(folder, name).unlink(missing_ok=True)
    _list(folder, dict.fromkeys(kept, False))


def _below(folder: Path) -> Iterator[tuple[str, bool]]:
    """Every file below a folder, and whether it is a link; links to folders are not followed."""
    for where, folders, names in os.walk(folder):
        links = [name for name in folders if Path(where, name).is_symlink()]
        for path in (Path(where, name) for name in [*names, *links]):
            if path.name not in DESKTOPS:
                yield path.relative_to(folder).as_posix(), path.is_symlink()


def _made(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.made")


def _listed(folder: Path) -> dict[str, bool]:
    """Name of each file that was put into a folder => whether it is a link."""
    path = _made(folder)
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError:
        raise UserError(
            f"{path}: not JSON, so that nobody knows what of {folder} was made here; move that away"
            " and delete this file"
        ) from None


def _list(folder: Path, entries: dict[str, bool]) -> None:
    write_text(_made(folder), json.dumps(entries, indent=0, sort_keys=True) + "\n")


def walk(root: str | Path, *, hidden: bool = True, most: int | None = None) -> list[Path]:
    """All that lies below `root` but folders, sorted: links are followed, whatever they lead to.

    A link to nothing is listed, too. Without `hidden` no file or folder whose name begins with a
    dot, such as a download's .cache. Of more than `most` files no more than `most` + 1, any of
    them. UserError for a link to a folder that it lies in.
    """
    paths: list[Path] = []
    for folder, folders, names in os.walk(root, followlinks=True):
        if not hidden:
            folders[:] = [name for name in folders if not name.startswith(".")]
            names = [name for name in names if not name.startswith(".")]
        above = os.path.realpath(folder)
        for name in folders:
            link = Path(folder, name)
            if link.is_symlink() and Path(above).is_relative_to(os.path.realpath(link)):
                raise UserError(f"{link}: a link to a folder that it lies in; remove it")
        room = None if most is None else most + 1 - len(paths)
        paths += [Path(folder, name) for name in names[:room]]
        if most is not None and len(paths) > most:
            break
    return sorted(paths)


def whole(root: str | Path, *, hidden: bool = True) -> list[Path]:
    """The files of `walk`; UserError for a link to nothing, which would make it another set."""
    paths = walk(root, hidden=hidden)
    if lost := [path for path in paths if not path.exists()]:
        raise UserError(f"{lost[0]}: a link to nothing; bring back what it means, or remove it")
    return paths


def disk(root: str | Path) -> int:
    """Bytes that a folder takes of its disk, a file of several names once; 0 where there is none.

    Links are not followed. What is deleted meanwhile, as by a running job, is not counted.
    """
    taken: dict[tuple[int, int], int] = {}
    for folder, _, names in os.walk(root):
        for name in names:
            with suppress(OSError):
                stat = Path(folder, name).lstat()
                taken[stat.st_dev, stat.st_ino] = stat.st_blocks * 512
    return sum(taken.values())


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
