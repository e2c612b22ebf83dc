"""The rating kit: what is in the page, and what is not."""

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

import tiny_dataset
import tiny_study
from diffusion4k import images
from diffusion4k.errors import UserError
from diffusion4k.people import page
from tiny_study import MODELS


@pytest.fixture
def study(tmp_path):
    tiny_study.write(tmp_path)
    return tmp_path


def data(made, purpose):
    text = tiny_study.page(made, purpose).read_text(encoding="utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])


@pytest.mark.parametrize("purpose", ["pairs", "ratings"])
@pytest.mark.parametrize("embed", [60, 0])
def test_nothing_that_raters_get_names_a_model_or_a_prompt(study, purpose, embed):
    made = tiny_study.kit(study, purpose, "--embed-mb", embed)
    folder = made.path.with_suffix("")
    names = [str(path.relative_to(folder)) for path in folder.rglob("*")]
    # a base64 text may hold any word by chance
    text = tiny_study.page(made, purpose).read_text(encoding="utf-8")
    text = re.sub(r"base64,[A-Za-z0-9+/=]+", "", text)
    for word in (*MODELS, "alpha", "wlf", "p0.jpg", "p1", str(study), "made up"):
        assert word not in text and not any(word in name for name in names), word
    assert len(names) == (1 if embed else 2 + 10)
    # what a page refers to is in it or beside it
    sources = [entry[slot]["src"] for entry in data(made, purpose)["items"] for slot in "ab"[:2]
               if slot in entry]  # fmt: skip
    beside = [source for source in sources if not source.startswith("data:")]
    assert len(sources) == 10 and len(beside) == (0 if embed else 10)
    assert all((folder / source).is_file() for source in beside)
    assert made.notes == ["made from noise", *(f"made up: {model}" for model in MODELS)]


def test_a_picture_keeps_its_bytes_unless_they_could_tell_something(study, tmp_path):
    plain = study / MODELS[0] / "p0.jpg"
    assert page.whole(plain) == (plain.read_bytes(), (128, 160))
    told = tmp_path / "told.jpg"
    exif = Image.Exif()
    exif[0x0131] = "alpha_wlf"  # software
    Image.open(plain).save(told, quality=95, exif=exif, comment=b"alpha_wlf")
    assert b"alpha_wlf" in told.read_bytes()
    png = tmp_path / "told.png"
    Image.open(plain).save(png)
    for path in (told, png):
        encoded, size = page.whole(path)
        assert encoded[:2] == b"\xff\xd8" and b"alpha" not in encoded and size == (128, 160)
    encoded, size = page.whole(plain, side=80)
    assert size == (64, 80)


def test_patches_are_the_pictures_own_pixels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (320, 640, 3), np.uint8)
    images.save_png(tmp_path / "p.png", pixels)
    sheet, size = page.patches(tmp_path / "p.png", patch=64, across=3)
    (tmp_path / "sheet.png").write_bytes(sheet)
    shown = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert size == (200, 200) and shown.shape == (200, 200, 3)
    # parts of 320 / 3 rows and 640 / 3 columns; the patch in the middle of the last of each
    top, left = 5 * 320 // 6 - 32, 5 * 640 // 6 - 32
    assert (shown[136:, 136:] == pixels[top : top + 64, left : left + 64]).all()
    _, size = page.patches(tmp_path / "p.png", patch=200, across=3)
    assert size == (608, 200)  # one row, three columns


def test_order_and_places_tell_nothing_and_stay(study):
    made = tiny_study.kit(study, "pairs", prompts=6)
    key = tiny_study.key(made)
    firsts = [entry["a"] for entry in key["items"].values()]
    assert set(firsts) == set(MODELS)
    prompts = [entry["prompt_id"] for entry in key["items"].values()]
    assert sorted(prompts) == [f"p{i}" for i in range(6)] != prompts
    assert tiny_study.key(tiny_study.kit(study, "pairs", prompts=6)) == key
    for changed in (("--seed", 1), ("--side", 64)):
        other = tiny_study.key(tiny_study.kit(study, "pairs", *changed, prompts=6))
        assert other["kit"] != key["kit"], changed


