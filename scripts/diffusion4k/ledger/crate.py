"""A run as a Workflow Run RO-Crate, of the Provenance Run profile: an action for each manifest.

https://www.researchobject.org/workflow-run-crate/ (0.5, on RO-Crate 1.1). The crate holds the
workflow, the resolved configuration, every manifest, tables, figures and the report. The bulk stays
where it is: manifests list it with sizes and SHA-256.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from diffusion4k.ledger.chain import Run
from diffusion4k.manifest import Manifest

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
WORKFLOW = ("Snakefile", "rules", "scripts", "config", "envs", "requirements.lock")
LICENSE = "https://spdx.org/licenses/MIT"
SHOWN = (".md", ".csv", ".tex", ".html", ".png")  # beside the manifests of tables and figures


def write(run: Run, manifests: Iterable[Manifest], checkout: Path, target: Path) -> int:
    """Write the crate of a run's `manifests` into the folder `target`; how many actions it has.

    `checkout` is the repository, whose files are copied, and `citation` names its authors.
    """
    manifests = list(manifests)
    crate = ROCrate(version="1.1")
    config = run.folder / "config.yaml"
    crate.name = f"Diffusion-4K, reproduced: the run {run.folder.name}"
    crate.description = (
        "Tables and figures of Diffusion-4K with the manifest of every job behind them: inputs and"
        " outputs by SHA-256, settings, code, versions, device. Images, latents and weights are not"
        " packed."
    )
    crate.license = _of(crate, LICENSE, "CreativeWork", name="MIT License")
    crate.root_dataset["conformsTo"] = [
        _of(crate, url, "CreativeWork", name=name, version=url.rsplit("/", 1)[1])
        for url, name in PROFILES.items()
    ]
    for part in WORKFLOW[1:]:
        _add(crate, checkout / part, part)
    workflow = crate.add_workflow(
        checkout / WORKFLOW[0], WORKFLOW[0], main=True, lang="snakemake",
        properties={"name": "Diffusion-4K", "license": {"@id": LICENSE}},
    )  # fmt: skip
    files = {made.path: crate.add_file(made.path, run.name(made.path), properties=_about(made))
             for made in manifests}  # fmt: skip
    shown = [
        crate.add_file(path, run.name(path), properties={"name": run.name(path)})
        for path in [*sorted(run.folder.glob("tables/*")), *sorted(run.folder.glob("figures/*"))]
        if path.suffix in SHOWN
    ]
    if (page := run.folder / "report.html").is_file():
        shown.append(crate.add_file(page, "report.html", properties={"name": "report"}))
    tools = _tools(crate, manifests)
    workflow["hasPart"] = list(tools.values())
    for made in manifests:
        read = [files.get(run.locate(s)) for s in made.inputs.values()]
        begun, ended = _times(made)
        crate.add_action(
            tools[_script(made)],
            identifier=f"#{run.name(made.path)}",
            object=[file for file in read if file],
            result=[files[made.path]],
            properties={
                "name": run.name(made.path), "description": made.command,
                "startTime": begun, "endTime": ended,
                "actionStatus": "http://schema.org/CompletedActionStatus",
            },
        )  # fmt: skip
    sources = [files[made.path] for made in manifests if not made.inputs]
    read, given = _configuration(crate, workflow, config, shown)
    first, last = _span(manifests)
    crate.add_action(
        workflow, identifier="#run", object=[*read, *sources], result=given,
        properties={"name": run.folder.name, "startTime": first, "endTime": last},
    )  # fmt: skip
    crate.write(target)
    return len(manifests)


def _of(crate: ROCrate, identifier: str, kind: str, **properties: Any) -> ContextEntity:
    return crate.add(ContextEntity(crate, identifier, properties={"@type": kind, **properties}))


def _add(crate: ROCrate, path: Path, name: str) -> None:
    """A file or a folder of the workflow, without what Python leaves in it."""
    if path.is_file():
        crate.add_file(path, name)
    for file in sorted(path.rglob("*")) if path.is_dir() else ():
        if file.is_file() and "__pycache__" not in file.parts:
            crate.add_file(file, f"{name}/{file.relative_to(path).as_posix()}")


def _about(made: Manifest) -> dict[str, Any]:
    size = sum(file.bytes for file in made.files)
    return {
        "name": made.path.stem,
        "encodingFormat": "application/json",
        "description": f"manifest of {len(made.files)} files, {size} bytes; content {made.digest}",
    }


def _script(made: Manifest) -> str:
    """The program that a manifest's command names; a run's own where there is none."""
    found = re.search(r"(?:^|[\s/])([\w.-]+\.py)\b", made.command)
    return found[1] if found else "unknown"


def _tools(crate: ROCrate, manifests: list[Manifest]) -> dict[str, ContextEntity]:
    """A SoftwareApplication a script, with the digest of its code and what it ran with."""
    tools = {}
    for made in manifests:
        name = _script(made)
        if name not in tools:
            versions = ", ".join(f"{k} {v}" for k, v in made.versions.items())
            commit = made.environment.get("commit") or "of no known commit"
            tools[name] = _of(
                crate, f"#{name}", "SoftwareApplication", name=name,
                version=made.code or "unknown", description=f"{commit}; {versions}",
            )  # fmt: skip
    return tools


def _configuration(crate: ROCrate, workflow, config: Path, shown: list) -> tuple[list, list]:
    """The configuration as the workflow's input, tables and figures as its outputs."""
    read = []
    if config.is_file():
        read = [crate.add_file(config, "config.yaml", properties={"name": "configuration"})]
    for name, way, examples in (("config", "input", read), ("results", "output", shown)):
        if examples:
            parameter = crate.add_formal_parameter(
                name=name, additionalType="File", identifier=f"#parameter-{name}"
            )
            parameter["workExample"] = examples
            for example in examples:
                example["exampleOfWork"] = parameter
            workflow[way] = [parameter]
    return read, shown


def _times(made: Manifest) -> tuple[str, str]:
    """Begin and end of a manifest's job, ISO 8601."""
    ended = datetime.fromisoformat(made.made)
    return (ended - timedelta(seconds=made.seconds)).isoformat(), ended.isoformat()


def _span(manifests: list[Manifest]) -> tuple[str, str]:
    times = [_times(made) for made in manifests]
    return min(begun for begun, _ in times), max(ended for _, ended in times)
