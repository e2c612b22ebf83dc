"""What the doctor says of the miniature on a GPU."""

from diffusion4k.cluster import doctor


def test_the_doctor_offers_a_trial_until_there_was_one(tmp_path):
    offered = doctor._trial(tmp_path)
    assert offered.ok and "make demo-gpu" in offered.detail and "estimated" in offered.detail
    report = tmp_path / doctor.TRIAL / "report.html"
    report.parent.mkdir(parents=True)
    report.touch()
    assert "make demo-gpu" not in doctor._trial(tmp_path).detail
