"""What is printed arrives in every locale: nothing dies of a sign that an encoding lacks."""

import os
import stat
import sys


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
