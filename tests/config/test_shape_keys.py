"""Sizes that are no square: read from the configuration, in flags, labels and costs."""

import pytest

from configs import fault, resolve
from diffusion4k.dag import paper
from diffusion4k.estimate import cost

SIDES = {"height": 3072, "width": 4096}


def test_height_and_width_win_over_size_and_a_square_is_its_side():
    wide = resolve(evaluations={"eval_4096": SIDES})["evaluations"]["eval_4096"]
    assert wide["size"] == [3072, 4096] and not {"height", "width"} & wide.keys()
    equal = {"height": 2048, "width": 2048}
    assert resolve(evaluations={"eval_4096": equal})["evaluations"]["eval_4096"]["size"] == 2048
    settings = resolve(evaluations={"eval_4096": {"size": [512, 512]}}, latents={"size": [64, 96]})
    assert settings["evaluations"]["eval_4096"]["size"] == 512
    assert settings["latents"]["size"] == [64, 96]
    assert resolve(latents={"size": [4096, 4096]}) == resolve()
    assert resolve(splits={"eval_4096": {"min_side": [3000, 4001]}})


MULTIPLES = "should be a side or [height, width], multiples of 32 px"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"evaluations": {"eval_4096": {"height": 3072}}}, "height and width go together"),
        ({"evaluations": {"eval_4096": SIDES | {"width": 4001}}}, "width: 4001 should be a multip"),
        ({"evaluations": {"eval_4096": {"size": [4096, 100]}}}, f"size: [4096, 100]: {MULTIPLES}"),
        ({"latents": {"size": [4096]}}, f"latents.size: [4096]: {MULTIPLES}"),
        ({"latents": {"size": True}}, f"latents.size: True: {MULTIPLES}"),
        ({"latents": {"size": 4095}}, f"latents.size: 4095: {MULTIPLES}"),
        ({"evaluations": {"eval_4096": {"size": [256, 4096]}}}, "crop: 299 px do not fit its"),
        ({"evaluations": {"eval_4096": {"size": [32, 4096], "crop": 32}}}, "pictures, 32 px"),
        ({"splits": {"train": {"min_side": [1, 2, 3]}}}, "should be a side or [height, width]"),
        ({"recipes": {"wlf": {"levels": 3}}, "latents": {"size": [4096, 32]}}, "recipes.wlf.l"),
    ],
    ids=str,
)  # fmt: skip
def test_what_fits_nothing_is_one_clear_line(changes, says):
    assert says in fault(**changes)


def test_an_evaluation_without_a_size_is_refused():
    assert "evaluations.mine: needs size, or height and width" in fault(
        evaluations={"mine": {"split": "eval_4096", "shards": 1, "crop": 64, "crops": 1}}
    )


def test_a_zoom_is_no_larger_than_the_shorter_side():
    def zoomed(side):
        figures = {"figure_9": {"zoom": side}}
        return {"evaluations": {"eval_4096": SIDES}, "figures": figures}

    assert resolve(**zoomed(3072))
    assert "shortest side, 3072" in fault(**zoomed(3073))


def test_labels_say_the_shape():
    settings = resolve(evaluations={"eval_4096": SIDES}, latents={"size": [3072, 4096]})
    assert paper.label(settings, "sd3_f16_wlf", "eval_4096") == "SD3-F16-WLF@3072x4096"
    assert paper.label(settings, "sd3_f16_wlf", "eval_2048") == "SD3-F16-WLF@2048"
    assert paper.label(settings, "sd3_f16_wlf", None) == "SD3-F16-WLF@3072x4096"
    efficient = paper.label(settings, "sd3_f16", "eval_4096", ["efficiency"])
    assert efficient == "SD3-F16@3072x4096"


def test_work_follows_the_shape():
    square = resolve()
    wide = resolve(evaluations={"eval_4096": SIDES}, latents={"size": [3072, 4096]})
    tall = resolve(evaluations={"eval_4096": SIDES}, latents={"size": [4096, 3072]})
    keys = (
        ("generate", "sd3_f16", "eval_4096"),
        ("efficiency", "sd3_f8", "eval_4096"),
        ("latents", "flux"),
        ("train", "sd3_f16_wlf"),
    )
    for key in keys:
        whole, part, turned = (cost.of(settings, key).flops for settings in (square, wide, tall))
        assert 0.5 * whole < part < 0.76 * whole, key
        assert turned == pytest.approx(part, rel=0.01)
    pictures = [cost.of(settings, keys[0]).gb for settings in (square, wide)]
    assert pictures[1] == pytest.approx(0.75 * pictures[0])


def test_lossless_pictures_count_in_the_disk_where_metrics_need_them():
    memory, jpeg = (resolve(metrics={"score_input": how}) for how in ("memory", "jpeg"))
    key = ("generate", "sd3_f16", "eval_4096")
    assert cost.of(jpeg, key).gb == pytest.approx(195 * 4096**2 * 3 / 11e9)
    assert cost.of(memory, key).gb == pytest.approx(195 * 4096**2 * 3 / 1e9 * (1 / 11 + 1 / 1.5))
