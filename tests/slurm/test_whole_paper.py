"""The whole DAG by `snakemake --profile slurm`, and the same without SLURM: the same bytes."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

import forked
from conftest import copy_workflow
from diffusion4k.ledger import check
from slurm_fixtures import HERE, SIZES, Arena, checkout, configure

RUN = Path("results/tiny")
GPU_RULES = (
    "latents", "reconstruct", "generate", "features", "reference_features", "train_kept",
    "efficiency", "draw", "rebuild",
)  # fmt: skip
CPU_RULES = ("make_source", "check_data", "export", "texture", "distance")
# one model a table: every rule is there, few jobs
ROWS = {
    "table_5": ["sd3_f16"], "table_6": ["sd3_f16_laion"],
    "table_3": ["sd3_f16_wlf"], "table_4": ["sd3_f16_wlf"], "table_7": ["sd3_f16_wlf"],
    "table_8": ["sd3_f16_wlf"], "table_10": ["sd3_f16_wlf", "flux_f16_wlf"],
    "table_s1": ["sd3_f16_wlf"], "table_s2": ["sd3_f16_wlf"],
}  # fmt: skip
FIGURES = {
    "figure_7": ["flux_f16_wlf"], "figure_8": ["sd3_f16_wlf"],
    "figure_9": ["sd3_f16_wlf"], "figure_10": ["sd3_f16_wlf"],
    "figure_s1": ["sd3_f16_wlf", "flux_f16_wlf"],
}  # fmt: skip


@pytest.fixture(scope="module")
def both(slurm, tmp_path_factory) -> tuple[Path, Arena]:
    """The local run's folder, and the arena of the run on SLURM."""
    local = copy_workflow(tmp_path_factory.mktemp("local"))
    shutil.copy(HERE / "tiny.yaml", local.folder / "config")
    configure(local.folder, {
        "tables": {name: {"rows": rows} for name, rows in ROWS.items()},
        "figures": {name: {"rows": rows} for name, rows in FIGURES.items()},
        "reconstruction": {"images": 4},
    })  # fmt: skip
    arena = Arena(checkout(local.folder, tmp_path_factory.mktemp("cluster")), slurm)
    # scripts are forks, here as in the local run, and so is the Snakemake that a job starts, twice:
    # of what a job takes here, most is importing
    forks = {
        "DIFFUSION4K_PYTHON": str(forked.served()),
        "FORKED_PYTHON": str(forked.python_of_snakemake()),
    }
    slurm.environment |= forks
    # the two at once: what one waits for, the other computes
    run = arena.start("all", jobs=8)  # of other tests' time no more than they can spare
    for name in forks:
        del slurm.environment[name]
    local.run(*SIZES, "--", "all")
    assert run.process.wait(1200) == 0, run.text[-5000:]
    yield local.folder, arena
    run.process.kill()


def test_every_rule_ran_where_it_should(both):
    folder, arena = both
    for rule in (*GPU_RULES, *CPU_RULES):
        assert arena.submitted(rule), rule
    for rule in ("aggregate", "aggregate_reconstruction", "prompts", "table", "figure", "html"):
        assert not arena.submitted(rule), rule


@pytest.mark.parametrize("rule", GPU_RULES)
def test_the_sbatch_line_of_every_gpu_rule(both, rule):
    config = yaml.safe_load((both[1].folder / RUN / "config.yaml").read_text(encoding="utf-8"))
    step = {
        "reference_features": "features",
        "train_kept": "train",
        "efficiency": "generate",
        "draw": "generate",
        "rebuild": "reconstruct",
    }.get(rule, rule)
    asked = config["resources"][step]
    for line in both[1].submitted(rule):
        gpus = 2 if rule == "train_kept" and "flux" in line else 1
        assert f" --gpus=a100:{gpus} " in line and " --nodes=1 " in line and " -p gpu " in line
        times = gpus if step == "train" else 1
        assert f" --mem {asked['mem_mb'] * times} " in line
        assert f" -t {asked['runtime']} " in line
        assert f" --cpus-per-task={asked['threads'] * times} " in line
        assert "--ntasks" not in line and "--gres" not in line


def test_cpu_rules_ask_for_no_gpu(both):
    for rule in CPU_RULES:
        for line in both[1].submitted(rule):
            assert " -p cpu " in line and " --ntasks=1 " in line and "--gpus" not in line


def bulk(folder: Path, *kinds: str) -> dict[str, str]:
    """File → SHA-256 of everything that the manifests below these folders list."""
    found = {}
    for kind in kinds:
        for made in check.find(folder / RUN / kind):
            for file in made.files:
                found[f"{made.path.relative_to(folder)}:{file.name}"] = file.sha256
    return found


def test_sources_latents_weights_and_images_are_the_same_bytes(both):
    local, arena = both
    ours, theirs = (
        bulk(f, "sources", "latents", "train", "generate", "pictures")
        for f in (arena.folder, local)
    )
    assert ours.keys() == theirs.keys() and len(ours) > 100
    # what a clock or a process's random state is in, which nothing reads
    free = re.compile(r"loss\.parquet|done\.json|random_states")
    unlike = [name for name in ours if ours[name] != theirs[name] and not free.search(name)]
    assert not unlike


def test_the_tables_hold_the_same_numbers(both):
    local, arena = both
    for path in sorted((local / RUN / "tables").glob("*.json")):
        ours, theirs = (
            json.loads((f / RUN / "tables" / path.name).read_text(encoding="utf-8"))["results"]
            for f in (arena.folder, local)
        )
        for mine, other in zip(ours["rows"], theirs["rows"], strict=True):
            for name, cell in mine["cells"].items():
                if name not in ("images_per_second", "seconds_per_step", "memory_gb"):  # measured
                    assert cell == other["cells"][name], (path.name, mine["key"], name)


def test_a_second_run_has_nothing_to_do(both):
    done = both[1].start("all")
    assert done.wait() == 0 and "Nothing to be done" in done.text
