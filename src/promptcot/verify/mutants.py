"""Wrong variants of a right program: one small change each, by which a suite of tests shows whether it tells right from wrong.

    mutants("n = int(input())\\nprint(n * 2)", 2, seed=0)  ->  print(n + 2) in place of the last line, and print(n * 3) or print(n * 1)

Comparisons, arithmetic, whole numbers by one, negated conditions, swapped branches, `and` for `or`. Left alone: the guard on `__name__`,
limits of recursion and stack, and formats, whose change says nothing of the tests. Some mutants are equivalent to their program, so no
suite kills all of them. Nothing is run here, and the text is parsed only.
"""

from __future__ import annotations

import ast
import random
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

LONGEST_SOURCE = 1 << 16
"""Characters of a program that is parsed at all."""

_COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_MACHINE = frozenset(["setrecursionlimit", "stack_size", "set_int_max_str_digits"])


@dataclass(frozen=True)
class Mutant:
    """A changed program; `change` says the operator, the line and what became of it."""

    source: str
    change: str


@dataclass(frozen=True)
class _Edit:
    kind: str
    what: str
    apply: Callable[[], None]


def parsed(source: str) -> ast.Module | None:
    """The tree of a Python program; None for what does not compile, or is too long to look at."""
    if len(source) > LONGEST_SOURCE:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
            compile(tree, "program", "exec")
        return tree
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def mutants(source: str, most: int, *, seed: int) -> list[Mutant]:
    """At most `most` distinct mutants that compile, kinds of change in turn, so that a program full of numbers does not give only those."""
    if (tree := parsed(source)) is None:
        return []
    try:
        found = {ast.unparse(tree): ""}
        for place in _in_turn([edit.kind for edit in _edits(tree)], random.Random(f"{seed}\n{source}")):
            if len(found) > most:
                break
            changed, what = _changed(source, place)
            if parsed(changed) is not None:
                found.setdefault(changed, what)
    except (ValueError, RecursionError):  # a tree that cannot be written down again
        return []
    return [Mutant(changed, what) for changed, what in found.items() if what]


def _changed(source: str, place: int) -> tuple[str, str]:
    tree = ast.parse(source)
    edit = _edits(tree)[place]
    edit.apply()
    return ast.unparse(ast.fix_missing_locations(tree)), f"{edit.kind}, {edit.what}"


def _in_turn(kinds: list[str], stream: random.Random) -> Iterator[int]:
    """Places in random order, one of each kind after the other."""
    places = list(range(len(kinds)))
    stream.shuffle(places)
    queues = defaultdict[str, list[int]](list)
    for place in places:
        queues[kinds[place]].append(place)
    while queues:
        for kind in sorted(queues):
            yield queues[kind].pop()
            if not queues[kind]:
                del queues[kind]


def _edits(tree: ast.Module) -> list[_Edit]:
    """Every single change, in the order of the text; each changes this tree when applied."""
    return [edit for node in _live(tree) for edit in _of(node)]


def _live(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes worth a change."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.JoinedStr) or _guard(child) or _about_machine(child):
            if isinstance(child, ast.If):
                for part in child.body:
                    yield part
                    yield from _live(part)
            continue
        yield child
        yield from _live(child)


def _guard(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and any(isinstance(n, ast.Name) and n.id == "__name__" for n in ast.walk(node.test))


def _about_machine(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
    return name in _MACHINE


def _of(node: ast.AST) -> Iterator[_Edit]:
    if isinstance(node, ast.Compare):
        for place, op in enumerate(node.ops):
            for other in _COMPARED[type(op)]:
                yield _edit("comparison", node, op, other(), lambda new, node=node, place=place: node.ops.__setitem__(place, new))
    elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in _COMPUTED:
        yield _edit("arithmetic", node, node.op, _COMPUTED[type(node.op)](), lambda new: setattr(node, "op", new))
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        for value in (node.value + 1, node.value - 1):
            yield _edit("number", node, node.value, value, lambda new: setattr(node, "value", new))
    elif isinstance(node, ast.BoolOp):
        other_op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield _edit("and_or", node, node.op, other_op, lambda new: setattr(node, "op", new))
    elif isinstance(node, ast.If | ast.IfExp) and node.orelse:
        yield _Edit("branches", f"line {node.lineno}: branches swapped", lambda: _swap(node))
    elif isinstance(node, ast.If | ast.While):
        yield _Edit("negation", f"line {node.lineno}: condition negated", lambda: setattr(node, "test", ast.UnaryOp(ast.Not(), node.test)))


def _edit(kind: str, node: ast.expr | ast.stmt, old: object, new: object, put: Callable[..., None]) -> _Edit:
    return _Edit(kind, f"line {node.lineno}: {_shown(old)} becomes {_shown(new)}", lambda: put(new))


def _shown(part: object) -> str:
    return type(part).__name__ if isinstance(part, ast.AST) else str(part)[:40]


def _swap(node: ast.If | ast.IfExp) -> None:
    node.body, node.orelse = node.orelse, node.body
