"""What `make quick` and `make test` choose to run."""

import os
import subprocess
import sys
from pathlib import Path

import conftest
import reach

ROOT = Path(__file__).resolve().parents[2]


def chosen(*changed: str) -> list[str]:
    return list(reach.tests_of(changed))


def test_the_tests_that_import_a_module_come_before_those_that_import_its_users():
    steps = reach.tests_of(["scripts/diffusion4k/metrics/glcm.py"])
    assert steps["tests/metrics/test_glcm.py"] == 1
    assert steps["tests/dag/test_dag.py"] > 1
    assert list(steps.values()) == sorted(steps.values())
    assert "tests/train/test_resume.py" not in steps


def test_a_test_that_changed_is_first():
    assert chosen("scripts/texture.py", "tests/train/test_samples.py")[0].endswith("samples.py")


def test_a_script_reaches_the_tests_that_start_it_by_name():
    assert "tests/sources/test_fetch_faults.py" in chosen("scripts/fetch.py")


def test_modules_imported_by_name_reach_what_uses_their_package():
    assert "tests/pipelines/test_backbones.py" in chosen("scripts/diffusion4k/backbones/flux.py")
    assert "tests/metrics/test_score.py" in chosen("scripts/diffusion4k/metrics/families/fid.py")


def test_a_fixtures_helper_reaches_the_tests_that_use_the_fixture():
    steps = reach.tests_of(["tests/helpers/tiny_metrics.py"])
    assert "tests/metrics/test_clip_scores.py" in steps
    assert "tests/data/test_images.py" not in steps


def test_what_the_rules_import_reaches_the_plans():
    assert "tests/dag/test_dag.py" in chosen("scripts/diffusion4k/dag/train.py")


def test_files_that_are_no_python_stand_for_folders():
    assert {Path(name).parts[1] for name in chosen("rules/train.smk")} == {"dag"}
    assert {Path(name).parts[1] for name in chosen("config/config.yaml")} == {"config", "dag"}
    assert {Path(name).parts[1] for name in chosen("docs/cluster.md")} == {"house"}


def test_conftest_reaches_every_test_but_those_that_take_long():
    every = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("tests/*/test_*.py")}
    long = {name for name in every if name.startswith(("tests/slurm/", "tests/end_to_end/"))}
    assert long
    assert set(chosen("tests/conftest.py")) == every - long


def test_groups_that_take_long_are_there_and_marked():
    """A file that is renamed leaves neither list by it; `-m long` takes those of LONG."""
    assert not [name for name in (*conftest.LONG, *conftest.LONGEST) if not (ROOT / name).exists()]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-m", "long", "tests/house"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    found = [line for line in done.stdout.splitlines() if "::" in line]
    assert found and all(line.startswith("tests/house/test_portable.py") for line in found)


def test_what_is_left_out_when_time_is_over_is_said():
    flags = ["-p", "reach", "-p", "no:cacheprovider", "-k", "test_every_room_is_known"]
    command = [sys.executable, "-m", "pytest", *flags, "tests/house/test_house.py"]
    for until, ran in (("0", 0), ("inf", 1)):
        environment = os.environ | {"PYTHONPATH": str(ROOT / "tests"), reach.UNTIL: until}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert f"ran {ran} of 1 tests that the change reaches" in done.stdout
