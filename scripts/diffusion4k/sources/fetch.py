"""Sources from elsewhere: a hub repository at a pinned revision, one file by URL, or a local path.

A download is done when every file of the repository's own list is here with its size and content
(SHA-256, or git's SHA-1 for small files); a partial folder is an error that the next try resumes,
never a success. Tokens are read by huggingface_hub from HF_TOKEN and are in no manifest or log.
"""

import hashlib
import os
import re
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusion4k.errors import UserError
from diffusion4k.files import inside, sha256, walk, whole
from diffusion4k.sources.retry import answer, patiently, reason

COMMIT = re.compile(r"[0-9a-f]{40}")
TIMEOUT = 30  # seconds without a byte from a URL's server
LEFT_OVER = 3600  # seconds without a byte after which an unfinished file is nobody's any more


@dataclass(frozen=True)
class Fetched:
    """What is here now: files below `root`, the revision they belong to, notes for the report."""

    root: Path
    files: list[Path]
    revision: str = ""
    notes: tuple[str, ...] = ()


def local(path: str | Path, digest: str = "") -> Fetched:
    """A folder or one file that the user has, used where it lies; the file checked by `digest`."""
    path = Path(path).expanduser().absolute()
    if digest and not (path.is_file() and sha256(path).startswith(digest)):
        fault = f"its sha256 is {sha256(path)}" if path.is_file() else "it is no file"
        raise UserError(f"{path}: {fault}, not {digest}; give the file that sha256: means")
    if path.is_file():
        return Fetched(path.parent, [path])
    files = whole(path)
    if not files:
        raise UserError(f"{path}: no files there; give the folder or file that holds the source")
    return Fetched(path, files)


def url(address: str, folder: Path, digest: str = "") -> Fetched:
    """Download one file into `folder`, checked against `digest` (a SHA-256 or its first digits).

    With a digest an interrupted download goes on where it stopped, in this job or a later one.
    """
    from urllib.parse import unquote, urlsplit

    from huggingface_hub.errors import HTTPError

    target = folder / Path(unquote(urlsplit(address).path)).name
    if target.is_file() and sha256(target).startswith(digest):
        return Fetched(folder, [target])
    folder.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    try:
        patiently(lambda: _download(address, part, resume=bool(digest)))
    except (HTTPError, OSError) as error:
        raise UserError(
            f"{address}: {reason(error)}; run again, or fetch it by hand and give it as path:"
        ) from None
    actual = sha256(part)
    if not actual.startswith(digest):
        part.unlink()
        raise UserError(
            f"{address}: its sha256 is {actual}, not {digest}; look at what the address gives now,"
            " and put the right sha256: into the configuration"
        )
    part.replace(target)
    return Fetched(folder, [target])


def _download(address: str, part: Path, *, resume: bool) -> None:
    """One try: the file behind `address` in `part`, after the bytes that it holds if `resume`."""
    from huggingface_hub.utils import get_session

    start = part.stat().st_size if resume and part.is_file() else 0
    # as stored: a compressed answer could be neither measured nor resumed
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with get_session().stream("GET", address, headers=headers, timeout=TIMEOUT) as response:
        if (
            response.status_code == 416
        ):  # nothing after these bytes: they are all, or not the file's
            return
        response.raise_for_status()
        start = start if response.status_code == 206 else 0
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            for chunk in response.iter_bytes():
                file.write(chunk)


