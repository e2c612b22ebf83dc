"""Figures from made-up manifests: the right picture in the right place, and what is said of it."""

import json
import time

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import figure
from diffusion4k import images, manifest
from diffusion4k.errors import UserError
from diffusion4k.figures import kinds, plots, zoom

NOTE = "random weights (miniature)"
GLCM = {"patch": 16, "levels": 64, "distances": [1], "angles": [0, 90], "properties": False}


def made(path, files, results=None, notes=(NOTE,)):
    now = time.time()
    manifest.write(
        path, root=path.parent, files=files, inputs={}, settings={}, results=results or {},
        started=now, notes=notes,
    )  # fmt: skip
    return path


def data_set(tmp_path, pictures, name="data"):
    """A data set of {id: pixels}, and where its manifest is."""
    folder = tmp_path / name
    folder.mkdir()
    lines = []
    for id, pixels in pictures.items():
        Image.fromarray(pixels).save(folder / f"{id}.png")
        lines.append(json.dumps({"file_name": f"{id}.png", "text": f"caption {id}"}))
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    return made(folder / "set.json", sorted(folder.iterdir()), notes=["photographs"])


def plain(colour, height=256, width=256):
    return np.full((height, width, 3), colour, np.uint8)


def drawn(tmp_path, records, name="shard"):
    """The manifest of some pictures: (row, id, pixels, more of its record)."""
    listed, files = [], []
    for number, (row, id, pixels, more) in enumerate(records):
        file = f"{name}-{number}.png"
        Image.fromarray(pixels).save(tmp_path / file)
        files.append(tmp_path / file)
        sides = {"height": pixels.shape[0], "width": pixels.shape[1]}
        own = {"row": row, "id": id, "prompt": f"caption {id}", "file": file}
        listed.append(own | sides | {"seed": 0, "guidance": 5.0, "steps": 2} | more)
    return made(tmp_path / f"{name}.json", files, {"pictures": listed})


def draw(tmp_path, kind, rows, *, labels=None, reference=None, **settings):
    spec = {"title": "Figure 9", "caption": "What it is.", "settings": settings}
    spec |= {"labels": labels} if labels else {}
    words = [kind, "--spec", json.dumps(spec), "--output", tmp_path / "out" / "figure_9.json"]
    words += ["--rows", *(f"{row}={path}" for row, path in rows)]
    words += ["--reference", reference] if reference else []
    figure.run(figure.parser().parse_args([str(word) for word in words]))
    found = manifest.read(tmp_path / "out" / "figure_9.json")
    return found, np.asarray(Image.open(tmp_path / "out" / "figure_9.png").convert("RGB"))


def test_gallery_puts_photographs_beside_what_models_drew(tmp_path):
    reference = data_set(tmp_path, {name: plain((0, 80 * i, 200)) for i, name in enumerate("pqr")})
    shards = [
        drawn(tmp_path, [("a", n, plain((250, 80 * i, 0)), {}) for i, n in enumerate(names)], names)
        for names in ("p", "qr")
    ]
    labels = {"a": "Model A", "b": "Model B"}
    rows = [("a", path) for path in shards]
    found, pixels = draw(
        tmp_path, "gallery", rows, labels=labels, reference=reference, evaluation="e", count=2
    )
    assert found.notes == [NOTE, "photographs"]
    assert found.results["title"] == "Figure 9" and found.results["caption"] == (
        "What it is. Model A: 256 x 256 px, 2 steps, guidance 5, seed 0."
    )
    assert sorted(path.suffix for path in found.sound()) == [".pdf", ".png", ".tex"]
    tex, below = (tmp_path / "out" / "figure_9.tex").read_text(encoding="utf-8"), rf"\par {NOTE}"
    assert all(t in tex for t in ("]{figure_9.pdf}", r"{fig:figure_9}", below, "5, seed 0.}"))
    left, top = 190 + 8 + 128, 34 + 128
    assert pixels.shape[:2] == (34 + 2 * 264, 190 + 3 * 264 + 8)
    assert pixels[top, left].tolist() == [0, 0, 200]
    assert pixels[top, left + 264].tolist() == [250, 0, 0]
    assert pixels[top + 264, left].tolist() == [0, 80, 200]
    assert pixels[top - 60, left + 528].tolist() == [255, 255, 255]  # not run
    (first, second) = found.results["pictures"]
    assert (first["row"], first["label"], first["id"], first["seed"]) == ("a", "Model A", "p", 0)
    assert (first["height"], first["width"], first["guidance"], first["steps"]) == (256, 256, 5, 2)
    assert second["prompt"] == "caption q" and second["file"] == str(tmp_path / "qr-0.png")


