"""Models of all kinds in the configuration and in the DAG, and the overlay with the baselines."""

import json
import re

import pytest
import yaml
from PIL import Image

from configs import fault, load, merge, resolve
from diffusion4k import images, manifest
from diffusion4k.config import resolve as config
from diffusion4k.data import captions as metadata

# until each is in config.yaml, with its hub repository
ELSEWHERE = ("flux_wavelet", "flux_wavelet_v2_sc", "sana_2k", "sana_4k", "pixart_sigma_2k")
ELSEWHERE += ("pixart_sigma_1024",)


@pytest.fixture
def pipeline(tmp_path):
    """A folder that passes for a diffusers pipeline while nothing is loaded."""
    folder = tmp_path / "pipe"
    folder.mkdir()
    (folder / "model_index.json").write_text("{}")
    return str(folder)


def test_a_pipeline_becomes_a_source_of_its_own(pipeline):
    hub = {"pipeline": "owner/name", "revision": "abc"}
    resolved = resolve(models={"a": {"pipeline": pipeline}, "b": hub | {"label": "B"}})
    assert resolved["models"]["a"] == {"label": "a", "source": "model_a"}
    assert resolved["models"]["b"] == {"label": "B", "source": "model_b"}
    assert resolved["sources"]["model_a"] == {"path": pipeline}
    assert resolved["sources"]["model_b"] == {"hub": "owner/name", "revision": "abc"}
    # the configuration that is saved with a run resolves to itself
    assert config.resolve(resolved) == resolved


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({}, ["models.mine", "needs one of backbone, source, pipeline, images", "has none"]),
        ({"backbone": "sd3", "images": "."}, ["models.mine", "not backbone and images together"]),
        ({"images": ".", "recipe": "wlf"}, ["models.mine.recipe: does not go with images"]),
        ({"images": ".", "generate": {"steps": 2}}, ["models.mine.generate", "images"]),
        ({"backbone": "sd3", "vae_factor": 8}, ["models.mine.vae_factor", "backbone"]),
        ({"source": "sd3", "vae_factor": 32}, ["models.mine.vae_factor", "32", "8 or 16"]),
        ({"images": "no/such/folder"}, ["models.mine.images", "no/such/folder is no folder"]),
        ({"pipeline": "/no/such/folder"}, ["models.mine.pipeline", "/no/such/folder is neither"]),
        ({"pipeline": "config"}, ["models.mine.pipeline", "model_index.json"]),
        (
            {"pipeline": "config/publshed"},
            ["no folder config/publshed", "prompts, published", "hub"],
        ),
        ({"pipeline": "owner/name", "recipe": "wlf"}, ["models.mine.recipe", "with pipeline"]),
        ({"source": "sd33"}, ["models.mine.source", "no sources entry 'sd33'"]),
        ({"source": "sd3", "transformer": "x"}, ["models.mine.transformer", "'x'"]),
        (
            {"source": "sd3", "generate": {"setps": 2}},
            ["models.mine.generate", "did you mean step"],
        ),
        ({"imgaes": "."}, ["models.mine", "did you mean images"]),
        ({"pipeline": 3}, ["models.mine.pipeline", "3 should be a valid string"]),
    ],
)
def test_a_fault_is_one_clear_line(model, words):
    text = fault(models={"mine": model})
    assert "\n" not in text
    assert all(word in text for word in words), text


def test_one_entry_makes_a_row(tmp_path):
    mine = {"images": str(tmp_path), "tables": ["table_3", "table_8"]}
    made = resolve(models={"mine": mine})
    for name in mine["tables"]:
        assert made["tables"][name]["rows"] == [*resolve()["tables"][name]["rows"], "mine"]
    assert "no tables entry 'table_33'" in fault(models={"mine": mine | {"tables": ["table_33"]}})


def rows_of(name: str, made: dict) -> list[str]:
    return [table for table, spec in made["tables"].items() if name in spec["rows"]]


