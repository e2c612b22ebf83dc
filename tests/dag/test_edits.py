"""What an edit of each module makes run again: the table that people approve, and the DAG."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import edits
from diffusion4k import digest

MINIATURE = ("--configfile", "config/miniature-sc.yaml")  # it trains a VAE, too
ROOT = Path(__file__).resolve().parents[2]
# a trunk script, which is a command line and does not count, and the module that does its work
TRUNK = {
    "latents.py": "diffusion4k/latents/shard.py",
    "train.py": "diffusion4k/train/finetune.py",
    "train_vae.py": "diffusion4k/train/autoencoder.py",
    "export.py": "diffusion4k/pipelines/export.py",
    "generate.py": "diffusion4k/generate/shard.py",
}
# what trunk scripts reach beyond that module: their flags, and what is only done by hand
BY_HAND = {"diffusion4k/generate/flags.py", "diffusion4k/generate/single.py"}


def tried(*flags: str) -> str:
    making = [sys.executable, ROOT / "tests/helpers/edits.py", *flags]
    done = subprocess.run(making, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_table_says_what_an_edit_of_each_module_runs_again():
    approved = edits.TABLE.read_text(encoding="utf-8")
    assert tried().splitlines() == approved.splitlines(), edits.__doc__


def test_an_edit_of_a_page_makes_that_page_again_and_nothing_else():
    made_by = {
        "report/rating_kit/": ["kit"],
        "report/captions/": [],  # of Snakemake's own report
        "report/": ["gallery", "html"],
    }
    rules = json.loads(tried("--pages"))
    assert {name.rpartition("/")[0] + "/" for name in rules} >= made_by.keys()
    for name, again in rules.items():
        assert again == next(of for folder, of in made_by.items() if name.startswith(folder)), name


def test_what_tells_checks_and_records_runs_nothing_again():
    nothing = edits.groups()[edits.NOTHING]
    loose = {f"diffusion4k/{path.name}" for path in digest.SCRIPTS.glob("diffusion4k/*.py")}
    assert loose | TRUNK.keys() <= set(nothing)


def test_only_rooms_that_compute_weights_train():
    groups = edits.groups().items()
    training = [name for stages, names in groups if "training" in stages for name in names]
    rooms = {"backbones", "data", "device", "images", "latents", "pipelines", "shape", "train"}
    rooms |= {"vae", "weights"}
    assert {name.split("/")[1] for name in training} == rooms


def files(script: str) -> set[str]:
    return {p.relative_to(digest.SCRIPTS).as_posix() for p in digest.reach(Path(script))}


@pytest.mark.parametrize("script", TRUNK)
def test_a_trunk_script_reaches_nothing_that_its_digest_misses(script):
    missed = files(script) - files(TRUNK[script]) - {script} - BY_HAND
    assert {name for name in missed if not name.startswith("diffusion4k/sources/")} == set()


# the flags of trunk scripts that their rules leave out, with what they are then: an edit of such a
# default would change bytes, and no job would run again
LEFT_OUT = {
    # where and how fast; another VAE only where there is one
    "latents.py": {"device": "auto", "workers": any, "vae": None},
    "train.py": {
        "cache": 1.0, "workers": any,  # how fast
        "save_dtype": None, "dataset": None, "folder": "train", "start": None,  # of no use here
    },
    "train_vae.py": {"workers": any, "start": None},
    "export.py": {"vae": None},
    "generate.py": {
        "device": "auto", "offload": False,
        # of one picture by hand
        "revision": "main", "prompt": None, "like": None,
        # these only where they are set; else the model's or its class's own
        "of_class": {}, "vae_factor": None, "guidance": None, "steps": None, "t5_tokens": None,
        "kernel": None,
    },
}  # fmt: skip
OUTPUTS = {
    "latents.py": "latents/sd3/shard-0-of-1.json",
    "train.py": "train/sd3_f16_wlf/step-000450.json",
    "train_vae.py": "vae/flux_vae_sc/train/step-000200.json",
    "export.py": "train/sd3_f16_wlf/pipeline.json",
    "generate.py": "generate/sd3_f16_wlf/eval_4096/shard-0-of-1.json",
}


@pytest.mark.parametrize("script", TRUNK)
def test_rules_give_trunk_scripts_every_flag_that_decides_bytes(checkout, script):
    sys.path.insert(0, str(ROOT / "scripts"))
    parser = __import__(script.removesuffix(".py")).parser()
    output = f"results/unmade/{OUTPUTS[script]}"
    command = checkout.command(output, *MINIATURE, "--config", "run=unmade").split()
    left_out = {
        action.dest: action.default
        for action in parser._actions
        if action.dest != "help" and not set(action.option_strings) & set(command)
    }
    expected = LEFT_OUT[script]
    assert left_out.keys() <= expected.keys()
    for name, default in left_out.items():
        assert expected[name] is any or default == expected[name], name
