"""benchmarks/glcm.py as CI runs it: it finishes, agrees with itself, notices a wrong kernel."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "glcm.py"


def test_quick(tmp_path):
    output = tmp_path / "glcm.json"
    command = [sys.executable, str(SCRIPT), "--quick", "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text(encoding="utf-8"))
    assert set(found["seconds"]) == {"released", "one_thread", "two_threads", "properties", "limit"}
    assert found["times_the_released_loop"]["released"] == 1
    assert "x the released loop" in done.stdout


def test_a_wrong_kernel_is_no_result():
    code = f"""
import sys; sys.path[:0] = [{str(SCRIPT.parent)!r}, {str(SCRIPT.parent.parent / "scripts")!r}]
import glcm as benchmark
from diffusion4k.metrics import glcm
right = glcm.score
glcm.score = lambda *a, **k: {{name: value + 1e-9 for name, value in right(*a, **k).items()}}
benchmark.run(benchmark.parser().parse_args(["--size", "256", "--rounds", "1"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode != 0
    assert "differs from the released definition" in done.stderr
