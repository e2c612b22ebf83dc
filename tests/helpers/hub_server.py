"""A hub on this machine: the parts of the hub's HTTP API that huggingface_hub uses, with faults.

What it speaks, as the hub does: a revision's commit (/api/models/<repo>/revision/<rev>), whether a
token may read it (/api/models/<repo>/auth-check), the tree in pages linked by `Link` headers, HEAD
and GET of /<repo>/resolve/<commit>/<file> with ETag, X-Repo-Commit, X-Linked-Size and
X-Linked-Etag, and a redirect of large files to a storage server of another origin that serves byte
ranges. Files named .bin or .safetensors are large: known by their SHA-256, the others by git's
SHA-1. `fault` lets the next requests that match a pattern fail.
"""

import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

PAGE = 3  # entries of a tree in one answer; the hub has 1000


@dataclass(frozen=True)
class Request:
    """One request as it came: `what` is "HEAD /path", without the query."""

    what: str
    token: str | None
    range: str | None


@dataclass
class Fault:
    """What happens to the first `times` requests whose `what` contains `pattern` (a regex)."""

    pattern: str
    times: float = float("inf")
    status: int = 0  # this answer instead of the file
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None  # the connection closes after so many bytes of the body
    stall: bool = False  # … or stays open, and nothing more comes
    change: Callable[[bytes], bytes] | None = None  # another body, its length stated as sent
    after: int = 0  # so many matching requests go well before the first fault


@dataclass(frozen=True)
class Repository:
    """One commit of a repository; `stated` are sizes that the list gives in place of the true."""

    commit: str
    files: dict[str, bytes]
    stated: dict[str, int]


def large(name: str) -> bool:
    return name.endswith((".bin", ".safetensors"))


