"""Pictures of a figure: how its caption says they were drawn, how photographs are cropped."""

from PIL import Image

from diffusion4k.figures import photographs, shown


def test_what_rows_share_is_said_once_in_a_caption(tmp_path):
    def picture(row, **own):
        settings = {"height": 256, "width": 256, "path": tmp_path, "source": None}
        settings |= {"id": "p", "prompt": "p", "seed": 0, "guidance": 1.0, "steps": 20}
        return shown.Picture(row=row, **settings | own)

    labels = {"a": "A", "b": "B", "c": "C"}
    alike = [picture(row) for row in labels]
    said = "All: 256 x 256 px, 20 steps, guidance 1, seed 0."
    assert shown.settings(alike, labels) == said
    other = [*alike[:2], picture("c", guidance=3.5)]
    said = "All: 256 x 256 px, 20 steps, seed 0; A, B: guidance 1; C: guidance 3.5."
    assert shown.settings(other, labels) == said
    lacking = [alike[0], picture("b", seed=None)]
    said = "All: 256 x 256 px, 20 steps, guidance 1; A: seed 0."
    assert shown.settings(lacking, labels) == said
    assert shown.settings([], labels) == ""


def test_photographs_cover_the_shape_that_is_asked(tmp_path):
    Image.new("RGB", (1500, 1000)).save(tmp_path / "p.png")
    assert photographs.reference(tmp_path / "p.png", 300, 300).size == (300, 300)
    assert photographs.reference(tmp_path / "p.png", 384, 288).size == (288, 384)
    thumbnail, height, width = photographs.thumbnail(tmp_path / "p.png", 600)
    assert (thumbnail.size, height, width) == ((600, 400), 1000, 1500)
