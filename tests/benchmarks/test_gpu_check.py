"""benchmarks/gpu_check.py on a machine without a GPU: its steps, its limits, what it keeps."""

import importlib.metadata
import importlib.util
import json
import runpy
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import psutil
import pytest

from conftest import ROOT
from measured import REHEARSED, looked_at
from two_ranks import ENVIRONMENT

BENCHMARKS = ROOT / "benchmarks"


def module(name: str):
    sys.path.append(str(BENCHMARKS))  # after scripts/, which has files of the same names
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made  # dataclasses look there
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def gpu_check():
    yield module("gpu_check")
    del sys.modules["gpu_check"]


def check(folder, *arguments: str) -> tuple[int, dict, str]:
    """Exit status, record and what it printed."""
    command = [sys.executable, str(BENCHMARKS / "gpu_check.py"), "--quick", "--output", str(folder)]
    done = subprocess.run(
        [*command, *arguments], env=ENVIRONMENT, capture_output=True, text=True, cwd=ROOT
    )
    record = json.loads((folder / "gpu-check.json").read_text(encoding="utf-8"))
    return done.returncode, record, done.stdout + done.stderr


def test_a_rehearsal(tmp_path):
    """Real trainings that SIGTERM ends, under ZeRO with the optimizer in the CPU's memory."""
    names = [
        "machine", "segment_offload", "segment_bf16", "attention_flux", "attention_sd3", "between",
        "train_flux_80gb", "miniature",
    ]  # fmt: skip
    if not shutil.which("g++"):  # DeepSpeed builds its CPU Adam with it
        names.remove("segment_offload")
    # a test asserts no time: all limits are ten times as long
    status, record, said = check(tmp_path, *names, "--patience", "10", "--limit", "7200")
    assert status == 0, said
    assert set(record["steps"]) == set(names) and record["quick"]
    assert all(step["state"] == "done" for step in record["steps"].values())
    assert {name.partition("_")[0] for name in names} >= REHEARSED
    for name in names[:-1]:
        (result,) = record["steps"][name]["results"]
        looked_at(result, said)
    for name in set(names) & {"segment_offload", "segment_bf16"}:
        (result,) = record["steps"][name]["results"]
        straight, interrupted = result["rows"]
        assert interrupted["equal"] and interrupted["difference"] == 0
        assert interrupted["step"] >= 1 and interrupted["saved"] > 0
        assert straight["loss"] == interrupted["loss"]
    for name in ("attention_flux", "attention_sd3"):
        (result,) = record["steps"][name]["results"]
        chosen = [row for row in result["rows"] if "auto" in row]
        assert [row["auto"] for row in chosen] == ["native"] and "auto native" in said
    (result,) = record["steps"]["between"]["results"]
    assert [row["side"] for row in result["rows"]] == ["reference", "ours"]
    assert "between pictures, sd3, 64 px | ours" in said
    (row,) = record["steps"]["train_flux_80gb"]["results"][0]["rows"]
    assert row["side"] == "ours" and "adamw_8bit_bf16" in row["case"]
    assert "| segment_offload | done |" in said or "segment_offload" not in names


class Parsed(Exception):
    """The flags were taken."""


@pytest.mark.parametrize("memory", [80, 140])
def test_every_steps_flags_are_its_scripts(gpu_check, monkeypatch, tmp_path, memory):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    harness = importlib.import_module("harness")

    def device(args):
        raise Parsed

    monkeypatch.setattr(harness, "device", device)
    for name, step in gpu_check.steps(memory).items():
        script, *flags = step.line(tmp_path, quick=False)[1:]
        if "benchmarks" in script:
            monkeypatch.setattr(sys, "argv", [script, *flags])
            with pytest.raises(Parsed):
                runpy.run_path(script, run_name="__main__")
        else:
            assert name == "miniature"
            config, profile = flags[1], flags[3]
            assert (ROOT / config).is_file() and (ROOT / profile).is_dir()


