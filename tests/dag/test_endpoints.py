"""What captions and a judge plan: other prompts for a split or a model, votes, and nothing else."""

import pytest

from configs import fault, resolve
from diffusion4k.dag import paper

ENDPOINT = "eyes: {base_url: 'http://localhost:1/v1', model: m, price: {input: 1, output: 2}}"
MINE = f"""\
run: unmade
endpoints: {{{ENDPOINT}}}
captions: {{own: {{endpoint: eyes, max_cost: 3}}}}
sources: {{mine: {{path: photographs}}}}
splits: {{mine: {{source: mine, folder: ".", count: 3, captions: own, label: Mine}}}}
latents: {{split: mine}}
"""


@pytest.fixture
def mine(workflow):
    (workflow.folder / "photographs").mkdir()
    (workflow.folder / "laion.jsonl").write_text('{"id": "a", "text": "t"}\n', encoding="utf-8")

    def flags(text: str) -> tuple[str, ...]:
        (workflow.folder / "mine.yaml").write_text(text, encoding="utf-8")
        return ("--configfile", "mine.yaml")

    return workflow, flags


def test_table_11_needs_the_configuration_alone(checkout):
    assert checkout.plan("table_11", "--config", "run=unmade") == {"prompt_table": 1, "table_11": 1}


def test_table_6_draws_its_rows_once_captions_are_given(mine):
    workflow, flags = mine
    before = workflow.plan("table_6", "--config", "run=unmade")
    assert before["generate"] == 10 and "caption" not in before
    given = flags("run: unmade\ncaptions: {laion: {path: laion.jsonl}}\n")
    after = workflow.plan("table_6", *given)
    assert (after["generate"], after["features"], after["caption"]) == (20, 20, 1)
    assert after["fetch_source"] == before["fetch_source"]
    made = "results/unmade/generate/sd3_f16_laion/eval_4096/shard-0-of-5.json"
    command = workflow.command(made, *given)
    assert (
        "--dataset results/unmade/captions/laion/eval_4096.json --folder eval/size_4096" in command
    )
    made = "results/unmade/generate/sd3_f16/eval_4096/shard-0-of-5.json"
    assert "--dataset results/unmade/sources/aesthetic_4k.json" in workflow.command(made, *given)
    command = workflow.command("results/unmade/captions/laion/eval_4096.json", *given)
    assert "--captions laion.jsonl" in command and "--model" not in command


def test_rows_of_table_6_say_why_they_are_empty(tmp_path):
    config = resolve()
    reasons = {
        row: paper.reason(config, row, ["alignment"]) for row in ("sd3_f16_laion", "sd3_f16")
    }
    why = "the captions were never released: give captions.laion.path"
    assert reasons == {"sd3_f16_laion": why, "sd3_f16": None}
    (tmp_path / "l.jsonl").write_text("", encoding="utf-8")
    config = resolve(captions={"laion": {"path": str(tmp_path / "l.jsonl")}})
    assert paper.reason(config, "sd3_f16_laion", ["alignment"]) is None
    compared = {"table_6": {"against": {"sd3_f16": "sd3_f16_laion"}}}
    assert (
        len(paper.comparisons(resolve(captions=config["captions"], tables=compared), "table_6"))
        == 1
    )
    assert paper.comparisons(resolve(tables=compared), "table_6") == []


def test_own_images_are_captioned_before_anything_is_made_of_them(mine):
    workflow, flags = mine
    plan = workflow.plan("captions", *flags(MINE))
    assert plan == {"fetch_source": 1, "caption": 1, "captions": 1}
    output = "results/unmade/captions/own/mine.json"
    text = workflow.command(output, *flags(MINE))
    assert "--model m" in text and "--price 1 2 --max-cost 3" in text
    for made in ("data/mine.json", "latents/sd3/shard-0-of-8.json"):
        command = workflow.command(f"results/unmade/{made}", *flags(MINE))
        assert f"--dataset {output} " in command and "--folder . " in command


