"""Images under other captions: a data set of links to the images and a metadata.jsonl of its own.

What reads a captioned folder reads this one, so that other captions need no code of any stage.
"""

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from diffusion4k import images
from diffusion4k.data import captions
from diffusion4k.errors import UserError
from diffusion4k.files import alike, anew, inside, write_text
from diffusion4k.manifest import Listed, Manifest

SHOWN = 10  # names in the line for people; a file has them all


def members(dataset: Manifest, folder: str) -> list[Listed]:
    """The images of a folder, as its metadata.jsonl orders them; without one, all below it by name.

    UserError for a folder without images, and for two whose names differ in the suffix or the
    folder alone: the name is the id of what is made from them.
    """
    where = inside(dataset.root, folder)
    if dataset.listed(where / captions.LISTING).sha256:
        return [sample.listed for sample in captions.of(dataset, folder)]
    paths = sorted(
        path
        for path in dataset.paths()
        if path.is_relative_to(where) and path.suffix.lower() in images.SUFFIXES
    )
    if not paths:
        raise UserError(f"{where}: {dataset.path} lists no images there; is the folder right?")
    first: dict[str, Path] = {}
    for path in paths:
        if (other := first.setdefault(path.stem, path)) != path:
            raise UserError(f"{path}: its name is {other}'s too; rename one of them")
    return [dataset.listed(path) for path in paths]


def read(path: Path) -> dict[str, str]:
    """id => caption, of a JSONL whose lines have `text` and `file_name` or `id`.

    An id is an image's name without its suffix. UserError, with the line, for what is none or comes
    twice; empty captions count as missing.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{path}: no such file of captions") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error}); save it as UTF-8") from None
    texts: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            id, text = record.get("id") or Path(record["file_name"]).stem, record["text"]
            if not isinstance(id, str) or not isinstance(text, str):
                raise TypeError
        except (ValueError, TypeError, KeyError, AttributeError):
            what = "not a JSON object with text and file_name or id, all strings"
            raise UserError(f"{path}, line {number}: {what}") from None
        if id in texts:
            raise UserError(f"{path}, line {number}: the id {id!r} comes twice")
        texts[id] = text
    return {id: text for id, text in texts.items() if text.strip()}


def of_images(given: Mapping[str, str], ids: Iterable[str], path: Path) -> dict[str, str]:
    """id => its caption of those in the file `path`; accents may be composed otherwise in a name.

    UserError for captions whose name differs from an image's in case alone: which of them is meant
    nobody can tell, and a model would be paid for what is there.
    """
    ids = set(ids)
    composed = {unicodedata.normalize("NFC", id): id for id in given}
    named = {
        id: id if id in given else composed.get(unicodedata.normalize("NFC", id)) for id in ids
    }
    texts = {id: given[name] for id, name in named.items() if name is not None}
    other = {alike(name): name for name in given if name not in named.values()}
    spelt = sorted((id, other[alike(id)]) for id in ids - texts.keys() if alike(id) in other)
    if spelt:
        more = f"; and {len(spelt) - SHOWN} more" if len(spelt) > SHOWN else ""
        pairs = "; ".join(f"{name} for {id}" for id, name in spelt[:SHOWN])
        raise UserError(f"{path}: names differ from the images' in case ({pairs}{more}); mend them")
    return texts


def plain(text: str) -> str:
    """A model's caption in one line, without the quotation marks that some put around it."""
    text = " ".join(text.split())
    quoted = len(text) > 2 and text[0] in '"“' and text[-1] in '"”' and '"' not in text[1:-1]
    return text[1:-1] if quoted else text


def refuse(faults: Mapping[str, str], total: int, listing: Path) -> None:
    """UserError that names the images without a caption (name => why), all of them in a file."""
    listing.unlink(missing_ok=True)
    if not faults:
        return
    lines = [f"{name}: {why}" for name, why in faults.items()]
    write_text(listing, "".join(f"{line}\n" for line in lines))
    more = f"; and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    raise UserError(
        f"{len(lines)} of {total} images have no caption ({'; '.join(lines[:SHOWN])}{more}), all"
        f" are listed in {listing}; write theirs into a JSONL of file_name and text, and give it"
        " as path beside the endpoint: those of the file win"
    )


def lay(
    root: Path, dataset: Manifest, folder: str, pictures: Sequence[Listed], texts: Mapping[str, str]
) -> list[Path]:
    """Make `root/folder` anew: a link to each image, and metadata.jsonl; returns its files.

    Images are compared with their manifest first. UserError for captions that later stages cannot
    take, and for a `root` with files that are not of an earlier call.
    """
    source, target = inside(dataset.root, folder), inside(root, folder)
    lines, files = [], []
    with anew(root) as part:
        for picture in dataset.sound([picture.path for picture in pictures]):
            name = picture.relative_to(source)
            link = inside(part, folder) / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(picture.absolute())
            files.append(target / name)
            record = {"file_name": name.as_posix(), "text": texts[picture.stem]}
            lines.append(json.dumps(record, ensure_ascii=False))
        write_text(inside(part, folder) / captions.LISTING, "".join(f"{line}\n" for line in lines))
    captions.read(root, folder)
    return [*files, target / captions.LISTING]
