"""The demo's Python: imports torch and diffusers once, and forks a process for each script.

Half of what the miniature's hundred small jobs compute is the import of the same libraries, five
seconds each. scripts/demo.py starts this and puts the client, a program called `python`, in front
of the jobs' PATH; what runs in a fork is the script as it is. Nothing else uses it. Of Snakemake's
benchmark files only the seconds are then the job's: the rest is the client's.
"""

import argparse
import contextlib
import gc
import json
import os
import pkgutil
import runpy
import select
import shlex
import signal
import socket
import sys
import traceback
from functools import partial
from pathlib import Path

# what the scripts import of other people's, the slowest; none of it may start a thread
LIBRARIES = """
    torch torchvision accelerate pandas pyarrow.dataset pyarrow.parquet safetensors.numpy
    jsonschema jinja2 cleanfid.resize scipy.linalg matplotlib.figure
    matplotlib.backends.backend_agg matplotlib.backends.backend_pdf numba open_clip lpips
    torch_fidelity.feature_extractor_inceptionv3 transformers.modeling_utils
    diffusers.models.autoencoders diffusers.models.transformers diffusers.loaders
    diffusers:AutoencoderKL diffusers:FluxPipeline diffusers:StableDiffusion3Pipeline
    transformers:CLIPTextModel transformers:CLIPTextModelWithProjection transformers:T5EncoderModel
"""
SECONDS = 5  # between two looks whether who started it is still there
CLIENT = """\
import json, os, signal, socket, sys
if not (len(sys.argv) > 1 and sys.argv[1].startswith({programs!r})):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    job = dict(argv=sys.argv[1:], cwd=os.getcwd(), environ=dict(os.environ))
    socket.send_fds(server, [b"."], [0, 1, 2])
    replies = server.makefile("rw", encoding="utf-8", errors="surrogateescape")
    replies.write(json.dumps(job) + "\\n")
    replies.flush()
    pid = int(replies.readline() or sys.exit("error: the demo's server of Python has ended"))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: os.kill(pid, number))
    sys.exit(int(replies.readline() or 1))
"""


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the client `python` is written")
    return parser


def write_client(folder: Path, python: str, programs: str = "scripts/") -> None:
    """A folder's `python`; where a path begins with `programs` it forks. "#!" takes no space."""
    program = folder / "client.py"
    text = CLIENT.format(python=python, programs=programs, address=str(folder / "socket"))
    program.write_text(text, encoding="utf-8")
    client = folder / "python"
    line = shlex.join([python, "-IS", str(program)])
    client.write_text(f'#!/bin/sh\nexec {line} "$@"\n', encoding="utf-8")
    client.chmod(0o700)


def serve(folder: Path) -> None:
    """Answer clients until the process is killed, or until who started it is gone."""
    starter = os.getppid()
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(folder / "socket"))
    server.listen(64)
    write_client(folder, sys.executable)
    import_libraries()
    gc.freeze()  # what is shared stays shared
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who watch
    while os.getppid() == starter:
        if server not in select.select([server], [], [], SECONDS)[0]:
            continue
        connection, _ = server.accept()
        if os.fork() == 0:
            server.close()
            watch(connection)
        connection.close()


def import_libraries() -> None:
    """All but bitsandbytes, which opens a GPU when diffusers imports it: nothing could fork."""
    sys.modules["bitsandbytes"] = None
    for name in LIBRARIES.split():
        pkgutil.resolve_name(name if ":" in name else f"{name}:")
    del sys.modules["bitsandbytes"]  # a script may import it


def watch(connection: socket.socket) -> None:
    """One job: run it, tell the client its process id and its status; it ends with the client."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, *_ = socket.recv_fds(connection, 1, 3)
    channel = connection.makefile("rw", encoding="utf-8", errors="surrogateescape")
    job = json.loads(channel.readline())
    if (pid := os.fork()) == 0:
        connection.close()
        os._exit(status_of(job, streams))
    channel.write(f"{pid}\n")
    channel.flush()
    ended = os.pidfd_open(pid)
    if ended not in select.select([connection, ended], [], [])[0]:
        os.kill(pid, signal.SIGTERM)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(OSError):
        channel.write(f"{status if status >= 0 else 128 - status}\n")
        channel.flush()
    os._exit(0)


def status_of(job: dict, streams: list[int]) -> int:
    """Be the job: its folder, environment, streams and command line; the status it ends with."""
    for target, stream in enumerate(streams):
        os.dup2(stream, target)
    reopen = partial(open, mode="w", encoding=sys.stdout.encoding, closefd=False)
    sys.stdout = reopen(1, buffering=1 if os.isatty(1) else -1)
    sys.stderr = reopen(2, buffering=1, errors="backslashreplace")
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["environ"])
    if "torch" in sys.modules and (threads := os.environ.get("OMP_NUM_THREADS")):
        sys.modules["torch"].set_num_threads(int(threads.split(",")[0]))  # the server has one
    sys.argv = job["argv"]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    status = 0
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status


if __name__ == "__main__":
    serve(parser().parse_args().folder)
