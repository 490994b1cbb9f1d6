"""Small models whose next-token law is known, for the test server to answer from: exact tables, canned replies, a tiny transformer."""

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from promptcot.engines.protocol import Ids, Tokenizer
from promptcot.engines.scripted import CharacterTokenizer, ScriptedEngine
from promptcot.engines.tabular import TabularModel
from promptcot.recipe import EngineSpec


class Law(Protocol):
    """p(next token | prompt, what was written), as (ids, probabilities)."""

    @property
    def tokenizer(self) -> Tokenizer: ...

    def after(self, prompt: Ids, written: Ids, seed: int) -> tuple[Ids, np.ndarray]: ...

    def nats(self, ids: Ids) -> list[float]:
        """log p of every id but the first."""
        ...


class TabularLaw:
    """Exact tables as an autoregressive model; outside its grammar every symbol is as likely."""

    def __init__(self, folder: Path) -> None:
        self.model = TabularModel.load(folder)
        self.tokenizer = self.model.tokenizer

    def after(self, prompt: Ids, written: Ids, seed: int = 0) -> tuple[Ids, np.ndarray]:
        ids, t = (*prompt, *written), self.tokenizer
        vocabulary = tuple(range(len(t.symbols)))
        prefix = 2 if self.model.kind == "posterior" else 1
        first_z = 1 + len(t.concepts)
        first_x = first_z + len(t.rationales)
        kinds = "".join("0" if i == 0 else "c" if i < first_z else "z" if i < first_x else "x" for i in ids)
        law = np.zeros(len(vocabulary))
        if kinds == ("cx" if prefix == 2 else "c"):
            law[first_z:first_x] = self.model.rationale_law(ids[:prefix])
        elif kinds == "cz":
            law[first_x:] = self.model.problem_law(ids[:1], ids[1])
        elif kinds in ("cxz", "czx"):
            law[0] = 1.0
        else:
            law[:] = 1 / len(law)
        return vocabulary, law

    def nats(self, ids: Ids) -> list[float]:
        laws = [self.after(ids[:n], ())[1] for n in range(1, len(ids))]
        return [math.log(law[i]) if law[i] > 0 else -math.inf for law, i in zip(laws, ids[1:], strict=True)]


SCRIPT = "tokenizer_script.json"
"""Canned replies beside the weights of a model that is fitted: a file that goes with a tokenizer, so that the fitted model answers too."""


class ScriptedLaw:
    """Canned replies, one character a token; `{draw}` in a reply is filled from the seed, `{digit}` with a digit below 4 from it."""

    def __init__(self, folder: Path, file: str = "script.json") -> None:
        script = json.loads((folder / file).read_text(encoding="utf-8"))
        self.engine = ScriptedEngine([(reply["contains"], reply["text"]) for reply in script["replies"]], script["default"])
        self.tokenizer = CharacterTokenizer()

    def reply(self, prompt: str, seed: int) -> str:
        text = next((text for part, text in self.engine.replies if part in prompt), self.engine.default)
        return (
            text.replace("{draw}", str(seed % 1000))
            .replace("{digit}", str(seed % 4))
            .replace("{id}", hashlib.sha256(prompt.encode()).hexdigest()[:6])
        )

    def after(self, prompt: Ids, written: Ids, seed: int) -> tuple[Ids, np.ndarray]:
        ids = (*self.tokenizer.encode(self.reply(self.tokenizer.decode(prompt), seed)), 0)
        return (ids[len(written)],), np.ones(1)

    def nats(self, ids: Ids) -> list[float]:
        return [-1.0] * (len(ids) - 1)


class TinyLaw:
    """A transformer in memory, in fp32."""

    def __init__(self, folder: Path) -> None:
        from promptcot.engines.transformers import TransformersEngine

        self.engine = TransformersEngine.open(folder, EngineSpec(dtype="fp32", device="cpu"))
        self.tokenizer = self.engine.tokenizer

    def _log_laws(self, ids: Sequence[int]) -> np.ndarray:
        import torch

        with torch.inference_mode():
            logits = self.engine.model(input_ids=torch.tensor([list(ids)]), use_cache=False).logits[0].double()
            return np.asarray(logits.log_softmax(dim=-1).numpy())

    def after(self, prompt: Ids, written: Ids, seed: int) -> tuple[Ids, np.ndarray]:
        law = np.exp(self._log_laws((*prompt, *written))[-1])
        return tuple(range(len(law))), law / law.sum()

    def nats(self, ids: Ids) -> list[float]:
        laws = self._log_laws(ids)
        return [float(laws[n, token]) for n, token in enumerate(ids[1:])]


def law_of(folder: Path) -> Law:
    """The law of the model in a folder."""
    if (folder / "tabular.json").is_file():
        return TabularLaw(folder)
    if (folder / SCRIPT).is_file():
        return ScriptedLaw(folder, SCRIPT)
    return ScriptedLaw(folder) if (folder / "script.json").is_file() else TinyLaw(folder)
