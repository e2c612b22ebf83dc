"""A benchmark and a training that are no square: what their jobs are asked, by the dry run."""

import re

WIDE = """
evaluations: {eval_4096: {height: 192, width: 256}}
latents: {size: [192, 256]}
fidelity: {score_input: corrected}
"""


def commands(checkout, tmp_path, settings: str) -> dict[str, str]:
    """rule => the command line of one of its jobs, of table_s1 and table_fid4096."""
    own = tmp_path / "own.yaml"
    own.write_text(f"base: miniature\nrun: unmade\n{settings}", encoding="utf-8")
    arguments = ("-n", "-p", "--nolock", "--configfile", str(own))
    text = checkout.run(*arguments, "--", "table_s1", "table_fid4096").stdout
    jobs = re.split(r"\n(?=(?:local)?rule \w+:\n)", text)
    found = (re.search(r"rule (\w+):\n(?:.*\n)+?Shell command: (.*)", job) for job in jobs)
    return dict(job.groups() for job in found if job)


def test_every_job_is_told_the_shape_and_a_squares_is_its_side(checkout, tmp_path):
    wide, square = (commands(checkout, tmp_path, settings) for settings in (WIDE, ""))
    for rule in ("latents", "reference_features", "distance"):
        assert "--size 192x256 " in wide[rule] and "--size 256 " in square[rule], rule
    assert "--height 192 --width 256 " in wide["generate"]
    assert "--height 256 --width 256 " in square["generate"]
    assert "SD3-F16@192x256" in wide["table"]
    # what is scored as it was in memory is kept without loss, and not where nothing asks for it
    assert "--score-input memory" in square["features"] and " --png " in square["generate"]
    assert "--score-input jpeg" in wide["features"] and " --no-png " in wide["generate"]
