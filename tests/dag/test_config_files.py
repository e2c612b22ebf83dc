"""Which configuration files count: a profile's, one's own, and where Snakemake is started."""

import shlex

import pytest


def test_a_file_that_takes_the_place_of_its_profiles_is_refused_and_a_base_is_not(workflow):
    """Else `--profile profiles/miniature --configfile mine.yaml` would plan the paper."""
    own, flags = workflow.folder / "mine.yaml", ("--configfile", "mine.yaml")
    profile = ("--profile", "profiles/miniature")
    own.write_text("train: {steps: 1350}\n", encoding="utf-8")
    done = workflow.run("-n", "table_10", *profile, *flags, check=False)
    assert done.returncode != 0 and "write `base: miniature` into" in done.stdout + done.stderr
    both = workflow.plan("table_10", *profile, "--configfile", "config/miniature.yaml", "mine.yaml")
    own.write_text("base: miniature\ntrain: {steps: 1350}\n", encoding="utf-8")
    assert workflow.plan("table_10", *profile, *flags) == both
    assert workflow.plan("table_10", *flags) == both
    assert both["train"] == 4
    # the command line still wins over the file, and the file over its base
    assert workflow.plan("table_10", *flags, "--config", "run=other")["train"] == 4
    own.write_text("base: minature\n", encoding="utf-8")
    done = workflow.run("-n", "table_10", *flags, check=False)
    assert "config: base: no " in done.stdout + done.stderr


def test_a_base_may_have_a_base_but_not_itself(workflow):
    """demo-gpu's is the miniature: what is set on top of it is on top of both."""
    own, flags = workflow.folder / "mine.yaml", ("--configfile", "mine.yaml")
    own.write_text("base: demo-gpu\n", encoding="utf-8")
    with_all = ("--configfile", "config/demo-gpu.yaml")
    assert workflow.plan("table_10", *flags) == workflow.plan("table_10", *with_all)
    (workflow.folder / "config/round.yaml").write_text("base: round-2\n", encoding="utf-8")
    (workflow.folder / "config/round-2.yaml").write_text("base: round\n", encoding="utf-8")
    own.write_text("base: round\n", encoding="utf-8")
    done = workflow.run("-n", "table_10", *flags, check=False)
    assert "config/round.yaml rests on itself" in done.stdout + done.stderr


def test_a_key_twice_in_a_file_is_refused(workflow):
    (workflow.folder / "mine.yaml").write_text("seed: 1\nrun: a\nseed: 2\n", encoding="utf-8")
    done = workflow.run("-n", "table_9", "--configfile", "mine.yaml", check=False)
    assert done.returncode != 0
    assert "mine.yaml, line 3: seed" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--configfile a.yaml --configfile config/miniature.yaml", "--configfile twice"),
        ("--config run=a --config seed=1", "--config twice"),
        ("--config run=a run=b", "--config run=b: a key is there a second time"),
        ("--config 'generate={attention: native, attention: auto}'", "a second time"),
        ("--config run=a -C seed=1", "--config twice"),
        ("--profile profiles/local --config run=a", "--config 'site={gpu_request: gpu}' run=a"),
        ("--profile twice", "config.yaml, line 3: keep-going is there a second time"),
    ],
)
def test_what_snakemake_would_drop_of_the_command_line_is_refused(workflow, words, said):
    (workflow.folder / "a.yaml").write_text("seed: 1\n", encoding="utf-8")
    (workflow.folder / "twice").mkdir()
    profile = workflow.folder / "twice/config.yaml"
    profile.write_text("keep-going: true\ncores: 1\nkeep-going: false\n", encoding="utf-8")
    done = workflow.run("-n", "table_9", *shlex.split(words), check=False)
    assert done.returncode != 0
    assert said in done.stdout + done.stderr


@pytest.mark.parametrize("words", ["--workflow-profile miniature", "--prof profiles/miniature", ""])
def test_a_profile_counts_however_it_is_named(workflow, words):
    """Of the workflow's, Snakemake looks in profiles/, and takes profiles/default unasked."""
    if not words:
        (workflow.folder / "profiles/miniature").rename(workflow.folder / "profiles/default")
    flags = [*words.split(), "--configfile", "config/baselines.yaml"]
    done = workflow.run("-n", "table_10", *flags, check=False)
    assert done.returncode != 0
    assert "write `base: miniature` into" in done.stdout + done.stderr


def test_a_profile_by_the_environment_counts_too(workflow, monkeypatch):
    monkeypatch.setenv("SNAKEMAKE_PROFILE", "profiles/miniature")
    (workflow.folder / "mine.yaml").write_text("train: {steps: 1350}\n", encoding="utf-8")
    done = workflow.run("-n", "table_10", "--configfile", "mine.yaml", check=False)
    assert done.returncode != 0
    assert "write `base: miniature` into" in done.stdout + done.stderr


def test_another_folder_is_one_line(workflow, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = ("-n", "table_9", "--snakefile", "Snakefile", "--directory", str(elsewhere))
    done = workflow.run(*command, check=False)
    assert done.returncode != 0
    assert f"start snakemake in {workflow.folder}" in done.stdout + done.stderr
    assert "missing" not in done.stdout + done.stderr


def test_a_number_written_otherwise_is_the_same_number(workflow):
    """1 for 1.0 would be another flag: at the paper's scale three trainings, all alike."""
    other = """
train: {clip: 1, beta1: 0.90, learning_rate: 0.0010}
recipes: {wlf: {band_weights: [1, 1, 1, 1]}}
backbones: {sd3: {train: {guidance: 0, clip: 1}, generate: {guidance: 1}}}
metrics: {glcm: {angles: [0.0, 45, 90.0, 135]}}
"""
    commands = []
    for name, text in (("plain", ""), ("other", other), ("upon", other)):
        (workflow.folder / "mine.yaml").write_text(f"base: miniature\n{text}", encoding="utf-8")
        flags = ["--configfile", "mine.yaml"]
        if name == "upon":
            flags.insert(1, "config/miniature.yaml")
        done = workflow.run("-n", "-p", "tables", *flags)
        commands.append({line for line in done.stdout.splitlines() if "scripts/" in line})
    assert commands[0] and commands[0] == commands[1] == commands[2]
    (workflow.folder / "mine.yaml").write_text("base: miniature\ntrain: {clip: 2}\n", "utf-8")
    done = workflow.run("-n", "-p", "table_10", "--configfile", "mine.yaml")
    assert "--clip 2" in done.stdout
