"""What is read is what its manifest means: files are compared, links followed, circles refused."""

import os
import time

import pytest

from diffusion4k import files, manifest
from diffusion4k.dag import code, sources
from diffusion4k.data import captions
from diffusion4k.errors import UserError
from diffusion4k.ledger import check
from diffusion4k.sources import fetch


def listed(folder, **settings):
    """The manifest of all that lies in `folder`, of a source that is the user's with path=."""
    path = folder.with_name(f"{folder.name}.json")
    manifest.write(
        path,
        root=folder,
        files=fetch.local(folder).files,
        inputs={},
        settings=settings,
        started=time.time(),
    )
    return manifest.read(path)


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data" / "train"
    folder.mkdir(parents=True)
    (folder / "a.jpg").write_bytes(b"an image")
    (folder / "metadata.jsonl").write_text('{"file_name": "a.jpg", "text": "a cat"}\n')
    return tmp_path / "data"


def test_sound_files_are_given_and_changed_ones_refused_with_what_to_run(data):
    source = listed(data)
    assert source.sound() == source.paths()
    assert source.within("train") == source.paths() and source.within("eval") == []
    image = data / "train" / "a.jpg"
    stat = image.stat()
    image.write_bytes(b"an imagE")
    os.utime(image, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(UserError, match="a.jpg: its content has changed .*snakemake … -- repair"):
        source.sound()
    assert source.sound([data / "train" / "metadata.jsonl"])
    image.unlink()
    with pytest.raises(UserError, match="a.jpg: missing .*data.json.*snakemake … -- repair"):
        source.sound([image])


def test_an_edited_data_set_is_refused_until_it_is_listed_anew(data):
    source = listed(data, path=str(data))
    [sample] = captions.of(source, "train")
    assert sample.sound() == sample.path
    sample.path.write_bytes(b"another image")
    with pytest.raises(UserError, match="a.jpg: 13 bytes.*if that is meant, list the files anew"):
        sample.sound()
    with (data / "train" / "metadata.jsonl").open("a") as lines:
        lines.write('{"file_name": "b.jpg", "text": "a dog"}\n')
    with pytest.raises(UserError, match="metadata.jsonl: 80 bytes.*list the files anew"):
        captions.of(source, "train")
    (data / "train" / "b.jpg").symlink_to("a.jpg")
    anew = listed(data, path=str(data))
    assert [sample.sound().name for sample in captions.of(anew, "train")] == ["a.jpg", "b.jpg"]


def test_what_a_manifest_does_not_list_is_not_read(data):
    source = listed(data)
    (data / "train" / "b.jpg").write_bytes(b"new")
    with pytest.raises(UserError, match="b.jpg: not among the files that .*data.json lists"):
        source.sound([data / "train" / "b.jpg"])


def test_links_are_followed_and_a_listing_changes_with_them(data, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "w.bin").write_bytes(b"weights")
        os.utime(tmp_path / name / "w.bin", ns=(1, 1))
    link = data / "linked"
    link.symlink_to(tmp_path / "one")
    assert [file.name for file in listed(data).files if "linked" in file.name] == ["linked/w.bin"]
    first = code.listing(data)
    assert code.listing(data) == first
    link.unlink()
    link.symlink_to(tmp_path / "two")  # of the same size and time
    second = code.listing(data)
    (tmp_path / "two" / "w.bin").write_bytes(b"others!")
    assert len({first, second, code.listing(data)}) == 3
    (tmp_path / "two").rename(tmp_path / "gone")
    code.listing(data)  # the job says what is wrong
    with pytest.raises(UserError, match="linked: a link to nothing"):
        fetch.local(data)


def test_of_what_training_depends_on_a_touch_is_no_change(data):
    """Of a data set by path: captions and images of its splits count, of a pipeline all files."""
    named = {"mine": data, "sd3": data, "head": data / "train" / "a.jpg"}
    config = {
        "sources": {name: {"path": str(path)} for name, path in named.items()},
        "splits": {"train": {"source": "mine", "folder": "train"}},
    }

    def now() -> tuple[str, ...]:
        return tuple(sources.own_files(config, name) for name in ("mine", "sd3", "head"))

    image, listing = data / "train/a.jpg", data / "train/metadata.jsonl"
    states = [now()]
    os.utime(image, ns=(1, 1))
    os.utime(listing, ns=(1, 1))
    (data / ".cache").mkdir()
    (data / ".cache" / "lock").write_text("")
    assert now() == states[0]
    (data / "README.md").write_text("a card")
    (data / "train" / "Thumbs.db").write_text("a viewer's")
    states.append(now())
    listing.write_text('{"file_name": "a.jpg", "text": "a dog"}\n')  # as long as before
    states.append(now())
    image.write_bytes(b"another image")
    states.append(now())
    of_data, of_pipeline, of_file = [len(set(s)) for s in zip(*states, strict=True)]
    assert (of_data, of_pipeline, of_file) == (3, 3, 2)
    listing.write_text("no JSON\n")  # the check says what is wrong
    assert now()[0] not in {state[0] for state in states}
    assert sources.own_files({"sources": {"hub": {"hub": "a/b"}}}, "hub") == ""


def test_manifests_are_found_behind_links_and_circles_refused(data, tmp_path):
    listed(data)
    run = tmp_path / "run"
    run.mkdir()
    (run / "sources").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(UserError, match="sources.*: a link to a folder that it lies in"):
        check.find(run)
    (run / "sources").unlink()
    (run / "sources").symlink_to(tmp_path / "elsewhere")
    data.rename(tmp_path / "moved")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "moved").rename(tmp_path / "elsewhere" / "data")
    (tmp_path / "data.json").rename(tmp_path / "elsewhere" / "data.json")
    [found] = check.find(run)
    assert manifest.verify(found) == []
    assert files.walk(run) == sorted([found.path, *found.paths()])
