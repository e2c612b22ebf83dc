"""The gallery: what its page says of each picture, and what a reader does with it in a browser."""

import json
import re

import pytest
from PIL import Image

import chromium
import tiny_gallery
from configs import load, resolve
from diffusion4k import manifest
from diffusion4k.dag.flags import command_line, named
from diffusion4k.errors import UserError
from diffusion4k.paper.report import gallery
from diffusion4k.run import report as dag
from diffusion4k.sources.miniature import notes
from tiny_gallery import PROMPTS, SIDE

WORDS = "of miniature or random networks"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return tiny_gallery.write(tmp_path_factory.mktemp("run"))


@pytest.fixture
def browser(page):
    chromium.program()
    with chromium.opened(viewport={"width": 700, "height": 600}) as opened:
        opened.goto(page.as_uri())
        yield opened


def order(browser) -> list[str]:
    return [item.get_attribute("data-id") for item in browser.locator("#eval .item").all()]


def test_the_manifest_lists_the_page_and_every_thumbnail(page):
    made = manifest.read(page.with_suffix(".json"))
    assert made.results == {"pictures": 3 * 2 + 2, "prompts": 4}  # photographs beside
    assert len(made.sound()) == 3 * 3 + 2 + 1
    small = Image.open(next(path for path in made.paths() if path.name == "eval-0-a.jpg"))
    assert max(small.size) == gallery.LENGTH


def test_links_are_relative_and_lead_to_originals(page):
    text = page.read_text(encoding="utf-8")
    links = re.findall(r'<a href="([^"]+)" data-label', text)
    assert len(links) == 3 * 3 + 2
    for link in links:
        assert not link.startswith("/")
        assert (page.parent / link).is_file(), link
    assert not re.search(r"https?://|@import|url\(|<link|src=\"/", text)


def test_what_was_random_is_said_on_the_page(page, tmp_path):
    assert WORDS not in page.read_text(encoding="utf-8")
    own = tiny_gallery.write(tmp_path / "own", notes=["/random seeds: 6 pictures are PNG"])
    assert WORDS not in own.read_text(encoding="utf-8")
    other = tiny_gallery.write(tmp_path / "run", notes=[notes.PIPELINE.format("sd3")])
    assert WORDS in other.read_text(encoding="utf-8")


def test_a_picture_that_is_another_is_refused(tmp_path):
    run = tmp_path / "run"
    tiny_gallery.write(run)
    tiny_gallery.picture(run / "generate/a/eval/images/cat.jpg", "white")
    with pytest.raises(UserError, match=r"cat\.jpg"):
        manifest_of_a = run / "generate/a/eval/shard-0-of-1.json"
        source = manifest.read(manifest_of_a)
        about = {"title": "", "folder": "eval", "size": SIDE, "labels": {"a": "A"}}
        dataset = manifest.read(run / "sources/photographs.json")
        beside = gallery.Thumbnails(tmp_path / "thumbnails", tmp_path / "page.html")
        gallery.benchmark("eval", about, {"a": [source]}, {}, dataset, beside, 0)


def test_prompts_are_spread_evenly():
    names = [str(n) for n in range(195)]
    chosen = gallery.spread(names, 48)
    gaps = {int(b) - int(a) for a, b in zip(chosen, chosen[1:], strict=False)}
    assert (len(chosen), chosen[0], gaps) == (48, "0", {4, 5})
    assert gallery.spread(names[:5], 48) == names[:5]
    assert gallery.spread(names, 0) == names


def test_each_scores_extremes_are_shown():
    of_a = {str(n): {"GLCM": (abs(n - 7), ""), "CR": (n, "")} for n in range(20)}
    of_b = {"3": {"GLCM": (1.0, "")}}
    assert gallery.extremes({"a": of_a, "b": of_b}) == {"7", "19", "0", "3"}


def test_the_seed_of_each_prompt_is_not_said_to_be_the_runs():
    drawn = {"seed": 3, "seed_policy": "per_prompt", "steps": 20, "guidance": None}
    assert (
        gallery.settings(drawn, 64, 32) == "64 x 32 px (height x width), seed 3 by prompt, 20 steps"
    )


def test_it_reads_what_tables_rest_on_and_draws_nothing_for_itself():
    config = resolve(targets=["table_9"])
    assert dag.gallery_inputs(config) == []
    config = resolve(targets=["table_8", "figure_5"])
    assert {model for model, _ in dag.scored(config)} == set(config["tables"]["table_8"]["rows"])
    assert dag.drawn(config) == ["figure_5"]
    assert dag.drawn(resolve(targets=["table_7", "figure_9"])) == []  # the benchmark has them


