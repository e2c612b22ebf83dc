"""The layout of Aesthetic-4K: folders of images with a metadata.jsonl (`file_name`, `text`)."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from diffusion4k.errors import UserError
from diffusion4k.files import inside
from diffusion4k.manifest import Listed, Manifest

LISTING = "metadata.jsonl"
SHOWN = 10  # faulty lines in the one line for people
# bytes; file systems take 255, and reconstruction adds the most to an id
LONGEST_ID = 255 - len("-reconstructed.png")


@dataclass(frozen=True)
class CaptionedImage:
    """One captioned image; `id` is the file's stem and names everything made from it.

    `listed`: the image as the data set's manifest has it, where one is at hand.
    """

    id: str
    path: Path
    text: str
    listed: Listed | None = None

    def sound(self) -> Path:
        """`path`; UserError when it is not the image that the manifest means."""
        return self.listed.sound() if self.listed else self.path


def of(dataset: Manifest, folder: str) -> list[CaptionedImage]:
    """`read` of a data set that has not been edited since its manifest was made, else UserError.

    Captions are compared now, an image when it is read (`CaptionedImage.sound`).
    """
    listing = inside(dataset.root, folder) / LISTING
    if listing.is_file():
        dataset.listed(listing).sound()
    samples = read(dataset.root, folder)
    return [replace(sample, listed=dataset.listed(sample.path)) for sample in samples]


def read(root: str | Path, folder: str) -> list[CaptionedImage]:
    """The samples of `root/folder`, in the order of its metadata.jsonl.

    Raises UserError, with the numbers of the lines, for such as are not JSON, lack a key, name a
    file outside the folder, repeat an id, or hold what a later stage cannot take: half a character,
    or a name too long for the names that are made from it.
    """
    where = inside(root, folder)
    listing = where / LISTING
    if not listing.is_file():
        raise UserError(f"{listing}: not found; is {root} a folder laid out like Aesthetic-4K?")
    samples: dict[str, CaptionedImage] = {}
    faults: list[str] = []
    try:
        text = listing.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{listing}: not UTF-8 ({error}); save it as UTF-8") from None
    # at line feeds alone: str.splitlines also parts at U+2028 and U+0085, which JSON texts may have
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            name, text = record["file_name"], record["text"]
            if not isinstance(name, str) or not isinstance(text, str | None):
                raise TypeError
        except (ValueError, TypeError, KeyError):
            reason = "not a JSON object with file_name and text, both strings"
        else:
            sample = CaptionedImage(Path(name).stem, inside(where, name), text or "")
            reason = _fault(sample)
            if samples.setdefault(sample.id, sample) is not sample:
                reason = f"the id {sample.id!r} comes twice"
        if reason:
            faults.append(f"line {number}: {reason}")
    if faults:
        more = f"; and {len(faults) - SHOWN} more lines" if len(faults) > SHOWN else ""
        raise UserError(f"{listing}, {'; '.join(faults[:SHOWN])}{more}")
    return list(samples.values())


def _fault(sample: CaptionedImage) -> str:
    """What of a name or a caption a later stage cannot take; "" when all is well."""
    for what, value in (("name", sample.path.name), ("caption", sample.text)):
        try:
            length = len(value.encode())
        except UnicodeEncodeError as error:
            half = f"\\u{ord(value[error.start]):04x}"
            return (
                f"the {what} has half a character ({half}, at {error.start}); complete or drop it"
            )
        if what == "name" and len(sample.id.encode()) > LONGEST_ID:
            return (
                f"a file name of {length} bytes; shorten it to {LONGEST_ID} before its suffix, so"
                " that names made from it fit the file system"
            )
    return ""
