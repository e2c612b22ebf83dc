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
    files = {
        m.path: crate.add_file(m.path, run.name(m.path), properties=_about(m)) for m in manifests
    }
    shown = [
        crate.add_file(path, run.name(path), properties={"name": run.name(path)})
        for path in [*sorted(run.folder.glob("tables/*")), *sorted(run.folder.glob("figures/*"))]
        if path.suffix in SHOWN
    ]
    if (page := run.folder / "report.html").is_file():
        shown.append(crate.add_file(page, "report.html", properties={"name": "report"}))
    tools = _tools(crate, manifests)
    workflow["hasPart"] = list(tools.values())
    for manifest in manifests:
        read = [files.get(run.locate(s)) for s in manifest.inputs.values()]
        begun, ended = _times(manifest)
        crate.add_action(
            tools[_script(manifest)],
            identifier=f"#{run.name(manifest.path)}",
            object=[file for file in read if file],
            result=[files[manifest.path]],
            properties={
                "name": run.name(manifest.path), "description": manifest.command,
                "startTime": begun, "endTime": ended,
                "actionStatus": "http://schema.org/CompletedActionStatus",
            },
        )  # fmt: skip
    sources = [files[manifest.path] for manifest in manifests if not manifest.inputs]
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


def _about(manifest: Manifest) -> dict[str, Any]:
    count, size = len(manifest.files), sum(file.bytes for file in manifest.files)
    return {
        "name": manifest.path.stem,
        "encodingFormat": "application/json",
        "description": f"manifest of {count} files, {size} bytes; content {manifest.digest}",
    }


def _script(manifest: Manifest) -> str:
    """The program that a manifest's command names; a run's own where there is none."""
    match = re.search(r"(?:^|[\s/])([\w.-]+\.py)\b", manifest.command)
    return match[1] if match else "unknown"


def _tools(crate: ROCrate, manifests: list[Manifest]) -> dict[str, ContextEntity]:
    """A SoftwareApplication a script, with the digest of its code and what it ran with."""
    tools = {}
    for manifest in manifests:
        name = _script(manifest)
        if name not in tools:
            versions = ", ".join(f"{k} {v}" for k, v in manifest.versions.items())
            commit = manifest.environment.get("commit") or "of no known commit"
            tools[name] = _of(
                crate, f"#{name}", "SoftwareApplication", name=name,
                version=manifest.code or "unknown", description=f"{commit}; {versions}",
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


def _times(manifest: Manifest) -> tuple[str, str]:
    """Begin and end of a manifest's job, ISO 8601."""
    ended = datetime.fromisoformat(manifest.made)
    return (ended - timedelta(seconds=manifest.seconds)).isoformat(), ended.isoformat()


def _span(manifests: list[Manifest]) -> tuple[str, str]:
    times = [_times(manifest) for manifest in manifests]
    return min(begun for begun, _ in times), max(ended for _, ended in times)