def test_a_gallery_lays_out_every_variation_by_its_shape(tmp_path):
    wide, tall = plain((9, 0, 0), 192, 256), plain((0, 9, 0), 256, 192)
    records = [
        ("a", "p", shape + np.uint8(40 * seed - 120), {"seed": seed, "guidance": scale})
        for shape in (wide, tall)
        for scale in (5.0, 7.0)
        for seed in (3, 4)
    ]
    sizes = [[192, 256], [256, 192]]
    path = drawn(tmp_path, records)
    varied = {"sizes": sizes, "guidance": [5.0, 7.0], "seeds": [3, 4], "prompts": "mine"}
    found, pixels = draw(tmp_path, "gallery", [("a", path)], labels={"a": "A"}, **varied)
    # four lines: two of 192 px, two of 256; a column a seed
    assert pixels.shape[:2] == (34 + 2 * (192 + 8) + 2 * (256 + 8), 190 + 2 * 264 + 8)
    assert pixels[34 + 96, 198 + 128].tolist() == [9, 0, 0]
    assert pixels[34 + 96, 198 + 264 + 128].tolist() == [49, 40, 40]
    tall_at = 34 + 2 * 200 + 128
    assert pixels[tall_at, 198 + 128].tolist() == [0, 9, 0]
    assert pixels[tall_at, 198 + 8].tolist() == [255, 255, 255]  # narrower, in the middle
    assert len(found.results["pictures"]) == 8


def test_a_gallery_zooms_by_one_rule_for_all_rows(tmp_path):
    photograph = plain(128, 128, 128)
    photograph[32:64, 64:96] = np.random.default_rng(0).integers(0, 256, (32, 32, 3))
    reference = data_set(tmp_path, {"p": photograph})
    path = drawn(tmp_path, [("a", "p", np.roll(photograph, 64, axis=0), {})])
    found, pixels = draw(
        tmp_path, "gallery", [("a", path)], reference=reference, zoom=32, glcm=GLCM, count=1
    )
    assert pixels.shape[0] == 34 + 2 * 264
    enlarged = pixels[34 + 264 : 34 + 520, 198:454]
    assert (enlarged[4::8, 4::8] == photograph[32:64, 64:96]).all()
    # the same square of the model's picture, whatever is richest there
    assert (pixels[34 + 264 : 34 + 520, 198 + 264 : 454 + 264] == 128).all()
    assert (pixels[34:290, 198:454] == (255, 45, 85)).all(axis=-1).any()  # the frame
    assert "highest GLCM Score in the photograph" in found.results["caption"]
    # without a photograph the first picture decides
    _, pixels = draw(tmp_path, "gallery", [("a", path)], zoom=32, glcm=GLCM)
    assert (pixels[34 + 264 + 4 : 34 + 520 : 8, 202:454:8] == photograph[32:64, 64:96]).all()


def test_the_richest_square_is_inside_and_the_first_of_equals():
    flat = Image.fromarray(plain(7, 80, 112))
    assert zoom.richest(flat, 16, GLCM) == (0, 0, 16)
    noise = np.zeros((80, 112, 3), np.uint8)
    noise[64:, 96:] = np.random.default_rng(1).integers(0, 256, (16, 16, 3))
    assert zoom.richest(Image.fromarray(noise), 16, GLCM) == (64, 96, 16)
    assert zoom.richest(Image.fromarray(noise), 40, GLCM) == (40, 72, 40)


