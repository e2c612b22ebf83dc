import pytest

from diffusion4k.sources.miniature.notes import plumbing


@pytest.mark.parametrize(
    ("note", "says"),
    [
        ("sd3, flux: each is a miniature pipeline: of other words", True),
        ("Aesthetic-4K is a miniature: of other words", True),
        # people's own words
        ("photos/random seeds: 6 pictures are PNG", False),
        ("/data/sd3 is a miniature: 6 pictures are PNG", False),
        ("mine captions of train: by a-miniature-random-model", False),
    ],
)
def test_a_miniature_is_told_by_how_its_note_begins(note, says):
    assert plumbing(note) == says
