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
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptcot.reporting import chunks
from promptcot.reporting.data import Facts, ProblemRow, ReportData
from promptcot.reporting.page import drawn, formula_style, payload, render, write
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
def test_a_page_asks_for_nothing_from_elsewhere(run: object) -> None:
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
    html = html.replace("http://www.w3.org/2000/svg", "")  # the name of a language, which nothing loads
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
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|\bFunction\(|DOMParser|setAttribute\(.style", script
    )
    assert set(re.findall(r"\.style\.(\w+)", script)) == {"top", "height"}


def skeleton(data: ReportData) -> list[tuple[str, list[str]]]:
    return [(tag, sorted(attributes)) for tag, attributes in Elements(render(data, seed=0)).tags]


def with_text(text: str) -> ReportData:
    row = ProblemRow(
        id=text, problem=text, level=text, domain=text, concepts=(text,), rationale="r" + text, scores={text: text}, detail=text
    )
    return ReportData(run_name=text, origin=samples.ORIGIN, facts=Facts(), problems=(row,), warnings=(text,))


@pytest.mark.slow
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
def test_no_chunk_can_be_left_and_each_reads_back(text: str) -> None:
    [(name, rows)] = chunks.rows(with_text(text).problems)
    block = chunks.literal(chunks.as_json(rows))
    assert name == "rows-0000"
    for safe in (block, payload({"run": text})):
        assert safe.isascii()
        assert not set("<>&") & set(safe)
    assert json.loads(payload({"run": text})) == {"schema": 2, "run": text}
    [row] = json.loads(json.loads(block))
    assert (row["problem"], row["concepts"], row["scores"]) == (text, [text], {text: text})


def written(folder: Path, data: ReportData) -> dict[str, Any]:
    """The chunks that a report is written with, by name, as its page reads them."""
    html = write(data, folder, seed=0).read_text(encoding="utf-8")
    [block] = re.findall(r'id="report-data">(.*?)</script>', html)
    found = {}
    for name, path in json.loads(block)["chunks"].items():
        script = (folder / path).read_text(encoding="utf-8")
        if name != "katex":
            inner = json.loads("[" + script.removeprefix("promptcot(").removesuffix(");\n") + "]")
            assert inner[0] == name
            found[name] = json.loads(inner[1])
    return found


def test_the_chunks_hold_every_row_and_what_it_is_filtered_by(tmp_path: Path) -> None:
    data = samples.sample(chunks.ROWS + 3)
    found = written(tmp_path, data)
    rows = [*found["rows-0000"], *found["rows-0001"]]
    assert len(found["rows-0001"]) == 3
    assert rows == json.loads(json.dumps([asdict(row) for row in data.problems]))
    columns = found["columns"]
    status, level = (columns[name] for name in ("status", "level"))
    assert [status["names"][place] for [place] in status["of"]] == [row.dropped or "kept" for row in data.problems]
    assert [level["names"][place] for [place] in level["of"]] == [row.level for row in data.problems]
    assert columns["numbers"]["pass rate"] == [row.pass_rate.value if row.pass_rate else None for row in data.problems]


def test_every_part_of_the_flow_lists_its_rows_and_what_is_left_out(tmp_path: Path) -> None:
    data = samples.sample(20)
    found = written(tmp_path, data)
    for number, part in enumerate(data.parts):
        block = found[f"part-{number}"]
        assert [row["id"] for row in block["rows"]] == [row.id for row in part.rows]
        assert (block["left"], block["command"]) == (part.left_out, part.command)
        if part.stage == "screen":
            assert [data.problems[row["at"]].id for row in block["rows"]] == [row.id for row in part.rows]
        assert f'data-part="{number}"' in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_what_json_has_no_number_for_becomes_text() -> None:
    row = replace(samples.problems(1)[0], scores={"a": math.nan, "b": -math.inf, "c": 1.5})
    [(_, rows)] = chunks.rows((row,))
    assert json.loads(chunks.as_json(rows))[0]["scores"] == {"a": "nan", "b": "-inf", "c": 1.5}


def test_the_formulas_fonts_are_in_their_style_and_nothing_else_is_named() -> None:
    css = formula_style()
    assert css.count("@font-face") == css.count("data:font/woff2;base64,") == 20
    assert set(re.findall(r"url\((?!data:font/woff2;base64,)", css)) == set()


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
    data = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in (tmp_path / "a/report/data", tmp_path / "b/data")]
    assert data[0] == data[1]
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["data", "index.html"]


def test_writing_again_replaces_the_page_and_leaves_no_data_of_the_former(tmp_path: Path) -> None:
    write(samples.sample(), tmp_path, seed=0)
    page = write(samples.nothing(), tmp_path, seed=0)
    assert page == tmp_path / "index.html"
    assert page.read_text(encoding="utf-8") == render(samples.nothing(), seed=0)
    assert list((tmp_path / "data").iterdir()) == []


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "index.html").mkdir()
    with pytest.raises(OSError):
        write(samples.sample(), tmp_path, seed=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "index.html"]
    assert all(path.suffix == ".js" and not path.name.startswith(".") for path in (tmp_path / "data").iterdir())