def test_a_caption_cannot_end_the_script(study):
    folder = study / "data" / "train"
    lines = (folder / "metadata.jsonl").read_text("utf-8").splitlines()
    lines[0] = json.dumps({"file_name": "p0.png", "text": "</script><b>é</b>"})
    (folder / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")
    tiny_dataset.source(study, "data")
    found = data(tiny_study.kit(study, "pairs", prompts=6), "pairs")
    assert "</script><b>é</b>" in [entry["caption"] for entry in found["items"]]


def test_a_missing_picture_and_a_pair_of_one_are_refused(study):
    made = tiny_study.kit(study, "pairs")
    with pytest.raises(UserError, match="pairs have two models"):
        tiny_study.kit(study, "pairs", "--groups", "alpha_wlf")
    (study / MODELS[1] / "p0.jpg").write_bytes(b"cut short")
    with pytest.raises(UserError, match="p0.jpg: 9 bytes, the manifest says"):
        tiny_study.kit(study, "pairs")
    assert made.path.is_file()


@pytest.mark.parametrize("embed", [60, 0])
def test_answers_that_lie_in_the_kits_folder_stay(study, embed):
    made = tiny_study.kit(study, "pairs", "--embed-mb", embed)
    before = tiny_study.page(made, "pairs").read_bytes()
    answers = made.path.with_suffix("") / "answers/pairs-anna.json"
    answers.parent.mkdir()
    answers.write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match=r"kit-pairs: .*answers/pairs-anna\.json in it"):
        tiny_study.kit(study, "pairs", prompts=4)
    assert tiny_study.page(made, "pairs").read_bytes() == before and answers.is_file()
    answers.rename(study / "pairs-anna.json")
    # Snakemake deletes the manifest before its job
    made.path.unlink()
    key = made.path.with_name("kit-pairs-key.json")
    asked, kit = key.read_bytes(), made.results["kit"]
    made = tiny_study.kit(study, "pairs", prompts=4)
    assert [path.name for path in made.path.with_suffix("").iterdir()] == ["pairs.html"]
    # what explains the answers to the kit before stays too, and the same kit again adds nothing
    tiny_study.kit(study, "pairs", prompts=4)
    assert made.results["kit"] != kit
    assert key.with_name(f"kit-pairs-key-{kit}.json").read_bytes() == asked
    assert len(list(key.parent.glob("kit-pairs-key*.json"))) == 2


def recaptioned(study, name: str) -> str:
    """The study's prompts under other texts; MODEL=MANIFEST of the first model."""
    folder = study / name / "train"
    shutil.copytree(study / "data/train", folder)
    lines = [json.dumps({"file_name": f"p{i}.png", "text": f"{name} {i}"}) for i in range(6)]
    (folder / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return f"{tiny_dataset.source(study, name, notes=[f'captions: {name}'])}"


def test_the_text_of_a_picture_is_what_it_was_drawn_from(study):
    """A model may have captions of its own, as Table 6's have."""
    other = recaptioned(study, "other")
    both = [f"{model}={other}" for model in MODELS]
    asked = {item["caption"] for item in data(tiny_study.kit(study, "pairs"), "pairs")["items"]}
    made = tiny_study.kit(study, "pairs", "--captions", *both)
    shown = {item["caption"] for item in data(made, "pairs")["items"]}
    assert len(shown) == 5 and all(text.startswith("other ") for text in shown)
    assert not any(text.startswith("other ") for text in asked)
    assert "captions: other" in made.notes and other in made.inputs.values()
    # of ratings each model's own
    made = tiny_study.kit(study, "ratings", "--captions", both[0])
    key = tiny_study.key(made)["items"]
    for item in data(made, "ratings")["items"]:
        assert item["caption"].startswith("other ") == (key[item["id"]]["a"] == MODELS[0])
    with pytest.raises(UserError, match=r"of p\d are not of one text"):
        tiny_study.kit(study, "pairs", "--captions", both[0])
