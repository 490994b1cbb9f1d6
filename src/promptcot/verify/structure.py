r"""The structure of an answer in tokens: where it splits, which brackets enclose it, what is a name, what a unit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from promptcot.verify.grammar import GREEK
from promptcot.verify.guards import Unreadable
from promptcot.verify.tokens import Token

JOINTS = (",", ";", "or", "and")
_OPEN = {"(": 1, "[": 1, "{": 1, r"\{": 1, "lfloor": 1, "lceil": 1, ")": -1, "]": -1, "}": -1, r"\}": -1, "rfloor": -1, "rceil": -1}
UP, CLOSED = ("<", "le"), ("le", "ge")
_RELATIONS = frozenset(["=", "<", ">", "le", "ge", "ne", "in", "approx", "equiv", "sim", "to", "mapsto"])
_ANGLES = frozenset(["cis", "sin", "cos", "tan", "cot", "sec", "csc"])


def split(tokens: Sequence[Token], at: Sequence[str]) -> list[tuple[Token, ...]]:
    """The runs of tokens between separators outside all brackets and matrices."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        if token.kind == "matrix":
            depth += -1 if token.text == "end" else 1
        elif token.kind != "text":
            depth += _OPEN.get(token.text, 0)
        if depth == 0 and token.kind not in ("text", "matrix") and token.text in at and _OPEN.get(token.text) is None:
            parts.append([])
        else:
            parts[-1].append(token)
    return [tuple(part) for part in parts]


def spelled(tokens: Sequence[Token]) -> str:
    """The tokens as one string without layout."""
    return "".join(("\\" + t.text) if t.kind == "command" else t.text for t in tokens)


def sides_of(tokens: Sequence[Token]) -> tuple[list[tuple[Token, ...]], list[str]]:
    """The sides of a relation, and the relations between them."""
    sides = split(tokens, tuple(_RELATIONS))
    return sides, separators(tokens, sides)


def separators(tokens: Sequence[Token], parts: Sequence[Sequence[Token]]) -> list[str]:
    """What stands between the parts that `split` made."""
    found, place = [], 0
    for part in parts[:-1]:
        place += len(part)
        found.append(tokens[place].text)
        place += 1
    return found


def encloses(tokens: Sequence[Token]) -> bool:
    """Whether the first token's bracket closes at the last one."""
    depth = 0
    for place, token in enumerate(tokens):
        depth += _OPEN.get(token.text, 0) if token.kind != "text" else 0
        if depth == 0:
            return place == len(tokens) - 1 and place > 0
    return False


def trimmed(tokens: Sequence[Token]) -> tuple[Token, ...]:
    """Without punctuation at the ends."""
    found = list(tokens)
    while found and found[-1].kind == "sign" and found[-1].text in ".,;:":
        found.pop()
    while found and found[0].text in ("therefore", "quad", ":"):
        found.pop(0)
    return tuple(found)


def is_name(tokens: Sequence[Token]) -> bool:
    """Whether the tokens are one variable, with its index."""
    return bool(tokens) and (tokens[0].kind == "letter" or tokens[0].text in GREEK) and (len(tokens) == 1 or tokens[1].text == "_")


def is_function_head(tokens: Sequence[Token]) -> bool:
    """`f(x)`."""
    return len(tokens) >= 4 and is_name(tokens[:1]) and tokens[1].text == "(" and tokens[-1].text == ")" and _only_names(tokens[2:-1])


def is_tuple_of_names(tokens: Sequence[Token]) -> bool:
    """`(x, y)`."""
    return len(tokens) >= 5 and tokens[0].text == "(" and tokens[-1].text == ")" and _only_names(tokens[1:-1])


def _only_names(tokens: Sequence[Token]) -> bool:
    return all(is_name(part) for part in split(tokens, (",",)))


def assignment(tokens: Sequence[Token]) -> tuple[str, tuple[Token, ...]] | None:
    """The name and the other side of `name = ...`, None for anything else."""
    sides, signs = sides_of(tokens)
    return (spelled(sides[0]), sides[1]) if signs == ["="] and is_name(sides[0]) else None


def without_unit(tokens: Sequence[Token]) -> tuple[tuple[Token, ...], str]:
    """The tokens before a unit, and the unit: words, a degree sign, or a currency."""
    if [t.text for t in tokens[-2:]] == ["^", "circ"] or [t.text for t in tokens[-4:]] == ["^", "{", "circ", "}"]:
        cut = tokens[:-2] if tokens[-1].text == "circ" else tokens[:-4]
        return (tuple(cut), "degrees") if cut and not any(t.text in _ANGLES for t in cut) else (tuple(tokens), "")
    first = next((k for k, t in enumerate(tokens) if t.kind == "text"), None)
    if not first:
        return tuple(tokens), ""
    unit = tokens[first:]
    raised = [b for a, b in pairwise(unit) if a.text in ("^", "{", "-")]
    if any(t.kind not in ("text", "letter") and t.text not in "^{}/-*()" and t not in raised for t in unit):
        raise Unreadable("words in an expression")
    return tuple(tokens[:first]), "".join(f" {t.text} " if t.kind == "text" else t.text for t in unit).lower().strip(" .")


def with_constant(tokens: Sequence[Token]) -> tuple[Token, ...]:
    """A constant of integration has one name: `+c` is `+C` where c occurs nowhere else."""
    texts = [t.text for t in tokens]
    alone = len(texts) > 2 and texts[-2] == "+" and texts[-1] == "c" and texts.count("c") == 1
    return (*tokens[:-1], Token("letter", "C")) if alone else tuple(tokens)


def worded(tokens: Sequence[Token]) -> str:
    """The tokens as lower-case words, without a leading article."""
    text = re.sub(r"\s*-\s*", "-", " ".join(t.text for t in tokens).lower())
    text = re.sub(r"[^\w\s%/.:-]|(?<!\d)\.|\.(?!\d)", " ", text)
    return re.sub(r"^(the|an|a) ", "", " ".join(text.split()))
