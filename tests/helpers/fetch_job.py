"""scripts/fetch.py as a job runs it, with a hub on this machine and short pauses."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from conftest import ROOT
from hub_server import Hub

NAME = "owner/model"
TOKEN = "hf_SecretSecretSecret"
FILES = {
    "model_index.json": b'{"_class_name": "FluxPipeline"}',
    "README.md": b"a card",
    "vae/config.json": b"{}",
    "vae/weights.safetensors": bytes(range(256)) * 400,
    "transformer/weights-1.safetensors": b"one" * 50_000,
    "transformer/weights-2.safetensors": b"two" * 50_000,
}
LARGE = sorted(name for name in FILES if name.endswith(".safetensors"))
STORED = "^GET /[0-9a-f]{64}/"  # a large file, at the storage server
# makes a job's pauses short and keeps their lengths; other processes are left as they are
QUICK = """
import os, sys, time
if any(word.endswith("fetch.py") for word in sys.orig_argv):
    slept = time.sleep
    def sleep(seconds):
        with open(os.environ["PAUSES"], "a") as file:
            print(seconds, file=file)
        slept(min(seconds, 0.01))
    time.sleep = sleep
"""


@dataclass(frozen=True)
class Job:
    """scripts/fetch.py with a cache of its own, the hub and the pauses that it made."""

    hub: Hub
    folder: Path
    environment: dict[str, str]

    def command(self, *flags: str, name: str = NAME) -> list[str]:
        command = [sys.executable, "scripts/fetch.py", "--hub", name, *flags]
        return [
            *command, "--folder", str(self.folder / "files"), "--output", str(self.manifest_path)
        ]  # fmt: skip

    def run(self, *flags: str, name: str = NAME, **environment: str) -> subprocess.CompletedProcess:
        """Run the script; its output is kept in `log` as the rule keeps it."""
        command, given = self.command(*flags, name=name), self.environment | environment
        done = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True)
        with (self.folder / "log").open("a", encoding="utf-8") as log:
            log.write(done.stdout + done.stderr)
        return done

    def succeed(self, *flags: str, **more) -> dict:
        done = self.run(*flags, **more)
        assert done.returncode == 0, done.stderr
        return json.loads(self.manifest_path.read_text(encoding="utf-8"))

    def fail(self, *flags: str, **more) -> str:
        """The one line of a run that must fail, without a manifest."""
        done = self.run(*flags, **more)
        assert done.returncode == 1, done.stderr
        assert not self.manifest_path.exists()
        assert "Traceback" not in done.stderr
        errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert errors == done.stderr.splitlines()[-1:]
        return errors[0]

    @property
    def manifest_path(self) -> Path:
        return self.folder / "source.json"

    @property
    def snapshot(self) -> Path:
        (found,) = self.folder.glob("cache/hub/*/snapshots/*")
        return found

    def pauses(self) -> list[float]:
        """In seconds; libraries look for locks and threads every few milliseconds besides."""
        path = Path(self.environment["PAUSES"])
        every = path.read_text(encoding="utf-8").split() if path.exists() else []
        return [pause for pause in map(float, every) if pause >= 1]


@contextlib.contextmanager
def start(folder: Path) -> Iterator[Job]:
    """A job in `folder`, and the hub that it asks."""
    (folder / "quick").mkdir()
    (folder / "quick" / "sitecustomize.py").write_text(QUICK, encoding="utf-8")
    left = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    with Hub() as hub:
        environment = left | {
            "HF_ENDPOINT": hub.address,
            "HF_HOME": str(folder / "cache"),
            "HF_TOKEN": TOKEN,
            "PYTHONPATH": str(folder / "quick"),
            "PAUSES": str(folder / "pauses"),
        }
        yield Job(hub, folder, environment)


def names(manifest: dict) -> list[str]:
    return [file["name"] for file in manifest["files"]]


def files_with_the_token(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and TOKEN.encode() in p.read_bytes()]