def test_flux_trains_whole_where_the_memory_suffices(gpu_check):
    for memory, share in ((80, "3"), (141, "1")):
        command = gpu_check.steps(memory)["train_flux"].command
        assert command[command.index("--share") + 1] == share


@pytest.fixture
def two_steps(gpu_check, monkeypatch, tmp_path):
    """Runs two scripts as steps; the record."""
    monkeypatch.delenv("TORCH_EXTENSIONS_DIR", raising=False)

    def run(first: str, second: str, limit: float = 60, each: float = 2, named=()) -> dict:
        made = {}
        for name, text in {"first": first, "second": second}.items():
            path = tmp_path / f"{name}.py"
            path.write_text(text, encoding="utf-8")
            made[name] = gpu_check.Step((str(path),), each)
        monkeypatch.setattr(gpu_check, "steps", lambda memory: made)
        flags = ["gpu_check", *named, "--output", str(tmp_path / "out"), "--limit", str(limit)]
        monkeypatch.setattr(sys, "argv", flags)
        with pytest.raises(SystemExit) as end:
            gpu_check.main()
        record = json.loads((tmp_path / "out/gpu-check.json").read_text(encoding="utf-8"))
        return record["steps"] | {"status": end.value.code}

    return run


def test_what_breaks_or_takes_too_long_stops_no_other(two_steps, tmp_path):
    """Nor does it leave anything but what it had measured and said."""
    started, row = tmp_path / "started", {"case": "a", "side": "ours", "seconds": 1.0}
    slow = f"""
import argparse, os, pathlib, subprocess, sys, tempfile, time
sys.path.insert(0, {str(BENCHMARKS)!r})
import harness
args = argparse.Namespace(quick=True, output=pathlib.Path({str(tmp_path / "out/second")!r}))
harness.Report("cut", args, "a card").add({row!r})
folder = pathlib.Path(tempfile.mkdtemp())
(folder / "log").write_text("the training said this")
lock = pathlib.Path(os.environ["TORCH_EXTENSIONS_DIR"], "cpu_adam/lock")
lock.parent.mkdir(parents=True)
lock.touch()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], process_group=0)
pathlib.Path({str(started)!r}).write_text(f"{{child.pid}} {{folder}} {{lock}}")
time.sleep(600)
"""
    found = two_steps("raise OSError('no such card')", slow, each=10)
    assert found["first"]["state"] == "exit status 1"
    assert "no such card" in found["first"]["said"]
    assert found["second"]["state"] == "over its 10 s" and found["status"] == 1
    assert found["second"]["results"][0]["rows"] == [row]
    assert found["second"]["results"][0]["complete"] is False
    assert "the training said this" in found["second"]["said"]
    pid, folder, lock = started.read_text().split()
    assert not alive(int(pid))
    assert not Path(folder).exists() and not Path(lock).exists()


