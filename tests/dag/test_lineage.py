"""A failed or missing intermediate is never forgotten: targets name all that they rest on."""

import re

import pytest

from configs import load, resolve
from diffusion4k.config import resolve as configuration
from diffusion4k.dag import lineage

OVERLAYS = [("config.yaml",), ("config.yaml", "miniature.yaml"), ("config.yaml", "baselines.yaml")]
# of these their targets alone
CHOSEN = [("config.yaml", "v2.yaml"), ("config.yaml", "miniature.yaml", "miniature-sc.yaml")]


def planned(checkout, target: str | list[str], names: tuple[str, ...]) -> set[str]:
    """The outputs of every job of a dry run, but for temporary ones and folders."""
    configs = [f"config/{name}" for name in names]
    targets = [target] if isinstance(target, str) else target
    done = checkout.run("-n", *targets, "--configfile", *configs, "--config", "run=unmade")
    outputs = re.findall(r"^    output: (.*)$", done.stdout, flags=re.MULTILINE)
    temporary = set(re.findall(r"^Would remove temporary output (\S+)", done.stdout, re.MULTILINE))
    files = {path.strip() for line in outputs for path in line.split(",")}
    return {path for path in files if "." in path.rsplit("/", 1)[1]} - temporary


@pytest.mark.parametrize("names", OVERLAYS, ids="-".join)
def test_targets_name_every_file_that_their_jobs_make(checkout, names):
    config = configuration.resolve(load(*names) | {"run": "unmade"})
    tables, figures = config["tables"], config["figures"]
    named = {*lineage.of_tables(config, tables), *lineage.of_figures(config, figures)}
    named |= set(lineage.of_claims(config))
    assert named | {"results/unmade/report.html"} == planned(checkout, "all", names)


@pytest.mark.parametrize("names", CHOSEN, ids="-".join)
def test_the_scale_consistent_vaes_targets_name_its_training(checkout, names):
    config = configuration.resolve(load(*names) | {"run": "unmade"})
    tables = [name for name in config["targets"] if name.startswith("table")]
    shown = [name for name in config["targets"] if name not in tables]
    named = {*lineage.of_tables(config, tables), *lineage.of_figures(config, shown)}
    assert any("/vae/flux_vae_sc/train/step-" in path for path in named)
    assert named == planned(checkout, config["targets"], names)


@pytest.mark.parametrize("target", ["table_2", "table_5", "table_9", "table_10", "figure_4"])
def test_a_single_target_names_its_own_alone(checkout, target):
    config = resolve(run="unmade")
    of = lineage.of_tables if target.startswith("table") else lineage.of_figures
    assert set(of(config, [target])) == planned(checkout, target, ("config.yaml",))


def test_the_claims_name_their_own_alone(checkout):
    config = resolve(run="unmade")
    assert set(lineage.of_claims(config)) == planned(checkout, "claims", ("config.yaml",))
