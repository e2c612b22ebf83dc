"""Two runs compared: equal, and parted by data, a seed, code and a device's last bits."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import tiny_run
from diffusion4k.ledger import chain, compare

SCRIPTS = Path(chain.__file__).resolve().parents[2]


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """Writes two runs, the second with what is given, and compares them."""
    monkeypatch.chdir(tmp_path)

    def write(edit=None, **other) -> list[compare.Difference]:
        a = tiny_run.write(Path("results/a"))
        b = tiny_run.write(Path("results/b"), **other)
        for path in b.rglob("*.json") if edit else ():
            path.write_text(json.dumps(edit(json.loads(path.read_text()), path), indent=1))
        count, found = compare.compare(chain.Run(a), chain.Run(b))
        assert count == 3
        return found

    return write


def test_equal_runs_differ_in_nothing_whenever_and_wherever_they_were_made(pair):
    assert pair() == []
    command = [sys.executable, SCRIPTS / "compare_runs.py", "results/a", "results/b"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert (done.returncode, done.stdout) == (0, "0 of 3 numbers differ\n")


def test_other_latents_are_where_the_runs_part(pair):
    base, tuned = pair(latents="other", fid=13.0)
    assert (tuned.a, tuned.b) == (12.5, 13.0)
    assert tuned.share == pytest.approx(0.5 / (2 * 0.5**2) ** 0.5)
    assert [name for name, _ in tuned.parting] == ["latents/sd3/shard-0-of-1.json"]
    # a number that rests on no latents parts where it was computed
    assert [name for name, _ in base.parting] == ["metrics/sd3_f16/eval_2048/fid.json"]


def test_what_a_run_takes_from_another_is_where_it_would_have_made_it(tmp_path, monkeypatch):
    """Of a run beside a run, only its own links are below its folder."""
    monkeypatch.chdir(tmp_path)
    a, b = (tiny_run.write(Path(f"results/{name}")) for name in "ab")
    for path in b.rglob("*.json"):
        text, stage = path.read_text(encoding="utf-8"), path.relative_to(b).parts[0]
        if stage in ("metrics", "tables"):
            for taken in ("sources", "latents", "train", "generate"):
                text = text.replace(f"results/b/{taken}", f"results/a/{taken}")
            of = path.name == "fid.json" and path.parts[3] == "sd3_f16"
            text = text.replace('"step": "fid"', '"step": "other"') if of else text
            path.write_text(text.replace("12.5", "13.5"), encoding="utf-8")
        else:
            path.unlink()
    differ = compare.compare(chain.Run(a), chain.Run(b))[1]
    assert [d.parting for d in differ if d.cell.row == "sd3_f16"] == [
        (("metrics/sd3_f16/eval_2048/fid.json", ("step fid → other",)),)
    ]


def test_another_seed_is_named(pair):
    found = pair(seed=7, fid=12.6)
    assert [d.parting for d in found] == [
        ((f"generate/{model}/eval_2048/shard-0-of-1.json", ("seed 0 → 7",)),)
        for model in ("sd3_f16", "sd3_f16_wlf")
    ]


def test_code_and_device_are_named_and_last_bits_where_nothing_else_is_known(pair):
    def edit(record, path):
        new = {"code": "abcd", "device": "NVIDIA H100"} if "shard-0-of-1" in path.name else {}
        return record | (new if "generate" in path.parts else {})

    where = pair(edit, seed=0, fid=12.6)[0].parting
    assert where == (
        ("metrics/sd3_f16/eval_2048/fid.json",
         ("nothing recorded differs: last bits of the device?",)),
    )  # fmt: skip
    a, b = (chain.Run(f"results/{n}") for n in "ab")
    name = "generate/sd3_f16/eval_2048/shard-0-of-1.json"
    links = [chain.Link(name, run.read(run.folder / name), ()) for run in (a, b)]
    assert list(compare.reasons(*links)) == ["code none → abcd", "device cpu → NVIDIA H100"]


def test_a_number_that_one_run_lacks_is_said(pair):
    def edit(record, path):
        if path.name == "table_3.json":
            record["results"]["rows"][0]["cells"]["fid"] = {
                "ours": None,
                "verdict": "not run",
                "verdict_reason": "",
            }
        return record

    [found] = pair(edit)
    assert found.lines() == ["table_3, sd3_f16, fid: 12.5 → none"]
