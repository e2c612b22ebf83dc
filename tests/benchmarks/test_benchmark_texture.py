"""benchmarks/texture.py as CI runs it: scripts/texture.py on one and two workers, timed."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "texture.py"


def test_quick(tmp_path):
    output = tmp_path / "texture.json"
    command = [sys.executable, str(SCRIPT), "--quick", "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text(encoding="utf-8"))
    assert (found["size"], found["images"]) == (1024, 4)
    for measured in (found["images_per_second"], found["peak_gb"]):
        assert set(measured) == {"1", "2"} and min(measured.values()) > 0
    assert "2 worker(s):" in done.stdout
