"""Why jobs would run again: the module that was edited, the flag that changed, the file missing."""

import subprocess
import sys

MINIATURE = ("--configfile", "config/miniature.yaml")
CHECK = "results/miniature/data/eval_4096.json"


def why(workflow, *arguments: str) -> list[str]:
    command = [sys.executable, "scripts/why.py", CHECK, *arguments]
    done = subprocess.run(command, cwd=workflow.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_module_the_flag_and_the_missing_file_are_named(workflow):
    assert "Missing output files: 1 make_source, 1 check_data" in why(workflow, *MINIATURE)
    workflow.run(CHECK, *MINIATURE)
    assert why(workflow, *MINIATURE) == ["Nothing to be done."]
    path = workflow.folder / "scripts/diffusion4k/data/check.py"
    path.write_text(path.read_text(encoding="utf-8") + "\nADDED = 1\n", encoding="utf-8")
    (workflow.folder / "mine.yaml").write_text("splits: {eval_4096: {min_side: 200}}\n")
    assert why(workflow, *MINIATURE, "mine.yaml") == [
        "--min-side 256 → 200: 1 check_data",
        "code: diffusion4k/data/check.py: 1 check_data",
    ]


def test_why_there_is_no_plan_is_snakemakes_own_line(workflow):
    for words, said in {
        "bad.yaml": "config: top level: unknown key 'modles'; did you mean models?",
        "none.yaml": "No such file or directory: 'none.yaml'",
        "config/miniature.yaml -- table_88": "No rule to produce table_88",
        "config/miniature.yaml --cofigfile": "unrecognized arguments: --cofigfile",
    }.items():
        (workflow.folder / "bad.yaml").write_text("modles: {}\n", encoding="utf-8")
        command = [sys.executable, "scripts/why.py", "--configfile", *words.split()]
        done = subprocess.run(command, cwd=workflow.folder, capture_output=True, text=True)
        assert done.returncode == 1 and done.stderr.startswith("error: "), done.stderr
        assert said in done.stderr and "File " not in done.stderr, done.stderr
