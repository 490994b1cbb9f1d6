"""The tabular engine: an exact model over finite c, z, x, to check EM against numbers known in closed form.

A model is `tabular.json` in a folder: its `kind`, the names of its `concepts`, `rationales` and `problems`, and tables. A generator
has `z_given_c` [C][Z] and `x_given_z` [Z][X], or `x_given_cz` [C][Z][X] where the problem also sees the concepts, or `x_given_c`
[C][X] alone where there is no rationale; a posterior has `z_given_cx` [C][X][Z]. Use with the `plain` template: names are symbols, one
token each, and the end of sequence has probability 1.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from promptcot.engines.protocol import Completion, Ids, Sampled, SampleRequest, Sampling, Scored, ScoreRequest
from promptcot.engines.tally import Tally
from promptcot.errors import UsageError
from promptcot.outcomes import Finish
from promptcot.recipe import EngineSpec
from promptcot.records import record_id
from promptcot.usage import Usage

FILE = "tabular.json"
TABLES = ("z_given_c", "x_given_z", "x_given_cz", "x_given_c", "z_given_cx")


@dataclass(frozen=True)
class SymbolTokenizer:
    """One token per symbol: 0 is end of sequence, then concepts, rationales, problems in order."""

    concepts: tuple[str, ...]
    rationales: tuple[str, ...]
    problems: tuple[str, ...]
    eos: int = 0

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbol of each token id."""
        return ("<eos>", *self.concepts, *self.rationales, *self.problems)

    def encode(self, text: str) -> Ids:
        """Ids of the whitespace-separated symbols. Raises `ValueError` for an unknown one."""
        return tuple(self.symbols.index(word) for word in text.split())

    def decode(self, ids: Sequence[int]) -> str:
        """Symbols joined by spaces."""
        return " ".join(self.symbols[i] for i in ids)

    def concept(self, token: int) -> int:
        """Row of a concept token."""
        return token - 1

    def rationale(self, token: int) -> int:
        """Row of a rationale token."""
        return token - 1 - len(self.concepts)

    def problem(self, token: int) -> int:
        """Row of a problem token."""
        return token - 1 - len(self.concepts) - len(self.rationales)


@dataclass(frozen=True)
class TabularModel:
    """The tables of one model; `tables` holds those its kind has."""

    kind: str
    tokenizer: SymbolTokenizer
    tables: dict[str, np.ndarray]

    @classmethod
    def load(cls, folder: Path) -> TabularModel:
        """Read `tabular.json`."""
        path = folder / FILE
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            tokenizer = SymbolTokenizer(tuple(raw["concepts"]), tuple(raw["rationales"]), tuple(raw["problems"]))
            return cls(raw["kind"], tokenizer, {name: np.array(raw[name], float) for name in TABLES if name in raw})
        except (OSError, ValueError, KeyError) as error:
            raise UsageError(f"not a tabular model: {error!r}", where=str(path)) from error

    def save(self, folder: Path) -> None:
        """Write `tabular.json`, floats with all their digits."""
        t = self.tokenizer
        content: dict[str, Any] = {"kind": self.kind, "concepts": t.concepts, "rationales": t.rationales, "problems": t.problems}
        content |= {name: table.tolist() for name, table in self.tables.items()}
        (folder / FILE).write_text(json.dumps(content), encoding="utf-8")

    def rationale_law(self, prefix: Ids) -> np.ndarray:
        """p(z|c) or q(z|c,x) for what the model has read, [Z]."""
        c = self.tokenizer.concept(prefix[0])
        law = self.tables["z_given_c"][c] if self.kind == "generator" else self.tables["z_given_cx"][c, self.tokenizer.problem(prefix[1])]
        return np.asarray(law)

    @property
    def with_rationale(self) -> bool:
        """Whether z comes first: not for a generator that has p(x|c) alone."""
        return "x_given_c" not in self.tables

    def problem_law(self, prefix: Ids, rationale: int | None) -> np.ndarray:
        """p(x|z,c), or p(x|c) of a model without rationales, [X]."""
        if rationale is None:
            return np.asarray(self.tables["x_given_c"][self.tokenizer.concept(prefix[0])])
        z = self.tokenizer.rationale(rationale)
        if "x_given_cz" in self.tables:
            return np.asarray(self.tables["x_given_cz"][self.tokenizer.concept(prefix[0]), z])
        return np.asarray(self.tables["x_given_z"][z])