def test_a_model_that_names_no_tables_is_in_those_that_are_open(pipeline, tmp_path):
    of = {2048: ["table_3", "table_4"], 4096: ["table_7", "table_8"]}
    made = resolve(
        models={"mine": {"pipeline": pipeline}, "none": {"pipeline": "a/b", "tables": []}}
    )
    assert rows_of("mine", made) == of[2048] + of[4096] and not rows_of("none", made)
    assert config.resolve(made) == made
    # finished pictures: the evaluation is that of their folder, or else of their size
    mine = {"images": str(tmp_path)}
    assert rows_of("mine", resolve(models={"mine": mine})) == of[2048] + of[4096]
    picture = tmp_path / "a.png"
    Image.new("RGB", (4096, 4096)).save(picture, compress_level=1)
    assert rows_of("mine", resolve(models={"mine": mine})) == of[4096]
    picture.write_bytes(b"")
    assert rows_of("mine", resolve(models={"mine": mine})) == of[2048] + of[4096]
    (tmp_path / "eval_2048").mkdir()
    assert rows_of("mine", resolve(models={"mine": mine})) == of[2048]
    # a row by name, and the paper's own models that an overlay drops, are left as they are
    named = resolve(
        models={"mine": mine},
        tables={"table_9": {"rows": ["train"]}, "table_s1": {"rows": ["mine"], "against": {}}},
    )
    assert rows_of("mine", named) == ["table_s1"]
    dropped = resolve(
        tables={t: {"rows": ["sd3_f16"], "against": {}} for t in rows_of("flux_f16", made)}
    )
    assert rows_of("flux_f16", dropped) == []


def test_further_faults(pipeline):
    mine = {"mine": {"pipeline": pipeline, "revision": "abc"}}
    assert "only the hub has revisions" in fault(models=mine)
    taken = fault(models={"mine": {"pipeline": "a/b"}}, sources={"model_mine": {"hub": "c/d"}})
    assert "model_mine, which is taken" in taken
    assert "evaluation" in fault(tables={"table_9": {"context": True}})


# the overlay


def overlay() -> dict:
    raw = load("config.yaml", "baselines.yaml")
    lacking = {name: {"hub": f"test/{name}"} for name in ELSEWHERE if name not in raw["sources"]}
    merge(raw, {"sources": lacking})
    return raw


def test_the_overlay_adds_rows_and_takes_none_away():
    paper, more = resolve(), config.resolve(overlay())
    for name in ("table_3", "table_4", "table_7", "table_8"):
        rows = paper["tables"][name]["rows"]
        assert more["tables"][name]["rows"][: len(rows)] == rows
        assert len(more["tables"][name]["rows"]) > len(rows)
        assert more["tables"][name]["columns"] == paper["tables"][name]["columns"]
        assert more["tables"][name]["context"]
    shown = {row for table in more["tables"].values() for row in table["rows"]}
    assert {*more["models"], "ultraflux"} <= shown


@pytest.fixture
def baselines(workflow):
    lacking = overlay()["sources"]
    (workflow.folder / "config" / "test.yaml").write_text(yaml.safe_dump({"sources": lacking}))
    return "--configfile", "config/baselines.yaml", "config/test.yaml", "--config", "run=unmade"


def test_the_overlay_plans(workflow, baselines):
    plan = workflow.plan("tables", *baselines)
    assert plan["generate"] == (4 + 4) * 14 + (4 + 3) * 5
    assert plan["export"] == 3 + 1
    assert plan["train_kept"] == 3
    done = workflow.run("-n", "figure_7", "figure_8", *baselines).stdout
    assert "train/pixart_sigma_2k/pipeline.json" in done
    for absent in ("rule train", "rule latents", "sources/sd3.json", "sources/sana_2k.json"):
        assert absent not in done


def test_flags_say_how_a_baseline_is_sampled_and_shown(checkout):
    def command(what: str) -> str:
        configs = ("--configfile", "config/config.yaml", "config/baselines.yaml")
        return checkout.command(f"results/unmade/{what}.json", *configs, "--config", "run=unmade")

    how = command("generate/sana_4k/eval_4096/shard-0-of-5")
    assert "--vae-tiling" in how and "--steps 20 --guidance 5.0" in how
    # what its class turns out to be decides when it is loaded
    (ours,) = re.findall("--of-class '(.*?)'", how)
    assert json.loads(ours)["sd3"] == {"guidance": 7.0, "steps": 50, "t5_tokens": 77}
    how = command("generate/flux_f16/eval_2048/shard-0-of-14")
    assert "--of-class" not in how
    assert "--no-vae-tiling" in how and "--steps 50 --guidance 7.0 --t5-tokens 512" in how
    assert "--context config/published/context.csv" in command("tables/table_8")


def test_without_the_overlay_nothing_of_it_is_planned(workflow):
    done = workflow.run("-n", "all", "--config", "run=unmade").stdout
    for name in ("flux_wavelet_v2_sc", "sana_2k", "context.csv"):
        assert name not in done


# brought images and pipelines


