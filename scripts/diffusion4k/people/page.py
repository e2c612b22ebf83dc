"""The rating kit as an HTML page: pictures in it, or in a folder beside it."""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from diffusion4k import images
from diffusion4k.files import anew, atomic, write_text
from diffusion4k.people import kit, votes
from diffusion4k.people.kit import Item, Purpose

PIXELS = 3  # times that a pixel of a patch is enlarged
GAP = 4  # px between patches, before they are enlarged
PROGRAM = ("answers.js", "page.js", "keys.js")  # one script of the page, in this order


def whole(path: Path, side: int | None = None) -> tuple[bytes, tuple[int, int]]:
    """A picture as JPEG, its longer side `side` px at most (None: as it is); (width, height).

    A JPEG without metadata, as the sampler writes them, keeps its bytes. All else is encoded anew,
    which leaves nothing in the file that could tell where it comes from.
    """
    with Image.open(path) as opened:
        # markers of text: JFIF's own (APP0) alone has none
        plain = opened.format == "JPEG" and {name for name, _ in opened.applist} <= {"APP0"}
        small = side is None or max(opened.size) <= side
        if plain and small:
            return path.read_bytes(), opened.size
    image = images.load_rgb(path, exif_transpose=False)
    if not small:
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _encoded(image, **images.JPEG | {"subsampling": 0}), image.size


def patches(path: Path, patch: int, across: int) -> tuple[bytes, tuple[int, int]]:
    """`across` x `across` squares of `patch` px, at even distances over a picture, as one PNG.

    A small picture gives as many as stand in it beside each other. The size is that of the sheet.
    """
    image = images.load_rgb(path, exif_transpose=False)
    counts = [max(1, min(across, length // patch)) for length in image.size]
    sheet_size = tuple(n * patch + (n - 1) * GAP for n in counts)
    sheet = Image.new("RGB", sheet_size, (128, 128, 128))
    for column, left in enumerate(_starts(image.width, patch, counts[0])):
        for row, top in enumerate(_starts(image.height, patch, counts[1])):
            square = image.crop((left, top, left + patch, top + patch))
            sheet.paste(square, (column * (patch + GAP), row * (patch + GAP)))
    return _encoded(sheet, format="PNG", optimize=True), sheet.size


def _starts(length: int, patch: int, count: int) -> list[int]:
    """Where `count` patches of `patch` px begin, in the middle of equal parts of `length` px."""
    return [max(0, (2 * k + 1) * length // (2 * count) - patch // 2) for k in range(count)]


def _encoded(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.info = {}  # Pillow writes a comment that it has read
    image.save(buffer, **options)
    return buffer.getvalue()


def write(
    folder: Path,
    items: Sequence[Item],
    purpose: Purpose,
    layout: Mapping[str, int],
    *,
    template: Path,
    embed: int,
) -> list[Path]:
    """Write the page `<purpose>.html` into `folder`; the files written, the page first.

    `layout`: the flags of `whole` for pairs, of `patches` for ratings. `template`: a folder with
    page.html, kit.css and PROGRAM. While all pictures together have at most `embed` bytes they
    are in the page, otherwise in `folder`/pictures, called after their item. An earlier page is
    replaced. UserError for a `folder` with other files, and for a picture that is another.
    """
    kind, suffix = ("png", ".png") if purpose == "ratings" else ("jpeg", ".jpg")
    with anew(folder) as part:
        encoded = {
            item.id + slot: FORMS[purpose](listed.sound(), **layout)
            for item in items
            for slot, (_, listed) in item.slots.items()
        }
        inside = sum(len(data) for data, _ in encoded.values()) <= embed
        beside, shown = [], {}
        for name, (data, (width, height)) in encoded.items():
            if inside:
                source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
            else:
                source = f"pictures/{name}{suffix}"
                beside.append(source)
                with atomic(part / source) as temporary:
                    temporary.write_bytes(data)
            shown[name] = {"src": source, "width": width, "height": height}
        page = f"{purpose}.html"
        write_text(part / page, _page(template, _data(items, purpose, layout, shown)))
    return [folder / name for name in (page, *beside)]


FORMS = {"pairs": whole, "ratings": patches}


def _data(
    items: Sequence[Item], purpose: Purpose, layout: Mapping[str, int], shown: Mapping[str, dict]
) -> dict[str, Any]:
    """What the page's program reads."""
    return {
        "kit": kit.digest(purpose, items, layout),
        "purpose": purpose,
        "questions": [
            {"name": name, "title": title, "text": kit.QUESTIONS[name]}
            for name, title in votes.QUESTIONS.items()
        ],
        "rating": {"text": kit.RATING, "words": kit.RATINGS},
        "pixels": PIXELS,
        "items": [
            {"id": item.id, "caption": item.caption}
            | {slot: shown[item.id + slot] for slot in item.slots}
            for item in items
        ],
    }


def _page(template: Path, data: dict[str, Any]) -> str:
    """The template with its parts filled in; in a script "<" could end it."""
    import jinja2

    def read(name: str) -> str:
        return (template / name).read_text(encoding="utf-8")

    parts = {"css": read("kit.css"), "js": "\n".join(map(read, PROGRAM))}
    text = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    return jinja2.Template(read("page.html")).render(**parts, data=text) + "\n"