def test_the_command_of_the_largest_run_fits_a_shell():
    from diffusion4k.config import resolve as configuration

    config = configuration.resolve(load("config.yaml", "baselines.yaml") | {"run": "a" * 40})
    values = {"spec": dag.gallery_spec(config), "figures": dag.gallery_figures(config)}
    values |= {"images": named(dag.images(config)), "scores": named(dag.scores(config))}
    assert len(command_line(**values)) < 100_000  # Linux: 131,072 bytes an argument


def test_sorting_by_a_models_score(browser):
    assert order(browser) == list(PROMPTS)
    browser.select_option("#eval select", label="GLCM Score, B@800")
    assert order(browser) == ["cat", "apple", "boat"]
    browser.click("#eval [data-do=direction]")
    assert order(browser) == ["boat", "apple", "cat"]
    assert "GLCM Score, B@800, falling" in browser.locator("#eval [role=status]").inner_text()
    assert browser.locator("#eval .chosen").all_inner_texts() == [
        *("GLCM Score 0.90", "GLCM Score 0.50", "GLCM Score 0.10")
    ]
    browser.select_option("#eval select", label="prompts in order")
    assert order(browser) == list(PROMPTS)  # their own order is neither rising nor falling
    assert browser.locator("#eval [data-do=direction]").is_disabled()


def shown(browser) -> str:
    """The file that the dialog shows, once it has loaded; "" when the dialog is closed."""
    if not browser.locator("dialog[open]").count():
        return ""
    image = "document.querySelector('dialog img')"
    browser.wait_for_function(f"{image}.complete && {image}.naturalWidth > 0")
    return browser.evaluate(f"{image}.src").rpartition("/")[2]


def test_zoom_by_keys_alone(browser):
    browser.locator("#eval a[data-label]").nth(1).focus()
    browser.keyboard.press("Enter")
    assert shown(browser) == "apple.jpg"
    image = browser.locator("dialog img")
    assert image.bounding_box()["width"] == SIDE  # a pixel of the file is one of the screen
    words = browser.locator("dialog p").inner_text()
    assert "A@800: a red apple" in words and "GLCM Score 0.30" in words
    assert "800 x 800 px, seed 7, guidance 3.5, 20 steps" in words
    left = "document.querySelector('.view').scrollLeft"
    browser.evaluate(f"{left} = 90")
    browser.keyboard.press("ArrowRight")
    assert shown(browser) == "apple.jpg" and "B@800" in browser.locator("dialog p").inner_text()
    # the same place of the next picture
    assert browser.evaluate(left) == pytest.approx(90, abs=1)
    browser.keyboard.press("z")
    whole = browser.locator(".view").bounding_box()
    assert image.bounding_box()["height"] == pytest.approx(whole["height"], abs=1)
    browser.keyboard.press("z")
    assert image.bounding_box()["width"] == SIDE
    browser.keyboard.press("ArrowLeft")
    assert "A@800" in browser.locator("dialog p").inner_text()
    browser.keyboard.press("Escape")
    assert shown(browser) == ""
    focused = "document.activeElement.dataset.label"
    assert browser.evaluate(focused) == "A@800"


def test_zoom_by_the_mouse_and_the_ends_of_the_row(browser):
    links = browser.locator("a[data-label]")
    links.last.click()
    browser.keyboard.press("ArrowRight")  # there is none after it
    assert shown(browser) == "1.jpg"
    browser.click("[data-do=previous]")
    assert shown(browser) == "0.jpg"
    browser.click("[data-do=close]")
    assert shown(browser) == ""


def test_without_the_originals_the_thumbnails_are_shown(tmp_path):
    chromium.program()
    page = tiny_gallery.write(tmp_path / "run")
    (tmp_path / "run/report").rename(tmp_path / "mailed")
    with pytest.raises(AssertionError, match="ERR_FILE_NOT_FOUND"), chromium.opened() as browser:
        browser.goto((tmp_path / "mailed" / page.name).as_uri())
        browser.locator("a[data-label]").nth(1).click()
        browser.wait_for_function("document.querySelector('dialog img').naturalWidth > 0")
        assert "this is the thumbnail" in browser.locator("dialog p").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_down_alone(page, scheme):
    chromium.program()
    viewport = {"width": 390, "height": 844}
    with chromium.opened(viewport=viewport, color_scheme=scheme) as browser:
        browser.goto(page.as_uri())
        assert browser.evaluate("document.documentElement.scrollWidth") <= 390
        browser.locator("a[data-label]").nth(1).click()
        assert browser.locator("dialog").bounding_box()["width"] == 390
    assert json.loads(page.with_suffix(".json").read_text())["results"]["prompts"] == 4