def test_images_and_pipelines_plan_and_changed_images_run_again(workflow, pipeline, tmp_path):
    images = tmp_path / "pictures"
    (images / "eval_2048").mkdir(parents=True)
    picture = images / "eval_2048" / "a.jpg"
    picture.write_text("one")
    mine = {
        "models": {"mine": {"images": str(images)}, "pipe": {"pipeline": pipeline}},
        "tables": {"table_4": {"rows": ["mine", "pipe"]}, "table_8": {"rows": ["mine"]}},
    }
    (workflow.folder / "config" / "mine.yaml").write_text(yaml.safe_dump(mine))
    small = ("--configfile", "config/miniature.yaml", "config/mine.yaml")
    plan = workflow.plan("table_4", "table_8", *small)
    for rule in ("import_images_eval_2048", "import_images_eval_4096", "generate"):
        assert plan[rule] == 1
    assert plan["texture"] == 3 and "train" not in plan
    shard = "results/miniature/generate/mine/eval_2048/shard-0-of-1.json"
    assert f"--images {images}/eval_2048 --folder" in workflow.command(shard, *small)
    # no folder of its own
    other = shard.replace("2048", "4096")
    assert f"--images {images} --folder" in workflow.command(other, *small)
    for made in (shard, "results/miniature/sources/aesthetic_4k.json"):
        path = workflow.folder / made
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    workflow.run(shard, "--touch", *small)
    assert workflow.plan(shard, *small) == {}
    source = "results/miniature/sources/model_pipe.json"
    (workflow.folder / source).write_text("{}")
    workflow.run(source, "--touch", "--forceall", *small)
    assert workflow.plan(source, *small) == {}
    (tmp_path / "pipe" / "weights.safetensors").write_text("trained further")
    picture.write_text("another")
    assert workflow.plan(source, *small) == {"fetch_source": 1}
    assert workflow.plan(shard, *small) == {"import_images_eval_2048": 1}


def test_code_of_other_kinds_of_models_reruns_nothing(workflow):
    """Editing what only other pipelines or a person's --model use leaves the paper's images."""
    small = ("--configfile", "config/miniature.yaml")
    shard = "results/miniature/generate/sd3_f16/eval_2048/shard-0-of-1.json"
    for name in ("sd3", "aesthetic_4k"):
        path = workflow.folder / f"results/miniature/sources/{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    (workflow.folder / shard).parent.mkdir(parents=True)
    (workflow.folder / shard).write_text("{}")
    workflow.run(shard, "--touch", "--forceall", *small)
    for code in (
        "pipelines/stock.py",
        "sources/fetch.py",
        "generate/own_images.py",
        "backbones/sd3.py",
    ):
        path = workflow.folder / "scripts" / "diffusion4k" / code
        path.write_text(path.read_text() + "\nADDED = 1\n")
        plan = workflow.plan(shard, *small)
        assert plan == ({"generate": 1} if code == "backbones/sd3.py" else {}), code


def test_a_folder_of_images_becomes_a_row(workflow):
    """The whole way, as a user goes it: wrong at first, then a number in a table."""
    pictures = workflow.folder / "pictures" / "eval_4096"
    pictures.mkdir(parents=True)
    mine = {
        "models": {"mine": {"label": "Mine", "images": "pictures"}},
        "tables": {"table_8": {"rows": ["mine"]}},
    }
    (workflow.folder / "config" / "mine.yaml").write_text(yaml.safe_dump(mine))
    command = ("table_8", "--configfile", "config/miniature.yaml", "config/mine.yaml")
    done = workflow.run(*command, "--show-failed-logs", check=False)
    assert done.returncode != 0 and "6 of 6 pictures are missing or wrong" in done.stderr
    run = workflow.folder / "results" / "miniature"
    for sample in metadata.read(run / "sources" / "aesthetic_4k", "eval/size_4096"):
        photograph = images.load_rgb(sample.path, exif_transpose=True)
        square = images.center_crop(images.resize_shorter_side(photograph, 256), 256)
        square.save(pictures / f"{sample.id}.webp", lossless=True)
    workflow.run(*command)
    table = manifest.read(run / "tables" / "table_8.json").results
    (row,) = (row for row in table["rows"] if not row.get("context"))
    assert row["label"] == "Mine@256"
    assert {cell["verdict"] for cell in row["cells"].values()} == {"not judged"}
    assert {cell["n"] for cell in row["cells"].values()} == {6}
    assert any("6 pictures are WEBP; encoded here as JPEG" in line for line in table["footer"])
    assert workflow.plan(*command) == {}