def test_somebodys_own_pictures_stand_beside_drawn_ones(tmp_path):
    reference = data_set(tmp_path, {"p": plain(0), "q": plain(9)})
    (tmp_path / "own").mkdir()
    for name in "pq":
        Image.fromarray(plain(50)).save(tmp_path / "own" / f"{name}.png")
    own = made(tmp_path / "own" / "shard.json", sorted((tmp_path / "own").glob("*.png")))
    path = drawn(tmp_path, [("a", "p", plain(90), {})])
    rows = [("a", path), ("mine", own)]
    found, pixels = draw(
        tmp_path, "gallery", rows, labels={"a": "A", "mine": "Mine"}, reference=reference, count=1
    )
    assert pixels.shape[:2] == (34 + 264, 190 + 3 * 264 + 8)
    assert pixels[34 + 128, 198 + 2 * 264 + 128].tolist() == [50, 50, 50]
    assert [one["seed"] for one in found.results["pictures"]] == [0, None]


def test_a_mosaic_keeps_every_shape(tmp_path):
    shapes = {"p": (192, 256), "q": (256, 192), "r": (256, 256)}
    records = [("a", n, plain((40 * i, 0, 0), *s), {}) for i, (n, s) in enumerate(shapes.items())]
    found, pixels = draw(tmp_path, "mosaic", [("a", drawn(tmp_path, records))], labels={"a": "A"})
    assert [one["id"] for one in found.results["pictures"]] == list("pqr")
    assert pixels.shape[1] == 1224
    line = pixels[100]
    for i, aspect in enumerate((4 / 3, 3 / 4, 1)):
        width = int((line == (40 * i, 0, 0)).all(axis=-1).sum())
        assert width == pytest.approx(aspect * 1176 / (4 / 3 + 3 / 4 + 1), abs=2)


def test_patches_go_from_the_highest_score_to_the_lowest(tmp_path):
    random = np.random.default_rng(0)
    pixels = np.concatenate(
        [random.integers(0, 1 + 25 * k, (64, 16, 3), dtype=np.uint8) for k in range(4)], axis=1
    )
    path = data_set(tmp_path, {"p": pixels})
    settings = {"count": 5, "images": 3, "size": 64, "glcm": GLCM, "folders": {"train": "."}}
    found, _ = draw(tmp_path, "patches", [("train", path)], labels={"train": "Train"}, **settings)
    patches = found.results["pictures"]
    scores = [one["glcm"] for one in patches]
    assert scores == sorted(scores, reverse=True) and scores[0] > 50 * scores[-1]
    assert (patches[0]["left"], patches[-1]["left"]) == (48, 0)
    assert [one["height"] for one in patches] == [16] * 5
    saved = tmp_path / "patch.jpg"
    top, left = patches[0]["top"], patches[0]["left"]
    images.save_jpeg(saved, pixels[top : top + 16, left : left + 16])
    assert patches[0]["cr"] == pytest.approx(16 * 16 * 3 / saved.stat().st_size)
    assert "16 x 16 px of 1 photographs" in found.results["caption"]


def test_samples_show_a_split_at_even_distances(tmp_path):
    path = data_set(tmp_path, {f"p{i}": plain(10 * i, 60, 90) for i in range(10)})
    settings = {"count": 3, "folders": {"train": "."}}
    found, _ = draw(tmp_path, "samples", [("train", path)], labels={"train": "Train"}, **settings)
    assert [one["id"] for one in found.results["pictures"]] == ["p0", "p3", "p6"]
    assert found.results["pictures"][0]["prompt"] == "caption p0"


def test_reconstructions_stand_beside_their_photographs(tmp_path):
    rows = [("photograph", 0), ("sd3", 60), ("flux", 120)]
    records = [(row, id, plain(grey), {}) for row, grey in rows for id in "xy"]
    path = drawn(tmp_path, records)
    found, pixels = draw(
        tmp_path, "reconstruction", [(row, path) for row, _ in rows],
        labels={"sd3": "SD3", "flux": "Flux"}, count=2,
    )  # fmt: skip
    assert [int(pixels[34 + 264 + 128, 8 + 264 * i + 128, 0]) for i in range(3)] == [0, 60, 120]
    assert found.results["pictures"][0]["label"] == "photograph"


