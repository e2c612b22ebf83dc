"""Programs as forks of a process that has imported their libraries (scripts/warm.py).

Snakemake takes half of a dry run's time to import, a script of the miniature most of its own.
"""

import atexit
import functools
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
MAIN = HERE / "snakemake_main.py"
SCRIPTS = HERE.parents[1] / "scripts"
SERVER = """if True:
    import pathlib, sys, warm
    if sys.argv[2:]:
        warm.LIBRARIES = " ".join(sys.argv[2:])
    warm.serve(pathlib.Path(sys.argv[1]))"""
OF_SNAKEMAKE = (
    "snakemake.cli", "snakemake_executor_plugin_slurm", "snakemake_executor_plugin_slurm_jobstep",
    "snakemake.report", "jsonschema", "jinja2", "smart_open", "requests", "docutils.core",
    "pygments.formatters", "PIL.Image", "tqdm", "yte", "dpath", "platformdirs", "packaging.version",
)  # fmt: skip
MAKES_NOTHING = {"-n", "--list-rules", "--report", "--summary", "--touch"}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def snakemake(words: Sequence[str], folder: Path) -> subprocess.CompletedProcess:
    """`python -m snakemake words` in a folder, in this environment; the jobs are forks too."""
    environment = dict(os.environ)
    if MAKES_NOTHING.isdisjoint(words):
        environment["DIFFUSION4K_PYTHON"] = str(served())
    argv = [str(MAIN), *words]
    with (
        socket.socket(socket.AF_UNIX) as server,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        Path(os.devnull).open("rb") as nothing,
    ):
        server.connect(str(served(*OF_SNAKEMAKE) / "socket"))
        socket.send_fds(server, [b"."], [stream.fileno() for stream in (nothing, out, err)])
        with server.makefile("rw", encoding="utf-8", errors="surrogateescape") as told:
            job = {"argv": argv, "cwd": str(folder), "environ": environment}
            told.write(json.dumps(job) + "\n")
            told.flush()
            told.readline()  # its process id
            status = int(told.readline())
        said = []
        for stream in (out, err):
            stream.seek(0)
            said.append(stream.read().decode("utf-8"))
    return subprocess.CompletedProcess(argv, status, *said)


@functools.cache
def python_of_snakemake() -> Path:
    """A `python` whose `-m snakemake` is a fork; of all else it is this one.

    A job on SLURM starts Snakemake twice, to do one rule: where this is the environment's
    `FORKED_PYTHON`, as forks. A fork is no child of who asked for it, who should not be killed.
    """
    import warm  # of scripts/, where programs that need no fork do not look

    folder = served(*OF_SNAKEMAKE)
    warm.write_client(folder, sys.executable, programs=str(MAIN))
    fork, python = (shlex.join(map(str, p)) for p in ([folder / "python", MAIN], [sys.executable]))
    program = folder / "python-of-snakemake"
    program.write_text(
        f"""#!/bin/sh
[ "$1 $2" = "-m snakemake" ] || exec {python} "$@"
shift 2
exec {fork} "$@"
""",
        encoding="utf-8",
    )
    program.chmod(0o700)
    return program


@functools.cache
def served(*libraries: str) -> Path:
    """The folder of a server, started once a process; without `libraries`, of the scripts' own."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    command = [sys.executable, "-W", "ignore", "-c", SERVER, str(folder), *libraries]
    server = subprocess.Popen(command, cwd=SCRIPTS, env=os.environ | ONE_THREAD, process_group=0)
    atexit.register(server.terminate)
    while not (folder / "python").exists():
        assert server.poll() is None, "the server of forks has ended"
        time.sleep(0.01)
    return folder
