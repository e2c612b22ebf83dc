"""A failed or missing intermediate is never forgotten: targets name all that they rest on."""

import pytest

from configs import load, resolve
from diffusion4k.config import resolve as configuration
from diffusion4k.dag import lineage

OVERLAYS = [("config.yaml",), ("config.yaml", "miniature.yaml"), ("config.yaml", "baselines.yaml")]


def planned(checkout, target: str, names: tuple[str, ...]) -> set[str]:
    configs = [f"config/{name}" for name in names]
    return checkout.outputs(target, "--configfile", *configs, "--config", "run=unmade")


@pytest.mark.parametrize("names", OVERLAYS, ids="-".join)
def test_targets_name_every_file_that_their_jobs_make(checkout, names):
    config = configuration.resolve(load(*names) | {"run": "unmade"})
    assert set(lineage.of_report(config)) == planned(checkout, "all", names)


@pytest.mark.parametrize("target", ["table_2", "table_5", "table_9", "table_10", "figure_4"])
def test_a_single_target_names_its_own_alone(checkout, target):
    config = resolve(run="unmade")
    of = lineage.of_tables if target.startswith("table") else lineage.of_figures
    assert set(of(config, [target])) == planned(checkout, target, ("config.yaml",))


def test_the_claims_name_their_own_alone(checkout):
    config = resolve(run="unmade")
    assert set(lineage.of_claims(config)) == planned(checkout, "claims", ("config.yaml",))