def hub(
    repository: str,
    *,
    revision: str = "main",
    kind: str = "model",
    only: Sequence[str] | None = None,
    ignore: Sequence[str] | None = None,
) -> Fetched:
    """Download a repository into the hub cache (HF_HOME), resuming, and compare it with its list.

    `only` and `ignore` are glob patterns over file names. With HF_HUB_OFFLINE=1 the cache is taken
    as it is, and a note says what could not be compared.
    """
    if os.environ.get("HF_ENDPOINT"):
        # a mirror serves plain HTTP, Xet would go past it to the hub's own storage servers; the
        # variable is read when huggingface_hub is imported, so before that
        os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
    from huggingface_hub import is_offline_mode
    from huggingface_hub.errors import HTTPError, RevisionResolutionError

    where = {"repo_id": repository, "repo_type": kind}
    patterns = {"allow_patterns": only, "ignore_patterns": ignore}
    if is_offline_mode():
        return _from_cache(where, revision, patterns)
    check_token()
    try:
        return _from_hub(where, revision, patterns)
    except (HTTPError, OSError, RevisionResolutionError, RuntimeError, ValueError) as error:
        raise UserError(f"{repository}: {advice(error, where, revision)}") from None


def _from_hub(where: dict[str, str], revision: str, patterns: dict[str, Any]) -> Fetched:
    """List the repository, download what is missing, compare sizes, then contents."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.hf_api import RepoFile
    from huggingface_hub.utils import filter_repo_objects

    api, name = HfApi(), where["repo_id"]
    # keeps the commit that a branch means in the cache, for offline runs
    commit = patiently(lambda: api.resolve_revision(**where, revision=revision)).resolved
    # not repo_info's siblings: the hub cuts that list short for large repositories
    tree = patiently(lambda: list(api.list_repo_tree(**where, revision=commit, recursive=True)))
    listed = [entry for entry in tree if isinstance(entry, RepoFile)]
    wanted = list(filter_repo_objects(listed, key=lambda f: f.path, **patterns))
    if not wanted:
        raise UserError(f"{name}: none of its {len(listed)} files is asked for; see only, ignore")
    root = _prepare(where, commit, wanted)

    def download() -> None:
        snapshot_download(**where, revision=commit, **patterns)
        # it returns a partial folder, too, when the hub does not answer its request for the list
        broken = [line for file in wanted for line in _compare(root, file, content=False)]
        if broken:
            raise ConnectionError(f"{len(broken)} of {len(wanted)} files not whole: {broken[0]}")

    patiently(download)
    broken = [line for file in wanted for line in _compare(root, file, content=True)]
    if broken:
        raise UserError(
            f"{name}: {len(broken)} of {len(wanted)} files are not the hub's ({broken[0]});"
            " removed, run again to fetch them anew"
        )
    files = sorted(root / file.path for file in wanted)
    return Fetched(root, files, commit, _unpinned(name, revision, commit))


def _unpinned(name: str, revision: str, commit: str) -> tuple[str, ...]:
    """A note when the configuration names a branch or tag, which can mean something else later."""
    note = f"{name}: revision {revision} is not pinned; it meant commit {commit}"
    return () if COMMIT.fullmatch(revision) else (note,)


def _prepare(where: dict[str, str], commit: str, wanted: list) -> Path:
    """The snapshot's folder; says what is to come, and refuses it where the disk is too small."""
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.file_download import repo_folder_name

    repository = Path(HF_HUB_CACHE).expanduser() / repo_folder_name(**where)
    root = repository / "snapshots" / commit
    # a killed download leaves its unfinished file, which huggingface_hub never takes up again
    for left in (repository / "blobs").glob("*.incomplete"):
        if time.time() - left.stat().st_mtime > LEFT_OVER:
            left.unlink(missing_ok=True)
    absent = [file for file in wanted if not inside(root, file.path).exists()]
    needed = sum(file.size for file in absent)
    print(
        f"{where['repo_id']} at {commit}: {len(wanted)} files,"
        f" {len(absent)} of them ({needed / 1e9:.2f} GB) to come",
        file=sys.stderr,
        flush=True,
    )
    repository.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(repository).free
    if free < needed:
        raise UserError(
            f"{repository}: {free / 1e9:.0f} GB free, {needed / 1e9:.0f} GB still to come; set"
            " HF_HOME to a folder on a larger disk"
        )
    return root


