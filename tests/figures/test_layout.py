"""Texts and sizes of what figures are laid out from."""

import pandas as pd
import pytest
from PIL import Image

from diffusion4k.figures import canvas, fonts, layout, plots
from diffusion4k.figures.layout import Line, Tile

NASTY = ["price tags of $5 and of $10", "Win $$", r"\alpha $\frac{1}{2}$ _ ^", "a % & # { }"]


def both(figure, folder):
    canvas.save(figure, {form: folder / f"figure.{form}" for form in ("png", "pdf")})


@pytest.mark.parametrize("text", NASTY)
def test_a_text_is_drawn_as_it_is_written(text, tmp_path):
    square = Image.new("RGB", (256, 256))
    drawn = layout.grid([text], [Line(text, [Tile(square)])], 256)
    both(drawn, tmp_path)
    assert [one.get_text() for one in drawn.texts] == [text, fonts.wrapped(text, 24, 150)]
    mosaic = layout.mosaic([(text, [Tile(square, text)] * 3)])
    both(mosaic, tmp_path)
    assert not any(one.get_parse_math() for one in [*drawn.texts, *mosaic.texts])
    loss = pd.DataFrame({"step": [1, 2], "loss": [1.0, 100.0]})
    curves = plots.curves({text: loss})
    both(curves, tmp_path)
    assert not curves.axes[0].title.get_parse_math()
    both(plots.histograms({text: pd.DataFrame({"height": [5, 6], "width": [7, 8]})}), tmp_path)


def test_a_tile_is_made_smaller_smoothly_and_larger_in_whole_pixels():
    assert [layout.side(length, 9) for length in (64, 300, 4096)] == [256, 300, 512]
    assert layout.side(4096, 450) == 256
    assert layout.fit(Image.new("RGB", (1500, 1000)), 512).size == (512, 341)
    assert layout.fit(Image.new("RGB", (100, 64)), 256).size == (200, 128)


def test_a_mosaic_fills_its_lines_and_keeps_the_order():
    shapes = [(400, 300), (300, 400), (400, 400), (800, 300), (300, 400), (400, 300), (400, 400)]
    tiles = [Tile(Image.new("RGB", shape), f"tile {i}") for i, shape in enumerate(shapes)]
    figure = layout.mosaic([("heading", tiles)])
    texts = [one.get_text() for one in figure.texts]
    assert texts == ["heading", *(f"tile {i}" for i in range(7))]
    tops = {}
    for axes, tile in zip(figure.axes, tiles, strict=True):
        box = axes.get_position()
        tops.setdefault(round(box.y1, 4), []).append(box)
        shape = figure.get_size_inches()
        aspect = box.width * shape[0] / (box.height * shape[1])
        assert aspect == pytest.approx(tile.image.width / tile.image.height, rel=0.02)
    assert len(tops) == 3
    for boxes in tops.values():
        assert max(b.height for b in boxes) == pytest.approx(min(b.height for b in boxes))
        assert max(b.x1 for b in boxes) <= 1


def test_a_line_of_a_grid_is_as_high_as_its_pictures():
    wide, square = Image.new("RGB", (256, 100)), Image.new("RGB", (256, 256))
    lines = [Line("", [Tile(wide), Tile(None)]), Line("", [Tile(square), Tile(square)])]
    height = layout.grid(["a", "b"], lines, 256).get_size_inches()[1] * canvas.DPI
    assert height == pytest.approx(34 + 100 + 8 + 256 + 8)


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