class TabularEngine:
    """Samples, scores and enumerates a `TabularModel`."""

    independent = True

    def __init__(self, model: TabularModel) -> None:
        self.model, self.tokenizer, self._tally = model, model.tokenizer, Tally()

    @classmethod
    def open(cls, folder: Path, spec: EngineSpec) -> TabularEngine:
        """Open the model in a folder."""
        return cls(TabularModel.load(folder))

    @property
    def usage(self) -> Usage:
        """Every draw reads its prompt; `outcomes` are enumerated, not written."""
        return self._tally.usage

    def __enter__(self) -> TabularEngine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None

    def sample(self, requests: Iterable[SampleRequest], sampling: Sampling, seed: int) -> Iterator[Sampled]:
        """Draw z (posterior), z then x (generator) or x alone (generator without rationales); temperature 0 takes the most probable."""
        for request in requests:
            drawn = tuple(self._draw(request.prefix, request.id, draw, sampling, seed) for draw in request.draws)
            self._tally.tokens_in += len(request.prefix) * len(drawn)
            self._tally.tokens_out += sum(completion.tokens for completion in drawn)
            yield Sampled(request.id, drawn)

    def _draw(self, prefix: Ids, row: str, draw: int, sampling: Sampling, seed: int) -> Completion:
        stream = np.random.default_rng(int(record_id("tabular", (row,), draw, str(seed)), 16))
        first_problem = 1 + len(self.tokenizer.concepts) + len(self.tokenizer.rationales)
        if not self.model.with_rationale:
            law = self.model.problem_law(prefix, None)
            x = self._pick(law, stream, sampling)
            return self._completion(draw, (first_problem + x,), math.log(law[x]))
        z = self._pick(self.model.rationale_law(prefix), stream, sampling)
        rationale = 1 + len(self.tokenizer.concepts) + z
        if self.model.kind == "posterior":
            return self._completion(draw, (rationale,), math.log(self.model.rationale_law(prefix)[z]))
        law = self.model.problem_law(prefix, rationale)
        x = self._pick(law, stream, sampling)
        log_p = math.log(self.model.rationale_law(prefix)[z]) + math.log(law[x])
        return self._completion(draw, (rationale, first_problem + x), log_p)

    @staticmethod
    def _pick(law: np.ndarray, stream: np.random.Generator, sampling: Sampling) -> int:
        if sampling.temperature == 0:
            return int(law.argmax())
        tempered = law ** (1 / sampling.temperature)
        place = int(np.searchsorted(np.cumsum(tempered / tempered.sum()), stream.random(), side="right"))
        return min(place, len(law) - 1)

    def _completion(self, draw: int, ids: Ids, log_p: float) -> Completion:
        return Completion(draw, ids, self.tokenizer.decode(ids), log_p, len(ids) + 1, Finish.STOP)

    def outcomes(self, request: SampleRequest) -> Iterator[tuple[float, tuple[Completion, ...]]]:
        """Every multiset of len(draws) rationales with its multinomial probability: exact expectations instead of sampling."""
        law = self.model.rationale_law(request.prefix)
        size = len(request.draws)
        for counts in _compositions(size, len(law)):
            if any(n and law[z] <= 0 for z, n in enumerate(counts)):
                continue
            log_mass = math.lgamma(size + 1) + sum(n * math.log(law[z]) - math.lgamma(n + 1) for z, n in enumerate(counts) if n)
            picks = [z for z, n in enumerate(counts) for _ in range(n)]
            first = 1 + len(self.tokenizer.concepts)
            yield math.exp(log_mass), tuple(self._completion(i, (first + z,), math.log(law[z])) for i, z in enumerate(picks))

    def score(self, requests: Iterable[ScoreRequest]) -> Iterator[Scored]:
        """log p of each segment: of z where the model has one, of x where it is a generator; -inf where the table says 0."""
        for request in requests:
            prefix, segments = request.tokens.prefix, request.tokens.segments
            z, problems = (segments[0][0], segments[1:]) if self.model.with_rationale else (None, segments)
            laws = [] if z is None else [self.model.rationale_law(prefix)[self.tokenizer.rationale(z)]]
            laws += [self.model.problem_law(prefix, z)[self.tokenizer.problem(x[0])] for x in problems]
            self._tally.tokens_in += len(request.tokens)
            with np.errstate(divide="ignore"):
                yield Scored(request.id, tuple(float(np.log(p)) for p in laws))


def _compositions(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in _compositions(total - first, parts - 1):
            yield (first, *rest)
