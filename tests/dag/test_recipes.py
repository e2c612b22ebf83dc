"""The commands of docs/reruns.md that make a part again, and how soon nothing is decided."""

import re
import resource
import subprocess
import sys

import pytest

from configs import load
from conftest import ROOT, Workflow
from diffusion4k.dag import paper

MINIATURE = ("--configfile", "config/miniature.yaml")


@pytest.fixture(scope="module")
def made(simulated_miniature) -> Workflow:
    return simulated_miniature


ALL = None  # as many as the command names files
FAMILIES = len(paper.families_of(load("config.yaml"), "table_8"))
AGAIN = {
    "a table": {"table": 1},
    "a figure": {"figure": 1},
    "all numbers of a table, from its scores": {
        "aggregate": 3 * FAMILIES,
        "compare": 2 * FAMILIES,
        "table": 1,
    },
    "a metric of every model": {"texture": ALL},
    "a model's scores": {"features": 2, "texture": 2, "distance": 2},
    "a model's pictures": {"generate": 2},
    "a benchmark's pictures": {"generate": 4},
    "one shard": {"generate": 1},
    "a model's training": {"train": 1, "train_kept": 1, "export": 1},
}
FIRST = ("latents", "train", "generate", "features", "texture", "distance")  # in a chain of jobs


@pytest.mark.parametrize("part", AGAIN)
def test_a_documented_command_makes_the_part_again_and_nothing_before_it(made, part):
    text = (ROOT / "docs/reruns.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([^|]+) \| `snakemake … ([^`]+)` \|$", text, flags=re.MULTILINE))
    assert rows.keys() == AGAIN.keys()
    words = []
    for word in rows[part].replace("R/", "results/miniature/").split():
        found = sorted(map(str, made.folder.glob(word))) if "*" in word else [word]
        assert found, word
        words += [name.removeprefix(f"{made.folder}/") for name in found]
    plan = made.plan(*MINIATURE, *words)
    forced = [word for word in words if word.startswith("results/")]
    wanted = {rule: len(forced) if n is ALL else n for rule, n in AGAIN[part].items()}
    assert {rule: plan.get(rule) for rule in wanted} == wanted
    before = FIRST[: min(FIRST.index(rule) for rule in (*(set(wanted) & set(FIRST)), FIRST[-1]))]
    assert not {*before, "check_data", "make_source"} & plan.keys()


def test_that_there_is_nothing_to_do_is_decided_soon(made):
    """In 2 to 3 seconds of a processor here, 4 to 5 for the paper; judged by what reading takes."""

    def spent(*arguments: str) -> float:
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments, *MINIATURE]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, cwd=made.folder, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert spent("all", "-n") < 3 * spent("--list-rules")
