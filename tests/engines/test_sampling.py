"""Draws come from the model's distribution, carry their own log-density, and can be repeated."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from promptcot.engines.protocol import Completion, Ids, Sampled, Sampler, SampleRequest, Sampling, ScoreRequest, Tokens
from promptcot.engines.randomness import uniforms
from promptcot.engines.sampling import choose
from promptcot.engines.transformers import TransformersEngine
from promptcot.errors import PromptcotError, UsageError
from promptcot.outcomes import Finish
from promptcot.recipe import EngineSpec

from .conftest import CONTEXT, EOS, VOCABULARY, transformers_greedy

prefixes = st.lists(st.integers(3, VOCABULARY - 1), min_size=1, max_size=9).map(tuple)
few = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])


def requests_for(batch: list[Ids], draws: int = 3) -> list[SampleRequest]:
    return [SampleRequest(f"r{n}", prefix, tuple(range(draws))) for n, prefix in enumerate(batch)]


def by_id(sampled) -> dict[str, Sampled]:
    return {s.id: s for s in sampled}


def summed(c: Completion) -> Ids:
    """The ids that `log_p` is the sum of."""
    return c.ids + ((EOS,) if c.finish is Finish.STOP else ())


@few
@given(batch=st.lists(prefixes, min_size=1, max_size=7))
def test_the_log_density_of_a_draw_is_its_score(tiny: TransformersEngine, batch: list[Ids]):
    requests = requests_for(batch)
    sampled = by_id(tiny.sample(iter(requests), Sampling(max_tokens=12), seed=1))
    for request in requests:
        for c in sampled[request.id].completions:
            (scored,) = tiny.score([ScoreRequest("s", Tokens(request.prefix, (summed(c),)))])
            assert c.tokens == len(summed(c))
            assert scored.log_p[0] == pytest.approx(c.log_p, abs=1e-5 * c.tokens)


@few
@given(batch=st.lists(prefixes, min_size=2, max_size=7), order=st.randoms(use_true_random=False))
def test_order_inside_a_group_changes_no_bit_and_a_repeat_none(tiny: TransformersEngine, batch: list[Ids], order):
    requests = requests_for(batch)
    shuffled = requests[:]
    order.shuffle(shuffled)
    first = by_id(tiny.sample(requests, Sampling(max_tokens=12), seed=1))
    assert (
        first
        == by_id(tiny.sample(requests, Sampling(max_tokens=12), seed=1))
        == by_id(tiny.sample(shuffled, Sampling(max_tokens=12), seed=1))
    )


@few
@given(batch=st.lists(prefixes, min_size=2, max_size=7))
def test_a_draw_does_not_depend_on_its_company(tiny: TransformersEngine, batch: list[Ids]):
    together = by_id(tiny.sample(requests_for(batch), Sampling(max_tokens=12), seed=1))
    for request in requests_for(batch):
        (alone,) = tiny.sample([request], Sampling(max_tokens=12), seed=1)
        assert [c.ids for c in alone.completions] == [c.ids for c in together[request.id].completions]


def test_draws_come_in_the_order_asked_for_and_follow_seed_id_and_draw(tiny: TransformersEngine):
    def ids(request: SampleRequest, seed: int = 1) -> dict[int, Ids]:
        (sampled,) = tiny.sample([request], Sampling(max_tokens=12), seed)
        assert [c.draw for c in sampled.completions] == list(request.draws)
        return {c.draw: c.ids for c in sampled.completions}

    whole = ids(SampleRequest("r", (5, 6), tuple(range(12))))  # more than one batch of rows
    assert len(set(whole.values())) > 6
    assert ids(SampleRequest("r", (5, 6), (7, 2))) == {7: whole[7], 2: whole[2]}
    assert ids(SampleRequest("r", (5, 6), (7, 2)), seed=2) != {7: whole[7], 2: whole[2]}
    assert ids(SampleRequest("s", (5, 6), (7, 2))) != {7: whole[7], 2: whole[2]}


def test_groups_share_no_batch(tiny: TransformersEngine):
    one = [SampleRequest(f"a{n}", (3,) * (n + 1), group=1) for n in range(3)]
    two = [SampleRequest(f"b{n}", (4,) * (n + 1), group=2) for n in range(3)]
    assert list(tiny.sample([*one, *two], Sampling(max_tokens=6), 0)) == [
        *tiny.sample(one, Sampling(max_tokens=6), 0),
        *tiny.sample(two, Sampling(max_tokens=6), 0),
    ]


def test_requests_are_pulled_one_group_at_a_time(tiny: TransformersEngine):
    pulled: list[int] = []

    def source() -> Iterator[SampleRequest]:
        for group in range(5):
            pulled.append(group)
            yield SampleRequest(f"r{group}", (3, 4), group=group)

    next(tiny.sample(source(), Sampling(max_tokens=2), 0))
    assert pulled == [0, 1]


@pytest.mark.parametrize("prefix", [(5,), (3, 4, 5, 6, 7, 8, 9), (10, 2, 10)])
def test_greedy_is_that_of_transformers(tiny: TransformersEngine, prefix: Ids):
    company = [SampleRequest("r", prefix), SampleRequest("other", (4,) * 11)]
    sampled = by_id(tiny.sample(company, Sampling(temperature=0, max_tokens=20), seed=0))["r"].completions[0]
    assert list(summed(sampled)) == transformers_greedy(tiny, prefix, 20)


@torch.inference_mode()
def next_token(engine: TransformersEngine, prefix: Ids, temperature: float = 1.0) -> np.ndarray:
    logits = engine.model(input_ids=torch.tensor([prefix])).logits[0, -1].double()
    p: np.ndarray = (logits / temperature).softmax(-1).numpy()
    return p


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_frequencies_are_the_models_probabilities(tiny: TransformersEngine, temperature: float):
    n, prefix = 4000, (5, 9, 11)
    (sampled,) = tiny.sample([SampleRequest("r", prefix, tuple(range(n)))], Sampling(temperature, max_tokens=1), seed=3)
    counts = np.bincount([summed(c)[0] for c in sampled.completions], minlength=VOCABULARY)
    p = next_token(tiny, prefix, temperature)
    common = p * n >= 5
    observed, model = [*counts[common], counts[~common].sum()], [*(p * n)[common], (p * n)[~common].sum()]
    assert stats.chisquare(observed, model).pvalue > 0.01
    assert stats.chisquare(observed, np.roll(model, 1)).pvalue < 1e-6, "the test must be able to fail"


def test_the_nucleus_is_the_smallest_set_that_holds_top_p(tiny: TransformersEngine):
    prefix, top_p = (5, 9, 11), 0.7
    (sampled,) = tiny.sample([SampleRequest("r", prefix, tuple(range(600)))], Sampling(top_p=top_p, max_tokens=1), seed=3)
    p = next_token(tiny, prefix)
    order = np.argsort(-p)
    nucleus = set(order[: int(np.searchsorted(np.cumsum(p[order]), top_p)) + 1].tolist())
    assert {summed(c)[0] for c in sampled.completions} == nucleus
    assert [c.log_p for c in sampled.completions] == pytest.approx([float(np.log(p[summed(c)[0]])) for c in sampled.completions], abs=1e-5)


def test_a_draw_ends_by_itself_or_at_the_limit(tiny: TransformersEngine):
    (sampled,) = tiny.sample([SampleRequest("r", (5, 6), tuple(range(60)))], Sampling(max_tokens=8), seed=0)
    ended = [c for c in sampled.completions if c.finish is Finish.STOP]
    cut = [c for c in sampled.completions if c.finish is Finish.LENGTH]
    assert ended
    assert cut
    assert all(EOS not in c.ids and c.tokens == len(c.ids) + 1 <= 8 for c in ended)
    assert all(EOS not in c.ids and c.tokens == len(c.ids) == 8 for c in cut)
    assert all(c.text == tiny.tokenizer.decode(c.ids) for c in sampled.completions)


def test_what_does_not_fit_the_context_is_named(tiny: TransformersEngine):
    fits = SampleRequest("fits", (3,) * 10)
    assert list(tiny.sample([fits], Sampling(max_tokens=CONTEXT - 10), 0))
    with pytest.raises(UsageError, match="too-long"):
        list(tiny.sample([SampleRequest("too-long", (3,) * 11)], Sampling(max_tokens=CONTEXT - 10), 0))


def test_weights_that_give_no_numbers_are_an_error(tiny_folder: Path):
    with TransformersEngine.open(tiny_folder, EngineSpec(dtype="fp32", device="cpu")) as engine:
        torch.nn.init.constant_(engine.model.lm_head.weight, float("nan"))
        with pytest.raises(PromptcotError, match="not finite"):
            list(engine.sample([SampleRequest("r", (3, 4))], Sampling(max_tokens=2), 0))


@settings(max_examples=100)
@given(
    logits=st.lists(st.floats(-40, 8, width=32), min_size=2, max_size=700),
    u=st.floats(0, 1, exclude_max=True),
    top_p=st.sampled_from([1.0, 0.8]),
)
def test_a_token_is_the_inverse_of_the_cumulative_distribution(logits: list[float], u: float, top_p: float):
    row = torch.tensor([logits])
    token, log_p = choose(row, torch.tensor([u], dtype=torch.float64), Sampling(top_p=top_p))
    p = row[0].double().softmax(-1)
    assert log_p.item() == pytest.approx(p[token].log().item(), abs=1e-5)
    if top_p == 1:
        cumulative, n = p.cumsum(0), int(token)
        assert (cumulative[n - 1] if n else 0.0) <= u + 1e-5
        assert cumulative[n] >= u - 1e-5


@pytest.mark.parametrize("u", [0.0, 0.5, 1 - 2**-53])
def test_a_token_of_probability_zero_is_never_drawn(u: float):
    for possible in ((0,), (300,), (299, 599), (17, 255, 256)):
        logits = torch.full((1, 600), -torch.inf)
        logits[0, list(possible)] = 1.0
        assert int(choose(logits, torch.tensor([u], dtype=torch.float64), Sampling())[0]) in possible


def test_uniforms_are_a_function_of_their_key_and_their_beginning_of_no_length():
    assert uniforms(1, "r", 2, 5).tolist() == uniforms(1, "r", 2, 9)[:5].tolist()
    keys = [(1, "r", 2), (2, "r", 2), (1, "s", 2), (1, "r", 3), (12, "r", 2)]
    assert len({tuple(uniforms(*key, 4)) for key in keys}) == len(keys)
    many = np.concatenate([uniforms(0, "row", draw, 4) for draw in range(2000)])
    assert stats.kstest(many, "uniform").pvalue > 0.01


def test_the_engine_is_a_sampler(tiny: TransformersEngine):
    assert isinstance(tiny, Sampler)
    assert not tiny.independent
