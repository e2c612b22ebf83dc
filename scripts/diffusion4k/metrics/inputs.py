"""What the scoring scripts read: generated images, photographs, prompts, weights; and notes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from diffusion4k import images
from diffusion4k.data import captions as metadata
from diffusion4k.errors import UserError
from diffusion4k.files import shown
from diffusion4k.manifest import Manifest
from diffusion4k.shape import Size, sides

_WEIGHTS = {".pth", ".pt", ".safetensors"}


@dataclass(frozen=True)
class Picture:
    """A generated image; `size` is the (height, width) that it must have, if that is known."""

    id: str
    path: Path
    size: tuple[int, int] | None

    def check(self) -> None:
        """UserError when the header tells of another size or of anything but 8-bit RGB.

        The released program lets OpenCV turn grey into three equal channels and 16 bits into 8:
        the GLCM Score of the former stays, but its Compression Ratio would count bytes of two
        channels that the file does not have, and a set of both kinds would compare unlikes. So
        would CMYK, whose bytes are those of four.
        """
        height, width = images.rgb_sides(self.path)
        if self.size and (height, width) != self.size:
            raise UserError(
                f"{self.path}: {height}x{width} px (height x width) where"
                f" {self.size[0]}x{self.size[1]} is expected; generate it again"
            )

    def load(self) -> Image.Image:
        """Decode as RGB and check; UserError, too, when it is damaged."""
        image = images.load_rgb(self.path, exif_transpose=False)
        self.check()
        return image


def generated(
    shard: Manifest, size: Size | None = None, *, score_input: str = "jpeg"
) -> list[Picture]:
    """The images of a shard of generation, of `size` px, else of the size it was asked.

    score_input "memory": the lossless file of a picture where there is one, in place of its JPEG:
    the pixels as the pipeline had them in memory. UserError when a file is not what its manifest
    means.
    """
    wanted = sides(size) if size else (shard.settings.get("height"), shard.settings.get("width"))
    expected = wanted if all(wanted) else None
    lossless = {p.stem: p for p in shard.paths() if p.parent.name == images.LOSSLESS}
    pictures = images.pictures(shard.paths())
    if score_input == "memory":
        pictures = [lossless.get(path.stem, path) for path in pictures]
    shard.sound(pictures)
    return [Picture(path.stem, path, expected) for path in pictures]


def folder(where: Path, size: Size | None = None) -> list[Picture]:
    """Every image of a folder in the order of ids; UserError for what would make another set of it.

    That is a file that is none, a link to nothing, two of one id (p2.jpg and p2.png), a folder, or
    no image at all. What is hidden or called metadata.jsonl does not count, nor does PICTURE.json,
    what generate.py writes beside a picture.
    """
    if not where.is_dir():
        raise UserError(f"{where}: no such folder of images")
    files = [path for path in sorted(where.iterdir()) if not path.name.startswith(".")]
    beside = {"metadata.jsonl", *(f"{path.name}.json" for path in files)}
    files = [path for path in files if path.name not in beside]
    if lost := [path.name for path in files if not path.exists()]:
        raise UserError(f"{where}: links to nothing: {some(lost)}; bring the images back")
    ids: dict[str, Path] = {}
    for path in files:
        if path.is_dir():
            raise UserError(f"{path}: a folder, not an image; score one folder at a time")
        if path.suffix.lower() not in images.SUFFIXES:
            raise UserError(
                f"{path}: not an image ({', '.join(sorted(images.SUFFIXES))}); move it away"
            )
        if (first := ids.setdefault(path.stem, path)) != path:
            raise UserError(f"{where}: {first.name} and {path.name}: one id; keep one")
    if not files:
        raise UserError(f"{where}: no images there")
    expected = sides(size) if size else None
    return sorted((Picture(shown(p.stem), p, expected) for p in files), key=lambda p: p.id)


def some(names: Sequence[str]) -> str:
    """The first ten of `names` and how many more, for an error's one line."""
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more


def photograph(path: Path, size: Size, *, upright: bool) -> Image.Image:
    """The centre of `size` px of a photograph that is resized so that it just covers that.

    `upright` obeys the EXIF orientation, as training does; the released FID does not.
    """
    image = images.load_rgb(path, exif_transpose=upright)
    return images.center_crop(images.resize_shorter_side(image, size), size)


def prompts(
    dataset: Manifest, folder: str, pictures: Iterable[Picture]
) -> dict[str, metadata.CaptionedImage]:
    """The data set's sample for each generated image's id; UserError for ids that it lacks."""
    samples = {sample.id: sample for sample in metadata.of(dataset, folder)}
    unknown = [picture.id for picture in pictures if picture.id not in samples]
    if unknown:
        raise UserError(
            f"{folder} of {dataset.path} has no prompt for {', '.join(unknown[:10])}; images are"
            " named after the prompts' ids"
        )
    return samples


def weights(source: Manifest) -> Path:
    """The one weight file of a source (.pth, .pt or .safetensors; model.safetensors wins)."""
    files = [path for path in source.paths() if path.suffix in _WEIGHTS]
    named = [path for path in files if path.name == "model.safetensors"]
    if len(named or files) != 1:
        raise UserError(
            f"{source.path}: {len(files)} weight files below {source.root} where one is needed;"
            " give the file itself as the source's path:"
        )
    return source.listed((named or files)[0]).sound()


def whole(source: Manifest) -> Path:
    """The folder of a source whose files are all what its manifest means."""
    source.sound()
    return source.root


def checksum(source: Manifest, path: Path) -> str:
    """The SHA-256 that the source's manifest has of one of its files."""
    return source.listed(path).sha256


def notes(*sources: Manifest) -> list[str]:
    """The notes of all inputs, once each: they travel with the numbers to the report."""
    return list(dict.fromkeys(note for source in sources for note in source.notes))
