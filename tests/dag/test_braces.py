"""Braces, as LaTeX has them, in whatever a configuration says in words: Snakemake has its own."""

import shlex

import yaml

from configs import load

BRACES = r"{ours} $\mathcal{L}$ {} {"
# keys whose values are words of the user's
WORDS = {"label", "title", "caption", "text", "reason", "negative_prompt", "folder"}
PLACE = "pla{c}e"  # a folder


def spoiled(node: dict) -> dict:
    """Every key in words of a configuration, with braces in it."""
    words = {k: f"{v} {BRACES}" for k, v in node.items() if k in WORDS and isinstance(v, str)}
    below = {k: spoiled(v) for k, v in node.items() if isinstance(v, dict)}
    return words | {k: v for k, v in below.items() if v}


def configuration() -> dict:
    """The miniature's, with braces; and what it does not have: prompts, files and hubs in words."""
    mine = spoiled(load("config.yaml", "miniature.yaml")) | {"base": "miniature", "run": "braces"}
    of_prompts = {"kind": "gallery", "title": BRACES, "rows": ["sd3_f16"], "sizes": [[64, 64]]}
    mine["figures"] |= {
        f"figure_{name}": of_prompts | {"prompts": name, "caption": BRACES}
        for name in ("texts", "file")
    }
    mine["prompts"] |= {
        "texts": {"texts": [f"a {BRACES}", "-b {x}"], "label": BRACES},
        "file": {"file": f"{PLACE}/p.txt", "label": BRACES},
    }
    mine["sources"] = {
        "own": {"path": PLACE},
        "hub": {"hub": "a/b", "revision": "{r}", "only": ["*.{json,bin}"], "ignore": ["{x}"]},
    }
    mine["splits"]["sa_1b"] |= {"source": "own", "folder": "{x}", "captioned": False}
    mine["vae_training"] = {"split": "sa_1b"}
    mine["captions"] = {"laion": {"path": f"{PLACE}/l.jsonl"}}
    mine["models"] |= {
        "pictures": {"images": PLACE, "label": BRACES, "tables": ["table_8"]},
        "hubs": {"source": "hub", "label": f"b {BRACES}", "tables": ["table_8"]},
    }
    price = {"input": 0, "output": 0}
    mine["endpoints"] = {"e": {"base_url": "http://x/{a}", "model": "m {x}", "price": price}}
    return mine | {
        "judge": {"endpoint": "e", "max_cost": 1},
        "votes": "votes.csv",
        "ratings": {"path": "votes.csv", "evaluation": "eval_2048", "models": ["sd3_f16"]},
        "plan": {"device": "{gpu}"},
        "site": {"account": "{a}", "constraint": "{b}"},
    }


def test_braces_in_words_are_words(workflow):
    folder, mine = workflow.folder, configuration()
    (folder / PLACE).mkdir()
    for name in ("votes.csv", f"{PLACE}/l.jsonl", f"{PLACE}/p.txt"):
        (folder / name).write_text("a {fox}\n", encoding="utf-8")
    mine["tables"]["table_1"]["rows"] = ["glcm"]  # the others' networks are licensed
    text = yaml.safe_dump(mine, allow_unicode=True)
    (folder / "mine.yaml").write_text(text, encoding="utf-8")
    flags = ("-n", "-p", "--configfile", "mine.yaml", "--")
    said = workflow.run(*flags, "all", "rating_kit", "judge", "captions").stdout
    commands = [line for line in said.splitlines() if "scripts/" in line]
    for script in (
        "gallery", "claims", "table", "figure", "prompts", "prompt_table", "rating_kit", "votes",
        "judge", "generate", "import_images", "check_data",
    ):  # fmt: skip
        of_script = [line for line in commands if f"scripts/{script}.py" in line]
        whole = (shlex.join(shlex.split(line)) for line in of_script)
        assert any(r"$\mathcal{L}$ {} {" in line.replace("\\\\", "\\") for line in whole), script
    assert "scripts/report.py" in said
    for word in ("--revision '{r}'", "'*.{json,bin}'", f"--images '{PLACE}'", "--model 'm {x}'"):
        assert word in said, word
    assert "--texts='-b {x}'" in said and f"--file '{PLACE}/p.txt'" in said


def test_a_file_that_can_be_no_input_is_named(workflow):
    """Snakemake fills braces in, also in what a function of the rule returns."""
    (workflow.folder / "a{b}.csv").write_text("", encoding="utf-8")
    (workflow.folder / "mine.yaml").write_text("votes: '*.csv'\n", encoding="utf-8")
    flags = ("-n", "--configfile", "config/miniature.yaml", "mine.yaml", "--", "figure_6")
    done = workflow.run(*flags, check=False)
    assert done.returncode and r"a{b}.csv: Snakemake takes braces" in done.stdout + done.stderr
