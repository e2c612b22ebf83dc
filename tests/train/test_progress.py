"""What a running segment tells the outside, and how it guards itself."""

import os

import pytest

from diffusion4k import progress
from diffusion4k.errors import UserError
from diffusion4k.progress import NAME, Progress, read


def row(step):
    return {"step": step, "loss": 0.5, "seconds": 2.0, "images_per_second": 1.0}


def test_the_file_follows_the_steps(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0.0)
    told = Progress(tmp_path, attempt=1, stop_step=9)
    assert read(tmp_path / NAME)["state"] == "starting"
    told.step(row(4))
    found = read(tmp_path / NAME)
    assert (found["step"], found["stop_step"], found["state"]) == (4, 9, "running")
    assert found["seconds_per_step"] == pytest.approx(2.0, abs=0.1)
    told.saving()
    told.saved(4, "saved")
    assert read(tmp_path / NAME)["saved_step"] == 4


def test_a_step_waits_for_no_disk_and_a_save_does(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0.0)
    told, synced = Progress(tmp_path, attempt=1, stop_step=9), []
    monkeypatch.setattr(os, "fsync", synced.append)
    told.step(row(4))
    assert read(tmp_path / NAME)["step"] == 4 and not synced
    told.saving()
    told.saved(4)
    assert synced


def test_it_is_not_written_at_every_step(tmp_path):
    told = Progress(tmp_path, attempt=1, stop_step=9)
    told.step(row(1))
    assert "step" not in read(tmp_path / NAME)


def test_only_the_first_process_writes(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    told = Progress(tmp_path, attempt=1, stop_step=9)
    told.step(row(1))
    told.saving()
    told.saved(1)
    assert not (tmp_path / NAME).exists()


def test_of_two_jobs_the_older_stops_before_it_saves(tmp_path):
    lost, new = (Progress(tmp_path, attempt=attempt, stop_step=9) for attempt in (1, 2))
    with pytest.raises(UserError, match="another job"):
        lost.saving()
    lost.failed(UserError("told by the old job"))
    assert read(tmp_path / NAME)["state"] == "starting"
    new.saving()


def test_of_two_jobs_the_older_stops_when_it_next_tells(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0.0)
    lost, new = (Progress(tmp_path, attempt=attempt, stop_step=9) for attempt in (1, 2))
    with pytest.raises(UserError, match="another job"):
        lost.step(row(3))
    lost.saved(3)
    new.step(row(1))
    new.saving()
    assert read(tmp_path / NAME)["step"] == 1


def test_a_segment_that_keeps_dying_is_given_up_until_snakemake_starts_again(tmp_path):
    for attempt in (1, 2, 3):
        Progress(tmp_path, attempt=attempt, stop_step=9)
    with pytest.raises(UserError, match="3 jobs in a row ended before they saved"):
        Progress(tmp_path, attempt=4, stop_step=9)
    Progress(tmp_path, attempt=1, stop_step=9)


def test_a_segment_that_saves_may_take_any_number_of_slots(tmp_path):
    for attempt in range(1, 20):
        Progress(tmp_path, attempt=attempt, stop_step=99).saved(attempt, "saved")
