"""What command-line scripts share: one-line errors, named paths, progress in a log, processes."""

import argparse
import errno
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from tqdm import tqdm

from diffusion4k import environment, streams
from diffusion4k.errors import UserError

# what a file system refuses, and no fault of a program's
FILE_SYSTEMS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG)
FULL = (errno.ENOSPC, errno.EDQUOT)


def main(run: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser) -> None:
    """Parse the command line and call `run`; a UserError becomes one line and exit status 1.

    A text may begin with "-". What --output names must be writable before the work begins, and be
    no input.
    """
    streams.names_in_utf8()
    streams.prepare()
    args = parser.parse_args(joined(sys.argv[1:], parser))
    environment.checkout()  # as it is when the work begins
    # it warns of a 4-bit CPU kernel that nobody here asks for, as soon as diffusers finds it
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        output = getattr(args, "output", None)
        for path in output if isinstance(output, list) else [output]:
            if path is not None:
                writable(path)
                spare_inputs(args, path)
        run(args)
    except SystemExit as ended:  # of which Python itself shows no notes
        print("".join(f"{line}\n" for line in notes(ended)), end="", file=sys.stderr)
        raise
    except UserError as error:
        sys.exit("\n".join([f"error: {error}", *notes(error)]))
    except Exception as error:
        if reason := refusal(error):
            where = getattr(error, "filename", None) or getattr(args, "output", None)
            where = where[0] if isinstance(where, list) else where
            lines = [f"error: {f'{where}: ' if where else ''}{reason}", *notes(error)]
            sys.exit("\n".join(lines))
        raise


def refusal(error: Exception) -> str:
    """What a file system refuses, where an exception says no more than that; "" for all others.

    Of a full disk libraries tell in their own words, safetensors and Arrow by its text.
    """
    code = error.errno if isinstance(error, OSError) else None
    if code in FILE_SYSTEMS and error.filename:
        return error.strerror
    if full := next((c for c in FULL if c == code or os.strerror(c) in str(error)), None):
        return f"{os.strerror(full)}; make room there and run again"
    return ""


def notes(error: BaseException) -> list[str]:
    """What was added to an exception, such as an error that came with it."""
    return getattr(error, "__notes__", [])


def joined(words: Sequence[str], parser: argparse.ArgumentParser) -> list[str]:
    """The words of a command line, --key -value as --key=-value where the key takes one text.

    argparse takes a word with a dash for an option, also for one that there is not.
    """
    options = _options(parser)
    merged: list[str] = []
    for at, word in enumerate(words):
        if word == "--":
            return [*merged, *words[at:]]
        option = options.get(merged[-1]) if merged else None
        text = option is not None and option.nargs is None and option.type in (None, str)
        name = word.partition("=")[0]
        known = any(known.startswith(name) for known in options if known.startswith("--"))
        if text and word.startswith("-") and name not in options and not (known and len(name) > 2):
            merged[-1] += f"={word}"
        else:
            merged.append(word)
    return merged


def _options(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """Every option of a parser and of its commands."""
    options = dict(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                options |= _options(command)
    return options


def named(flag: str, pairs: Iterable[str], form: str) -> list[tuple[tuple[str, ...], str]]:
    """(names, path) of each pair that `flag` gave in `form`, such as ROW:FAMILY=MANIFEST.

    UserError for a pair of another form.
    """
    read = []
    for pair in pairs:
        place, _, path = pair.partition("=")
        names = tuple(place.split(":"))
        if not (path and all(names)) or len(names) != 1 + form.count(":"):
            raise UserError(f"{flag} {pair}: write {form}")
        read.append((names, path))
    return read


def writable(path: Path, flag: str = "--output") -> None:
    """UserError for a file that could not be written; makes nothing, not even its folder."""
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder, not a file")
        if path.is_file() or not path.exists():  # and no device
            with tempfile.TemporaryFile(dir=folder):
                pass
    except OSError as error:
        raise UserError(f"{flag} {path}: cannot be written ({error.strerror})") from None


def spare_inputs(args: argparse.Namespace, output: Path) -> None:
    """UserError for a file among the flags that would be overwritten.

    That is the output, or has its name but for the suffix, as what is written beside it.
    """
    for flag, value in vars(args).items():
        for each in value if isinstance(value, list) else [value]:
            if flag == "output" or not isinstance(each, str | Path):
                continue
            path = Path(str(each).rpartition("=")[2])  # MODEL=MANIFEST
            if path.stem != output.stem or not path.is_file():
                continue
            if path.parent.resolve() == output.parent.resolve():
                flag = flag.replace("_", "-")
                raise UserError(
                    f"--output {output}: --{flag} {path} has that name, and would be overwritten by"
                    " what is written beside it; choose another name or folder"
                )


class _Lines:
    """A log file as tqdm's screen: every refresh is a line of its own, without carriage return."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, text: str) -> None:
        text = text.strip("\r\n")
        if text.strip():
            self._stream.write(text + "\n")

    def flush(self) -> None:
        self._stream.flush()


def progress(
    iterable: Iterable | None = None,
    *,
    total: int | None = None,
    desc: str,
    unit: str = "it",
    initial: int = 0,
) -> tqdm:
    """A tqdm bar with rate and time left; in a log file, a line every ten seconds.

    `initial` of the total were done before, and count for no rate.
    """
    terminal = sys.stderr.isatty()
    return tqdm(
        iterable,
        total=total,
        desc=desc,
        unit=f" {unit}",
        initial=initial,
        file=sys.stderr if terminal else _Lines(sys.stderr),
        mininterval=0.5 if terminal else 10.0,
        maxinterval=60.0,
        ncols=None if terminal else 100,
        ascii=not terminal,
    )


def parallel(function: Callable, items: Sequence[Any], workers: int) -> Iterator[Any]:
    """`function` of each item, in order, over `workers` processes; both must pickle.

    Processes and not threads, for work that holds Python's lock. UserError when one is killed.
    """
    if workers <= 1:
        yield from map(function, items)
        return
    with ProcessPoolExecutor(min(workers, max(len(items), 1))) as pool:
        try:
            yield from pool.map(function, items)
        except BrokenProcessPool:
            raise UserError(
                f"one of {workers} workers was killed, probably for memory: use fewer, grant more"
            ) from None


def threads() -> int:
    """Cores granted to this process: OMP_NUM_THREADS as Snakemake sets it; all of none, or of 0."""
    setting = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]  # "4,2": of nested levels
    granted = int(setting) if setting.strip().isdecimal() else 0
    return granted or os.cpu_count() or 1
