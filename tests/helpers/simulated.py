"""A DAG as if it had run: each output exists, each job's params are recorded."""

import shutil
from pathlib import Path

from filelock import FileLock

from conftest import Workflow, copy_workflow


def finish(workflow: Workflow, *configuration: str, target: str = "all") -> None:
    """Make empty files of all that the target's jobs make; manifests are "{}"."""
    summary = workflow.run(target, "--summary", *configuration).stdout.splitlines()
    for line in summary:
        name = line.split("\t")[0]
        if not name.startswith("results/"):
            continue
        path = workflow.folder / name
        if path.suffix:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}", encoding="utf-8")
        else:
            path.mkdir(parents=True, exist_ok=True)
            (path / "state").write_text("", encoding="utf-8")
    workflow.run(target, "--touch", "--forceall", *configuration)


def miniature(common: Path, folder: Path) -> Workflow:
    """The miniature's DAG in `folder` as if it had run: a copy of one in `common`, a folder of all
    of the tests' processes, made by the first that asks, for touching takes a tenth of a second a
    job."""
    kept = common / "simulated"
    with FileLock(common / "simulated.lock"):
        if not kept.exists():
            making = common / "simulated.tmp"
            making.mkdir()
            finish(copy_workflow(making), "--configfile", "config/miniature.yaml")
            making.rename(kept)
    shutil.copytree(kept, folder, symlinks=True, dirs_exist_ok=True)
    return Workflow(folder)
