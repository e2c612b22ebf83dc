"""The demo's Python, which forks a process for each script: it must be the script, nothing else."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import demo
import warm
from conftest import ROOT

SCRIPTS = {
    "says.py": "import os, sys; print(os.getcwd(), os.environ['WORD'], sys.argv[1:], __name__)\n"
    "print('and here', file=sys.stderr)\n",
    "fails.py": "raise ValueError('a bug')\n",
    "ends.py": "import sys; sys.exit('error: one line')\n",
    "status.py": "import sys; sys.exit(7)\n",
    "waits.py": "import os, signal, sys, time\nfrom pathlib import Path\n"
    "signal.signal(signal.SIGTERM, lambda *of: sys.exit(3))\n"
    "Path('pid').write_text(str(os.getpid()))\ntime.sleep(60)\n",
}


@pytest.fixture(scope="module")
def path() -> str:
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        with demo.warm_python() as folder:
            yield os.pathsep.join([folder, os.environ["PATH"]])
    finally:
        os.chdir(before)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    for name, text in SCRIPTS.items():
        (tmp_path / "scripts" / name).write_text(text)
    return tmp_path


def start(path: str, folder: Path, *words: str, python: str = "python") -> subprocess.Popen:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    variables = os.environ | {"PATH": path, "WORD": "spoken"}
    return subprocess.Popen([python, *words], cwd=folder, env=variables, **pipes)


def test_a_script_has_its_folder_words_environment_and_streams(path, folder):
    process = start(path, folder, "scripts/says.py", "--key", "a b")
    out, err = process.communicate()
    assert out == f"{folder} spoken ['--key', 'a b'] __main__\n"
    assert err == "and here\n"
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("script", "status", "said"),
    [("fails", 1, "ValueError: a bug"), ("ends", 1, "error: one line\n"), ("status", 7, "")],
)
def test_its_end_is_the_jobs_end(path, folder, script, status, said):
    process = start(path, folder, f"scripts/{script}.py")
    _, err = process.communicate()
    assert process.returncode == status
    assert said in err


def wait_for(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def running(folder: Path) -> bool:
    file = folder / "pid"
    pid = file.read_text() if file.exists() else ""
    return bool(pid) and Path("/proc", pid).exists()


def test_a_signal_reaches_the_script(path, folder):
    process = start(path, folder, "scripts/waits.py")
    wait_for(lambda: running(folder))
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 3


def test_a_script_does_not_outlive_its_job(path, folder):
    process = start(path, folder, "scripts/waits.py")
    wait_for(lambda: running(folder))
    process.kill()
    process.wait()
    wait_for(lambda: not running(folder))


def test_what_ctrl_c_sends_to_a_terminals_group_does_not_reach_the_script_twice(path, folder):
    (folder / "scripts" / "group.py").write_text("import os; print(os.getpgrp())\n")
    out, _ = start(path, folder, "scripts/group.py").communicate()
    assert int(out) != os.getpgrp()


def test_the_server_ends_with_who_started_it(tmp_path):
    server = f"""if True:
        import pathlib, warm
        warm.LIBRARIES, warm.SECONDS = "", 0.1
        warm.serve(pathlib.Path({str(tmp_path)!r}))"""
    starter = f"""if True:
        import subprocess, sys, time
        print(subprocess.Popen([sys.executable, "-c", {server!r}]).pid, flush=True)
        time.sleep(60)"""
    command = [sys.executable, "-c", starter]
    with subprocess.Popen(command, cwd=ROOT / "scripts", stdout=subprocess.PIPE, text=True) as one:
        status = Path("/proc", one.stdout.readline().strip(), "status")
        wait_for((tmp_path / "python").exists)
        assert "(zombie)" not in status.read_text()
        one.kill()
    # nobody may be there to bury it
    wait_for(lambda: not status.exists() or "(zombie)" in status.read_text())


def test_a_script_has_its_jobs_threads(path, folder, monkeypatch):
    """As Snakemake tells them; the server has one, or nothing could be forked from it."""
    (folder / "scripts" / "threads.py").write_text("import torch; print(torch.get_num_threads())")
    for threads in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        out, err = start(path, folder, "scripts/threads.py").communicate()
        assert out == f"{threads}\n", err


def test_anything_else_is_the_real_python(path, folder):
    out, _ = start(path, folder, "-c", "import sys; print(sys.executable)").communicate()
    assert out.strip() == sys.executable


def test_a_source_comes_out_byte_for_byte_the_same(path, folder):
    made = []
    for name, python in (("warm", "python"), ("plain", sys.executable)):
        what = ["scripts/make_miniature.py", "--what", "clip_large", "--folder", str(folder / name)]
        words = [*what, "--output", str(folder / f"{name}.json")]
        process = start(path, ROOT, *words, python=python)
        _, err = process.communicate()
        assert process.returncode == 0, err
        files = sorted(file for file in (folder / name).rglob("*") if file.is_file())
        assert files
        made.append([hashlib.sha256(file.read_bytes()).hexdigest() for file in files])
    assert made[0] == made[1]


def test_the_environment_may_lie_in_a_folder_with_a_space(tmp_path):
    python = tmp_path / "a b" / "python"
    python.parent.mkdir()
    python.symlink_to(Path(sys.executable).resolve())
    warm.write_client(tmp_path, str(python))
    command = [tmp_path / "python", "-c", "import sys; print(sys.argv[1:])", "x y"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "['x y']\n"), done.stderr


def test_importing_opens_no_gpu_which_no_fork_could_use():
    """On a machine that has one, as torch says here; what asks it anything is an error."""
    code = """if True:
        import sys, torch
        torch.cuda.is_available, torch.cuda.device_count = lambda: True, lambda: 1
        def open_it():
            print("opened")
            raise RuntimeError("there is none")
        torch.cuda._lazy_init = open_it
        import warm
        warm.import_libraries()
        assert "diffusers" in sys.modules
        import bitsandbytes"""
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, cwd=ROOT / "scripts", capture_output=True, text=True)
    # bitsandbytes does when it is imported, which shows that it would be seen
    assert (done.returncode, done.stdout) == (0, "opened\n"), done.stderr