def _compare(root: Path, file: Any, *, content: bool) -> list[str]:
    """A line when a file differs from the hub's entry in size or content; a bad copy is removed."""
    path = root / file.path
    if not path.is_file():
        return [f"{file.path} is missing"]
    if path.stat().st_size != file.size:
        wrong = "size"
    elif content and file.lfs and sha256(path) != file.lfs.sha256:
        wrong = "sha256"
    elif content and not file.lfs and _git_sha1(path) != file.blob_id:
        wrong = "SHA-1"
    else:
        return []
    path.resolve().unlink()
    path.unlink(missing_ok=True)
    return [f"{file.path} differs in {wrong}"]


def _git_sha1(path: Path) -> str:
    """The name that git gives to a file's content; the hub states it for files outside LFS."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _from_cache(where: dict[str, str], revision: str, patterns: dict[str, Any]) -> Fetched:
    """What an earlier download left in the cache, compared with the list that it kept."""
    from huggingface_hub import get_cached_repo_tree, snapshot_download
    from huggingface_hub.errors import (
        CachedRepoTreeNotFoundError,
        IncompleteSnapshotError,
        LocalEntryNotFoundError,
    )
    from huggingface_hub.utils import filter_repo_objects

    name = where["repo_id"]
    remedy = "download it on a node with network (docs/sources.md), or give it as path:"
    try:
        cached = snapshot_download(**where, revision=revision, local_files_only=True, **patterns)
    except LocalEntryNotFoundError as error:
        what = "only in part" if isinstance(error, IncompleteSnapshotError) else "not"
        raise UserError(
            f"{name}: {what} in the hub cache, and HF_HUB_OFFLINE is set; {remedy}"
        ) from None
    root = Path(cached)
    here = (str(path.relative_to(root)) for path in walk(root))
    files = sorted(root / file for file in filter_repo_objects(here, **patterns))
    try:
        sizes = {f.path: f.size for f in get_cached_repo_tree(**where, revision=root.name)}
        compared = "its sizes compared with the list of that download"
    except CachedRepoTreeNotFoundError:
        sizes, compared = {}, "compared with nothing"
    for file in files:
        size = file.stat().st_size if file.is_file() else -1
        if size < 0 or size != sizes.get(str(file.relative_to(root)), size):
            raise UserError(f"{file}: not whole, and HF_HUB_OFFLINE is set; {remedy}")
    note = f"{name}: taken offline from the cache, {compared}"
    return Fetched(root, files, root.name, (note, *_unpinned(name, revision, root.name)))


def check_token() -> None:
    """Refuse a token that no header can hold: the HTTP client's complaint would quote it."""
    from huggingface_hub import get_token

    token = get_token() or ""
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise UserError(
            "HF_TOKEN: holds a space, a line break or a character that no token has; set it to the"
            " token alone"
        )


def advice(error: Exception, where: dict[str, str], revision: str) -> str:
    """What the hub's answer means and what to do, in one line."""
    from huggingface_hub import get_token

    folder = "" if where["repo_type"] == "model" else f"{where['repo_type']}s/"
    page = f"https://huggingface.co/{folder}{where['repo_id']}"
    response = answer(error)
    if response is None:
        if isinstance(error, OSError) and error.errno:
            return f"{error.strerror} ({error.filename or 'hub cache'}); set HF_HOME elsewhere"
        if isinstance(error, ValueError):
            return f"{reason(error)}; check the repository's name, HF_ENDPOINT and the proxy"
        return f"{reason(error)}; run again to resume"
    status, code = response.status_code, response.headers.get("x-error-code")
    if code == "GatedRepo":
        return f"gated; accept its licence at {page} and set HF_TOKEN to a token of that account"
    if code == "RevisionNotFound":
        return f"no revision {revision}; take a commit from {page}/commits/main"
    if status == 401 and get_token():
        return "the hub does not accept HF_TOKEN (status 401); make a new token in its settings"
    if status == 401 or code == "RepoNotFound":
        return f"no such repository of type {where['repo_type']}, or a private one: set HF_TOKEN"
    if status == 403:
        return f"HF_TOKEN may not read it (status 403); give the token that right, see {page}"
    return f"{reason(error)}; run again to resume"
