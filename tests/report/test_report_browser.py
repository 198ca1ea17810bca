"""The report in a real browser: slider, keyboard, filters, large view, accessibility."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium"
)

WIDTHS = (360, 1440)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, report_file: Path) -> Iterator:
    """Opens the report; at the end nothing may have gone wrong or been fetched."""
    problems, fetched, contexts = [], [], []

    def open_at(width: int = 1440, scheme: str = "light"):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: fetched.append(request.url))
        page.goto(report_file.as_uri())
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert problems == []
    assert not [url for url in fetched if not url.startswith(("file:", "data:", "blob:"))]


def background(page, selector: str) -> str:
    return page.locator(selector).first.evaluate("tile => getComputedStyle(tile).backgroundImage")


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
    losses = page.locator(".readout").inner_text()
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".alpha-value").first.inner_text() == "0.99"
    assert slider.get_attribute("aria-valuetext") == "alpha 0.99"
    assert background(page, ".card .cladec") != at_zero
    assert page.locator(".readout").inner_text() != losses
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
    page.get_by_label("Order").select_option("lost")
    lost = [
        float(text.split()[1]) for text in page.locator(".card:visible .lost").all_inner_texts()
    ]
    assert lost == sorted(lost, reverse=True)
    assert len(set(lost)) > 3
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
    assert dialog.locator(".maps figure:visible figcaption").all_inner_texts() == [
        *("saliency", "occlusion", "ClaDec, layer dense", "lost, layer dense"),
    ]
    answers = dialog.locator("tbody td:nth-of-type(3)").all_inner_texts()
    page.keyboard.press("ArrowRight")
    assert dialog.locator("h3").inner_text().startswith(visible_titles(page)[2])
    page.keyboard.press("ArrowLeft")
    dialog.get_by_label("alpha of ClaDec").press("End")
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
    for _ in range(18):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.className"))
    wanted = ["skip", "alpha", "by-class", "by-answer", "by-confusion", "order", "open"]
    places = [reached.index(name) for name in wanted]
    assert places == sorted(places)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_off_and_axe_finds_nothing_serious(open_page, width, scheme) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("details summary").evaluate_all("all => all.forEach(one => one.click())")
    for step in ("page", "dialog"):
        if step == "dialog":
            page.locator(".card:visible .open").first.click()
            assert page.locator("dialog").evaluate("box => box.scrollWidth <= box.clientWidth")
        found = Axe().run(page).response["violations"]
        serious = [
            (rule["id"], rule["nodes"][0]["html"], rule["nodes"][0].get("failureSummary"))
            for rule in found
            if rule["impact"] in ("serious", "critical")
        ]
        assert serious == []


def test_it_prints_without_the_controls(open_page, tmp_path: Path) -> None:
    page = open_page()
    page.emulate_media(media="print")
    assert not page.locator(".filters").is_visible()
    assert page.locator(".card:visible").count() > 0
    page.pdf(path=str(tmp_path / "report.pdf"))
    assert (tmp_path / "report.pdf").stat().st_size > 10_000
