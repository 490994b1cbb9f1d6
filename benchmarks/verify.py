"""Answers: ours beside math-verify called directly, on the same texts, by time of one core.

    python -m benchmarks.verify [--repeats 5] [--texts 300]

Three works: votes with integer answers, votes with mixed answers, and the clusters of 64 draws. math-verify parses each text, and
compares it with one of each cluster so far, as a grader without canonical forms must. Both run without a sandbox, so that only the work
differs. The accuracy table is over the audit set of the tests: firm pairs, hostile ones left out.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.ratios import alternate, paired, spread
from promptcot.intervals import wilson
from promptcot.outcomes import Equality
from promptcot.verify.answers import Verifier
from promptcot.verify.reading import read
from promptcot.verify.votes import Rule, vote

AUDIT = Path(__file__).parent.parent / "tests" / "verify" / "answer_pairs.jsonl"


def integers(chance: random.Random, count: int) -> list[str]:
    """Completions that end with an integer."""
    return [rf"Hence the answer is \boxed{{{chance.randrange(10**6)}}}." for _ in range(count)]


def mixed(chance: random.Random, count: int) -> list[str]:
    """Completions that end with answers of many kinds."""
    shapes: list[Callable[[int], str]] = [
        lambda n: rf"\frac{{{n}}}{{{n + 1}}}",
        lambda n: rf"{n}\sqrt{{{n + 2}}}",
        lambda n: rf"({n}, {n + 5})",
        lambda n: rf"x^2+{n}x-1",
        lambda n: rf"\frac{{\pi}}{{{n}}}",
        lambda n: rf"\{{{n}, 2\}}",
        lambda n: rf"\sqrt{{{n}}}+\sqrt{{{n + 1}}}",
        lambda n: rf"x<{n}",
        lambda n: rf"\begin{{pmatrix}}{n}&2\\3&4\end{{pmatrix}}",
        lambda n: f"{n}.5",
    ]
    return [rf"Hence the answer is \boxed{{{chance.choice(shapes)(chance.randrange(1, 999))}}}." for _ in range(count)]


def _draws(chance: random.Random) -> list[str]:
    """64 completions with 12 answers, some of them often, each in two spellings."""
    answers = mixed(chance, 12)
    weights = [1 / (rank + 1) for rank in range(12)]
    picked = chance.choices(answers, weights, k=64)
    return [text.replace("answer is ", "answer is, after all, ") if chance.random() < 0.5 else text for text in picked]


def ours(texts: Sequence[str]) -> float:
    """Seconds of CPU to read every text."""
    verifier = Verifier()
    read.cache_clear()
    return _timed(lambda: [verifier.read_completion(text) for text in texts])


def theirs(library: Any, texts: Sequence[str]) -> float:
    """The same by math-verify."""
    return _timed(lambda: [library.parse(text, parsing_timeout=None) for text in texts])


def our_clusters(texts: Sequence[str]) -> float:
    """Seconds of CPU for a vote."""
    read.cache_clear()
    return _timed(lambda: vote(texts, Rule()))


def their_clusters(library: Any, texts: Sequence[str]) -> float:
    """The same, each text compared with one of every cluster so far."""

    def cluster() -> None:
        found: list[Any] = []
        for text in texts:
            parsed = library.parse(text, parsing_timeout=None)
            if not any(library.verify(other, parsed, timeout_seconds=None) for other in found):
                found.append(parsed)

    return _timed(cluster)


def accuracy(library: Any, pairs: Sequence[dict[str, Any]]) -> None:
    """Right verdicts and false positives of both on firm pairs, each with its interval."""
    verifier = Verifier()
    rows = {"ours": lambda a, b: verifier.equal(a, b), "math-verify": lambda a, b: _verdict(library, a, b)}
    for name, verdict in rows.items():
        counts: Counter[str] = Counter()
        for pair in pairs:
            found, label = verdict(pair["a"], pair["b"]), Equality.EQUAL if pair["equal"] else Equality.DIFFERENT
            counts["right" if found is label else f"false {found.value}"] += 1
        wrong = ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()) if kind != "right")
        print(f"{name:<12} right {wilson(counts['right'], len(pairs))}; {wrong}")


def _verdict(library: Any, a: str, b: str) -> Equality:
    """With dollar signs around what has no box: its parser reads LaTeX only there."""
    bare = not any(mark in b for mark in ("boxed", "$", "\\(", "nswer", "####", "\n"))
    same = library.verify(library.parse(f"${a}$", parsing_timeout=5), library.parse(f"${b}$" if bare else b, parsing_timeout=5))
    return Equality.EQUAL if same else Equality.DIFFERENT


def _at(measure: Callable[[Sequence[str]], float], texts: Sequence[Sequence[str]], repeat: int) -> float:
    return measure(texts[repeat])


def _timed(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    import math_verify

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--texts", type=int, default=300)
    asked = parser.parse_args()
    logging.disable(logging.WARNING)
    works = {
        "integers": lambda seed: integers(random.Random(seed), asked.texts),
        "mixed": lambda seed: mixed(random.Random(seed), asked.texts),
    }
    math_verify.parse("$1$", parsing_timeout=None)  # its imports are nobody's work
    for name, texts in works.items():
        written = [texts(n) for n in range(asked.repeats)]
        found = alternate(
            {"ours": partial(_at, ours, written), "theirs": partial(_at, partial(theirs, math_verify), written)}, asked.repeats
        )
        rates = {who: spread([asked.texts / s for s in seconds], 0) for who, seconds in found.items()}
        ratio = spread(paired(found["theirs"], found["ours"]))
        print(f"{name:<10} ours {rates['ours']} a second, math-verify {rates['theirs']}; ratio {ratio}")
    draws = [_draws(random.Random(n)) for n in range(asked.repeats)]
    found = alternate({"ours": lambda n: our_clusters(draws[n]), "theirs": lambda n: their_clusters(math_verify, draws[n])}, asked.repeats)
    ratio = spread(paired(found["theirs"], found["ours"]), 0)
    print(f"64 draws   ours {spread(found['ours'], 4)} s, math-verify {spread(found['theirs'])} s; ratio {ratio}")
    pairs = [json.loads(line) for line in AUDIT.read_text(encoding="utf-8").splitlines()]
    accuracy(math_verify, [pair for pair in pairs if not pair["policy"] and not pair["hostile"]])


if __name__ == "__main__":
    main()
