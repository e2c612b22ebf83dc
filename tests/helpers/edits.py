"""Which jobs an edit of each module makes run again, on the real DAG of the paper.

    python tests/helpers/edits.py           as in tests/dag/edits.txt, which `make docs` writes
    python tests/helpers/edits.py --pages   of each file of report/, the rules

Each file of scripts/ is edited in turn, in a copy, and the digest in every job's params taken
again. A job runs again when its digest has changed, or when it reads what such a job makes.
"""

import contextlib
import functools
import io
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# what people call the jobs of these rules, in the order data flows, of others by the rule's name;
# None: no job of its own
STAGES = {
    "fetch_source": "sources", "make_source": "sources", "check_data": "checks",
    "latents": "latents", "train": "training", "train_kept": "training", "export": "export",
    "generate": "pictures", "import_images": "pictures", "efficiency": "timing",
    "reconstruct": "vae", "aggregate_reconstruction": "vae",
    "features": "scores", "reference_features": "scores", "distance": "scores",
    "texture": "scores", "per_image": "scores", "quality": "scores",
    "aggregate": "numbers", "compare": "numbers", "correlate": "numbers",
    "caption": "checks", "prompts": "checks", "draw": "pictures", "rebuild": "pictures",
    "votes": "people", "ratings": "people", "judge": "people", "kit": "people",
    "table": "paper", "prompt_table": "paper", "figure": "paper", "judge_claims": "paper",
    "gallery": "paper", "html": "paper", "all": None,
}  # fmt: skip
TABLE = ROOT / "tests/dag/edits.txt"
NOTHING = "nothing runs again"
EDIT = "\n_EDITED = 1\n"


def groups() -> dict[str, list[str]]:
    """The table that was approved: what runs again, and the files whose edit makes it."""
    blocks = TABLE.read_text(encoding="utf-8").rstrip().split("\n\n")
    return {b.splitlines()[0]: [n.strip() for n in b.splitlines()[1:]] for b in blocks}


def dag(folder: Path, *targets: str):
    """The jobs of the paper's `targets` in `folder`, where nothing has run, by Snakemake."""
    from snakemake.api import SnakemakeApi
    from snakemake.settings.types import (
        ConfigSettings,
        DAGSettings,
        OutputSettings,
        Quietness,
        ResourceSettings,
    )

    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api,
    ):
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(config={"run": "unmade"}),
            snakefile=Path("Snakefile"),
        )
        workflow.dag(DAGSettings(targets=set(targets))).printrulegraph()
        return workflow._workflow.dag


def planned(folder: Path) -> Iterator[tuple[str, str]]:
    """For each file of scripts/: its name, and of which stages an edit runs jobs again."""
    graph = dag(folder, "all")
    jobs = list(graph.jobs)
    digest, digests = _digests(folder, jobs)
    files, read = {}, digest._read
    digest._read = lambda path: files.get(path) or files.setdefault(path, read(path))
    before = digests()
    for path in sorted(digest.SCRIPTS.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        path.write_text(text + EDIT, encoding="utf-8")
        files.pop(path, None)
        read.cache_clear()
        rerun = {job for job, code in digests().items() if code != before[job]}
        path.write_text(text, encoding="utf-8")
        files.pop(path, None)
        yield path.relative_to(digest.SCRIPTS).as_posix(), _by_stage(jobs, _follow(graph, rerun))


def pages(folder: Path) -> dict[str, list[str]]:
    """Of each file of report/ the rules whose jobs an edit runs again."""
    graph = dag(folder, "all", "rating_kit")
    _, digests = _digests(folder, list(graph.jobs))
    before, rules = digests(), {}
    for path in sorted(file for file in (folder / "report").rglob("*") if file.is_file()):
        text = path.read_bytes()
        path.write_bytes(text + b" ")
        rerun = {job for job, code in digests().items() if code != before[job]}
        path.write_bytes(text)
        names = {job.rule.name for job in _follow(graph, rerun)} - {"all", "rating_kit"}
        rules[path.relative_to(folder).as_posix()] = sorted(names)
    return rules


def _digests(folder: Path, jobs: list):
    """The module `digest`, and what takes anew the digest of code of each of these jobs."""
    from diffusion4k import digest  # the copy's, which Snakemake imported

    assert folder.samefile(digest.SCRIPTS.parent), "edits.py: imported after another checkout"
    codes = {job: code for job in jobs if (code := getattr(job.rule.params, "code", None))}

    wild = {job: tuple(p for p in job.wildcards.items() if p[0] != "shard") for job in codes}
    alike = {job: (job.rule.name, wild[job]) for job in codes}  # of its code a shard knows nothing
    one = {kind: job for job, kind in alike.items()}

    def digests() -> dict:
        digest.digest.cache_clear()
        of = {kind: codes[job](job.wildcards) for kind, job in one.items()}
        return {job: of[kind] for job, kind in alike.items()}

    return digest, digests


def _follow(graph, rerun: set) -> set:
    """These jobs and all that read what they make, but for what is read as ancient()."""
    waiting = list(rerun)
    while waiting:
        job = waiting.pop()
        for reader, files in graph.depending[job].items():
            if reader not in rerun and not _ancient(reader).issuperset(map(str, files)):
                rerun.add(reader)
                waiting.append(reader)
    return rerun


@functools.cache
def _ancient(job) -> set[str]:
    return {str(file) for file in job.input if file.is_ancient}


def _by_stage(jobs: list, rerun: set) -> str:
    """All or some jobs of which stages, in words."""
    rules = {job: job.rule.name.split("_eval_")[0] for job in jobs}
    of = {job: STAGES.get(rule, rule) for job, rule in rules.items()}
    words = []
    for stage in filter(None, dict.fromkeys([*STAGES.values(), *of.values()])):
        every = [job in rerun for job in jobs if of[job] == stage]
        if any(every):
            words.append(f"{stage}{'' if all(every) else ' (some)'}")
    return ", ".join(words) or NOTHING


def table(folder: Path) -> str:
    """The table that people read: modules under what an edit of them runs again."""
    groups: dict[str, list[str]] = {}
    for name, stages in planned(folder):
        groups.setdefault(stages, []).append(name)
    order = sorted(groups, key=lambda stages: (stages == NOTHING, stages))
    return "\n".join(f"{s}\n" + "".join(f"    {n}\n" for n in groups[s]) for s in order)


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / "tests")]
    from conftest import copy_workflow

    with tempfile.TemporaryDirectory() as folder:
        copy = copy_workflow(Path(folder)).folder
        sys.stdout.write(json.dumps(pages(copy)) if "--pages" in sys.argv else table(copy))
