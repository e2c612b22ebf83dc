"""Sources from elsewhere: a hub repository at a pinned revision, one file by URL, or a local path.

A download is done when every file of the repository's own list is here with its size and, where
the hub states one, its SHA-256; a partial folder is an error that the next try resumes, never a
success. Tokens are read by huggingface_hub from HF_TOKEN and appear nowhere in a manifest or log.
"""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from diffusion4k.errors import UserError
from diffusion4k.files import sha256

BACK_OFF = (5, 15, 45, 120)  # seconds between the tries of one job; Snakemake retries the job


@dataclass(frozen=True)
class Fetched:
    """What is here now: files below `root`, the revision they belong to, notes for the report."""

    root: Path
    files: list[Path]
    revision: str = ""
    notes: tuple[str, ...] = ()


def local(path: str | Path, digest: str = "") -> Fetched:
    """A folder or a single file that the user has; used where it lies, never copied.

    A file is checked against `digest`, a SHA-256 or its first digits, when there is one.
    """
    path = Path(path).expanduser().absolute()
    if digest and not path.is_file():
        raise UserError(f"{path}: sha256 {digest} is of a file; give the file itself as the path")
    if digest and not sha256(path).startswith(digest):
        raise UserError(
            f"{path}: its sha256 is {sha256(path)}, not {digest}; fetch it again, or give the"
            " source's sha256 of the file that you mean"
        )
    if path.is_file():
        return Fetched(path.parent, [path])
    found = sorted(p for p in path.rglob("*") if p.is_file())
    if not found:
        raise UserError(f"{path}: no files there; give the folder or file that holds the source")
    return Fetched(path, found)


def url(address: str, folder: Path, digest: str = "") -> Fetched:
    """Download one file into `folder`, checked against `digest` (a SHA-256 or its first digits)."""
    from urllib.parse import unquote, urlsplit

    from torch.hub import download_url_to_file

    target = folder / Path(unquote(urlsplit(address).path)).name
    folder.mkdir(parents=True, exist_ok=True)
    if not (target.is_file() and sha256(target).startswith(digest or "?")):
        try:
            _patiently(lambda: download_url_to_file(address, str(target), digest or None))
        except (OSError, RuntimeError) as error:
            raise UserError(f"{address}: {error}; fetch it by hand and give it as path:") from None
    return Fetched(folder, [target])


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
    as it is, and a note says that nothing could be compared.
    """
    from huggingface_hub import HfApi, snapshot_download, try_to_load_from_cache
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError
    from huggingface_hub.utils import filter_repo_objects

    where = {"repo_id": repository, "repo_type": kind}
    patterns = {"allow_patterns": only, "ignore_patterns": ignore}
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        try:
            path = snapshot_download(**where, revision=revision, local_files_only=True, **patterns)
        except LocalEntryNotFoundError:
            raise UserError(
                f"{repository}: not in the hub cache and HF_HUB_OFFLINE is set; download it on a"
                " node with network, or give it as path:"
            ) from None
        files = sorted(p for p in Path(path).rglob("*") if p.is_file())
        note = f"{repository}: taken offline from the cache, not compared with the hub's list"
        return Fetched(Path(path), files, Path(path).name, (note,))
    try:
        info = _patiently(
            lambda: HfApi().repo_info(**where, revision=revision, files_metadata=True)
        )
        wanted = list(filter_repo_objects(info.siblings, key=lambda s: s.rfilename, **patterns))
        cached = {"repo_id": repository, "repo_type": kind, "revision": info.sha}
        absent = [s for s in wanted if not try_to_load_from_cache(filename=s.rfilename, **cached)]
        _check_space(sum(sibling.size or 0 for sibling in absent))
        path = Path(_patiently(lambda: snapshot_download(**where, revision=info.sha, **patterns)))
    except GatedRepoError:
        raise UserError(
            f"{repository}: gated; accept its licence at https://huggingface.co/{repository} and"
            " set HF_TOKEN to a token of that account"
        ) from None
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "no")
        raise UserError(
            f"{repository}: the hub answered with status {status}; run again to resume"
        ) from None
    broken = [line for sibling in wanted for line in _compare(path, sibling)]
    if broken:
        raise UserError(
            f"{repository}: {len(broken)} of {len(wanted)} files are not whole ({broken[0]});"
            " run again to resume"
        )
    return Fetched(path, sorted(path / s.rfilename for s in wanted), info.sha)


def _compare(root: Path, sibling) -> list[str]:
    """A line when a file differs from the hub's size or SHA-256; a bad copy is removed."""
    path = root / sibling.rfilename
    if not path.is_file():
        return [f"{sibling.rfilename} is missing"]
    expected = sibling.lfs.sha256 if sibling.lfs else None
    same_size = sibling.size is None or path.stat().st_size == sibling.size
    if same_size and (expected is None or sha256(path) == expected):
        return []
    path.resolve().unlink()
    path.unlink(missing_ok=True)
    return [f"{sibling.rfilename} differs in size or sha256"]


def _check_space(needed: int) -> None:
    """`needed`: bytes that are not in the cache yet."""
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(HF_HUB_CACHE)
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{folder}: {free / 1e9:.0f} GB free, {needed / 1e9:.0f} GB still to come; set HF_HOME"
            " to a folder on a larger disk"
        )


def _patiently(call: Callable):
    """Try again after 429, 5xx and dropped connections; other answers are final."""
    from huggingface_hub.errors import HfHubHTTPError

    for pause in BACK_OFF:
        try:
            return call()
        except HfHubHTTPError as error:
            status = getattr(error.response, "status_code", 0)
            if status != 429 and status < 500:
                raise
        except (ConnectionError, TimeoutError):
            pass
        time.sleep(pause)
    return call()
