"""Snakemake runs judge and captions against a server: limit, restart, Figure 6, no token."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import chat_server
import tiny_dataset
from diffusion4k import images, manifest
from diffusion4k.data import captions

CONFIG = """\
base: miniature
run: mine
sources: {{aesthetic_4k: {{path: data}}}}
splits:
  eval_2048: {{folder: train, count: 3, min_side: 64}}
  own: {{source: aesthetic_4k, folder: train, count: 3, captions: own, label: Own}}
evaluations: {{eval_2048: {{size: 64, crop: 32}}}}
models:
  good: {{images: good, tables: []}}
  bad: {{images: bad, tables: []}}
people: {{evaluation: eval_2048, prompts: 3, pairs: [[good, bad]], rated: [good]}}
figures: {{figure_6: {{rows: [good]}}}}
endpoints:
  eyes: {{base_url: "{address}", model: eyes, price: {{input: 1, output: 1}}, max_tokens: 300}}
judge: {{endpoint: eyes, max_cost: {limit}}}
captions: {{own: {{endpoint: eyes, max_cost: 1}}}}
"""


def answer(body) -> str:
    """A caption of one picture; of two, the larger file is better, which is the good model's."""
    sizes = [len(address) for address in chat_server.pictures(body)]
    if len(sizes) == 1:
        return "A photograph."
    better = "first" if sizes[0] > sizes[1] else "second"
    return "\n".join(f"{i}. The {better} image is better. The reason is …" for i in (1, 2, 3))


@pytest.fixture
def mine(workflow, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", chat_server.TOKEN)
    tiny_dataset.write_dataset(workflow.folder, 3)
    for name, strength in (("good", 60), ("bad", 0)):
        for i in range(3):
            pixels = np.full((64, 64, 3), 128 + i, np.uint8)
            noisy = tiny_dataset.disturbed(pixels, strength, seed=i)
            images.save_png(workflow.folder / name / f"p{i}.png", noisy)
    return workflow


def run(workflow, address: str, limit: float, *targets: str) -> subprocess.CompletedProcess:
    text = CONFIG.format(address=address, limit=limit)
    (workflow.folder / "mine.yaml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--show-failed-logs"]
    command += ["--configfile", "mine.yaml", "--", *targets]
    return subprocess.run(command, cwd=workflow.folder, capture_output=True, text=True)


def test_a_run_judges_captions_and_stops_at_its_limit(mine):
    folder = mine.folder / "results/mine"
    with chat_server.Chat(answer) as server:
        server.faults = [chat_server.Fault(429)]
        done = run(mine, server.address, 0.003, "judge")
        said = done.stdout + done.stderr
        assert done.returncode != 0 and "raise max_cost and run the same command again" in said
        paid = len(server.requests)
        assert 0 < paid < 6 and not (folder / "people/judge.json").exists()
        done = run(mine, server.address, 1, "figure_6", "captions", "results/mine/data/own.json")
        assert done.returncode == 0, done.stdout + done.stderr
        assert len(server.requests) == 6 + 3
    judged = manifest.read(folder / "people/judge.json").results
    assert (judged["votes"], judged["refusals"], judged["asked"]) == (18, 0, 6 - paid)
    counted = json.loads((folder / "people/votes.json").read_text(encoding="utf-8"))["results"]
    assert {(row["by"], row["rate"]) for row in counted["win_rates"]} == {("judge:eyes", 1.0)}
    assert (folder / "figures/figure_6.png").is_file()
    own = manifest.read(folder / "captions/own/own.json")
    assert {sample.text for sample in captions.of(own, "train")} == {"A photograph."}
    assert "own captions of own: by eyes" in manifest.read(folder / "data/own.json").notes
    for path in filter(Path.is_file, mine.folder.rglob("*")):
        assert chat_server.TOKEN.encode() not in path.read_bytes(), path
