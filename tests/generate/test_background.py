"""Pictures from the GPU to disk: the same bytes, behind the sampler, whole or absent."""

import argparse
import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image

from conftest import ROOT
from diffusion4k import cli, files, images
from diffusion4k.background import one_behind
from diffusion4k.errors import UserError
from diffusion4k.generate import sampler
from diffusion4k.generate.folder import Folder
from diffusion4k.images import rounding
from tiny_dataset import rounded
from tiny_generation import contents, make, make_sources

LOW = (torch.bfloat16, torch.float16)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return make_sources(tmp_path_factory.mktemp("sources"))


def every_value(dtype: torch.dtype) -> torch.Tensor:
    """All numbers of 16 bits but NaN; of 32, each level's, each rounding border's and neighbours.

    In the layout of a decoded picture, (1, 3, H, W).
    """
    if dtype in LOW:
        found = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(dtype)
        found = found[~found.isnan()]
    else:
        halves = (np.arange(-4, 515) / 2 / 255 - 0.5) * 2  # of the VAE: -1 is 0, 1 is 255
        halves = halves.astype(np.float32)
        ends = [np.nextafter(halves, np.float32(side)) for side in (-9, 9)]
        noise = np.random.default_rng(0).normal(0, 1, 300_000).astype(np.float32)
        found = torch.from_numpy(np.concatenate([halves, *ends, noise, [np.inf, -np.inf]]).astype(
            np.float32
        ))  # fmt: skip
    rows = -(-found.numel() // 192)
    return found.repeat(2)[: rows * 192].reshape(1, 3, rows, 64)


@pytest.mark.parametrize("dtype", [torch.float32, *LOW], ids=str)
def test_every_value_becomes_the_byte_that_the_pipelines_make_of_it(dtype, tmp_path):
    decoded = every_value(dtype)
    processor = VaeImageProcessor()
    (expected,) = processor.postprocess(decoded.clone(), output_type="pil")
    found = rounding.to_bytes(processor.postprocess(decoded.clone(), output_type="pt")[0])
    assert found.dtype == np.uint8 and found.flags.c_contiguous
    assert np.array_equal(found, np.asarray(expected))
    assert len(np.unique(found)) == 256 or dtype == torch.bfloat16  # which has fewer near white
    images.save_jpeg(tmp_path / "ours.jpg", found)
    expected.save(tmp_path / "pil.jpg", **images.JPEG)
    assert (tmp_path / "ours.jpg").read_bytes() == (tmp_path / "pil.jpg").read_bytes()


@pytest.mark.parametrize("dtype", [torch.float32, *LOW], ids=str)
def test_a_reconstruction_is_rounded_as_numpy_rounds_it(dtype):
    (decoded,) = every_value(dtype)
    found = rounding.to_bytes(rounding.unit(decoded))
    assert np.array_equal(found, rounded(decoded.float().numpy()))


@pytest.mark.parametrize("name", ["sd3", "flux"])
def test_the_files_are_those_of_the_pipelines_own_pictures(sources, tmp_path, monkeypatch, name):
    """In bfloat16, whose values are rounded before they are scaled."""
    how = ["--png", "--dtype", "bfloat16", "--guidance", 2, "--seed-policy", "per_prompt"]
    ours = make(sources, tmp_path / "ours", *how, model=name)

    def diffusers(picture):
        (made,) = VaeImageProcessor.numpy_to_pil(VaeImageProcessor.pt_to_numpy(picture[None]))
        return np.asarray(made)

    monkeypatch.setattr(sampler, "to_bytes", diffusers)
    theirs = make(sources, tmp_path / "theirs", *how, model=name)
    assert contents(ours.root) == contents(theirs.root)
    assert [(f.name, f.sha256) for f in ours.files] == [(f.name, f.sha256) for f in theirs.files]


def test_calls_run_one_behind_and_in_order():
    made, running, most = [], set(), []

    def call(number):
        running.add(number)
        time.sleep(0.02)
        running.discard(number)
        return number, threading.current_thread() is threading.main_thread()

    def calls():
        for number in range(5):
            made.append(number)
            most.append(len(running))
            yield lambda number=number: call(number)

    for count, (number, in_main) in enumerate(one_behind(calls())):
        assert (number, in_main) == (count, False)
        assert len(made) <= count + 2  # two are held: at work, and just made
    assert made == [0, 1, 2, 3, 4] and max(most) == 1


def test_the_next_is_made_while_the_last_is_written():
    """With a call that ends only when the next is in the making."""
    begun = [threading.Event() for _ in range(3)]

    def calls():
        for number in range(3):
            begun[number].set()
            after = begun[number + 1] if number < 2 else begun[number]
            yield lambda after=after: after.wait(60)

    assert list(one_behind(calls())) == [True] * 3


def test_a_full_disk_stops_the_run_with_its_reason(sources, tmp_path, monkeypatch):
    synced, sync = [], files.os.fsync

    def full(handle):
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        if len([path for path in synced if path.endswith(".jpg")]) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        make(sources, tmp_path)
    assert not list(tmp_path.glob("*.json"))  # no manifest
    # what was saved before is whole, with its receipt; of the others there is nothing
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["photo_0.jpg", "photo_0.json"]
    monkeypatch.undo()
    sampled, sample = [], sampler.sample
    monkeypatch.setattr(sampler, "sample", lambda *a, **k: sampled.append(a[2]) or sample(*a, **k))
    assert make(sources, tmp_path).results["images"] == 3
    assert sampled == ["photograph number 1", "photograph number 2"]


def test_what_fails_in_sampling_keeps_what_was_sampled(sources, tmp_path, monkeypatch):
    sample = sampler.sample

    def broken(*arguments, **named):
        if arguments[2].endswith("2"):
            raise RuntimeError("no such kernel")
        return sample(*arguments, **named)

    monkeypatch.setattr(sampler, "sample", broken)
    with pytest.raises(RuntimeError, match="no such kernel"):
        make(sources, tmp_path)
    assert sorted(contents(tmp_path)) == ["photo_0.jpg", "photo_1.jpg"]


ENDED = """
import signal, sys, time
# a job in the background of a shell inherits that they are ignored, and these tests may be one
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from pathlib import Path
import numpy as np
sys.path[:0] = [{tests!r}, {scripts!r}]
from diffusion4k.background import one_behind
from diffusion4k.generate.folder import Folder

folder = Folder({root!r})
def slow(id):
    Path({root!r}, "writing").touch()
    time.sleep(1)
    folder.save(id, np.zeros((8, 8, 3), np.uint8), digest="", seconds=0)
def calls():
    yield lambda: slow("a")
    time.sleep(60)  # the next is sampled
for _ in one_behind(calls()):
    pass
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_what_is_queued_is_finished_when_the_job_is_ended(tmp_path, number):
    text = ENDED.format(root=str(tmp_path), scripts=str(ROOT / "scripts"), tests=str(ROOT))
    command = [sys.executable, "-c", text]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        while not (tmp_path / "writing").exists():
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, number)
        status = process.wait(30)
    finally:
        process.kill()
    assert status in (128 + number, -number)
    receipt = json.loads(Folder(tmp_path).receipt("a").read_text(encoding="utf-8"))
    assert Folder(tmp_path).find("a", "").seconds == receipt["seconds"] == 0
    with Image.open(tmp_path / "images" / "a.jpg") as picture:
        assert picture.size == (8, 8)
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]  # nothing half-written


SWALLOWED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{scripts!r}]
from diffusion4k.background import one_behind

class Freed:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
def calls():
    for number in range(4):
        if number == 1:
            Freed()
        yield Path({root!r}, str(number)).touch
for _ in one_behind(calls()):
    pass
"""


def test_a_signal_while_an_object_is_deleted_ends_the_job_all_the_same(tmp_path):
    """Python drops what is raised there: the job would go on, and hear no further signal."""
    text = SWALLOWED.format(root=str(tmp_path), scripts=str(ROOT / "scripts"))
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
    assert done.returncode == 128 + signal.SIGTERM, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"]


@pytest.mark.parametrize("error", [UserError("no prompt"), SystemExit(143)], ids=repr)
def test_an_error_of_sampling_does_not_hide_that_of_the_queued_save(error, monkeypatch, capsys):
    def save():
        raise OSError(errno.ENOSPC, "No space left on device")

    def calls():
        yield save
        raise error

    def run(args):
        list(one_behind(calls()))

    monkeypatch.setattr(sys, "argv", ["script"])
    with pytest.raises(SystemExit) as ended:
        cli.main(run, argparse.ArgumentParser())
    said = f"{capsys.readouterr().err}{ended.value}"
    assert "No space left on device" in said and str(error) in said
