"""Adding a metric or a backbone is one new file: tried on copies, as CONTRIBUTING.md tells it."""

import json

import numpy as np
import yaml
from PIL import Image

from conftest import Workflow
from diffusion4k import images
from diffusion4k.data import captions

METRIC = '''"""Sharpness: the variance of the Laplacian of the grey image."""

from diffusion4k.metrics.families import Column, PerImage


def variance(pixels):
    """Of (H, W, 3) uint8 RGB."""
    import cv2

    return cv2.Laplacian(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var()


COLUMN = Column("Laplacian variance", "higher", 1, of=variance)
FAMILY = PerImage("toy_sharpness", {"toy_laplacian": COLUMN})
'''
MINIATURE = ("--configfile", "config/miniature.yaml")
LIBRARY = "scripts/diffusion4k"


def write(workflow: Workflow, config: dict) -> tuple[str, ...]:
    (workflow.folder / "mine.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return (*MINIATURE, "mine.yaml")


def test_a_metric_is_one_file_from_images_to_a_tables_column(workflow):
    before = workflow.command(
        "results/miniature/metrics/sd3_f16/eval_4096/texture.json", *MINIATURE
    )
    (workflow.folder / LIBRARY / "metrics/families/toy_sharpness.py").write_text(METRIC)
    mine = {
        "models": {"mine": {"label": "Mine", "images": "pictures"}},
        "tables": {
            "table_8": {"columns": ["glcm", "toy_laplacian"]},
            "table_mine": {
                "title": "Sharpness",
                "evaluation": "eval_4096",
                "rows": ["mine"],
                "columns": ["toy_laplacian"],
            },
        },
    }
    flags = write(workflow, mine)
    (workflow.folder / "pictures" / "eval_4096").mkdir(parents=True)
    plan = workflow.plan("table_8", *flags)
    # the paper's rows, two of them compared with the base as in every paired family
    assert (plan["per_image"], plan["compare"]) == (3, 4)
    workflow.run("results/miniature/sources/aesthetic_4k.json", *flags)
    root = workflow.folder / "results/miniature/sources/aesthetic_4k"
    pictures = {}
    for sample in captions.read(root, "eval/size_4096"):
        photograph = images.load_rgb(sample.path, exif_transpose=True)
        square = photograph.resize((256, 256), Image.Resampling.BILINEAR)
        square.save(workflow.folder / "pictures/eval_4096" / f"{sample.id}.jpg", quality=95)
        pictures[sample.id] = np.asarray(
            Image.open(workflow.folder / "pictures/eval_4096" / f"{sample.id}.jpg")
        )
    workflow.run("table_mine", *flags)
    text = (workflow.folder / "results/miniature/tables/table_mine.json").read_text()
    (row,) = json.loads(text)["results"]["rows"]
    cell = row["cells"]["toy_laplacian"]

    import cv2

    grey = [cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in pictures.values()]
    expected = np.mean([cv2.Laplacian(g, cv2.CV_64F).var() for g in grey])
    np.testing.assert_allclose(cell["ours"], expected, rtol=1e-12)
    assert "Laplacian variance" in (
        workflow.folder / "results/miniature/tables/table_mine.md"
    ).read_text(encoding="utf-8")
    # what other families have scored stands
    path = "results/miniature/metrics/sd3_f16/eval_4096/texture.json"
    assert workflow.command(path, *MINIATURE) == before


def test_the_plan_counts_each_family_that_scores_single_images(workflow):
    for name, column in (("toy_sharpness", "toy_laplacian"), ("toy_second", "toy_again")):
        text = METRIC.replace("toy_sharpness", name).replace("toy_laplacian", column)
        (workflow.folder / LIBRARY / f"metrics/families/{name}.py").write_text(text)
    mine = {
        "tables": {
            "table_mine": {
                "title": "Sharpness",
                "evaluation": "eval_4096",
                "rows": ["sd3_f16", "flux_f16"],
                "columns": ["toy_laplacian", "toy_again"],
            }
        },
        "targets": ["table_mine"],
    }
    told = workflow.run("plan", *write(workflow, mine)).stdout
    (line,) = (line.split() for line in told.splitlines() if line.startswith("per_image "))
    # a job a model and family; six images are scored in each
    assert line[:6] == ["per_image", "4", "sets", "24", "4", "–"], told


def test_a_column_that_no_family_has_is_named_before_any_job(workflow):
    flags = write(workflow, {"tables": {"table_8": {"columns": ["glmc"]}}})
    done = workflow.run("-n", "table_8", *flags, check=False)
    assert done.returncode != 0
    assert "tables.table_8.columns: no column 'glmc'; did you mean glcm?" in (
        done.stdout + done.stderr
    )


def test_a_third_backbone_is_one_file_through_the_whole_dag(workflow):
    source = (workflow.folder / LIBRARY / "backbones/sd3.py").read_text(encoding="utf-8")
    toy = source.replace('name = "sd3"', 'name = "toy"')
    toy = toy.replace('class_name = "StableDiffusion3Pipeline"', 'class_name = "ToyPipeline"')
    assert toy.count('"toy"') == 1 and toy.count('"ToyPipeline"') == 1
    (workflow.folder / LIBRARY / "backbones/toy.py").write_text(toy, encoding="utf-8")
    train = {
        "t5_tokens": 20, "guidance": 0.0, "timestep_shift": "none", "subtract_shift": True,
        "repeat_draws_every": 0, "global_batch": 16, "micro_batch": 16, "gpus": 0, "nodes": 1,
    }  # fmt: skip
    mine = {
        "backbones": {
            "toy": {
                "source": "sd3",
                "train": train,
                "generate": {"steps": 9, "guidance": 1.0, "t5_tokens": 20},
            }
        },
        "models": {"toy_wlf": {"label": "Toy-WLF", "backbone": "toy", "recipe": "wlf"}},
        "tables": {"table_8": {"rows": ["toy_wlf"], "against": {}}},
    }
    flags = write(workflow, mine)
    plan = workflow.plan("table_8", *flags)
    assert plan["latents"] == plan["generate"] == plan["export"] == 1
    assert plan["train"] + plan["train_kept"] == 2
    picture = "results/miniature/generate/toy_wlf/eval_4096/shard-0-of-1.json"
    assert "--steps 9 --guidance 1.0" in workflow.command(picture, *flags)
    done = workflow.run("plan", *flags)
    assert "train        toy_wlf" in done.stdout
