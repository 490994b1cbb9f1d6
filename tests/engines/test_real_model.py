"""The models a fresh machine gets, whole: converted, opened, sampled, scored, embedded."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from promptcot import models
from promptcot.engines import open_embedder, open_engine
from promptcot.engines.protocol import Embedder, SampleRequest, Sampling, ScoreRequest, Tokens
from promptcot.engines.transformers import TransformersEngine
from promptcot.outcomes import Finish
from promptcot.recipe import EngineSpec
from promptcot.templates import TAGGED

from .conftest import transformers_greedy

pytestmark = pytest.mark.slow
TEXTS = [
    "\n<!-- BEGIN RATIONALE -->\nTwo ideas.\n<!-- END RATIONALE -->",
    "a\n\nb  c   d\t e ",
    "$\\binom{n}{2} = \\frac{n(n-1)}{2}$, 1234567, é 日本 🙂",
    " leading and trailing ",
    "<|im_start|>user\nhi<|im_end|>\n",
]


@pytest.fixture(scope="module")
def folder() -> Path:
    return models.resolve("smollm2-135m-instruct")


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[TransformersEngine]:
    with TransformersEngine.open(folder, EngineSpec(dtype="fp32", device="cpu")) as opened:
        yield opened


@pytest.mark.parametrize("text", TEXTS)
def test_text_survives_the_tokenizer(engine: TransformersEngine, text: str):
    assert engine.tokenizer.decode(engine.tokenizer.encode(text)) == text


def test_the_tokenizer_is_that_of_smollm2(engine: TransformersEngine):
    encode = engine.tokenizer.encode
    assert engine.tokenizer.eos == 2
    assert encode("hello world") == (28120, 905)
    assert encode("\n") == (198,)
    assert encode("<|im_start|>a<|im_end|>") == (1, 81, 2)
    assert len(encode("2048")) == 4, "digits are tokens of their own"
    assert len(encode(TAGGED.begin_rationale)) == 12


def test_the_chat_template_came_along(engine: TransformersEngine):
    text = engine.tokenizer.decode(engine.chat_prefix([{"role": "user", "content": "Hi"}]))
    assert text.startswith("<|im_start|>system\n")
    assert text.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")


def test_it_knows_english(engine: TransformersEngine):
    encode = engine.tokenizer.encode
    prefix = encode("The capital of France is")
    right, wrong = (ScoreRequest(word, Tokens(prefix, (encode(word),))) for word in (" Paris", " seven"))
    scored = {s.id: s.log_p[0] for s in engine.score([right, wrong])}
    assert scored[" Paris"] > -2.5 > scored[" seven"]


def test_it_answers_and_stops(engine: TransformersEngine):
    prefix = engine.chat_prefix([{"role": "user", "content": "What is 2 + 3? Reply with the number only."}])
    (sampled,) = engine.sample([SampleRequest("r", prefix)], Sampling(temperature=0, max_tokens=40), seed=0)
    assert sampled.completions[0].finish is Finish.STOP
    assert "5" in sampled.completions[0].text


def prompts(engine: TransformersEngine) -> list[SampleRequest]:
    texts = [TAGGED.generator_prefix("math", ["primes", "counting"][: 1 + n % 2], "AMC10") for n in range(6)]
    return [SampleRequest(f"r{n}", engine.tokenizer.encode(text), draws=(0, 1)) for n, text in enumerate(texts)]


def gaps(engine: TransformersEngine) -> list[tuple[float, int]]:
    """How far the log-density of a draw is from its score, in nats, and over how many tokens."""
    found = []
    requests = {r.id: r for r in prompts(engine)}
    for sampled in engine.sample(iter(requests.values()), Sampling(max_tokens=24), seed=5):
        for c in sampled.completions:
            ids = c.ids + ((engine.tokenizer.eos,) if c.finish is Finish.STOP else ())
            (scored,) = engine.score([ScoreRequest("s", Tokens(requests[sampled.id].prefix, (ids,)))])
            found.append((abs(scored.log_p[0] - c.log_p), c.tokens))
    return found


def test_in_fp32_a_draw_scores_what_it_was_sampled_with(engine: TransformersEngine):
    assert all(gap <= 1e-5 * tokens for gap, tokens in gaps(engine))


def test_in_bf16_the_gap_stays_within_the_bound_of_the_em(folder: Path):
    with open_engine(folder, EngineSpec(dtype="bf16", device="cpu")) as engine:
        assert isinstance(engine, TransformersEngine)
        found = gaps(engine)
    rms = math.sqrt(sum(gap**2 for gap, _ in found) / len(found))
    assert 0 < rms < 1.0


def test_greedy_is_that_of_transformers(engine: TransformersEngine):
    prefix = engine.tokenizer.encode("Once upon a time")
    (sampled,) = engine.sample([SampleRequest("r", prefix)], Sampling(temperature=0, max_tokens=20), seed=0)
    assert list(sampled.completions[0].ids) == transformers_greedy(engine, prefix, 20)


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return open_embedder(models.resolve("all-minilm-l6-v2"))


SENTENCES = [
    "A train travels 60 miles in an hour.",
    "modular arithmetic",
    "",
    "How far does a train go at 60 mph in one hour?",
    "word " * 900,
]


@torch.inference_mode()
def test_an_embedding_is_the_mean_state_of_its_text_alone(embedder: Embedder):
    vectors = embedder.embed(SENTENCES)
    folder = models.resolve("all-minilm-l6-v2")
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    for text, vector in zip(SENTENCES, vectors, strict=True):
        mean = model(**tokenizer(text, return_tensors="pt", truncation=True, max_length=256)).last_hidden_state[0].mean(dim=0)
        assert vector == pytest.approx((mean / mean.norm()).numpy(), abs=1e-5)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(SENTENCES), 384)


def test_embeddings_know_what_is_alike(embedder: Embedder):
    vectors = embedder.embed(SENTENCES)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(SENTENCES)), abs=1e-5)
    assert vectors[0] @ vectors[3] > 0.6 > 0.4 > vectors[0] @ vectors[1]
    assert embedder.embed([]).shape == (0, 384)
