"""Every example once an epoch, every batch cut within its limit, and no step wasted."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcot.recipe import Fit
from promptcot.training.batches import learning_rate_factor, micro_batches, optimizer_steps


@given(st.integers(1, 60), st.integers(1, 3), st.integers(1, 20), st.integers(0, 9))
def test_an_epoch_is_a_permutation_cut_into_full_batches(examples: int, epochs: int, batch: int, seed: int) -> None:
    steps = optimizer_steps(examples, epochs, batch, seed)
    per_epoch = math.ceil(examples / batch)
    assert len(steps) == epochs * per_epoch
    for epoch in range(epochs):
        mine = steps[epoch * per_epoch : (epoch + 1) * per_epoch]
        assert sorted(i for step in mine for i in step) == list(range(examples))
        assert all(len(step) == batch for step in mine[:-1])


@given(st.integers(1, 60), st.floats(0.01, 4), st.integers(1, 20))
def test_a_fractional_epoch_is_the_start_of_a_whole_one(examples: int, epochs: float, batch: int) -> None:
    def stream(passes: float) -> list[int]:
        return [i for step in optimizer_steps(examples, passes, batch, seed=1) for i in step]

    part = stream(epochs)
    assert part == stream(math.ceil(epochs))[: len(part)]
    assert len(part) == max(1, round(epochs % 1 * examples) + int(epochs) * examples)


def test_epochs_differ_in_order() -> None:
    steps = optimizer_steps(50, 2, 50, seed=0)
    assert steps[0] != steps[1]


lengths = st.lists(st.integers(1, 300), min_size=1, max_size=24)


def padded(cuts: list[list[int]], sizes: list[int]) -> int:
    return sum(len(cut) * max(sizes[i] for i in cut) for cut in cuts)


@given(lengths, st.integers(1, 2000))
def test_a_batch_is_cut_within_the_limit(sizes: list[int], limit: int) -> None:
    cuts = micro_batches(sizes, limit)
    assert sorted(i for cut in cuts for i in cut) == list(range(len(sizes)))
    assert all(len(cut) == 1 or padded([cut], sizes) <= limit for cut in cuts)


@given(lengths)
def test_a_generous_limit_never_pads_more_than_one_pass_would(sizes: list[int]) -> None:
    assert padded(micro_batches(sizes, 10**6), sizes) <= len(sizes) * max(sizes)


@given(st.integers(1, 200), st.floats(0, 1), st.sampled_from(["cosine", "linear", "constant"]))
def test_the_learning_rate_rises_to_its_peak_then_never_rises_and_is_never_zero(steps: int, warmup: float, schedule: str) -> None:
    settings = Fit.model_validate({"warmup": warmup, "schedule": schedule})
    factors = [learning_rate_factor(step, steps, settings) for step in range(steps)]
    top = min(round(warmup * steps), steps - 1)
    assert all(0 < factor <= 1 for factor in factors)
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)


def test_cosine_and_linear_halve_midway() -> None:
    for schedule in ("cosine", "linear"):
        settings = Fit.model_validate({"warmup": 0, "schedule": schedule})
        assert learning_rate_factor(50, 100, settings) == pytest.approx(0.5)