def etag(name: str, content: bytes) -> str:
    if large(name):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Hub:
    """The hub at `address` and the storage server behind it; a context manager."""

    def __init__(self):
        self.repositories: dict[str, Repository] = {}
        self.requests: list[Request] = []  # that reached the hub
        self.stored: list[Request] = []  # that reached the storage server
        self.faults: list[Fault] = []
        self.gated: dict[str, str] = {}  # repository → the token that may read it
        self.lock = threading.Lock()
        self.closed = threading.Event()
        self._servers = [self._serve(self._answer_hub), self._serve(self._answer_storage)]
        self.address, self.storage = (f"http://127.0.0.1:{s.server_port}" for s in self._servers)

    def __enter__(self) -> "Hub":
        return self

    def __exit__(self, *error) -> None:
        self.closed.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def add(self, name: str, files: dict[str, bytes], *, kind: str = "models", stated=None) -> str:
        """Publish `files` as branch main of a repository and return its commit."""
        commit = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        self.repositories[f"{kind}/{name}"] = Repository(commit, files, stated or {})
        return commit

    def fault(self, pattern: str, **what) -> None:
        self.faults.append(Fault(pattern, **what))

    def heal(self) -> None:
        """From now on everything goes well, and the requests are counted anew."""
        self.faults.clear()
        self.requests.clear()
        self.stored.clear()

    def asked(self, pattern: str) -> list[Request]:
        """The requests, to both servers, whose `what` contains `pattern`."""
        return [r for r in [*self.requests, *self.stored] if re.search(pattern, r.what)]

    # the two servers

    def _serve(self, answer: Callable) -> ThreadingHTTPServer:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            closed = self.closed

            def do_GET(self) -> None:
                answer(self)

            do_HEAD = do_GET

            def log_message(self, *args) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server

    def _note(self, http: BaseHTTPRequestHandler, log: list[Request]) -> Fault | None:
        """Log a request, and find the fault that is its lot."""
        what = f"{http.command} {unquote(urlsplit(http.path).path)}"
        authorization = http.headers.get("Authorization")
        request = Request(what, authorization, http.headers.get("Range"))
        with self.lock:
            log.append(request)
            for fault in self.faults:
                if not re.search(fault.pattern, what):
                    continue
                if fault.after:
                    fault.after -= 1
                elif fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def _answer_hub(self, http: BaseHTTPRequestHandler) -> None:
        fault = self._note(http, self.requests)
        if fault and fault.status:
            return _send(http, fault.status, fault.body, fault.headers)
        path = unquote(urlsplit(http.path).path)
        if found := re.fullmatch(r"/api/(\w+/[^/]+/[^/]+)/(revision|tree)/([^/]+)", path):
            return self._api(http, *found.groups())
        if found := re.fullmatch(r"/api/(\w+/[^/]+/[^/]+)/auth-check", path):
            if found[1] not in self.repositories:
                return _refuse(http, 404, "RepoNotFound")
            if found[1] in self.gated and http.headers.get("Authorization") != self.gated[found[1]]:
                return _refuse(http, 403 if http.headers.get("Authorization") else 401, "GatedRepo")
            return _json(http, {})
        found = re.fullmatch(r"/((?:datasets|kernels)/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        name = f"{(found[1] or 'models/')}{found[2]}" if found else ""
        if name not in self.repositories or found[4] not in self.repositories[name].files:
            return _refuse(http, 404, "EntryNotFound")
        if name in self.gated and http.headers.get("Authorization") != self.gated[name]:
            return _refuse(http, 403 if http.headers.get("Authorization") else 401, "GatedRepo")
        return self._resolve(http, self.repositories[name], found[4], fault)

    def _api(self, http: BaseHTTPRequestHandler, name: str, what: str, revision: str) -> None:
        repository = self.repositories.get(name)
        if repository is None:
            return _refuse(http, 404, "RepoNotFound")
        if revision not in ("main", repository.commit):
            return _refuse(http, 404, "RevisionNotFound")
        if what == "revision":
            return _json(http, {"id": name.split("/", 1)[1], "sha": repository.commit})
        query = parse_qs(urlsplit(http.path).query)
        start = int(query.get("cursor", ["0"])[0])
        entries = [_entry(repository, file) for file in sorted(repository.files)]
        entries.append({"type": "directory", "path": "folder", "oid": "0" * 40})
        links = {}
        if start + PAGE < len(entries):
            here = f"{self.address}{urlsplit(http.path).path}"
            links["Link"] = f'<{here}?recursive=True&cursor={start + PAGE}>; rel="next"'
        return _json(http, entries[start : start + PAGE], links)

    def _resolve(self, http, repository: Repository, file: str, fault: Fault | None) -> None:
        content = repository.files[file]
        headers = {"X-Repo-Commit": repository.commit, "ETag": f'"{etag(file, content)}"'}
        if not large(file):
            return _send(http, 200, content, headers, fault)
        headers |= {
            "Location": f"{self.storage}/{etag(file, content)}/{file}",
            "X-Linked-Size": str(len(content)),
            "X-Linked-Etag": f'"{etag(file, content)}"',
            # large files are in Xet's storage, too; this server has none
            "X-Xet-Hash": etag(file, content),
            "X-Xet-Refresh-Route": f"{self.address}/api/xet-read-token",
        }
        return _send(http, 302, b"", headers)

    def _answer_storage(self, http: BaseHTTPRequestHandler) -> None:
        fault = self._note(http, self.stored)
        if fault and fault.status:
            return _send(http, fault.status, fault.body, fault.headers)
        wanted = urlsplit(http.path).path.split("/")[1]
        for repository in self.repositories.values():
            for file, content in repository.files.items():
                if etag(file, content) == wanted:
                    return _send_range(http, content, fault)
        return _send(http, 404, b"no such object")


def _entry(repository: Repository, file: str) -> dict:
    content = repository.files[file]
    size = repository.stated.get(file, len(content))
    entry = {"type": "file", "path": file, "size": size, "oid": etag("", content)}
    if large(file):
        entry["lfs"] = {"oid": etag(file, content), "size": size, "pointerSize": 134}
        entry["xetHash"] = etag(file, content)
    return entry


def _json(http: BaseHTTPRequestHandler, value, headers=None) -> None:
    _send(http, 200, json.dumps(value).encode(), headers)


def _refuse(http: BaseHTTPRequestHandler, status: int, code: str) -> None:
    """As the hub refuses, and worse: the text quotes the request's token."""
    text = json.dumps({"error": f"refused: {http.headers.get('Authorization')}"}).encode()
    _send(http, status, text, {"X-Error-Code": code})


def _send_range(http: BaseHTTPRequestHandler, content: bytes, fault: Fault | None) -> None:
    found = re.fullmatch(r"bytes=(\d+)-", http.headers.get("Range", ""))
    if not found:
        return _send(http, 200, content, {}, fault)
    start = int(found[1])
    if start >= len(content):
        return _send(http, 416, b"")
    where = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
    return _send(http, 206, content[start:], where, fault)


def _send(http, status: int, body: bytes, headers=None, fault: Fault | None = None) -> None:
    if fault and fault.change:
        body = fault.change(body)
    http.send_response(status)
    for key, value in (headers or {}).items():
        http.send_header(key, value)
    http.send_header("Content-Length", str(len(body)))
    http.end_headers()
    if http.command == "HEAD":
        return
    if fault and fault.cut is not None:
        http.wfile.write(body[: fault.cut])
        http.wfile.flush()
        if fault.stall:
            http.closed.wait()
        http.close_connection = True
    else:
        http.wfile.write(body)
