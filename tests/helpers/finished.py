"""A DAG as if it had run: for plans of what would run again."""

from pathlib import Path

from conftest import Workflow, copy_workflow


def dag(folder: Path, *flags: str) -> Workflow:
    """A copy of the workflow in which each output of `all` exists and each job's params are known.

    The outputs are empty; nothing was computed.
    """
    workflow = copy_workflow(folder)
    summary = workflow.run("all", "--summary", *flags).stdout.splitlines()
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
    workflow.run("all", "--touch", "--forceall", *flags)
    assert workflow.plan("all", *flags) == {}
    return workflow
