"""`--sdm conda`, against a stand-in that answers as conda does: each rule runs in its environment.

The stand-in makes an environment whose `python` is this one and notes what it was asked to run;
tests/house/test_envs.py holds that the environments themselves can be had.
"""

import shlex
import sys

import pytest

from conftest import ROOT, copy_workflow

CONDA = """#!/bin/sh
case "$1 $2" in
"--version ") echo conda 25.1.0 ;;
"info --json") echo '{{"conda_prefix": "{folder}", "platform": "linux-64"}}' ;;
"config --get") echo '{{"get": {{"channel_priority": "strict"}}}}' ;;
"env create")
    for prefix; do :; done # the last word
    mkdir -p "$prefix/bin" && cp {folder}/python "$prefix/bin/python" ;;
"clean -y") ;;
*) echo "conda $*: not known to the stand-in" >&2 && exit 2 ;;
esac
"""
PYTHON = """#!/bin/sh
echo "$1" >> "$CONDA_PREFIX.asked"
exec {python} "$@"
"""
ACTIVATE = """export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"
"""


@pytest.fixture
def conda(tmp_path, monkeypatch):
    """A folder with conda in its bin/, which is first in the PATH."""
    folder = tmp_path / "conda"
    (folder / "bin").mkdir(parents=True)
    files = {"bin/conda": CONDA, "python": PYTHON, "bin/activate": ACTIVATE}
    for name, text in files.items():
        path = folder / name
        path.write_text(
            text.format(folder=folder, python=shlex.quote(sys.executable)), encoding="utf-8"
        )
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder / "bin"), prepend=":")
    return folder


def test_every_script_runs_in_the_environment_of_its_rule(conda, tmp_path):
    (tmp_path / "workflow").mkdir()
    workflow = copy_workflow(tmp_path / "workflow")
    config = ("--configfile", "config/miniature.yaml")
    workflow.run("--sdm", "conda", *config, "--", "table_9")
    assert (workflow.folder / "results/miniature/tables/table_9.md").is_file()
    ran = {}
    for asked in (workflow.folder / ".snakemake/conda").glob("*.asked"):
        recipe = asked.with_suffix(".yaml").read_bytes()
        for script in asked.read_text(encoding="utf-8").split():
            ran.setdefault(script, set()).add(recipe)
    expected = {"make_miniature": "gpu", "check_data": "metrics", "table": "paper"}
    assert ran == {
        f"scripts/{script}.py": {(ROOT / f"envs/{name}.yaml").read_bytes()}
        for script, name in expected.items()
    }


def test_the_doctor_runs_beside_snakemake_and_its_executor(conda, tmp_path):
    """No environment of envs/ has the SLURM plugin, which it asks for sbatch's line."""
    (tmp_path / "workflow").mkdir()
    workflow = copy_workflow(tmp_path / "workflow")
    config = ("--configfile", "config/miniature.yaml")
    done = workflow.run("--sdm", "conda", *config, "--", "doctor", check=False)
    assert "  SLURM: " in done.stdout or "  cpu partition: " in done.stdout, done.stderr
    assert "scripts/doctor.py --config results/miniature/config.yaml --conda" in done.stderr
    assert not list((workflow.folder / ".snakemake/conda").iterdir())
