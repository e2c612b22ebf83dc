"""Sources from elsewhere: local paths as they lie, URLs checked by their SHA-256, patience."""

import functools
import hashlib
import http.server
import threading

import pytest

from diffusion4k.errors import UserError
from diffusion4k.sources import fetch


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "weights v1.pth").write_bytes(b"weights" * 1000)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}/weights%20v1.pth"
        served.shutdown()


DIGEST = hashlib.sha256(b"weights" * 1000).hexdigest()


@pytest.mark.parametrize("digest", [DIGEST, DIGEST[:8]])
def test_a_url_is_one_checked_file(server, tmp_path, digest):
    fetched = fetch.url(server, tmp_path / "here", digest)
    assert [path.name for path in fetched.files] == ["weights v1.pth"]
    assert fetched.files[0].read_bytes() == b"weights" * 1000


def test_other_bytes_than_promised_are_an_error_and_leave_nothing(server, tmp_path):
    with pytest.raises(UserError, match="hash"):
        fetch.url(server, tmp_path / "here", "0" * 64)
    assert list((tmp_path / "here").iterdir()) == []


def test_a_whole_file_is_not_fetched_again(server, tmp_path):
    fetch.url(server, tmp_path / "here", DIGEST)
    gone = server.replace("weights", "absent")
    (tmp_path / "here" / "absent v1.pth").write_bytes(b"weights" * 1000)
    assert fetch.url(gone, tmp_path / "here", DIGEST).files[0].name == "absent v1.pth"


def test_a_missing_file_says_what_to_do(server, tmp_path):
    with pytest.raises(UserError, match="give it as path"):
        fetch.url(server.replace("weights", "absent"), tmp_path / "here", DIGEST)


def test_a_local_folder_or_file_is_used_where_it_lies(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.txt").write_text("b", encoding="utf-8")
    assert fetch.local(tmp_path / "a").files == [tmp_path / "a" / "b.txt"]
    single = fetch.local(tmp_path / "a" / "b.txt")
    assert (single.root, single.files) == (tmp_path / "a", [tmp_path / "a" / "b.txt"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no files there"):
        fetch.local(tmp_path / "empty")


def test_patience_with_a_dropped_connection_and_an_end_to_it(monkeypatch):
    monkeypatch.setattr(fetch.time, "sleep", lambda seconds: None)
    answers = iter([ConnectionError(), TimeoutError(), "done"])

    def call():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert fetch._patiently(call) == "done"
    with pytest.raises(ConnectionError):
        fetch._patiently(lambda: (_ for _ in ()).throw(ConnectionError()))


def test_a_local_file_is_compared_with_its_checksum(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"weights" * 1000)
    for digest in (DIGEST, DIGEST[:8]):
        assert fetch.local(path, digest).files == [path]
    with pytest.raises(UserError, match=f"weights.pth: its sha256 is {DIGEST}, not 0123"):
        fetch.local(path, "0123")
    with pytest.raises(UserError, match="is of a file"):
        fetch.local(tmp_path, DIGEST)
