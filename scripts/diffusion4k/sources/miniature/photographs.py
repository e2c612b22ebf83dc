"""The twelve photographs that the miniature is cut from, with captions, and seven others.

scikit-image and scikit-learn carry the twelve for their own examples, under free licences that are
listed beside them (skimage/data/README.txt, sklearn/datasets/images/README.txt); of the seven, four
are scikit-image's, two PyWavelets', one matplotlib's. All are read where they are installed.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from diffusion4k.errors import UserError
from diffusion4k.images import load_rgb


@dataclass(frozen=True)
class Photograph:
    """One picture: its file inside a package, the frame that holds its subject, its captions.

    `frame` is (left, top, right, bottom) in px of the file; crops stay inside it; None: all of it.
    The captions open alike, so that a model which has learnt one draws the same picture for the
    others.
    """

    name: str
    package: str
    file: str
    frame: tuple[int, int, int, int] | None = None
    captions: tuple[str, ...] = ()

    def open(self) -> Image.Image:
        """The framed part, 8-bit RGB; grey photographs have three equal channels."""
        path = self._path()
        if path.suffix == ".npz":  # PyWavelets', grey
            with np.load(path) as arrays:
                return Image.fromarray(arrays["data"].astype(np.uint8)).convert("RGB")
        image = load_rgb(path, exif_transpose=True)
        return image.crop(self.frame) if self.frame else image

    def _path(self) -> Path:
        spec = find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise UserError(f"the photographs need the Python package {self.package}; install it")
        return Path(spec.submodule_search_locations[0]) / self.file


def _skimage(name: str, file: str, frame: tuple[int, int, int, int], *captions: str) -> Photograph:
    return Photograph(name, "skimage", f"data/{file}", frame, captions)


def _sklearn(name: str, file: str, frame: tuple[int, int, int, int], *captions: str) -> Photograph:
    return Photograph(name, "sklearn", f"datasets/images/{file}", frame, captions)


# At most 18 words and commas a caption: the miniature's text encoders hold 20 tokens.
PHOTOGRAPHS = (
    _skimage(
        "coffee",
        "coffee.png",
        (70, 0, 530, 400),
        "a cup of coffee on a red saucer with a silver spoon on a rustic wooden table",
        "a cup of coffee on a red saucer, seen from above, on warm brown wood",
        "a cup of coffee on a red saucer beside a small spoon in soft indoor light",
    ),
    _sklearn(
        "flower",
        "flower.jpg",
        (135, 0, 615, 427),
        "an orange dahlia in full bloom with layered petals against a dark blurred background",
        "an orange dahlia with hundreds of round petals before deep green and blue shade",
        "an orange dahlia, close up, glowing in soft light in a dark garden",
    ),
    _skimage(
        "retina",
        "retina.jpg",
        (0, 40, 1411, 1371),
        "a round fundus photograph of a human retina with fine red vessels on an orange disc",
        "a round fundus photograph, orange and red, with a bright optic nerve and a dark macula",
        "a round fundus photograph of an eye on black, crossed by branching blood vessels",
    ),
    _skimage(
        "astronaut",
        "astronaut.png",
        (30, 0, 460, 500),
        "a smiling astronaut in an orange space suit stands before a flag and a model shuttle",
        "a smiling astronaut in an orange suit holds her helmet in an official portrait",
        "a smiling astronaut with short hair poses in a bright orange pressure suit",
    ),
    _skimage(
        "chelsea",
        "chelsea.png",
        (30, 0, 400, 300),
        "a tabby cat with green eyes looks aside, its striped fur and whiskers in sharp focus",
        "a tabby cat in close portrait with a pink nose and long white whiskers",
        "a tabby cat rests on a blanket and gazes calmly past the camera",
    ),
    _sklearn(
        "china",
        "china.jpg",
        (10, 0, 490, 427),
        "the ornate pagoda of a summer palace rises above trees by a pale misty lake",
        "the ornate pagoda with red columns and curved green roofs under a clear sky",
        "the ornate pagoda overlooks a wide lake, framed by dark green trees",
    ),
    _skimage(
        "rocket",
        "rocket.jpg",
        (100, 0, 540, 427),
        "one white rocket stands on its launch pad at dusk under a deep blue sky",
        "one white rocket lit by floodlights between tall lightning towers at twilight",
        "one white rocket waits for its launch, bright lamps glowing along the horizon",
    ),
    _skimage(
        "motorcycle",
        "motorcycle_left.png",
        (70, 30, 720, 500),
        "shiny red motorcycle parked on the concrete floor of a cluttered garage",
        "shiny red motorcycle with chrome engine in front of shelves full of boxes",
        "shiny red motorcycle in a garage beside a wooden bench in warm light",
    ),
    _skimage(
        "hubble",
        "hubble_deep_field.jpg",
        (350, 220, 850, 640),
        "thousands of distant galaxies scattered like coloured sparks over the black deep field",
        "thousands of distant galaxies, blue, white and orange, in the darkness of space",
        "thousands of distant galaxies seen by a space telescope against pure black",
    ),
    _skimage(
        "ihc",
        "ihc.png",
        (0, 0, 512, 440),
        "microscope view of stained tissue with brown glands and small blue nuclei",
        "microscope view of colon tissue, brown and pale violet, in fine detail",
        "microscope view of a stained section where brown glands surround white gaps",
    ),
    _skimage(
        "brick",
        "brick.png",
        (0, 0, 512, 512),
        "grey brick pavement with light joints running away from the viewer, in black and white",
        "grey brick pavement in long straight rows, photographed in even daylight",
        "grey brick pavement, a regular pattern of dark stones and pale mortar",
    ),
    _skimage(
        "gravel",
        "gravel.png",
        (0, 0, 340, 300),
        "rough loose gravel covers the ground, each angular stone casting a small shadow",
        "rough loose gravel in many shades of grey, seen from directly above",
        "rough loose gravel, a dense texture of sharp little stones in black and white",
    ),
)

# In no data set that the miniature trains on: what a VAE makes of these it has learnt elsewhere
UNSEEN = tuple(
    Photograph(name, package, file, captions=(caption,))
    for name, package, file, caption in (
        (
            "portrait",
            "matplotlib",
            "mpl-data/sample_data/grace_hopper.jpg",
            "an officer, portrayed",
        ),
        ("camera", "skimage", "data/camera.png", "a man behind a camera on a tripod"),
        ("stairs", "pywt", "data/ascent.npz", "people on the stairs of a house"),
        ("airfield", "pywt", "data/aero.npz", "an airfield, seen from above"),
        ("coins", "skimage", "data/coins.png", "rows of old coins"),
        ("moon", "skimage", "data/moon.png", "the surface of the moon"),
        ("grass", "skimage", "data/grass.png", "grass, seen from above"),
    )
)
