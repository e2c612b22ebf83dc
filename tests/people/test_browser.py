"""The rating kit in a real browser: five pairs by keys alone, a reload, a file that is read."""

import json

import pytest

import chromium
import tiny_study
from diffusion4k.people import answers, votes
from tiny_study import MODELS

PAIRS = [MODELS]


@pytest.fixture(scope="module")
def kits(tmp_path_factory):
    chromium.program()
    root = tmp_path_factory.mktemp("study")
    tiny_study.write(root)
    return {purpose: tiny_study.kit(root, purpose) for purpose in ("pairs", "ratings")}


def start(page, made, purpose, rater):
    page.goto(tiny_study.page(made, purpose).as_uri())
    page.keyboard.type(rater)
    page.keyboard.press("Enter")


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def shown(page) -> list[str]:
    """The caption's item is not on the page: what is shown, as the pictures' sources."""
    return [image.get_attribute("src") for image in page.locator("#pictures img").all()]


def save(page, key, path):
    with page.expect_download() as download:
        page.keyboard.press(key)
    download.value.save_as(path)
    return path


def test_five_pairs_by_keys_alone_with_a_reload(kits, tmp_path):
    made = kits["pairs"]
    with chromium.opened() as page:
        start(page, made, "pairs", 'Ann "B", 山')
        seen = []
        for number in range(5):
            assert page.locator("#count").inner_text() == f"{number + 1} of 5, {number} answered"
            seen.append(shown(page))
            press(page, "ArrowLeft", "2")
            if number == 2:  # in the middle of an item
                page.reload()
                assert shown(page) == seen[-1]
                assert page.locator(":checked").count() == 2
                press(page, "Enter")  # one question is still open
                assert "Fine Details" in page.locator("#missing").inner_text()
            press(page, "ArrowRight", "Enter")
        assert page.locator("#finished").inner_text() == "All answered. Thank you!"
        as_json = save(page, "s", tmp_path / "ann.json")
        as_csv = save(page, "c", tmp_path / "ann.csv")
        # order and sides are the same for the same name, others for another
        assert len({tuple(pair) for pair in seen}) == 5
    read = [
        answers.of_pairs(
            [path], tiny_study.key(made), PAIRS, {f"p{i}" for i in range(6)}, partial=False
        )
        for path in (as_json, as_csv)
    ]
    assert read[0] == read[1] and len(read[0]) == 15
    assert {vote.rater for vote in read[0]} == {'Ann "B", 山'}
    of = {question: [v for v in read[0] if v.question == question] for question in votes.QUESTIONS}
    assert [vote.choice for vote in of["visual_aesthetics"]] == ["first"] * 5
    assert [vote.choice for vote in of["fine_details"]] == ["second"] * 5
    # the model that a vote names first is the one whose picture stood on the left
    key = tiny_study.key(made)
    data = json.loads(as_json.read_text("utf-8"))
    for row, left in zip(data["answers"][::3], seen, strict=True):
        item = key["items"][row["item"]]
        assert item[row["first"]] == next(
            vote.first for vote in read[0] if vote.prompt_id == item["prompt_id"]
        )
        assert left[0] == source(made, row["item"], row["first"])


def source(made, item, slot):
    """The picture of an item's place, as the page holds it."""
    text = tiny_study.page(made, "pairs").read_text(encoding="utf-8")
    data = json.loads(text.split('id="data">')[1].split("</script>")[0])
    return next(entry for entry in data["items"] if entry["id"] == item)[slot]["src"]


def test_another_name_sees_another_order_and_one_goes_back(kits):
    orders = []
    for rater in ("Ann", "Bob", "Ann"):
        with chromium.opened() as page:
            start(page, kits["pairs"], "pairs", rater)
            order = []
            for _ in range(5):
                order.append(shown(page))
                press(page, "1", "1", "1", "Enter")
            press(page, "Backspace")
            assert shown(page) == order[-1]
            press(page, "ArrowUp", "ArrowUp", "2")
            assert page.locator("input:checked").first.get_attribute("name") == "visual_aesthetics"
            orders.append(order)
    assert orders[0] == orders[2] != orders[1]


def test_pictures_at_100_percent_move_together(kits):
    """Of a screen with two pixels a CSS pixel: a picture of 160 px is 80 wide."""
    with chromium.opened(viewport={"width": 100, "height": 120}, device_scale_factor=2) as page:
        start(page, kits["pairs"], "pairs", "Ann")
        press(page, "z")
        height = page.locator(".pane img").first.evaluate("i => i.getBoundingClientRect().height")
        assert height == 80
        press(page, "ArrowDown", "ArrowRight")
        # scrolling takes its time
        page.wait_for_function(
            """() => {
                const [one, other] = document.querySelectorAll(".pane div");
                return other.scrollLeft > 0 && one.scrollLeft === other.scrollLeft &&
                    other.scrollTop > 0 && one.scrollTop === other.scrollTop;
            }"""
        )
        press(page, "z")
        assert not page.locator("#zoom").is_visible()
        assert page.locator("input:checked").count() == 0  # an arrow there was no answer


def test_patches_are_rated_and_a_saved_file_goes_on_elsewhere(kits, tmp_path):
    made = kits["ratings"]
    with chromium.opened() as page:
        start(page, made, "ratings", "Ann")
        for _ in range(4):
            press(page, "5", "4", "Enter")
        half = save(page, "s", tmp_path / "half.json")
    assert len(json.loads(half.read_text("utf-8"))["answers"]) == 4
    with chromium.opened() as page:  # another computer
        page.goto(tiny_study.page(made, "ratings").as_uri())
        page.set_input_files("#load", half)
        page.locator("#judge").wait_for()
        assert page.locator("#count").inner_text() == "5 of 10, 4 answered"
        for _ in range(6):
            press(page, "2", "Enter")
        path = save(page, "c", tmp_path / "whole.csv")
        # of another kit
        page.goto(tiny_study.page(kits["pairs"], "pairs").as_uri())
        page.set_input_files("#load", half)
        page.locator("#warning").wait_for()
        assert "another page of questions" in page.locator("#warning").inner_text()
    ratings = answers.of_ratings([path], tiny_study.key(made), partial=False)
    assert [rating for *_, rating in ratings] == [4.0] * 4 + [2.0] * 6


def test_a_browser_that_keeps_nothing_says_so(kits):
    with chromium.opened() as page:
        page.add_init_script(
            "Object.defineProperty(window, 'localStorage', {get() { throw new Error('none'); }})"
        )
        start(page, kits["pairs"], "pairs", "Ann")
        assert "save (S) before you close" in page.locator("#warning").inner_text()
        press(page, "1", "1", "1", "Enter")
        assert page.locator("#count").inner_text() == "2 of 5, 1 answered"


@pytest.mark.parametrize("purpose", ["pairs", "ratings"])
def test_every_control_has_a_name_and_every_picture_a_text(kits, purpose):
    with chromium.opened(viewport={"width": 360, "height": 640}) as page:
        start(page, kits[purpose], purpose, "Ann")
        for image in page.locator("#pictures img").all():
            assert image.get_attribute("alt")
        for group in page.get_by_role("radiogroup").all():
            assert page.locator(f"#{group.get_attribute('aria-labelledby')}").inner_text()
        for button in page.locator("button:visible").all():
            assert button.inner_text().strip() or button.get_attribute("aria-label")
        # a phone's width: nothing stands out to the right
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        press(page, "?")
        assert page.locator("#keys").is_visible()
        press(page, "?")
        assert not page.locator("#keys").is_visible()
