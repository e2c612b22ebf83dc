"""Every locale will do: nothing printed dies of a sign that an encoding lacks, names are UTF-8."""

import locale
import os
import stat
import sys


def names_in_utf8() -> None:
    """Start this process again in Python's UTF-8 mode where the locale has other file names.

    By ISO-8859-1 or GBK, the file that a data set calls 城.jpg would not be there. What is printed
    stays as the locale has it. PYTHONUTF8=0 keeps the locale's names.
    """
    if sys.getfilesystemencoding() == "utf-8" or os.environ.get("PYTHONUTF8"):
        return
    os.environ["PYTHONUTF8"] = "1"
    os.environ.setdefault("PYTHONIOENCODING", f"{locale.getencoding()}:backslashreplace")
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def piped() -> dict[str, str]:
    """The environment of a Python whose pipe is read here as UTF-8, whatever the locale has."""
    return os.environ | {"PYTHONIOENCODING": "utf-8:backslashreplace"}


def prepare() -> None:
    """Let stdout and stderr take any text: files are UTF-8, a terminal gets escapes.

    A pipe is for a terminal, or for a program that reads as the locale says.
    """
    for stream in (sys.stdout, sys.stderr):
        if not hasattr(stream, "reconfigure"):
            continue  # somebody's stand-in, such as a test's
        try:
            in_file = stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
        except (OSError, ValueError):  # closed, or no file
            in_file = False
        stream.reconfigure(
            encoding="utf-8" if in_file else stream.encoding, errors="backslashreplace"
        )
