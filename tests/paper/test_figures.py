"""Figures from made-up manifests: the right picture in the right place."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import figure
import tiny_tables
from diffusion4k import manifest
from diffusion4k.errors import UserError
from diffusion4k.paper import figures, fonts

NOTE = "random weights (miniature)"


def made(path, results, notes=(), files=()):
    return tiny_tables.made(path, results, notes, files)


def draw(*words):
    figure.run(figure.parser().parse_args([str(word) for word in words]))


def test_gallery_puts_photographs_beside_what_models_drew(tmp_path):
    folder = tmp_path / "data" / "eval"
    folder.mkdir(parents=True)
    images = tmp_path / "images"
    images.mkdir()
    lines = []
    for index, name in enumerate(("p", "q", "r")):
        colour = (0, 80 * index, 200)
        Image.new("RGB", (300, 260), colour).save(folder / f"{name}.png")
        Image.new("RGB", (256, 256), (250, 80 * index, 0)).save(images / f"{name}.png")
        lines.append(json.dumps({"file_name": f"{name}.png", "text": f"caption {name}"}))
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    made(tmp_path / "data" / "set.json", {}, ["photographs"], sorted(folder.iterdir()))
    for shard, names in enumerate(("p", "qr")):
        made(images / f"{shard}.json", {}, [NOTE], [images / f"{name}.png" for name in names])
    spec = {"title": "Figure 9", "labels": {"a": "Model A", "b": "Model B"}}
    output = tmp_path / "figure_9.json"
    draw(
        *("gallery", "--spec", json.dumps(spec), "--reference", tmp_path / "data" / "set.json"),
        *("--folder", "eval", "--size", 256, "--prompts", 2, "--output", output),
        *("--images", f"a={images / '0.json'}", f"a={images / '1.json'}"),
    )
    found = manifest.read(output)
    assert found.notes == [NOTE, "photographs"]
    assert found.results["title"] == "Figure 9"
    pixels = np.asarray(Image.open(found.paths()[0]).convert("RGB"))
    left, top = 190 + 8 + 128, 34 + 128
    assert pixels.shape[:2] == (34 + 2 * 264, 190 + 3 * 264 + 8)
    assert pixels[top, left].tolist() == [0, 0, 200]
    assert pixels[top, left + 264].tolist() == [250, 0, 0]
    assert pixels[top + 264, left + 264].tolist() == [250, 80, 0]
    assert pixels[top - 60, left + 528].tolist() == [255, 255, 255]  # not run


def test_a_gallery_zooms_into_the_same_square_of_each_picture(tmp_path):
    pixels = np.zeros((512, 512, 3), np.uint8)
    pixels[100:164, 300:364] = (0, 200, 0)
    drawn = np.where(pixels > 0, np.uint8(90), pixels)
    Image.fromarray(pixels).save(tmp_path / "p.png")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "p.png", "text": "a caption"}')
    source = made(tmp_path / "set.json", {}, [], [tmp_path / "p.png", tmp_path / "metadata.jsonl"])
    (tmp_path / "images").mkdir()
    Image.fromarray(drawn).save(tmp_path / "images" / "p.png")
    shard = made(tmp_path / "shard.json", {}, [], [tmp_path / "images" / "p.png"])
    words = ("gallery", "--reference", source.path, "--folder", ".", "--size", 512)
    words += ("--rows", f"a={shard.path}", "--output", tmp_path / "figure_7.json")
    draw(*words, "--zoom", 100, 300, 64)
    shown = np.asarray(Image.open(tmp_path / "figure_7.png").convert("RGB"))
    row, left = 68 + 528, 380 + 16
    assert shown.shape[0] == 68 + 2 * 528
    assert (shown[row + 4 : row + 500, left + 4 : left + 500] == (0, 200, 0)).all()
    assert (shown[row + 4 : row + 500, left + 532 : left + 1020] == (0, 90, 0)).all()
    with pytest.raises(UserError, match="leaves an image"):
        draw(*words, "--zoom", 500, 0, 64)


def test_a_big_picture_becomes_a_thumbnail(tmp_path):
    Image.new("RGB", (1500, 1500)).save(tmp_path / "big.png")
    assert figures.tile_side(4096) == 512
    assert figures.tile_side(4096, 5000) == 1024
    assert figures.picture(tmp_path / "big.png", 512).size == (512, 512)
    assert figures.photograph(tmp_path / "big.png", 300).size == (300, 300)
    assert figures.photograph(tmp_path / "big.png", (150, 300)).size == (300, 150)


def test_reconstructions_are_paired(tmp_path):
    for name in ("x-real", "x-reconstructed", "y-real"):
        Image.new("RGB", (64, 64)).save(tmp_path / f"{name}.png")
    source = made(tmp_path / "shard.json", {}, files=sorted(tmp_path.glob("*.png")))
    assert list(figures.pairs(source.paths())) == ["x"]
    draw("reconstruction", "--rows", f"sd3={source.path}", "--output", tmp_path / "figure_4.json")
    assert (tmp_path / "figure_4.png").stat().st_size > 0


def test_histograms_and_curves_say_what_they_show(tmp_path):
    sizes = pd.DataFrame({"height": [10, 20, 30], "width": [40, 50, 90]})
    titles = [panel.get_title("left") for panel in figures.histograms({"Train": sizes}).axes]
    assert titles == ["Train, height: median 20 px", "Train, width: median 50 px"]
    losses = pd.DataFrame({"step": range(1, 101), "loss": np.linspace(1, 0.5, 100)})
    losses.to_parquet(tmp_path / "loss.parquet")
    made(tmp_path / "step.json", {}, files=[tmp_path / "loss.parquet"])
    words = ("--losses", f"sd3={tmp_path / 'step.json'}", "--output", tmp_path / "figure_s1.json")
    draw("curves", *words)
    assert (tmp_path / "figure_s1.png").stat().st_size > 0
    losses.loc[3, "loss"] = np.nan
    with pytest.raises(UserError, match="sd3: its loss is not a finite number"):
        figures.curves({"sd3": losses})


NASTY = ["price tags of $5 and of $10", "Win $$", r"\alpha $\frac{1}{2}$ _ ^", "a % & # { }"]


@pytest.mark.parametrize("text", NASTY)
def test_a_text_is_drawn_as_it_is_written(text, tmp_path):
    square = Image.new("RGB", (256, 256))
    drawn = figures.grid([text], [(text, [square])], side=256)
    drawn.savefig(tmp_path / "grid.png")
    assert [one.get_text() for one in drawn.texts] == [text, fonts.wrapped(text, 24, 150)]
    assert not any(one.get_parse_math() for one in drawn.texts)
    loss = pd.DataFrame({"step": [1, 2], "loss": [1.0, 100.0]})
    curves = figures.curves({text: loss})
    curves.savefig(tmp_path / "curves.png")
    assert not curves.axes[0].title.get_parse_math()
    sizes = pd.DataFrame({"height": [5, 6], "width": [7, 8]})
    figures.histograms({text: sizes}).savefig(tmp_path / "sizes.png")


def test_signs_that_the_first_font_lacks_are_looked_for_in_the_systems(monkeypatch, capsys):
    assert fonts.plain("é Ж ا − “so”\n") == {"parse_math": False}
    assert capsys.readouterr().err == ""
    # beyond Unicode's planes of scripts: no font has it
    assert fonts.choose("a\U000f1234")[1] == {"\U000f1234"}
    fonts.plain("a\U000f1234")
    assert capsys.readouterr().err.startswith("no font here has \U000f1234: boxes are drawn")
    files = dict(fonts._system())
    first, other = (fonts._signs(files[name]) for name in (fonts.FIRST, "STIXGeneral"))
    codes = (code for code in other - first if not fonts._invisible(chr(code)))
    sign = chr(min(codes))
    monkeypatch.setattr(
        fonts, "_system", lambda: [(f, files[f]) for f in (fonts.FIRST, "STIXGeneral")]
    )
    assert fonts.choose(f"a {sign}") == ([fonts.FIRST, "STIXGeneral"], set())
    assert fonts.plain(sign)["family"] == [fonts.FIRST, "STIXGeneral"]


def test_ideographs_are_wrapped_where_they_fill_a_line():
    assert fonts.wrapped("a fox in the snow at night", 10, 150) == "a fox in\nthe snow\nat night"
    assert fonts.wrapped("山" * 12, 10, 150) == "山山山山山\n山山山山山\n山山"
    assert fonts.wrapped("a fox 山山山 at night", 10, 150) == "a fox 山山\n山 at night".replace(
        " night", "\nnight"
    )
    assert fonts.wrapped("山" * 100, 10, 12) == "山山山山山\n山 …"


def test_a_picture_kept_without_loss_too_is_shown_once():
    paths = [Path("images/a.jpg"), Path("lossless/a.png"), Path("images/b.jpg")]
    assert figures.shards_by_id(paths) == {"a": paths[0], "b": paths[2]}
