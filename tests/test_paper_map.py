"""docs/paper-map.md is true: every function it names imports, every test it names exists, and a row without them says so."""

import ast
import importlib
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOT_YET = "not yet"


def rows(text: str) -> list[list[str]]:
    """The cells of every table row but headings and rules. `\\|` is a bar inside a cell."""
    lines = [line.strip() for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for row in cells if row[0] != "paper" and set(row[0]) != {"-"}]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def resolve(dotted: str) -> object:
    """What a dotted path names: the longest importable module, then attributes."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        name = ".".join(parts[:cut])
        try:
            found: object = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
                raise  # the module is there, and something it needs is not
            continue
        for attribute in parts[cut:]:
            found = getattr(found, attribute)
        return found
    raise ModuleNotFoundError(dotted)


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


def complaints(row: list[str]) -> list[str]:
    """What is wrong with a row; empty when it is true."""
    if len(row) != 3:
        return [f"{len(row)} cells"]
    _, functions, tests = row
    if functions == NOT_YET:
        return [] if tests == "" else ["a row that is not yet has no test"]
    found = [] if code(functions) and code(tests) else ["a function and a test are wanted"]
    for dotted in code(functions):
        try:
            if not dotted.startswith("promptcot.") or resolve(dotted) is None:
                found.append(f"{dotted} is not ours")
        except (ImportError, AttributeError) as error:
            found.append(f"{dotted}: {error}")
    for test in code(tests):
        path, _, name = test.partition("::")
        if not (ROOT / path).is_file() or name not in names_in(path):
            found.append(f"no test {test}")
    return found


MAP = rows((ROOT / "docs" / "paper-map.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("row", MAP, ids=[row[0] for row in MAP])
def test_every_row_is_true(row):
    assert complaints(row) == []


def test_the_map_covers_the_method():
    text = " ".join(row[0] for row in MAP)
    for piece in ("ELBO", "eq. 2", "reward", "E-step", "M-step", "cold start", "concept", "sampling", "duplicates", "13-gram", "tags"):
        assert piece in text, piece


GOOD = ["x", "`promptcot.bounds.elbo`", "`tests/test_paper_map.py::test_every_row_is_true`"]


@pytest.mark.parametrize(
    "row",
    [
        ["x", "`promptcot.bounds.elbow`", GOOD[2]],
        ["x", "`promptcot.bound.elbo`", GOOD[2]],
        ["x", "`promptcot.bounds.elbo`, `promptcot.estep.Group.nothing`", GOOD[2]],
        ["x", "`json.loads`", GOOD[2]],
        ["x", GOOD[1], "`tests/test_paper_map.py::test_every_row_is_tru`"],
        ["x", GOOD[1], "`tests/test_papermap.py::test_every_row_is_true`"],
        ["x", GOOD[1], ""],
        ["x", "", GOOD[2]],
        ["x", NOT_YET, GOOD[2]],
        ["x", GOOD[1]],
    ],
)
def test_a_wrong_row_is_found(row):
    assert complaints(GOOD) == []
    assert complaints(row) != []


def test_bars_inside_cells_are_no_borders():
    assert rows("| paper | f |\n|---|---|\n| p(x\\|z) | `a` |\n") == [["p(x\\|z)", "`a`"]]