def test_what_decides_no_caption_makes_none_again_and_what_does_does(mine):
    workflow, flags = mine
    target = "results/unmade/captions/own/mine.json"
    source = "results/unmade/sources/mine.json"
    for name in (source, target):
        path = workflow.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}", encoding="utf-8")
    workflow.run("--touch", "--forceall", target, *flags(MINE))
    assert workflow.plan(target, *flags(MINE)) == {}
    for harmless in ("max_cost: 3", "max_cost: 9"), ("output: 2", "output: 7"):
        assert workflow.plan(target, *flags(MINE.replace(*harmless))) == {}
    prompt = workflow.folder / "config/prompts/caption.txt"
    prompt.touch()
    assert workflow.plan(target, *flags(MINE)) == {}
    assert workflow.plan(target, *flags(MINE.replace("model: m", "model: n"))) == {"caption": 1}
    prompt.write_text(prompt.read_text(encoding="utf-8") + "In French.", encoding="utf-8")
    assert workflow.plan(target, *flags(MINE)) == {"caption": 1}


def test_a_judge_votes_for_figure_6(mine):
    workflow, flags = mine
    text = f"run: unmade\nendpoints: {{{ENDPOINT}}}\njudge: {{endpoint: eyes, max_cost: 3}}\n"
    plan = workflow.plan("figure_6", *flags(text))
    assert plan["judge_pairs"] == plan["votes"] == plan["figure"] == 1
    command = workflow.command("results/unmade/people/judge.json", *flags(text))
    assert "--pairs sd3_f16_wlf,sd3_f16 flux_f16_wlf,flux_f16" in command
    assert "--model m" in command and "--max-cost 3" in command
    votes = workflow.command("results/unmade/people/votes.json", *flags(text))
    assert "--judges results/unmade/people/judge.json" in votes
    assert not {"judge", "judge_pairs"} & set(workflow.run("--list-rules").stdout.split())


def test_targets_name_what_captions_and_judge_make(mine):
    workflow, flags = mine
    text = MINE + "judge: {endpoint: eyes, max_cost: 3}\n"
    text = text.replace("captions: {own", "captions: {laion: {path: laion.jsonl}, own")
    for target in ("table_6", "figure_6", "judge", "captions"):
        named, made = workflow.lineage(target, *flags(text))
        assert named == made, target
        assert any(f"/{name}" in path for path in named for name in ("people/judge", "captions/"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"splits": {"train": {"captions": "no"}}},
            "splits.train.captions: no captions entry 'no'",
        ),
        (
            {"splits": {"train": {"captions": "laion"}}},
            "captions.laion has neither path nor endpoint",
        ),
        ({"models": {"sd3_f16": {"captions": "no"}}}, "models.sd3_f16.captions: no captions entry"),
        ({"captions": {"laion": {"path": "no.jsonl"}}}, "captions.laion.path: no.jsonl does not"),
        ({"captions": {"a": {}}}, "captions.a: needs path, endpoint or both"),
        ({"captions": {"a": {"endpoint": "eyes"}}}, "endpoint and max_cost go together"),
        (
            {"captions": {"a": {"endpoint": "eyes", "max_cost": 1}}},
            "captions.a.endpoint: no endpoints entry 'eyes'",
        ),
        ({"judge": {"endpoint": "eyes", "max_cost": 1}}, "judge.endpoint: no endpoints entry"),
        ({"judge": {"endpoint": "eyes"}}, "judge: missing max_cost"),
        ({"figures": {"figure_9": {"rows": ["sd3_f16_laion"]}}}, "figure_9.rows: sd3_f16_laion: "),
        ({"tables": {"table_11": {"rows": ["no"]}}}, "config/prompts/no.txt does not exist"),
        ({"tables": {"table_11": {"columns": ["fid"]}}}, "one of prompts has none"),
        ({"tables": {"table_3": {"columns": []}}}, "a table of numbers has columns"),
    ],
)
def test_a_fault_is_one_line(changes, words):
    assert words in fault(**changes)


@pytest.mark.parametrize("url", ["http://user:pw@host/v1", "https://host/v1?key=abc", "host"])
def test_an_address_holds_no_token(url):
    entry = {"base_url": url, "model": "m", "price": {"input": 0, "output": 0}}
    assert "without token, user or query" in fault(endpoints={"eyes": entry})