def test_a_second_run_keeps_what_the_first_measured(two_steps, tmp_path):
    before = two_steps("", "raise OSError('once')", each=60)
    assert (before["first"]["state"], before["second"]["state"]) == ("done", "exit status 1")
    left = tmp_path / "out/second/old-result.json"
    left.parent.mkdir(exist_ok=True)
    left.write_text("{}", encoding="utf-8")
    found = two_steps("import time; time.sleep(60)", "", each=60, named=["second"])
    assert found["first"] == before["first"]
    assert found["second"]["state"] == "done" and found["second"]["results"] == []
    assert found["status"] == 0 and not left.exists()
    for limit in (0, 0.5):  # nothing is begun; the first is cut off
        late = two_steps("", "import time; time.sleep(60)", limit=limit, named=["second"])
        assert late["second"] == found["second"] and late["status"] == 1


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_step_imports_while_the_one_before_is_measured_and_waits_for_its_turn(
    two_steps, tmp_path
):
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    first = f"""
import pathlib, time
while not pathlib.Path({str(begun)!r}).exists():
    time.sleep(0.01)
time.sleep(0.5)
pathlib.Path({str(ended)!r}).touch()
"""
    second = f"""
import pathlib, sys
sys.path.insert(0, {str(BENCHMARKS)!r})
pathlib.Path({str(begun)!r}).touch()
import harness
harness.await_turn()
assert pathlib.Path({str(ended)!r}).exists()
"""
    found = two_steps(first, second, limit=600, each=300)
    assert found["status"] == 0, found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_its_step_and_begins_no_other(tmp_path, number):
    """A step that lived on would hold the GPU, and be measured beside."""
    pid, program = tmp_path / "pid", tmp_path / "slow.py"
    program.write_text(f"import os, pathlib, time\npathlib.Path({str(pid)!r}).write_text("
                       "str(os.getpid()))\ntime.sleep(300)\n", encoding="utf-8")  # fmt: skip
    (tmp_path / "soon.py").write_text("", encoding="utf-8")
    driver = f"""if True:
        import sys
        sys.path.insert(0, {str(BENCHMARKS)!r})
        import gpu_check
        names = dict(soon="soon", slow="slow", after="slow")
        folder = {str(tmp_path)!r}
        made = {{n: gpu_check.Step((f"{{folder}}/{{f}}.py",), 300) for n, f in names.items()}}
        gpu_check.steps = lambda memory: made
        gpu_check.ALONE = {{*made, "miniature"}}
        gpu_check.main()"""
    folder = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", driver, "--output", str(folder)], stderr=subprocess.PIPE, text=True
    )
    while not (pid.exists() and pid.read_text() and (folder / "gpu-check.json").exists()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    process.communicate(timeout=120)
    assert process.returncode == 1
    assert not alive(int(pid.read_text()))
    steps = json.loads((folder / "gpu-check.json").read_text("utf-8"))["steps"]
    assert {name: step["state"] for name, step in steps.items()} == {
        "soon": "done", "slow": "stopped", "after": "not begun",
    }  # fmt: skip


def test_what_would_begin_too_late_does_not_and_the_rest_is_kept(two_steps):
    found = two_steps("import time; time.sleep(60)", "", limit=0.5)
    assert (found["first"]["state"], found["second"]["state"]) == ("over its 0 s", "not begun")


def test_the_master_weights_are_compared(monkeypatch, tmp_path):
    """Rounded to bfloat16, weights that differ by a tenth of their movement may be equal."""
    segment = module("segment")
    made = segment.Inputs(tmp_path, "sd3", 64, share=1, quick=True)
    command = " ".join(made.command(tmp_path / "out.json", 3))
    assert "--save-dtype float32" in command


def test_packages_are_those_of_the_lock_and_what_they_need(monkeypatch):
    packages = module("gpu_packages")
    found = packages.needed(packages.WANTED)
    assert {"diffusers", "deepspeed", "hjson", "bitsandbytes", "snakemake"} <= set(found)
    assert not {"torch", "numpy", "triton"} & set(found)
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert all(f"{name}=={version} " in lock for name, version in found.items())
    assert found["diffusers"] == importlib.metadata.version("diffusers")


def test_one_cudas_library_is_kept_and_the_archive_imports(gpu_check, tmp_path):
    packages = module("gpu_packages")
    folder = tmp_path / "site"
    libraries = [f"bitsandbytes/libbitsandbytes_cuda{cuda}.so" for cuda in (118, 130)]
    for name in (*libraries, "brought/__init__.py", "brought/tests/test_it.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("WHOLE = True\n", encoding="utf-8")
    packages.prune(folder, "130")
    archive = tmp_path / "out/packages.tar.xz"
    assert packages.pack(folder, archive) == archive.stat().st_size
    with tarfile.open(archive) as packed:
        names = set(packed.getnames())
    assert names == {"bitsandbytes/libbitsandbytes_cuda130.so", "brought/__init__.py"}
    path = gpu_check.unpacked(archive, tmp_path / "there")
    code = "import brought; assert brought.WHOLE"
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}, check=True)
