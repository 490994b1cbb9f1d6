"""The report as a reader meets it, in headless Chromium: it works by mouse and by keyboard, and hostile text does nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from promptcot.report.data import ReportData
from promptcot.report.page import write
from tests.report import samples
from tests.report.probes import ALTERED, FAINT, FETCHED, OUTSIDE, PARSED, UNNAMED

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass
class Seen:
    """What a page did that a report never does."""

    requests: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def watch(self, page: Any, own: str) -> None:
        def route(request: Any) -> None:
            address = request.request.url
            if address == own:
                request.continue_()
            else:
                self.requests.append(address)
                request.abort()

        page.route("**/*", route)
        page.on("dialog", self._dialog)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda message: self.faults.append(message.text) if message.type in {"error", "warning"} else None)

    def _dialog(self, dialog: Any) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        assert not os.environ.get("CI"), "CI has to bring Chromium"
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield running
        running.close()


Show = Callable[..., Any]


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Show]:
    """Open a report. After the test: no request, no console error, no exception, no dialog, and `window.pwned` was never set."""
    seen, contexts = Seen(), []

    def opened(data: ReportData, *, width: int = 1280, height: int = 900, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        address = write(data, tmp_path, seed=0).as_uri()
        seen.watch(page, address)
        page.goto(address)
        return page

    yield opened
    pwned = [page.evaluate("typeof window.pwned") for context in contexts for page in context.pages]
    for context in contexts:
        context.close()
    assert (seen.requests, seen.faults, set(pwned)) == ([], [], {"undefined"})


def open_all(page: Any) -> None:
    for summary in page.locator("details > summary").all():
        summary.click()
    for opener in page.locator(".opener").all()[:10]:
        opener.focus()
        page.keyboard.press("Enter")


def shown(page: Any) -> list[str]:
    texts: list[str] = page.locator(".opener").all_inner_texts()
    return texts


def test_sixty_problems_come_in_two_pages(show: Show) -> None:
    page = show(samples.sample(60))
    assert page.locator(".found").inner_text() == "60 problems"
    assert page.locator("tr.row").count() == 50
    assert page.get_by_role("button", name="Previous").is_disabled()
    first = shown(page)
    page.get_by_role("button", name="Next").click()
    assert page.locator("tr.row").count() == 10
    assert page.locator(".pager").inner_text().split("\n")[1:2] == ["51 to 60 of 60"]
    assert page.get_by_role("button", name="Next").is_disabled()
    page.get_by_role("button", name="Previous").click()
    assert shown(page) == first


def test_search_finds_every_word_in_any_order_and_in_hidden_text(show: Show) -> None:
    data = samples.sample(60)
    page = show(data)
    page.get_by_role("searchbox", name="Search").fill("TRIANGLE orchard")
    expected = [
        row
        for row in data.problems
        if "triangle" in (text := f"{row.problem} {row.rationale} {' '.join(row.concepts)}".lower()) and "orchard" in text
    ]
    assert 0 < len(expected) < 60
    assert page.locator("tr.row").count() == len(expected)
    page.get_by_role("searchbox", name="Search").fill(data.problems[7].id)
    assert page.locator("tr.row").count() == 1
    page.get_by_role("searchbox", name="Search").fill("no such words")
    assert page.locator(".found").inner_text().startswith("No problem matches.")
    assert not page.locator("table.problems").is_visible()
    page.get_by_role("searchbox", name="Search").fill("")
    assert page.locator(".found").inner_text() == "60 problems"


def test_filters_by_level_concept_and_status_narrow_together(show: Show) -> None:
    data = samples.sample(60)
    page = show(data)
    page.get_by_role("combobox", name="Level", exact=True).select_option("=AMC12")
    page.get_by_role("combobox", name="Status", exact=True).select_option("kept")
    page.get_by_role("combobox", name="Concept", exact=True).select_option("=similar triangles")
    expected = [row for row in data.problems if row.level == "AMC12" and row.dropped is None and "similar triangles" in row.concepts]
    assert len(expected) > 0
    assert page.locator("tr.row").count() == len(expected)
    page.get_by_role("combobox", name="Level", exact=True).select_option("")
    page.get_by_role("combobox", name="Concept", exact=True).select_option("")
    page.get_by_role("combobox", name="Status", exact=True).select_option("=near_duplicate")
    assert set(page.locator("td.status").all_inner_texts()) == {"near duplicate"}
    assert page.locator("tr.row").count() == sum(row.dropped == "near_duplicate" for row in data.problems)


def test_sorting_by_header_and_by_score(show: Show) -> None:
    data = samples.sample(40)
    page = show(data)
    header = page.get_by_role("columnheader", name="Level")
    header.get_by_role("button").click()
    levels = page.locator("td.level").all_inner_texts()
    assert levels == sorted(levels)
    assert header.get_attribute("aria-sort") == "ascending"
    header.get_by_role("button").click()
    assert page.locator("td.level").all_inner_texts() == sorted(levels, reverse=True)
    page.get_by_role("combobox", name="Sort by", exact=True).select_option(label="log p")
    best = max(data.problems, key=lambda row: row.scores["log_p"])
    assert header.get_attribute("aria-sort") is None
    assert shown(page)[0].startswith(best.problem[:40])
    page.get_by_role("button", name="Descending").click()
    assert shown(page)[-1].startswith(best.problem[:40])


def test_a_row_opens_by_mouse_and_shows_everything(show: Show) -> None:
    data = samples.sample(5)
    row = data.problems[2]
    page = show(data)
    page.locator("tr.row").nth(2).click()
    text = page.locator("tr.opened").inner_text()
    for wanted in (row.problem, row.rationale, *row.concepts, row.id, *(step.text for step in row.lineage), "log p", "Lineage"):
        assert wanted in text
    page.locator("tr.row").nth(2).click()
    assert page.locator("tr.opened").count() == 0


def test_a_row_opens_by_keyboard(show: Show) -> None:
    page = show(samples.sample(5))
    page.get_by_role("button", name="Ascending").focus()
    for _ in range(4):  # three sortable headers, then the first row
        page.keyboard.press("Tab")
    opener = page.locator(".opener").first
    assert opener.evaluate("node => node === document.activeElement")
    assert opener.get_attribute("aria-expanded") == "false"
    page.keyboard.press("Enter")
    assert opener.get_attribute("aria-expanded") == "true"
    assert page.locator(f"#{opener.get_attribute('aria-controls')}").is_visible()
    page.keyboard.press("Space")
    assert opener.get_attribute("aria-expanded") == "false"


def test_an_open_row_stays_open_through_a_filter(show: Show) -> None:
    data = samples.sample(20)
    page = show(data)
    page.locator(".opener").nth(3).click()
    page.get_by_role("searchbox", name="Search").fill(data.problems[3].id)
    assert page.locator("tr.opened").count() == 1
    page.locator("tr.row").click()
    assert page.locator("tr.opened").count() == 0


def test_a_row_is_copied_as_json(show: Show) -> None:
    data = samples.sample(3)
    page = show(data, permissions=["clipboard-read", "clipboard-write"])
    page.locator(".opener").nth(1).click()
    page.get_by_role("button", name="Copy as JSON").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert json.loads(page.evaluate("navigator.clipboard.readText()"))["id"] == data.problems[1].id


def test_where_copying_is_forbidden_the_json_is_selected(show: Show) -> None:
    data = samples.sample(3)
    page = show(data)
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.locator(".opener").nth(1).click()
    page.get_by_role("button", name="Copy as JSON").click()
    area = page.get_by_label("The row as JSON")
    assert json.loads(area.input_value())["problem"] == data.problems[1].problem
    assert area.evaluate("node => node.selectionEnd - node.selectionStart === node.value.length")


def test_five_thousand_rows_draw_fifty(show: Show) -> None:
    page = show(samples.sample(5000))
    assert page.locator("tr.row").count() == 50
    assert page.locator(".found").inner_text() == "5,000 problems"
    page.get_by_role("searchbox", name="Search").fill("lighthouse")
    page.locator(".found", has_text="of 5,000").wait_for()
    assert page.locator("tr.row").count() == 50


def background(page: Any) -> str:
    color: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return color


def test_the_theme_follows_the_system_until_the_reader_chooses(show: Show) -> None:
    page = show(samples.sample(3), color_scheme="light")
    light = background(page)
    page.emulate_media(color_scheme="dark")
    dark = background(page)
    assert light != dark
    page.get_by_role("button", name="Light theme").click()
    assert background(page) == light
    page.reload()
    assert background(page) == light
    page.get_by_role("button", name="Dark theme").click()
    assert background(page) == dark


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("gain", [0.02, -0.02, 0.0])
def test_every_text_has_contrast(show: Show, scheme: str, gain: float) -> None:
    page = show(replace(samples.sample(12), em=samples.gain(gain)), color_scheme=scheme)
    open_all(page)
    page.mouse.move(0, 0)
    assert page.evaluate(FAINT) == []


@pytest.mark.parametrize("run", [samples.sample, samples.hostile, samples.nothing])
def test_every_control_has_a_name(show: Show, run: Callable[[], ReportData]) -> None:
    page = show(run())
    open_all(page)
    assert page.evaluate(UNNAMED) == []


@pytest.mark.parametrize(
    "run", [samples.sample, samples.hostile, samples.nothing, samples.without_em, samples.no_rounds, samples.all_dropped]
)
@pytest.mark.parametrize("width", [360, 700, 1280])
def test_nothing_sticks_out_at_any_width(show: Show, run: Callable[[], ReportData], width: int) -> None:
    page = show(run(), width=width, height=800)
    open_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OUTSIDE) == []


def test_hostile_rows_are_text_and_do_nothing(show: Show) -> None:
    page = show(samples.hostile())
    open_all(page)
    assert page.locator("main :is(img, iframe, script, a, object, embed, form, link, style)").count() == 0
    assert page.evaluate(ALTERED) == []
    page.wait_for_timeout(200)  # time for whatever an injected element would have started


def test_the_policy_refuses_what_slipped_through(browser: Any, tmp_path: Path) -> None:
    page = browser.new_page()
    page.goto(write(samples.sample(3), tmp_path, seed=0).as_uri())
    assert page.evaluate(PARSED) == "TypeError"
    assert page.evaluate(FETCHED) == "img-src"
    page.close()


def test_print_leaves_the_controls_out(show: Show) -> None:
    page = show(samples.sample(3), color_scheme="dark")
    page.emulate_media(media="print")
    assert not page.locator(".controls").is_visible()
    assert not page.get_by_role("button", name="Light theme").is_visible()
    assert background(page) == "rgb(255, 255, 255)"
