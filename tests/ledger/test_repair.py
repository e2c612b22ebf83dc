"""Verify names what is broken of a run, and repair makes that again and nothing else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import chaos
import forked
import toy_run
from diffusion4k import files
from diffusion4k.errors import UserError
from diffusion4k.ledger import check, repair

SCRIPTS = Path(check.__file__).resolve().parents[2]
RUN = Path("results/toy")
ARGUMENTS = ["--cores", "1", "--quiet", "all"]


def snakemake(*arguments: str) -> subprocess.CompletedProcess:
    command = [*repair.SNAKEMAKE, "--cores", "1", *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished toy run, to be copied."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "Snakefile").write_text(toy_run.snakefile(), encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    command = [*repair.SNAKEMAKE, "--cores", "1"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def toy(finished, tmp_path, monkeypatch):
    subprocess.run(["cp", "-a", f"{finished}/.", tmp_path], check=True)  # hard links stay such
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(SCRIPTS))
    program = str(forked.python_of_snakemake())
    monkeypatch.setattr(repair, "SNAKEMAKE", (program, *repair.SNAKEMAKE[1:]))
    Path("ran.txt").unlink()
    return tmp_path


def verified() -> check.Report:
    return check.check(RUN, workers=2, progress=lambda total: lambda done: None)


def mend() -> repair.Outcome:
    return repair.repair(verified(), RUN, ARGUMENTS)


def ran() -> list[str]:
    path = Path("ran.txt")
    return path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []


def alter(path: Path) -> None:
    """Other bytes of the same number, in place: every hard link of the file has them."""
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    with path.open("r+b") as file:
        file.write(data)


def truncate(path: Path) -> None:
    os.truncate(path, 20)


BULK = {
    "latents/shard/b.txt": (["latents shard"], "latents/shard.json"),
    "generate/images/a.txt": (["generate images"], "generate/images.json"),
    "metrics/scores/rows.txt": (["score scores"], "metrics/scores.json"),
}


def state() -> dict[str, bytes]:
    """The bulk of a run: name => bytes."""
    bulk = (p for p in RUN.rglob("*") if p.is_file() and p.suffix == ".txt")
    return {str(p): p.read_bytes() for p in bulk if "progress" not in p.parts}


@pytest.mark.parametrize("harm", [Path.unlink, truncate, alter])
@pytest.mark.parametrize("name", BULK)
def test_a_broken_file_is_made_again_and_nothing_else(toy, name, harm):
    before = state()
    jobs, made = BULK[name]
    sibling = RUN / name.replace("b.txt", "a.txt")
    time = sibling.stat().st_mtime_ns if sibling != RUN / name else None
    harm(RUN / name)
    [line] = [line for line in verified().lines() if line.startswith("  ")]
    assert str(RUN / name) in line
    outcome = mend()
    assert outcome.same == [RUN / made] and outcome.other == {}
    assert ran() == jobs and state() == before
    assert time is None or sibling.stat().st_mtime_ns == time  # taken over
    assert verified().lines() == []
    if harm is alter:  # the others end alike
        assert "Nothing to be done" in snakemake().stderr


@pytest.mark.parametrize(
    ("harm", "jobs"),
    [
        (Path.unlink, ["train step-1", "train step-2"]),
        # the save is the same file, and as broken: trained again from the first step
        (truncate, ["train step-1", "train step-2"]),
        (alter, ["train step-1", "train step-2"]),
    ],
)
def test_a_broken_checkpoint_is_trained_again_and_its_images_stay(toy, harm, jobs):
    before = state()
    harm(RUN / "train/m/step-2/weights.txt")
    outcome = mend()
    assert outcome.same == [RUN / "train/m/step-2.json"]
    assert ran() == jobs and state() == before
    assert verified().lines() == []  # of the seconds that it took now
    assert "Nothing to be done" in snakemake().stderr


def test_bytes_that_differ_are_told_with_what_lies_downstream(toy, monkeypatch):
    alter(RUN / "train/m/step-2/weights.txt")
    monkeypatch.setenv("TOY_NOISE", "1")
    outcome = mend()
    later = [RUN / "generate/images.json", RUN / "metrics/scores.json", RUN / "tables/table.json"]
    assert outcome.same == [] and outcome.other == {RUN / "train/m/step-2.json": later}
    assert "generate images" not in ran()
    [note] = verified().lines()
    assert note.startswith("note: ") and "was made from another" in note
    assert "generate" in snakemake("-n").stdout
    # accepted as it is
    snakemake("--touch")
    assert "Nothing to be done" in snakemake().stderr


def test_what_is_made_from_other_bytes_stays_broken_until_one_has_chosen(toy, monkeypatch):
    alter(RUN / "train/m/step-2/weights.txt")
    truncate(RUN / "generate/images/a.txt")
    monkeypatch.setenv("TOY_NOISE", "1")
    outcome = mend()
    assert outcome.same == [] and list(outcome.other) == [RUN / "train/m/step-2.json"]
    assert outcome.waiting == [RUN / "generate/images.json"]
    assert "generate images" not in ran()
    snakemake("--touch")  # keep what was made of the bytes before, but for what is broken
    outcome = mend()
    assert list(outcome.other) == [RUN / "generate/images.json"] and outcome.waiting == []
    assert "generate images" in ran()


def test_what_is_broken_twice_is_made_again_from_the_source_on(toy):
    before = state()
    alter(RUN / "latents/shard/a.txt")
    (RUN / "generate/images/b.txt").unlink()
    truncate(RUN / "tables/table/rows.txt")
    outcome = mend()
    assert len(outcome.same) == 3 and outcome.other == {}
    assert ran() == ["latents shard", "generate images", "table table"]
    assert state() == before


@pytest.mark.parametrize("harm", [Path.unlink, truncate])
def test_a_manifest_that_is_gone_or_cut_short_is_known_from_what_was_made_of_it(toy, harm):
    before = state()
    harm(RUN / "generate/images.json")
    assert verified().broken == {RUN / "generate/images.json"}
    assert mend().same == [RUN / "generate/images.json"]
    assert ran() == ["generate images"] and state() == before
    assert "Nothing to be done" in snakemake().stderr


def test_where_more_would_run_nothing_is_touched(toy):
    text = Path("Snakefile").read_text(encoding="utf-8")
    output = 'output: R + "/latents/shard.json"'
    edited = text.replace(output, f"{output}\n    params: code=1")
    Path("Snakefile").write_text(edited, encoding="utf-8")
    alter(RUN / "generate/images/a.txt")
    with pytest.raises(UserError, match="more jobs would run, such as results/toy/latents"):
        mend()
    assert ran() == [] and (RUN / "generate/images.json").is_file()


def test_a_job_that_fails_leaves_the_manifests_as_they_were(toy):
    alter(RUN / "generate/images/a.txt")
    stat = (RUN / "generate/images.json").stat()
    text = Path("Snakefile").read_text(encoding="utf-8")
    Path("Snakefile").write_text(text.replace('S + "generate', '"false'), encoding="utf-8")
    with pytest.raises(UserError, match="could not be made again"):
        repair.repair(verified(), RUN, [*ARGUMENTS, "--rerun-triggers", "mtime"])
    assert (RUN / "generate/images.json").stat().st_mtime_ns == stat.st_mtime_ns
    assert len(verified().broken) == 1


def test_a_repair_that_was_killed_is_taken_up(toy):
    path = RUN / "generate/images.json"
    path.rename(path.with_name(f".{path.name}{repair.ASIDE}"))
    repair.recover(RUN)
    assert path.is_file() and verified().lines() == []


def test_a_repair_that_was_killed_after_measuring_anew_keeps_what_is_true(toy):
    path, seconds = RUN / "train/m/step-2.json", RUN / "train/m/step-2/seconds.tsv"
    kept = path.with_name(f".{path.name}{repair.ASIDE}")
    shutil.copy2(path, kept)
    before = files.sha256(seconds)
    alter(seconds)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(before, files.sha256(seconds)), encoding="utf-8")
    repair.recover(RUN)
    assert verified().lines() == [] and not kept.exists()
    assert "Nothing to be done" in snakemake().stderr


def test_the_scripts_say_what_they_found_and_what_to_choose(toy, monkeypatch):
    def script(name: str, *arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, SCRIPTS / name, RUN, *arguments]
        return subprocess.run(command, capture_output=True, text=True, encoding="utf-8")

    assert "8 files of 5 manifests are as they were made" in script("verify.py").stdout
    alter(RUN / "train/m/step-2/weights.txt")
    done = script("verify.py")
    assert done.returncode == 1 and "snakemake … -- repair" in done.stderr
    monkeypatch.setenv("TOY_NOISE", "1")
    done = script("repair.py", "--snakemake=--cores 1 --quiet all")
    assert done.returncode == 1 and "made from it: 3 manifests" in done.stdout
    assert "snakemake --cores 1 --quiet all -- all)" in done.stderr
    assert "--touch -- results/" in done.stderr


@pytest.mark.long
def test_a_run_that_is_killed_and_damaged_ends_as_one_that_was_not(finished, tmp_path, monkeypatch):
    """The short one: jobs of a toy; `pytest -m chaos` does it to the miniature."""
    shutil.copy(finished / "Snakefile", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(SCRIPTS))
    command = [*repair.SNAKEMAKE, "--cores", "1", "--rerun-incomplete"]
    done = chaos.run(command, tmp_path, RUN, mend, kills=6, longest=5.0)
    assert chaos.content(RUN) == chaos.content(finished / RUN), done
