"""The report in a real browser: slider, keyboard, filters, large view, address, accessibility."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium"
)

WIDTHS = (360, 1440)
EVERY_WIDTH = (360, 768, 1280, 2560)
WRITTEN = 500
"""The milliseconds after which the address holds what is shown."""

PHONE = 640
"""The height of a small phone of the smallest width, in pixels."""


@pytest.fixture(scope="module")
def browser() -> Iterator:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, report_file: Path) -> Iterator:
    """Opens a report; at the end nothing may have gone wrong or been fetched."""
    problems, fetched, contexts = [], [], []

    def open_at(
        width: int = 1440, scheme: str = "light", height: int = 900, at: str = "", file=report_file
    ):
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            reduced_motion="reduce",
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: fetched.append(request.url))
        page.goto(file.as_uri() + at)
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert problems == []
    assert not [url for url in fetched if not url.startswith(("file:", "data:", "blob:"))]


def background(page, selector: str) -> str:
    return page.locator(selector).first.evaluate("tile => getComputedStyle(tile).backgroundImage")


def place_of_marker(page) -> float:
    marker = page.locator(".drawn .marker.shown")
    return float(marker.evaluate("line => new DOMMatrix(getComputedStyle(line).transform).e"))


def lost_of(page) -> list[float]:
    texts = page.locator(".card:visible .lost").all_inner_texts()
    return [float(text.split()[1].replace("\N{MINUS SIGN}", "-")) for text in texts]


def visible_titles(page) -> list[str]:
    titles = page.locator(".card:visible .title").all_inner_texts()
    return [title.replace("wrong", "").strip() for title in titles]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_slider_moves_the_images_of_cladec_alone(open_page, width) -> None:
    page = open_page(width)
    slider = page.get_by_label("Alpha of ClaDec").first
    before = {kind: background(page, f".card .{kind}") for kind in ("original", "reference")}
    at_zero = background(page, ".card .cladec")
    assert at_zero.startswith('url("data:image/webp')
    assert page.locator(".alpha-value").first.inner_text() == "0"
    measured = page.locator(".measured").text_content()
    marker = place_of_marker(page)
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".alpha-value").first.inner_text() == "0.99"
    assert slider.get_attribute("aria-valuetext") == "alpha 0.99"
    assert background(page, ".card .cladec") != at_zero
    assert page.locator(".measured").text_content() != measured
    assert place_of_marker(page) > marker
    assert {kind: background(page, f".card .{kind}") for kind in before} == before
    page.keyboard.press("Home")
    assert background(page, ".card .cladec") == at_zero
    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2)
    assert page.locator(".alpha-value").first.inner_text() == "0.99"


def test_filters_by_class_answer_confusion_and_order(open_page) -> None:
    page = open_page()
    everything = page.locator(".card:visible").count()
    page.get_by_label("True class").select_option("3")
    titles = visible_titles(page)
    assert 0 < len(titles) < everything
    assert {title.split(" - ")[0] for title in titles} == {"3"}
    page.get_by_label("Answer").select_option("wrong")
    assert all(title.split(" - ")[1] != "3" for title in visible_titles(page))
    page.get_by_role("button", name="Show all").click()
    assert page.locator(".card:visible").count() == everything
    page.get_by_label("Answer").select_option("right")
    assert all(len(set(title.split(" - "))) == 1 for title in visible_titles(page))
    page.get_by_role("button", name="Show all").click()
    page.get_by_label("Order").select_option("class")
    titles = visible_titles(page)
    assert titles == sorted(titles)
    pair = page.get_by_label("True - predicted").locator("option").nth(1)
    page.get_by_label("True - predicted").select_option(pair.get_attribute("value"))
    wanted = pair.inner_text().split(" (")[0].strip()
    assert set(visible_titles(page)) == {wanted}


def test_show_more_shows_the_rest(open_page) -> None:
    page = open_page()
    before = page.locator(".card:visible").count()
    assert f"{before} of 60 images" in page.locator(".count").inner_text()
    page.get_by_role("button", name="Show more").click()
    assert page.locator(".card:visible").count() == 60
    assert not page.get_by_role("button", name="Show more").is_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_cell_of_the_confusion_matrix_shows_the_images_behind_it(open_page, width) -> None:
    page = open_page(width)
    option = page.get_by_label("True - predicted").locator("option").nth(1)
    pair = option.get_attribute("value")
    cell = page.locator(f'.confusion [data-confusion="{pair}"]')
    cell.click()
    page.wait_for_function("document.activeElement.matches('.by-confusion')")
    assert set(visible_titles(page)) == {pair.replace("-", " - ")}
    assert page.get_by_label("True - predicted").input_value() == pair
    assert cell.get_attribute("aria-pressed") == "true"
    diagonal = page.locator('.confusion [data-confusion="4-4"]')
    diagonal.press("Enter")
    page.wait_for_selector('.confusion [data-confusion="4-4"][aria-pressed="true"]')
    assert set(visible_titles(page)) <= {"4 - 4"}


def test_an_image_is_seen_large_with_probabilities_and_maps(open_page) -> None:
    page = open_page()
    card = page.locator(".card:visible .open").nth(1)
    title = visible_titles(page)[1]
    card.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    assert dialog.is_visible()
    assert dialog.locator("h3").inner_text().startswith(title)
    rows = dialog.locator("tbody tr")
    assert rows.count() == 10
    for column in range(3):
        cells = dialog.locator(f"tbody td:nth-of-type({column + 1})").all_inner_texts()
        total = sum(float(cell.split("%")[0].replace("\u00a0", "")) for cell in cells)
        assert total == pytest.approx(100, abs=1)
    names = dialog.locator(".maps figure:visible figcaption b").all_inner_texts()
    assert names == ["saliency", "occlusion", "cladec"]
    assert dialog.locator(".maps figure:visible .colour-bar").count() == 3
    box, screen = dialog.bounding_box(), page.viewport_size
    assert (box["width"], box["height"]) == (screen["width"], screen["height"])
    answers = dialog.locator("tbody td:nth-of-type(3)").all_inner_texts()
    page.keyboard.press("ArrowRight")
    assert dialog.locator("h3").inner_text().startswith(visible_titles(page)[2])
    page.keyboard.press("ArrowLeft")
    dialog.get_by_label("alpha of ClaDec").press("End")
    assert "ClaDec of layer dense, alpha 0.99" in dialog.locator(".tiles").inner_text()
    assert dialog.locator("tbody td:nth-of-type(3)").all_inner_texts() != answers
    assert page.locator(".stage .alpha-value").inner_text() == "0.99"
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert card.evaluate("button => button === document.activeElement")


def test_tables_are_sorted_by_any_column(open_page) -> None:
    page = open_page()
    header = page.locator("#measures th", has_text="refAE")
    for direction, reverse in (("ascending", False), ("descending", True)):
        header.get_by_role("button").click()
        assert header.get_attribute("aria-sort") == direction
        texts = page.locator("#measures tbody td:nth-child(5)").all_inner_texts()
        values = [float(text) for text in texts if text]
        assert values == sorted(values, reverse=reverse)
        assert len(values) > 2


def test_a_curve_is_brought_out(open_page) -> None:
    page = open_page()
    page.get_by_label("Highlighted class").select_option("2")
    assert page.locator(".curves .brought-out").count() == 2
    page.get_by_label("Highlighted class").select_option("")
    assert page.locator(".curves .faded").count() == 0


def test_everything_is_reached_by_keyboard_in_the_order_of_the_page(open_page) -> None:
    page = open_page()
    reached = []
    for _ in range(24):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.className"))
    wanted = ["skip", "measure", "alpha", "by-class", "by-answer", "by-confusion", "order", "open"]
    places = [reached.index(name) for name in wanted]
    assert places == sorted(places)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", EVERY_WIDTH)
def test_nothing_is_cut_off_and_axe_finds_nothing(open_page, width, scheme) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(width, scheme)
    page.locator("details").evaluate_all("all => all.forEach(one => (one.open = true))")
    for step in ("page", "dialog", "pinned"):
        if step == "dialog":
            page.locator(".card:visible .open").first.click()
        if step == "pinned":
            page.get_by_role("button", name="Pin").click()
            page.keyboard.press("ArrowRight")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("dialog").evaluate("box => box.scrollWidth <= box.clientWidth")
        found = Axe().run(page).response["violations"]
        assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == []


def test_the_bar_that_stays_leaves_the_phone_to_the_images(open_page) -> None:
    page = open_page(360, height=PHONE)
    assert page.locator(".stage").bounding_box()["height"] <= 0.15 * PHONE


@pytest.mark.parametrize(("width", "height"), [(360, PHONE), (1280, 720), (2560, 1300)])
def test_what_was_lost_most_is_seen_first(open_page, width, height) -> None:
    page = open_page(width, height=height)
    lost = lost_of(page)
    assert lost == sorted(lost, reverse=True)
    assert len(set(lost)) > 3
    tiles = page.locator(".card:visible").first.locator(".tile")
    assert [tile.get_attribute("class") for tile in tiles.all()] == [
        *("tile original", "tile reference", "tile cladec", "tile lost-map"),
    ]
    box = tiles.last.bounding_box()
    assert box["y"] + box["height"] <= height
    assert background(page, ".card .lost-map").startswith('url("data:image/webp')


def test_wide_screens_show_more_images_side_by_side(open_page) -> None:
    side_by_side = []
    for width in EVERY_WIDTH:
        page = open_page(width)
        tops = [card.bounding_box()["y"] for card in page.locator(".card:visible").all()]
        side_by_side.append(tops.count(tops[0]))
        page.close()
    assert side_by_side == sorted(set(side_by_side))


def test_the_address_holds_what_is_shown(open_page) -> None:
    page = open_page()
    page.get_by_label("True class").select_option("3")
    page.get_by_label("Alpha of ClaDec").first.press("End")
    page.locator(".card:visible .open").first.click()
    page.get_by_role("button", name="Pin").click()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(WRITTEN)
    assert "pinned" in page.url
    titles = page.locator(".pane-title").all_inner_texts()
    assert len(set(titles)) == 2
    again = open_page(at="#" + page.url.split("#")[1])
    assert again.locator(".pane-title").all_inner_texts() == titles
    again.keyboard.press("Escape")
    assert again.locator(".stage .alpha-value").inner_text() == "0.99"
    assert {title.split(" - ")[0] for title in visible_titles(again)} == {"3"}
    again.wait_for_timeout(WRITTEN)
    assert "image" not in again.url
    broken = open_page(at="#classifier-0?layer=none&alpha=7&by-class=x&image=-1&pinned=1.2")
    assert broken.locator(".stage .alpha-value").inner_text() == "0"


def test_two_images_and_two_alphas_are_compared(open_page) -> None:
    page = open_page()
    page.locator(".card:visible .open").first.click()
    assert page.locator(".pane").count() == 1
    page.get_by_role("button", name="Pin").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("alpha of ClaDec").press("End")
    shown = page.locator(".pane .cladec").evaluate_all(
        "all => all.map(tile => getComputedStyle(tile).backgroundImage)"
    )
    assert len(set(shown)) == 2
    page.keyboard.press("Tab")  # away from the slider, which has arrow keys of its own
    page.keyboard.press("ArrowRight")
    first, second = page.locator(".pane-title").all_inner_texts()
    assert first != second
    page.get_by_role("button", name="Unpin").click()
    assert page.locator(".pane-title").all_inner_texts() == [second]


def test_one_network_for_every_alpha_moves_in_small_steps(open_page, every_alpha: Path) -> None:
    page = open_page(file=every_alpha)
    slider = page.get_by_label("Alpha of ClaDec").first
    box = slider.bounding_box()
    seen, pictures = [], []
    for share in np.linspace(0.02, 0.98, 9):
        page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        seen.append(float(page.locator(".stage .alpha-value").inner_text()))
        pictures.append(background(page, ".card .cladec"))
        thumb = float(slider.input_value())
        assert place_of_marker(page) == pytest.approx(thumb)
    assert seen == sorted(set(seen))
    assert len(set(pictures)) == 9
    slider.press("Home")
    slider.press("ArrowRight")
    assert page.locator(".stage .alpha-value").inner_text() == "0.002"


def test_it_prints_without_the_controls(open_page, tmp_path: Path) -> None:
    page = open_page()
    page.emulate_media(media="print")
    for controls in (".filters", ".alpha", ".show-more", "nav", "select", "a.button", "dialog"):
        assert not page.locator(controls).first.is_visible(), controls
    assert page.locator(".open").first.evaluate(
        "card => getComputedStyle(card).backgroundColor"
    ) == ("rgba(0, 0, 0, 0)")
    assert page.locator(".network .face").first.is_visible()
    assert page.locator(".card:visible").count() > 0
    page.pdf(path=str(tmp_path / "report.pdf"))
    assert (tmp_path / "report.pdf").stat().st_size > 10_000
