"""The page's promises that need no browser: one file, a fair draw, and text that stays text."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptcot.report.data import Facts, ProblemRow, ReportData
from promptcot.report.page import drawn, payload, render, write
from tests.report import samples

EVERY_RUN = [samples.sample, samples.hostile, samples.without_em, samples.no_rounds, samples.nothing, samples.all_dropped]
any_text = st.text(st.characters(exclude_categories=()), max_size=40)


class Elements(HTMLParser):
    """All start tags with their attributes, and the text inside the elements of each tag."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags:
            self.texts.append((self.tags[-1][0], data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


# The draw


def test_the_draw_depends_on_the_seed_and_the_kept_rows_alone() -> None:
    rows = samples.problems(60)
    shown = drawn(rows, seed=3)
    assert len({row.id for row in shown}) == 3
    assert all(row.dropped is None for row in shown)
    assert drawn(rows[::-1], seed=3) == shown
    rewritten = tuple(replace(row, problem="", scores={}) for row in rows)
    assert [row.id for row in drawn(rewritten, seed=3)] == [row.id for row in shown]
    assert len({tuple(row.id for row in drawn(rows, seed)) for seed in range(20)}) > 15


def test_a_draw_from_few_rows_shows_them_all() -> None:
    two = tuple(replace(row, dropped=None) for row in samples.problems(2))
    assert sorted(row.id for row in drawn(two, 0)) == sorted(row.id for row in two)
    assert drawn((), 0) == []


# The page


@pytest.mark.parametrize("run", EVERY_RUN)
def test_a_page_is_one_file_that_asks_for_nothing(run: object) -> None:
    assert callable(run)
    html = render(run(), seed=0)
    page = Elements(html)
    addresses = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in {"href", "src", "srcset", "action", "data", "xlink:href"}
    ]
    assert addresses == ["data:,", "#explore"]
    assert not re.search(r"url\(|@import|https?://|import\(|fetch\(|XMLHttpRequest", html)


@pytest.mark.parametrize("run", EVERY_RUN)
def test_the_policy_names_the_style_and_the_script_of_the_page(run: object) -> None:
    assert callable(run)
    html = render(run(), seed=0)
    page = Elements(html)
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        [text] = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        assert f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy


def test_the_script_never_parses_text() -> None:
    html = render(samples.nothing(), seed=0)
    [script] = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|\bFunction\(|DOMParser|\.style\b", script)


def skeleton(data: ReportData) -> list[tuple[str, list[str]]]:
    return [(tag, sorted(attributes)) for tag, attributes in Elements(render(data, seed=0)).tags]


def with_text(text: str) -> ReportData:
    row = ProblemRow(
        id=text, problem=text, level=text, domain=text, concepts=(text,), rationale="r" + text, scores={text: text}, detail=text
    )
    return ReportData(run_name=text, origin=samples.ORIGIN, facts=Facts(), problems=(row,), warnings=(text,))


@settings(max_examples=60)
@given(any_text)
def test_no_text_changes_the_structure_of_the_page(text: str) -> None:
    assert skeleton(with_text(text)) == skeleton(with_text("harmless"))


@pytest.mark.parametrize("text", samples.HOSTILE)
def test_hostile_text_is_shown_as_it_is(text: str) -> None:
    page = Elements(render(with_text(text), seed=0))
    shown = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]", "\ufffd", text)
    assert skeleton(with_text(text)) == skeleton(with_text("harmless"))
    assert [data for tag, data in page.texts if tag == "p" and data == shown], "the problem is on the page, verbatim"


@settings(max_examples=60)
@given(any_text)
def test_the_data_block_cannot_be_left_and_reads_back(text: str) -> None:
    block = payload(with_text(text))
    assert block.isascii()
    assert not set("<>&") & set(block)
    [row] = json.loads(block)["problems"]
    assert (row["problem"], row["concepts"], row["scores"]) == (text, [text], {text: text})


def test_the_data_block_holds_the_whole_report() -> None:
    data = samples.sample()
    block = json.loads(payload(data))
    assert block.pop("schema") == 1
    assert block == json.loads(json.dumps(asdict(data)))


def test_what_json_has_no_number_for_becomes_text() -> None:
    row = replace(samples.problems(1)[0], scores={"a": math.nan, "b": -math.inf, "c": 1.5})
    assert json.loads(payload(replace(samples.nothing(), problems=(row,))))["problems"][0]["scores"] == {"a": "nan", "b": "-inf", "c": 1.5}


def test_empty_runs_say_what_is_missing() -> None:
    assert "No stage has finished yet." in render(samples.nothing(), seed=0)
    assert "This run wrote no problems." in render(samples.nothing(), seed=0)
    assert "No problem was kept." in render(samples.all_dropped(), seed=0)
    assert "EM ran no round: the generator is its cold start." in render(samples.no_rounds(), seed=0)
    assert "EM was not part of this run." in render(samples.without_em(), seed=0)
    assert "900 more are in the run's tables" in render(replace(samples.sample(), problems_left_out=900), seed=0)


def test_the_verdict_is_printed_with_value_interval_n_k_and_unit() -> None:
    text = " ".join(" ".join(data for _, data in Elements(render(samples.sample(), seed=0)).texts).split())
    assert "+0.020 [+0.005, +0.035] nats per token of x" in text
    assert "round 2 minus the start, 40 problems, 90 % interval, IWAE with K = 8, dev split" in text


# Writing


def test_the_same_run_and_seed_give_the_same_bytes(tmp_path: Path) -> None:
    first = write(samples.sample(), tmp_path / "a" / "report", seed=1).read_bytes()
    second = write(samples.sample(), tmp_path / "b", seed=1).read_bytes()
    assert first == second
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["index.html"]


def test_writing_again_replaces_the_page(tmp_path: Path) -> None:
    write(samples.nothing(), tmp_path, seed=0)
    page = write(samples.sample(), tmp_path, seed=0)
    assert page == tmp_path / "index.html"
    assert page.read_text(encoding="utf-8") == render(samples.sample(), seed=0)


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "index.html").mkdir()
    with pytest.raises(OSError):
        write(samples.sample(), tmp_path, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
