"""Scores are those of the model, whatever else is in the batch and wherever the segments' bars stand."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import Gemma2Config, Gemma2ForCausalLM

from promptcot.engines.protocol import Ids, Scorer, ScoreRequest, Tokens
from promptcot.engines.scoring import score_batch, score_rows
from promptcot.engines.transformers import TransformersEngine
from promptcot.errors import UsageError
from promptcot.recipe import EngineSpec

from .conftest import CONTEXT, EOS, VOCABULARY, save_tokenizer

ids = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=9).map(tuple)
tokens = st.builds(
    Tokens,
    prefix=ids,
    segments=st.lists(st.lists(st.integers(0, VOCABULARY - 1), max_size=9).map(tuple), min_size=1, max_size=3).map(tuple),
)
many = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@torch.inference_mode()
def token_log_p(engine: TransformersEngine, sequence: Ids) -> list[float]:
    """The oracle: log p of every token but the first, one sequence alone, softmax over all of the vocabulary in fp64."""
    logits = engine.model(input_ids=torch.tensor([sequence])).logits[0, :-1].double()
    nats: list[float] = logits.log_softmax(-1).gather(1, torch.tensor(sequence[1:])[:, None])[:, 0].tolist()
    return nats


def expected(engine: TransformersEngine, t: Tokens) -> list[float]:
    nats = [0.0, *token_log_p(engine, t.prefix + tuple(i for s in t.segments for i in s))]
    bounds = [len(t.prefix)]
    for segment in t.segments:
        bounds.append(bounds[-1] + len(segment))
    return [sum(nats[a:b]) for a, b in pairwise(bounds)]


@many
@given(batch=st.lists(tokens, min_size=1, max_size=12))
def test_segment_scores_are_brute_force_sums_whatever_the_batch(tiny: TransformersEngine, batch: list[Tokens]):
    requests = [ScoreRequest(str(n), t) for n, t in enumerate(batch)]
    scored = {s.id: s.log_p for s in tiny.score(iter(requests))}
    assert len(scored) == len(batch)
    for request in requests:
        assert scored[request.id] == pytest.approx(expected(tiny, request.tokens), abs=1e-5 * max(1, len(request.tokens)))


@many
@given(sequence=st.lists(st.integers(0, VOCABULARY - 1), min_size=4, max_size=20).map(tuple), data=st.data())
def test_moving_a_bar_moves_only_the_sums(tiny: TransformersEngine, sequence: Ids, data: st.DataObject):
    a = data.draw(st.integers(1, len(sequence) - 2))
    b = data.draw(st.integers(a, len(sequence) - 1))
    nats = [0.0, *token_log_p(tiny, sequence)]
    (scored,) = tiny.score([ScoreRequest("r", Tokens(sequence[:a], (sequence[a:b], sequence[b:])))])
    assert scored.log_p == pytest.approx((sum(nats[a:b]), sum(nats[b:])), abs=1e-4)


@many
@given(batch=st.lists(tokens, min_size=2, max_size=10), order=st.randoms(use_true_random=False))
def test_order_inside_a_group_changes_no_bit(tiny: TransformersEngine, batch: list[Tokens], order):
    requests = [ScoreRequest(str(n), t) for n, t in enumerate(batch)]
    shuffled = requests[:]
    order.shuffle(shuffled)
    assert {s.id: s.log_p for s in tiny.score(requests)} == {s.id: s.log_p for s in tiny.score(shuffled)}


def test_a_padding_id_that_is_the_end_of_sequence_is_scored_like_any_token(tiny: TransformersEngine):
    t = Tokens((5, 6), ((7, EOS, 8, EOS), (EOS,)))
    (scored,) = tiny.score([ScoreRequest("r", t)])
    assert scored.log_p == pytest.approx(expected(tiny, t), abs=1e-5)


@torch.inference_mode()
def test_the_output_layer_never_sees_a_prefix_position(tiny: TransformersEngine):
    seen: list[int] = []
    hook = tiny.model.lm_head.register_forward_hook(lambda module, args, out: seen.append(args[0].shape[:-1].numel()))
    try:
        list(tiny.score([ScoreRequest("a", Tokens((3,) * 20, ((4, 5), (6,)))), ScoreRequest("b", Tokens((3,) * 9, ((4,),)))]))
    finally:
        hook.remove()
    assert sum(seen) == 4


def test_a_group_is_scored_as_if_alone(tiny: TransformersEngine):
    first = [ScoreRequest(f"a{n}", Tokens((3, 4), ((5,) * (n + 1),)), group=1) for n in range(4)]
    second = [ScoreRequest(f"b{n}", Tokens((3, 4), ((6,) * (n + 1),)), group=2) for n in range(4)]
    assert list(tiny.score([*first, *second])) == [*tiny.score(first), *tiny.score(second)]


def test_what_cannot_be_scored_is_named(tiny: TransformersEngine):
    with pytest.raises(UsageError, match="long-one"):
        list(tiny.score([ScoreRequest("long-one", Tokens((3,), ((4,) * CONTEXT,)))]))
    with pytest.raises(UsageError, match="no-prefix"):
        list(tiny.score([ScoreRequest("no-prefix", Tokens((), ((4,),)))]))


def test_a_model_that_caps_its_logits_is_scored_with_its_own_head(tmp_path: Path):
    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        initializer_range=0.5,
        final_logit_softcapping=2.0,
        eos_token_id=EOS,
    )
    Gemma2ForCausalLM(config).save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    with TransformersEngine.open(tmp_path, EngineSpec(dtype="fp32", device="cpu")) as engine:
        requests = [ScoreRequest("r", Tokens((3, 4), ((5, 6), (7, EOS)))), ScoreRequest("s", Tokens((3,), ((8,),)))]
        for request, scored in zip(requests, sorted(engine.score(requests), key=lambda s: s.id), strict=True):
            assert scored.log_p == pytest.approx(expected(engine, request.tokens), abs=1e-5)
        naive = score_batch(engine.model, requests)
        assert naive[0] != pytest.approx(expected(engine, requests[0].tokens), abs=1e-2), "the cap must matter, or nothing was tested"


def test_both_ways_of_scoring_agree_where_both_hold(tiny: TransformersEngine):
    requests = [ScoreRequest("r", Tokens((3, 4), ((5, 6), (), (7, EOS)))), ScoreRequest("s", Tokens((3,), ((8,),)))]
    for one, other in zip(score_batch(tiny.model, requests), score_rows(tiny.model, requests), strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_the_engine_is_a_scorer(tiny: TransformersEngine):
    assert isinstance(tiny, Scorer)