def test_error_maps_have_one_scale_and_one_square(tmp_path):
    photograph = plain(128)
    photograph[32:64, 64:96] = np.random.default_rng(0).integers(100, 150, (32, 32, 3))
    half = (np.arange(256) < 128)[:, None, None]  # of each is off
    near, far = (photograph + np.uint8(by) * half for by in (10, 20))
    records = [("photograph", "p", photograph, {}), ("f8", "p", near, {}), ("f16", "p", far, {})]
    path = drawn(tmp_path, records)
    labels = {"f8": "F8", "f16": "F16", "f16_sc": "F16-SC"}
    rows = [(row, path) for row in ("photograph", *labels)]
    found, pixels = draw(tmp_path, "errors", rows, labels=labels, count=1, zoom=32, glcm=GLCM)
    assert "the brightest 20 of 255 levels" in found.results["caption"]
    assert "highest GLCM Score in the photograph" in found.results["caption"]
    assert [one["mean_error"] for one in found.results["pictures"]] == [5.0, 10.0]
    nothing, brightest = [0, 0, 4], [252, 255, 164]  # the ends of inferno

    def at(row, column):
        return pixels[34 + row, 190 + 8 + 264 * (column + 1) + 8].tolist()

    assert at(200, 0) == at(200, 1) == nothing
    assert at(8, 1) == brightest and at(8, 0) not in (nothing, brightest)
    assert at(264 + 128, 1) == brightest and at(264 + 128, 0) == at(8, 0)
    assert at(8, 2) == [255, 255, 255]


def test_histograms_and_curves_say_what_they_show(tmp_path):
    sizes = pd.DataFrame({"height": [10, 20, 30], "width": [40, 50, 90]})
    titles = [panel.get_title("left") for panel in plots.histograms({"Train": sizes}).axes]
    assert titles == ["Train, height: median 20 px", "Train, width: median 50 px"]
    losses = pd.DataFrame({"step": range(1, 101), "loss": np.linspace(1, 0.5, 100)})
    losses.to_parquet(tmp_path / "loss.parquet")
    made(tmp_path / "step.json", [tmp_path / "loss.parquet"])
    draw(tmp_path, "curves", [("sd3", tmp_path / "step.json")])
    losses.loc[3, "loss"] = np.nan
    with pytest.raises(UserError, match="sd3: its loss is not a finite number"):
        plots.curves({"sd3": losses})


def test_the_same_figure_is_the_same_bytes_in_every_form(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    path = drawn(tmp_path, [("a", "p", noise, {})])

    def once():
        found, _ = draw(tmp_path, "gallery", [("a", path)], labels={"a": "price $5 \\alpha"})
        return {file.name: file.sha256 for file in found.files}

    first = once()
    time.sleep(1.1)  # a clock's second is in no file
    assert once() == first and len(first) == 3
    pdf = (tmp_path / "out" / "figure_9.pdf").read_bytes()
    assert pdf.startswith(b"%PDF") and b"CreationDate" not in pdf
    assert b"/Type3" not in pdf and b"/CIDFontType2" in pdf  # letters are TrueType


def test_a_pdf_of_many_pictures_stays_small(tmp_path):
    random = np.random.default_rng(0)
    records = [
        ("a", f"p{i}", random.integers(0, 256, (512, 512, 3), dtype=np.uint8), {})
        for i in range(20)
    ]
    draw(tmp_path, "gallery", [("a", drawn(tmp_path, records))], labels={"a": "A"})
    # noise, the worst case, takes three bytes a pixel
    assert (tmp_path / "out" / "figure_9.pdf").stat().st_size < 10_000_000


def test_a_picture_that_was_edited_is_refused(tmp_path):
    path = drawn(tmp_path, [("a", "p", plain(90), {})])
    Image.fromarray(plain(91)).save(tmp_path / "shard-0.png")
    with pytest.raises(UserError, match="shard-0.png"):
        draw(tmp_path, "gallery", [("a", path)])


def test_every_kind_names_what_it_takes():
    assert set(kinds.every()) >= {"gallery", "mosaic", "patches", "samples"}
    for name, kind in kinds.every().items():
        assert kind.name == name and set(kind.needs) <= set(kind.takes)
    with pytest.raises(UserError, match="no kind of figure 'pie'; there are curves, errors"):
        kinds.get("pie")
