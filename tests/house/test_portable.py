"""The tests that hold against stored values, or one kernel against another, on older processors."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = [
    "train/test_parity.py",
    "train/test_trainer.py::test_accumulation_is_one_large_batch",
    "vae/test_vae_f16.py",
    "vae/test_reconstruction.py::test_reconstruct_other_forms_of_a_vae",
    "latents/test_latents.py::test_sample_holds_posterior_and_text",
    "config/test_fidelity.py::test_row_decoder_partition",
]


def test_an_older_processor_passes_the_numeric_tests():
    """A process of its own: kernels are chosen once. `make test-portable` runs all of them."""
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--processor", "sse"]
    done = subprocess.run(
        [*command, *(f"tests/{test}" for test in TESTS)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PyTorch's kernels: DEFAULT" in done.stdout
