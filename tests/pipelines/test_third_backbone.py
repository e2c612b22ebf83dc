"""A third backbone is one new file: it is seen everywhere, and no job of the others knows of it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
TOY = """
import dataclasses

from diffusion4k.backbones.sd3 import SD3


class Toy(SD3):
    name = "toy"
    class_name = "ToyPipeline"
    defaults = {"steps": 3}
    architecture = dataclasses.replace(SD3.architecture, beside=8_000_000_000)

    def forward_flops(self, config, *, image, text):
        return 1000 * image + text


BACKBONE = Toy()
"""
ANSWER = """
import json, sys
from pathlib import Path
from diffusion4k import backbones
from diffusion4k.dag import code as digests
from diffusion4k.estimate import flops, memory
from diffusion4k.generate import flags
from diffusion4k.pipelines.folder import PipelineFolder

def forward(name):
    backbone = backbones.get(name)
    shape = {"height": 64, "width": 64, "t5_tokens": 10}
    return flops.forward(backbone, backbone.architecture, **shape)

def gigabytes(name):
    config = {
        "sources": {"weights": {"path": "/weights"}},
        "backbones": {name: {"source": "weights", "generate": {"guidance": 1, "t5_tokens": 10}}},
        "models": {"mine": {"backbone": name}},
        "generate": {"dtype": "bfloat16"},
    }
    return memory.picture(config, "mine", 1024)

def code(script, backbone):
    return digests.of(script, backbone=backbone)

own = ("train.py", "latents.py", "generate.py", "efficiency.py", "export.py")
none = ("texture.py", "features.py", "table.py", "make_miniature.py", "plan.py")
folder = PipelineFolder.open(sys.argv[1])
print(json.dumps({
    "names": backbones.NAMES,
    "forward": {name: forward(name) for name in backbones.NAMES},
    "gigabytes": {name: gigabytes(name) for name in backbones.NAMES},
    "trains": folder.trains,
    "forms": folder.forms(),
    "code": {f"{script} {name}": code(script, name) for script in own for name in backbones.NAMES}
    | {script: code(script, None) for script in none},
    "any class": code("generate.py", None),
    "heavy": sorted({"torch", "diffusers", "transformers"} & set(sys.modules)),
}))
"""


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A copy of scripts/, and a pipeline of the toy's class."""
    shutil.copytree(SCRIPTS, tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "pipeline").mkdir()
    index = json.dumps({"_class_name": "ToyPipeline"})
    (tmp_path / "pipeline" / "model_index.json").write_text(index)
    return tmp_path


def answer(checkout: Path) -> dict:
    """What the copy says of its backbones."""
    command = [sys.executable, "-c", ANSWER, str(checkout / "pipeline")]
    environment = os.environ | {"PYTHONPATH": str(checkout / "scripts")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_third_backbone_is_one_file_and_reruns_no_job_of_the_others(checkout):
    before = answer(checkout)
    assert before["names"] == ["sd3", "flux"] and not before["trains"]
    assert before["forms"]["vae_factor"] is None
    toy = checkout / "scripts/diffusion4k/backbones/toy.py"
    toy.write_text(TOY)
    after = answer(checkout)
    assert sorted(after["names"]) == ["flux", "sd3", "toy"]
    assert after["forward"] == before["forward"] | {"toy": 4000 + 77 + 10}
    # SD3 with text encoders of 2.4 billion weights more
    assert after["gigabytes"]["toy"] - after["gigabytes"]["sd3"] == pytest.approx(2 * 2.4)
    assert after["trains"] and after["forms"]["vae_factor"] == 16
    # a model whose class is known when it is opened may be one of the new ones
    assert after["any class"] != before["any class"]
    new = {key: value for key, value in after["code"].items() if key not in before["code"]}
    assert {key.split()[1] for key in new} == {"toy"} and len(new) == 5
    assert {**after["code"], **before["code"]} == after["code"]
    # what it is made of counts for it, at every remove
    toy.write_text(TOY.replace("1000 *", "2000 *"))
    edited = answer(checkout)["code"]
    assert {key for key in edited if edited[key] != after["code"][key]} == set(new)


@pytest.mark.parametrize(
    ("module", "reached"),
    [
        ("backbones/sd3.py", {"sd3"}),
        ("backbones/noise_levels.py", {"sd3", "flux"}),
        ("backbones/base.py", {"sd3", "flux"}),
        ("pipelines/stock.py", set()),
    ],
)
def test_an_edit_of_a_backbone_or_its_helper_reaches_those_that_use_it(checkout, module, reached):
    """A helper must never be left out with the other backbones."""
    before = answer(checkout)
    path = checkout / "scripts/diffusion4k" / module
    path.write_text(path.read_text(encoding="utf-8") + "\nADDED = 1\n", encoding="utf-8")
    after = answer(checkout)
    assert after["any class"] != before["any class"]
    changed = {key for key in after["code"] if after["code"][key] != before["code"][key]}
    trained = {key.split()[1] for key in changed if " " in key}
    assert trained == reached
    assert all(f"{script} {name}" in changed for script in ("train.py", "export.py")
               for name in trained)  # fmt: skip
    assert "texture.py" not in changed and "features.py" not in changed


def test_snakemakes_process_imports_no_torch(checkout):
    assert answer(checkout)["heavy"] == []
