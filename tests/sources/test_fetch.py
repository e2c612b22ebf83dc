"""Sources that are no hub repository: URLs checked by their SHA-256, local paths as they lie."""

import email.utils
import hashlib
import time
from types import SimpleNamespace

import pytest

from diffusion4k.errors import UserError
from diffusion4k.sources import fetch
from diffusion4k.sources import retry as patience
from hub_server import Hub

CONTENT = bytes(range(256)) * 2000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
NAME = "weights v1.bin"


@pytest.fixture
def hub():
    with Hub() as hub:
        hub.add("any/thing", {NAME: CONTENT})
        yield hub


@pytest.fixture
def address(hub):
    return f"{hub.storage}/{DIGEST}/weights%20v1.bin"


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """The lengths of the pauses, none of which is made."""
    made = []
    # the name in that module only: other threads of the test run sleep too
    monkeypatch.setattr(patience, "time", SimpleNamespace(sleep=made.append))
    return made


@pytest.mark.parametrize("digest", [DIGEST, DIGEST[:8], ""])
def test_a_url_is_one_checked_file_and_fetched_once(hub, address, tmp_path, digest):
    for _ in range(2):
        fetched = fetch.url(address, tmp_path / "here", digest)
        assert fetched.files == [tmp_path / "here" / NAME]
        assert fetched.files[0].read_bytes() == CONTENT
        assert list((tmp_path / "here").iterdir()) == fetched.files
    assert len(hub.stored) == 1


def test_other_bytes_than_promised_are_an_error_and_leave_nothing(address, tmp_path):
    with pytest.raises(UserError, match=f"its sha256 is {DIGEST}, not 0000"):
        fetch.url(address, tmp_path / "here", "0" * 64)
    assert list((tmp_path / "here").iterdir()) == []


def test_a_dropped_download_goes_on_where_it_stopped(hub, address, tmp_path, pauses):
    hub.fault("GET", times=2, cut=100_000)
    assert fetch.url(address, tmp_path, DIGEST).files[0].read_bytes() == CONTENT
    assert [request.range for request in hub.stored] == [None, "bytes=100000-", "bytes=200000-"]
    assert pauses == [5, 15]


def test_a_later_job_goes_on_where_the_earlier_gave_up(hub, address, tmp_path):
    hub.fault("GET", times=1, cut=100_000)
    hub.fault("GET", status=503)
    with pytest.raises(UserError, match="status 503; run again, or fetch it by hand"):
        fetch.url(address, tmp_path, DIGEST)
    assert not (tmp_path / NAME).exists()
    hub.heal()
    assert fetch.url(address, tmp_path, DIGEST).files[0].read_bytes() == CONTENT
    assert [request.range for request in hub.stored] == ["bytes=100000-"]


def test_without_a_digest_nothing_is_put_together_from_two_downloads(hub, address, tmp_path):
    hub.fault("GET", times=1, cut=100_000)
    assert fetch.url(address, tmp_path).files[0].read_bytes() == CONTENT
    assert [request.range for request in hub.stored] == [None, None]


def test_a_part_that_is_not_the_files_is_found_out_and_removed(address, tmp_path):
    for stale in (b"?" * 1000, b"?" * len(CONTENT)):
        (tmp_path / f"{NAME}.part").write_bytes(stale)
        with pytest.raises(UserError, match="its sha256 is"):
            fetch.url(address, tmp_path, DIGEST)
        assert list(tmp_path.iterdir()) == []
    assert fetch.url(address, tmp_path, DIGEST).files[0].read_bytes() == CONTENT


def test_a_missing_file_is_said_at_once(hub, address, tmp_path, pauses):
    with pytest.raises(UserError, match=r"status 404; .* give it as path:$"):
        fetch.url(address.replace(DIGEST, "absent"), tmp_path, DIGEST)
    assert pauses == [] and len(hub.stored) == 1


def test_a_server_that_is_gone_is_tried_to_the_end(tmp_path, pauses):
    with pytest.raises(UserError, match="Connection refused; run again"):
        fetch.url("http://127.0.0.1:9/file.bin", tmp_path, DIGEST)
    assert pauses == list(patience.BACK_OFF)


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({}, 5),
        ({"Retry-After": "3"}, 5),
        ({"Retry-After": "90"}, 90),
        ({"Retry-After": "soon"}, 5),
        ({"Retry-After": "date"}, 300),
        ({"RateLimit": '"resolvers";r=0;t=200'}, 201),
        ({"RateLimit": '"resolvers";r=8;t=200'}, 5),
    ],
)
def test_the_pause_that_a_server_asks_for(hub, address, tmp_path, pauses, headers, pause):
    if headers.get("Retry-After") == "date":
        headers = {"Retry-After": email.utils.formatdate(time.time() + 300, usegmt=True)}
    hub.fault("GET", times=1, status=429, headers=headers)
    fetch.url(address, tmp_path, DIGEST)
    assert len(pauses) == 1 and abs(pauses[0] - pause) <= 2


def test_a_pause_longer_than_a_job_is_left_to_a_later_run(hub, address, tmp_path, pauses):
    hub.fault("GET", times=1, status=429, headers={"Retry-After": "86400"})
    with pytest.raises(UserError, match="status 429"):
        fetch.url(address, tmp_path, DIGEST)
    assert pauses == []


def test_a_full_disk_is_not_the_servers_fault(pauses):
    def call():
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        patience.patiently(call)
    assert pauses == []


def test_a_local_folder_or_file_is_used_where_it_lies(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.txt").write_text("b", encoding="utf-8")
    assert fetch.local(tmp_path / "a").files == [tmp_path / "a" / "b.txt"]
    single = fetch.local(tmp_path / "a" / "b.txt")
    assert (single.root, single.files) == (tmp_path / "a", [tmp_path / "a" / "b.txt"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no files there"):
        fetch.local(tmp_path / "empty")


def test_a_local_file_is_compared_with_its_checksum(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    for known in (digest, digest[:8]):
        assert fetch.local(path, known).files == [path]
    with pytest.raises(UserError, match=f"weights.pth: its sha256 is {digest}, not 0123"):
        fetch.local(path, "0123")
    with pytest.raises(UserError, match="it is no file, not"):
        fetch.local(tmp_path, digest)
