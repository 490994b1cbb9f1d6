"""What a fit on pairs promises: the published loss and its gradient, whole pairs however a batch is cut, and a model that prefers."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM

from promptcot.engines.protocol import PairExample, Tokens
from promptcot.errors import UsageError
from promptcot.recipe import Fit
from promptcot.training import METRICS, fit_pairs
from promptcot.training.batches import learning_rate_factor, optimizer_steps
from tests.training.test_worker import FP32, assert_same_weights
from tests.training.tiny import save_llama

BETA = 0.3
PAIRS = [
    PairExample("a", Tokens((1, 9, 8), ((10, 11, 0), (12, 2))), Tokens((1, 9, 8), ((13, 2),)), (-20.0, -7.5), 1.0),
    PairExample("b", Tokens((1,), ((13, 14, 15, 2),)), Tokens((1,), ((16, 17, 18, 19, 20, 2),)), (-14.0, -25.0), 0.25),
    PairExample("c", Tokens((1, 7), ((19,), (0, 2))), Tokens((1, 7), ((30, 31, 2),)), (-11.0, -12.0), 2.0),
]


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    save_llama(tmp_path / "llama")
    return tmp_path / "llama"


def log_p(model: torch.nn.Module, text: Tokens) -> torch.Tensor:
    """log p of a text's segments, alone in its batch, from all logits."""
    scored = [token for segment in text.segments for token in segment]
    logits = model(input_ids=torch.tensor([[*text.prefix, *scored]])).logits[0, len(text.prefix) - 1 : -1]
    return -functional.cross_entropy(logits, torch.tensor(scored), reduction="sum")


def margin(model: torch.nn.Module, pair: PairExample) -> torch.Tensor:
    return BETA * ((log_p(model, pair.chosen) - pair.reference[0]) - (log_p(model, pair.rejected) - pair.reference[1]))


def test_losses_margins_and_every_step_follow_the_published_loss(llama: Path, tmp_path: Path) -> None:
    """The reference: one pair at a time in float64, w / n_b, clipping at 1, AdamW, the recipe's schedule."""
    settings = Fit(epochs=2, lr=1e-3, batch=2, warmup=0.2)
    log = fit_pairs(llama, PAIRS, settings, BETA, FP32, tmp_path / "out", seed=3)

    model = AutoModelForCausalLM.from_pretrained(llama).double().train()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.0)
    steps = optimizer_steps(len(PAIRS), settings.epochs, settings.batch, seed=3)
    losses, margins, accuracies = [], [], []
    for number, step in enumerate(steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * learning_rate_factor(number, len(steps), settings)
        optimizer.zero_grad()
        of_pairs = [margin(model, PAIRS[i]) for i in step]
        loss = torch.stack([-PAIRS[i].weight * functional.logsigmoid(m) for i, m in zip(step, of_pairs, strict=True)]).mean()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        margins.append(sum(m.item() for m in of_pairs) / len(step))
        accuracies.append(sum(m.item() > 0 for m in of_pairs) / len(step))
    model.float().save_pretrained(tmp_path / "reference")

    assert log.losses == pytest.approx(losses, rel=1e-4)
    assert log.margins == pytest.approx(margins, abs=1e-4)
    assert log.accuracies == pytest.approx(accuracies)
    assert_same_weights(tmp_path / "out", tmp_path / "reference", atol=5e-6)
    lines = [json.loads(line) for line in (tmp_path / "out" / METRICS).read_text().splitlines()]
    assert [(line["loss"], line["margin"], line["accuracy"]) for line in lines] == list(
        zip(log.losses, log.margins, log.accuracies, strict=True)
    )


def test_how_a_batch_is_cut_does_not_change_the_update(llama: Path, tmp_path: Path) -> None:
    one_step = Fit(epochs=1, lr=1e-3, batch=8)
    whole = fit_pairs(llama, PAIRS, one_step, BETA, FP32, tmp_path / "whole", seed=0)
    cut = fit_pairs(llama, PAIRS, one_step, BETA, FP32.model_copy(update={"batch_tokens": 1}), tmp_path / "cut", seed=0)
    assert cut.losses == pytest.approx(whole.losses, rel=1e-6)
    assert cut.margins == pytest.approx(whole.margins, rel=1e-5)
    assert_same_weights(tmp_path / "cut", tmp_path / "whole", atol=2e-6)


def test_a_pair_with_a_text_too_long_is_dropped_whole_and_named(llama: Path, tmp_path: Path) -> None:
    long = PairExample("long", Tokens((1,), ((5, 2),)), Tokens((1,), ((6,) * 9,)), (float("nan"), float("nan")))
    log = fit_pairs(llama, [*PAIRS, long], Fit(batch=8), BETA, FP32.model_copy(update={"max_tokens": 8}), tmp_path / "out", seed=0)
    assert (log.dropped, log.examples) == (("long",), 3)
    assert log.total_tokens == sum(len(pair.chosen) + len(pair.rejected) for pair in PAIRS)


def test_after_a_fit_the_chosen_text_is_preferred(llama: Path, tmp_path: Path) -> None:
    before = AutoModelForCausalLM.from_pretrained(llama)
    pairs = [
        dataclasses.replace(pair, reference=(log_p(before, pair.chosen).item(), log_p(before, pair.rejected).item())) for pair in PAIRS
    ]
    log = fit_pairs(llama, pairs, Fit(epochs=15, lr=5e-3, batch=3), BETA, FP32, tmp_path / "out", seed=0)
    after = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert log.margins[0] == pytest.approx(0, abs=1e-5), "the reference is the model itself"
    assert all(margin(after, pair).item() > 1 for pair in pairs)
    assert log.accuracies[-1] == 1


def test_a_reference_that_is_no_number_is_an_error(llama: Path, tmp_path: Path) -> None:
    bad = dataclasses.replace(PAIRS[0], id="bad", reference=(float("nan"), -1.0))
    with pytest.raises(UsageError, match="example bad"):
        fit_pairs(llama, [bad], Fit(), BETA, FP32, tmp_path / "out", seed=0)
