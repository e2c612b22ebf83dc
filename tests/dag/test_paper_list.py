"""Everything that the paper shows is a target of its configuration, by the paper's own numbers."""

from configs import load
from diffusion4k.config import resolve as configuration
from diffusion4k.dag import paper

# arXiv 2503.18352: eleven tables and thirteen figures
PAPER_TABLES = range(1, 12)
PAPER_FIGURES = range(1, 14)


def test_every_table_and_figure_of_the_paper_is_a_target(checkout):
    of_paper = [f"table_{number}" for number in PAPER_TABLES]
    of_paper += [f"figure_{number}" for number in PAPER_FIGURES]
    targets = checkout.run("--list-rules", "--configfile", "config/config.yaml").stdout.split()
    assert set(of_paper) <= set(targets), sorted(set(of_paper) - set(targets))


def test_titles_bear_the_papers_numbers():
    config = load("config.yaml")
    for section, numbers in (("table", PAPER_TABLES), ("figure", PAPER_FIGURES)):
        for number in numbers:
            title = config[f"{section}s"][f"{section}_{number}"]["title"]
            assert title.startswith(f"{section.capitalize()} {number}: "), title


def test_claims_are_a_target_that_trains_what_they_are_about(checkout):
    plan = checkout.plan("claims", "--config", "run=unmade")
    assert plan["judge_claims"] == 1 and plan["train_kept"] == 3
    # Tables 7 and 8 compare with the base; the claims compare with plain fine-tuning too
    assert plan["compare"] == checkout.plan("tables", "--config", "run=unmade")["compare"] - 4 + 2


def test_an_overlay_changes_no_order():
    config = configuration.resolve(load("miniature.yaml", "config.yaml", "miniature.yaml"))
    assert next(iter(config["figures"])) == "figure_1"
    assert [*config["figures"]][:4] != [f"figure_{n}" for n in range(1, 5)]
    for section, count in (("figures", 13), ("tables", 11)):
        numbered = [f"{section[:-1]}_{n}" for n in range(1, count + 1)]
        chosen = paper.chosen(config, section)
        assert chosen[:count] == numbered
        assert set(chosen) == set(config[section])
