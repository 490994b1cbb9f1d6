"""The report as a reader meets it, in headless Chromium: it works by mouse and by keyboard, and hostile text does nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from promptcot.reporting.data import ReportData
from promptcot.reporting.page import write
from tests.report import samples
from tests.report.probes import FAINT, FETCHED, OUTSIDE, PARSED, SCRIPTED, UNNAMED

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
            if address == own or address.startswith(own.removesuffix("index.html") + "data/"):
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
    """Everything that opens: what unfolds, the first part of the flow, a row with an attempt."""
    for summary in page.locator("details > summary:visible").all():
        summary.click()
    parts = page.locator(".flow-picture .part:visible")
    if parts.count():
        parts.last.focus()
        page.keyboard.press("Enter")
        page.locator("#part-rows").wait_for()
    if page.locator(".row").count():
        page.locator(".list").focus()
        page.keyboard.press("Enter")
        page.locator(".details").wait_for()
        for summary in page.locator(".attempts summary").all():
            summary.click()
    page.evaluate("document.fonts.ready")


def found(page: Any, text: str) -> None:
    """Wait until the line above the list says so."""
    page.locator(".found", has_text=re.compile(f"^{re.escape(text)}$")).wait_for()


def shown(page: Any) -> list[str]:
    """The texts of the rows that are drawn, from the top."""
    page.locator(".row .text", has_text=re.compile("^…$")).first.wait_for(state="detached")
    rows: list[tuple[int, str]] = page.locator(".row").evaluate_all(
        "rows => rows.map((row) => [Number(row.getAttribute('aria-posinset')), row.querySelector('.text').textContent])"
    )
    return [text for _, text in sorted(rows)]


def choose(page: Any, label: str, option: str) -> None:
    """Choose the option whose words begin like this."""
    box = page.get_by_role("combobox", name=label, exact=True)
    [text] = [text for text in box.locator("option").all_inner_texts() if re.fullmatch(rf"{re.escape(option)}( \([\d,]+\))?", text)]
    box.select_option(label=text)


def begins(problem: str) -> str:
    return " ".join(problem.split())[:40]


def test_search_finds_every_word_in_any_order_and_in_hidden_text(show: Show) -> None:
    data = samples.sample(60)
    page = show(data)
    found(page, "60 problems")
    page.get_by_role("searchbox").fill("TRIANGLE orchard")
    expected = [
        row
        for row in data.problems
        if "triangle" in (text := f"{row.problem} {row.rationale} {' '.join(row.concepts)}".lower()) and "orchard" in text
    ]
    assert 0 < len(expected) < 60
    found(page, f"{len(expected)} problem{'s' * (len(expected) > 1)} of 60")
    assert [text[:40] for text in shown(page)] == [begins(row.problem) for row in expected]
    page.get_by_role("searchbox").fill(data.problems[7].id)
    found(page, "1 problem of 60")
    page.get_by_role("searchbox").fill("no such words")
    page.locator(".found", has_text="No problem matches.").wait_for()
    assert not page.locator(".panes").is_visible()
    page.get_by_role("searchbox").fill("")
    found(page, "60 problems")


def test_filters_narrow_together(show: Show) -> None:
    data = samples.sample(60)
    page = show(data)
    choose(page, "Level", "AMC12")
    choose(page, "Status", "kept")
    choose(page, "Concept", "similar triangles")
    expected = [row for row in data.problems if row.level == "AMC12" and row.dropped is None and "similar triangles" in row.concepts]
    assert expected
    found(page, f"{len(expected)} problem{'s' * (len(expected) > 1)} of 60")
    choose(page, "Level", "all levels")
    choose(page, "Concept", "all concepts")
    choose(page, "Status", "near duplicate")
    found(page, f"{sum(row.dropped == 'near_duplicate' for row in data.problems)} problems of 60")
    choose(page, "Status", "dropped, any reason")
    found(page, f"{sum(row.dropped is not None for row in data.problems)} problems of 60")


def test_filters_by_label_verdict_and_pass_rate(show: Show) -> None:
    data = samples.sample(60)
    page = show(data)
    for label, option, wanted in (
        ("Label", "agreed", lambda row: row.label is not None and row.label.status == "agreed"),
        ("Label", "not labeled", lambda row: row.label is None),
        ("Attempts", "truncated", lambda row: any(one.verdict == "truncated" for one in row.attempts)),
        ("Pass rate", "25 to 75 %", lambda row: row.pass_rate is not None and 0.25 <= row.pass_rate.value < 0.75),
        ("Pass rate", "not attempted", lambda row: row.pass_rate is None),
    ):
        choose(page, label, option)
        count = sum(map(wanted, data.problems))
        assert 0 < count < 60
        found(page, f"{count} problem{'s' * (count > 1)} of 60")
        page.get_by_role("combobox", name=label, exact=True).select_option("")


def test_sorting_by_number_puts_what_is_missing_last(show: Show) -> None:
    data = samples.sample(10)
    page = show(data)
    choose(page, "Sort by", "pass rate")
    known = sorted((row for row in data.problems if row.pass_rate), key=lambda row: row.pass_rate.value if row.pass_rate else 0)
    rest = [row for row in data.problems if not row.pass_rate]
    assert rest
    assert [text[:40] for text in shown(page)] == [begins(row.problem) for row in [*known, *rest]]
    page.get_by_role("button", name="Ascending").click()
    down = sorted(known, key=lambda row: (-(row.pass_rate.value if row.pass_rate else 0), data.problems.index(row)))
    assert [text[:40] for text in shown(page)] == [begins(row.problem) for row in [*down, *rest]]
    assert page.get_by_role("button", name="Descending").is_visible()


def test_a_row_opens_by_mouse_and_shows_everything(show: Show) -> None:
    data = samples.sample(20)
    at = next(at for at, row in enumerate(data.problems) if row.label and row.label.answer)
    row = data.problems[at]
    page = show(data)
    page.locator(f"#row-{at}").click()
    text = page.locator(".reader").inner_text()
    assert row.label
    for wanted in (row.rationale, *row.concepts, row.id, *(step.text for step in row.lineage), row.label.answer, "Lineage", "draw 3"):
        assert wanted in text
    page.get_by_role("button", name="Show source").click()
    assert row.problem in page.locator(".reader").inner_text()
    assert page.get_by_role("button", name="Show typeset").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Close").click()
    assert page.locator(".details").count() == 0


def test_the_list_works_by_keyboard(show: Show) -> None:
    data = samples.sample(60)
    page = show(data)
    found(page, "60 problems")
    page.keyboard.press("/")
    search = page.get_by_role("searchbox")
    assert search.evaluate("node => node === document.activeElement")
    page.keyboard.type("/")  # in the field it is a letter
    assert search.input_value() == "/"
    page.keyboard.press("Escape")
    found(page, "60 problems")
    page.keyboard.press("ArrowDown")
    box = page.get_by_role("listbox")
    assert box.evaluate("node => node === document.activeElement")
    active = lambda: page.locator(f"#{box.get_attribute('aria-activedescendant')}").get_attribute("aria-posinset")  # noqa: E731
    assert active() == "1"
    for key, place in (("ArrowDown", "2"), ("ArrowUp", "1"), ("ArrowUp", "1"), ("End", "60"), ("Home", "1"), ("ArrowDown", "2")):
        page.keyboard.press(key)
        assert active() == place
    page.keyboard.press("PageDown")
    assert int(active() or 0) > 4
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    page.locator(".details").wait_for()
    assert page.locator(".reader").evaluate("node => node === document.activeElement")
    assert data.problems[0].id in page.locator(".reader").inner_text()
    page.keyboard.press("Escape")
    assert page.locator(".details").count() == 0
    assert box.evaluate("node => node === document.activeElement")
    page.keyboard.press("Space")  # opens, and stays in the list: arrows then turn the pages
    page.locator(".details", has_text=data.problems[0].id).wait_for()
    page.keyboard.press("ArrowDown")
    page.locator(".details", has_text=data.problems[1].id).wait_for()


def test_an_open_row_stays_open_through_a_filter(show: Show) -> None:
    data = samples.sample(20)
    page = show(data)
    page.locator("#row-3").click()
    page.get_by_role("searchbox").fill(data.problems[3].id)
    found(page, "1 problem of 20")
    assert data.problems[3].id in page.locator(".reader").inner_text()
    assert page.locator(".row.open").count() == 1


def test_a_row_is_copied_as_json(show: Show) -> None:
    data = samples.sample(3)
    page = show(data, permissions=["clipboard-read", "clipboard-write"])
    page.locator(".row").nth(1).click()
    page.get_by_role("button", name="Copy as JSON").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert json.loads(page.evaluate("navigator.clipboard.readText()"))["id"] == data.problems[1].id


def test_where_copying_is_forbidden_the_json_is_selected(show: Show) -> None:
    data = samples.sample(3)
    page = show(data)
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.locator(".row").nth(1).click()
    page.get_by_role("button", name="Copy as JSON").click()
    area = page.get_by_label("The row as JSON")
    assert json.loads(area.input_value())["problem"] == data.problems[1].problem
    assert area.evaluate("node => node.selectionEnd - node.selectionStart === node.value.length")


def test_fifty_thousand_rows_draw_a_screenful_and_are_searched_to_the_last(show: Show) -> None:
    """The rows are a hundred thousand times as much text as a screen holds; what is drawn and what is kept in memory stays small."""
    some = samples.problems(500)
    rows = tuple(replace(row, id=f"{at:08x}{row.id[8:]}") for at, row in enumerate(some * 100))
    last = replace(rows[-1], problem="A needle in the haystack.", dropped=None)
    page = show(replace(samples.sample(3), problems=(*rows[:-1], last), parts=()))
    found(page, "50,000 problems")
    assert page.locator(".row").count() < 40
    page.locator(".list").focus()
    page.keyboard.press("End")
    page.locator(".row .text", has_text="A needle").wait_for()
    assert page.locator(".row").count() < 40
    heap = page.evaluate("performance.memory.usedJSHeapSize")
    page.get_by_role("searchbox").fill("NEEDLE haystack")
    page.locator(".found", has_text="1 problem of 50,000").wait_for(timeout=120_000)
    page.locator(".list").focus()
    page.keyboard.press("Enter")
    page.locator(".details", has_text=last.id).wait_for()
    page.get_by_role("searchbox").fill("")
    choose(page, "Level", "AIME")
    found(page, f"{sum(row.level == 'AIME' for row in rows[:-1]) + (last.level == 'AIME'):,} problems of 50,000")
    choose(page, "Sort by", "tokens")
    assert shown(page)
    assert heap < 200e6
    assert page.evaluate("performance.memory.usedJSHeapSize") < 600e6


def test_a_page_without_its_data_says_so(browser: Any, tmp_path: Path) -> None:
    index = write(samples.sample(3), tmp_path, seed=0)
    shutil.rmtree(tmp_path / "data")
    page = browser.new_page()
    page.goto(index.as_uri())
    page.locator("#explorer", has_text="is missing: keep the folder data beside this page").wait_for()
    page.close()


# Formulas and code


def test_formulas_are_typeset_and_code_is_colored(show: Show) -> None:
    text = "Let $x^2 = 4$ and \\[\\sum_{i=1}^n i\\] It costs $5 and $10.\n```python\nif x: return 'y'  # z\n```\n"
    data = samples.sample(1)
    page = show(replace(data, problems=(replace(data.problems[0], problem=text, dropped=None),)))
    page.locator(".row").click()
    reader = page.locator(".reader .prose").first
    reader.locator(".katex").nth(1).wait_for()
    assert reader.locator(".katex").count() == 2
    assert reader.locator(".formula.display").count() == 1
    assert "It costs $5 and $10." in reader.inner_text()
    assert reader.locator("pre .keyword").all_inner_texts() == ["if", "return"]
    assert reader.locator("pre .string").all_inner_texts() == ["'y'"]
    assert reader.locator("pre .remark").all_inner_texts() == ["# z"]
    assert page.evaluate("document.fonts.ready.then(() => document.fonts.check('16px KaTeX_Math'))")
    page.locator(".samples .katex").first.wait_for()


@pytest.mark.parametrize("tex", samples.FORMULAS)
def test_a_formula_can_do_nothing(show: Show, tex: str) -> None:
    """Untrusted: no link, image, class, style or id comes out of it, it ends, and it stays where it stands."""
    data = samples.sample(1)
    page = show(replace(data, problems=(replace(data.problems[0], problem=f"Before ${tex}$ after.", dropped=None),)))
    page.locator(".row").click()
    reader = page.locator(".reader .prose").first
    reader.locator(".katex, .unread").first.wait_for(state="attached")
    assert page.locator("main :is(a, img, iframe, form, link)").count() == 0
    assert page.locator(".hostile, #hostile").count() == 0
    assert page.evaluate("[...document.querySelectorAll('.katex *')].every((n) => getComputedStyle(n).position !== 'fixed')")
    assert "Before" in reader.inner_text()
    assert "after." in reader.inner_text()


# The flow and the figures


def test_a_part_of_the_flow_lists_its_rows_and_leads_to_their_lineage(show: Show) -> None:
    data = samples.sample(60)
    page = show(data)
    number = next(n for n, part in enumerate(data.parts) if part.stage == "screen" and part.reason == "leak")
    page.locator(f".wide [data-part='{number}'] .reason").click()
    rows = page.locator("#part-rows .rows li")
    rows.first.wait_for()
    assert rows.count() == len(data.parts[number].rows)
    page.get_by_role("button", name="its lineage").first.click()
    page.locator(".details", has_text=data.parts[number].rows[0].id).wait_for()
    page.locator(f".wide [data-part='{number}']").focus()
    page.keyboard.press("Enter")
    page.locator("#part-rows:focus").wait_for()
    page.keyboard.press("Escape")
    assert not page.locator("#part-rows").is_visible()


@pytest.mark.parametrize("kind", ["SVG", "PNG"])
def test_every_figure_is_saved_as_it_is_seen(show: Show, kind: str) -> None:
    page = show(samples.sample(5), accept_downloads=True)
    buttons = page.get_by_role("button", name=re.compile(f"^Save .* as {kind}$"))
    assert buttons.count() == page.locator("figure, .sheet").count() > 5
    with page.expect_download() as coming:
        buttons.first.click()
    raw = Path(coming.value.path()).read_bytes()
    assert coming.value.suggested_filename == f"what-happened-to-the-rows.{kind.lower()}"
    if kind == "PNG":
        assert raw.startswith(b"\x89PNG")
        assert len(raw) > 5_000
    else:
        drawing = ElementTree.fromstring(raw)
        assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
        fills = {node.get("fill") for node in drawing.iter("{http://www.w3.org/2000/svg}rect")}
        assert "rgb(59, 111, 212)" in fills
        assert b"class=" not in raw


# The page


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
    data = samples.hostile()
    page = show(data)
    open_all(page)
    for at in range(len(samples.HOSTILE)):
        page.locator(".list").focus()
        page.keyboard.press("Home")
        for _ in range(at):
            page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.locator(".standing").wait_for()
        source = page.get_by_role("button", name="Show source")
        if source.count():
            page.wait_for_timeout(50)  # its formulas
            source.click()
        texts = page.locator(".reader .prose").evaluate_all("nodes => nodes.map((node) => node.textContent)")
        assert data.problems[at].problem in texts
    assert page.locator("main :is(img, iframe, script, a, object, embed, form, link, style)").count() == 0
    page.wait_for_timeout(200)  # time for whatever an injected element would have started


def test_the_policy_refuses_what_slipped_through(browser: Any, tmp_path: Path) -> None:
    page = browser.new_page()
    page.goto(write(samples.sample(3), tmp_path, seed=0).as_uri())
    assert page.evaluate(PARSED) == "TypeError"
    assert page.evaluate(FETCHED) == "img-src"
    assert page.evaluate(SCRIPTED) == "TypeError"
    page.close()


def test_print_leaves_the_controls_out(show: Show) -> None:
    page = show(samples.sample(3), color_scheme="dark")
    page.emulate_media(media="print")
    assert not page.locator(".controls").is_visible()
    assert not page.get_by_role("button", name="Light theme").is_visible()
    assert background(page) == "rgb(255, 255, 255)"
