"""Say why jobs would run: which code was edited, which flag changed, what is missing.

  python scripts/why.py table_8 --configfile config/mine.yaml

Takes what snakemake takes, and makes nothing. Jobs that only follow from others are counted, not
explained.
"""

import json
import re
import shlex
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from diffusion4k import digest
from diffusion4k.dag import paths
from diffusion4k.errors import UserError
from diffusion4k.ledger.ask import ask

FOLLOWS = "Input files updated by another job"
PARAMS = "Params have changed"


def jobs(arguments: list[str]) -> Iterator[dict[str, str]]:
    """The jobs of a dry run: rule, first output, reason, shell command."""
    planned = ask(["--cores", "1", "-n", "-p", *arguments])
    for block in re.split(r"\n(?=(?:local)?rule \w+:\n)", planned):
        if not (rule := re.match(r"(?:local)?rule (\w+):", block)):
            continue
        fields = {
            name: match[1].strip()
            for name in ("output", "reason")
            if (match := re.search(rf"\n    {name}: (.*)", block))
        }
        if "output" in fields:
            shell = re.search(r"\nShell command: (.*)", block)
            yield {
                "rule": rule[1],
                "output": fields["output"].split(", ")[0],
                "reason": fields.get("reason", ""),
                "command": shell[1] if shell else "",
            }


def causes(job: dict[str, str]) -> list[str]:
    """What changed for a job, a line each."""
    reason = job["reason"]
    if PARAMS not in reason:
        return [re.sub(r"\s*:.*", "", reason.split(";")[0]) or "asked for"]
    changed = [*changed_flags(job), *changed_code(job)]
    return changed or ["params, of a kind that is not recorded"]


def changed_flags(job: dict[str, str]) -> Iterator[str]:
    """The flags that differ from those of the command that made the output."""
    record = paths.record(job["output"])
    if not record.is_file():
        return
    before = json.loads(record.read_text(encoding="utf-8")).get("shellcmd") or ""
    old, new = flags(before), flags(job["command"])
    for flag in sorted(old.keys() | new.keys()):
        if old.get(flag) != new.get(flag):
            yield f"{flag} {short(old.get(flag))} → {short(new.get(flag))}"


def flags(command: str) -> dict[str, str]:
    """Flag => its values, of a command line."""
    by_flag: dict[str, list[str]] = {}
    values: list[str] = []
    for word in shlex.split(command):
        if word.startswith("--"):
            flag, _, value = word.partition("=")
            values = by_flag.setdefault(flag, [value] if value else [])
        else:
            values.append(word)
    return {flag: " ".join(words) for flag, words in by_flag.items() if flag != "--progress-folder"}


def short(value: str | None) -> str:
    """A value as it is shown."""
    if value is None:
        return "(not given)"
    return value if len(value) <= 40 else f"{value[:37]}…"


def changed_code(job: dict[str, str]) -> Iterator[str]:
    """The modules that differ from those that made the output, as its manifest has them."""
    path = Path(job["output"])
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        before = record["modules"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    script = re.search(r"scripts/(\w+\.py)", job["command"])
    reached = digest.reach(Path(script[1])) if script else ()
    now = digest.modules({*before, *(str(p.relative_to(digest.SCRIPTS)) for p in reached)})
    for name in sorted(before.keys() | now.keys()):
        if now.get(name) != before.get(name):
            state = (
                "" if name in now and name in before else " (gone)" if name in before else " (new)"
            )
            yield f"code: {name}{state}"


def main(arguments: list[str]) -> None:
    """Print each cause once, with the jobs that it makes run, most jobs first."""
    explained, follow = defaultdict(lambda: defaultdict(int)), 0
    for job in jobs(arguments):
        if job["reason"].startswith(FOLLOWS):
            follow += 1
            continue
        for cause in causes(job):
            explained[cause][job["rule"]] += 1
    if not explained:
        print("Nothing to be done.")
    for cause, rules in sorted(explained.items(), key=lambda item: -sum(item[1].values())):
        which = ", ".join(f"{count} {rule}" for rule, count in rules.items())
        print(f"{cause}: {which}")
    if follow:
        print(f"and {follow} jobs that read what these make")


if __name__ == "__main__":
    if sys.argv[1:] in ([], ["-h"], ["--help"]):
        sys.exit(__doc__)
    try:
        main(sys.argv[1:])
    except UserError as error:
        sys.exit(f"error: {error}")
