"""What a fit promises: the loss it names, the same result however a batch is cut, and a folder every consumer can load."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, Gemma2Config, Gemma2ForCausalLM

from promptcot.engines.protocol import FitExample, Tokens
from promptcot.errors import MissingHere, Stopped, UsageError
from promptcot.models import fingerprint
from promptcot.recipe import Fit, Training
from promptcot.training import METRICS, Progress, fit
from promptcot.training.batches import learning_rate_factor, optimizer_steps
from tests.training.tiny import save_llama

FP32 = Training(dtype="fp32")
ONE_STEP = Fit(epochs=1, lr=1e-3, batch=8)

# Lengths, weights and segments differ; ids 0 and 2 (often padding) are texts' own tokens.
EXAMPLES = [
    FitExample("a", Tokens((1, 9, 8), ((10, 11, 0), (12, 2))), 1.0),
    FitExample("b", Tokens((1,), ((13, 14, 15, 16, 17, 18, 2),)), 0.25),
    FitExample("c", Tokens((1, 7), ((19,), (0, 2))), 2.0),
    FitExample("d", Tokens((1, 7, 7, 7, 7, 7), ((20, 21), (22, 2))), 0.5),
    FitExample("e", Tokens((1, 3), ((23, 24, 25), (26, 27, 2))), 1.5),
]


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    save_llama(tmp_path / "llama")
    return tmp_path / "llama"


def nll(model: torch.nn.Module, example: FitExample) -> torch.Tensor:
    """The nats of an example's segments, alone in its batch, from all logits."""
    prefix, scored = list(example.tokens.prefix), [t for segment in example.tokens.segments for t in segment]
    log_p = model(input_ids=torch.tensor([prefix + scored])).logits[0].log_softmax(-1)
    return -sum((log_p[len(prefix) - 1 + i, token] for i, token in enumerate(scored)), torch.zeros(()))


def scored(examples: Sequence[FitExample]) -> list[int]:
    return [sum(map(len, example.tokens.segments)) for example in examples]


def mean_nll(folder: Path, examples: Sequence[FitExample]) -> float:
    """sum w nll / sum w tokens, in nats per token."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    total = sum(example.weight * float(nll(model, example).detach()) for example in examples)
    return total / sum(example.weight * n for example, n in zip(examples, scored(examples), strict=True))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def assert_same_weights(one: Path, other: Path, *, atol: float = 0.0) -> None:
    for name, tensor in weights(one).items():
        torch.testing.assert_close(tensor, weights(other)[name], rtol=0, atol=atol)


def reweighted(factor: float) -> list[FitExample]:
    return [dataclasses.replace(example, weight=example.weight * factor) for example in EXAMPLES]


def test_the_loss_is_the_weighted_nll_of_segment_tokens(llama: Path, tmp_path: Path) -> None:
    log = fit(llama, EXAMPLES, ONE_STEP, FP32, tmp_path / "out", seed=0)
    assert log.losses == pytest.approx([mean_nll(llama, EXAMPLES)], rel=1e-6)
    assert (log.steps, log.examples, log.dropped) == (1, 5, ())
    assert (log.tokens, log.total_tokens) == (25, 39)


def test_what_a_model_does_to_its_logits_counts(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        initializer_range=0.5,
        final_logit_softcapping=2.0,
    )
    Gemma2ForCausalLM(config).save_pretrained(tmp_path / "gemma")
    log = fit(tmp_path / "gemma", EXAMPLES, ONE_STEP, FP32, tmp_path / "out", seed=0)
    assert log.losses == pytest.approx([mean_nll(tmp_path / "gemma", EXAMPLES)], rel=1e-6)


def test_every_step_follows_the_documented_gradient(llama: Path, tmp_path: Path) -> None:
    """The reference: one example at a time, w_i / (w_mean n_b), clipping at 1, AdamW, the recipe's schedule."""
    settings = Fit(epochs=2, lr=1e-3, batch=2, warmup=0.2, weight_decay=0.1)
    fit(llama, EXAMPLES, settings, FP32, tmp_path / "out", seed=3)

    model = AutoModelForCausalLM.from_pretrained(llama).train()
    matrices, norms = ([p for p in model.parameters() if (p.ndim > 1) is wide] for wide in (True, False))
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": norms, "weight_decay": 0.0}])
    mean = sum(e.weight * n for e, n in zip(EXAMPLES, scored(EXAMPLES), strict=True)) / sum(scored(EXAMPLES))
    steps = optimizer_steps(len(EXAMPLES), settings.epochs, settings.batch, seed=3)
    assert len(steps) == 6
    for number, step in enumerate(steps):
        batch = [EXAMPLES[i] for i in step]
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * learning_rate_factor(number, len(steps), settings)
        optimizer.zero_grad()
        for example in batch:
            loss = example.weight * nll(model, example) / (mean * sum(scored(batch)))
            torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.save_pretrained(tmp_path / "reference")
    assert_same_weights(tmp_path / "out", tmp_path / "reference", atol=2e-6)


@pytest.mark.parametrize("limit", [1, 12, 20])
def test_how_a_batch_is_cut_does_not_change_the_update(llama: Path, tmp_path: Path, limit: int) -> None:
    whole = fit(llama, EXAMPLES, ONE_STEP, FP32, tmp_path / "whole", seed=0)
    cut = fit(llama, EXAMPLES, ONE_STEP, FP32.model_copy(update={"batch_tokens": limit}), tmp_path / "cut", seed=0)
    assert cut.losses == pytest.approx(whole.losses, rel=1e-6)
    assert_same_weights(tmp_path / "cut", tmp_path / "whole", atol=1e-6)


def test_the_same_seed_gives_the_same_fit_and_another_seed_another(llama: Path, tmp_path: Path) -> None:
    settings = Fit(epochs=2.5, lr=1e-3, batch=2)
    logs = [fit(llama, EXAMPLES, settings, FP32, tmp_path / name, seed=seed) for name, seed in (("a", 5), ("b", 5), ("c", 6))]
    assert logs[0].losses == logs[1].losses != logs[2].losses
    assert_same_weights(tmp_path / "a", tmp_path / "b")


def test_an_example_of_weight_zero_is_absent(llama: Path, tmp_path: Path) -> None:
    settings = Fit(epochs=2, lr=1e-3, batch=2)
    without = fit(llama, EXAMPLES, settings, FP32, tmp_path / "without", seed=0)
    silent = FitExample("silent", Tokens((1, 4), ((40, 41, 42),)), 0.0)
    beside = fit(llama, [*EXAMPLES[:2], silent, *EXAMPLES[2:]], settings, FP32, tmp_path / "with", seed=0)
    assert dataclasses.replace(beside, seconds=0) == dataclasses.replace(without, seconds=0)
    assert_same_weights(tmp_path / "with", tmp_path / "without")


def test_scaling_all_weights_changes_nothing(llama: Path, tmp_path: Path) -> None:
    settings = Fit(epochs=2, lr=1e-3, batch=2)
    once = fit(llama, EXAMPLES, settings, FP32, tmp_path / "once", seed=0)
    eightfold = fit(llama, reweighted(8.0), settings, FP32, tmp_path / "eightfold", seed=0)
    assert eightfold.losses == once.losses
    assert_same_weights(tmp_path / "once", tmp_path / "eightfold")


@pytest.mark.parametrize("training", [FP32, Training(dtype="bf16"), Training(dtype="fp32", gradient_checkpointing=True)], ids=str)
def test_a_fit_learns_its_texts(llama: Path, tmp_path: Path, training: Training) -> None:
    log = fit(llama, EXAMPLES, Fit(epochs=20, lr=1e-2, batch=5), training, tmp_path / "out", seed=0)
    assert mean_nll(tmp_path / "out", EXAMPLES) < 0.2 * mean_nll(llama, EXAMPLES)
    assert log.losses[-1] < 0.5 * log.losses[0]


def test_a_small_step_from_a_bf16_folder_is_not_rounded_away(tmp_path: Path) -> None:
    save_llama(tmp_path / "bf16", dtype=torch.bfloat16)
    fit(tmp_path / "bf16", EXAMPLES, Fit(epochs=1, lr=2e-6, batch=8), FP32, tmp_path / "out", seed=0)
    name = "model.layers.0.mlp.up_proj.weight"
    before, after = weights(tmp_path / "bf16")[name], weights(tmp_path / "out")[name]
    assert after.dtype == torch.float32
    moved = (after - before.float()).abs()
    assert (moved > 1e-6).float().mean() > 0.9
    assert (after.bfloat16() != before).float().mean() < 0.02  # rounding between rounds would have undone the rest


def fingerprint_without(path: Path) -> str:
    path.unlink()
    return fingerprint(path.parent)


def test_the_folder_is_whole(llama: Path, tmp_path: Path) -> None:
    (llama / "tokenizer.json").write_text("{}")
    (llama / "LICENSE").write_text("free")
    (llama / "fingerprint.json").write_text("of the old weights")
    fit(llama, EXAMPLES, ONE_STEP, FP32, tmp_path / "out", seed=0)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "LICENSE", METRICS}
    assert fingerprint(tmp_path / "out") == fingerprint_without(tmp_path / "out" / METRICS)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["use_cache"] is True
    assert config["dtype"] == "float32"
    assert {path.name for path in tmp_path.iterdir()} == {"llama", "out"}  # no scratch left behind


def test_lora_saves_a_plain_merged_folder(llama: Path, tmp_path: Path) -> None:
    lora = FP32.model_copy(update={"method": "lora", "lora_rank": 4})
    fit(llama, EXAMPLES, Fit(epochs=20, lr=2e-2, batch=5), lora, tmp_path / "out", seed=0)
    before, after = weights(llama), weights(tmp_path / "out")
    assert before.keys() == after.keys()
    assert torch.equal(before["model.embed_tokens.weight"], after["model.embed_tokens.weight"])
    assert not torch.equal(before["model.layers.0.mlp.up_proj.weight"], after["model.layers.0.mlp.up_proj.weight"])
    assert mean_nll(tmp_path / "out", EXAMPLES) < 0.7 * mean_nll(llama, EXAMPLES)


def test_every_step_leaves_a_line_of_metrics(llama: Path, tmp_path: Path) -> None:
    settings = Fit(epochs=2, lr=1e-3, batch=2, warmup=0.5)
    log = fit(llama, EXAMPLES, settings, FP32, tmp_path / "out", seed=0)
    lines = [json.loads(line) for line in (tmp_path / "out" / METRICS).read_text().splitlines()]
    rates = [settings.lr * learning_rate_factor(step, 6, settings) for step in range(6)]
    assert [(line["step"], line["loss"], line["learning_rate"]) for line in lines] == list(zip(range(1, 7), log.losses, rates, strict=True))
    assert lines[-1]["tokens"] == log.total_tokens
    assert all(line["tokens_per_second"] > 0 and line["margin"] is None for line in lines)


def test_progress_is_told_and_standard_output_stays_clean(llama: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    heard: list[Progress] = []
    log = fit(llama, EXAMPLES, Fit(epochs=2, lr=1e-3, batch=2), FP32, tmp_path / "out", seed=0, on_step=heard.append)
    assert [(p.step, p.steps, p.loss) for p in heard] == [(i + 1, 6, loss) for i, loss in enumerate(log.losses)]
    assert all(p.tokens_per_second > 0 for p in heard)
    assert [p.tokens for p in heard] == sorted({p.tokens for p in heard})
    assert heard[-1].tokens == log.total_tokens == 2 * sum(len(example.tokens) for example in EXAMPLES)
    assert {log.gpu_seconds, *(p.gpu_seconds for p in heard)} == {0.0}, "a CPU is no accelerator"
    assert capfd.readouterr().out == ""


def test_too_long_texts_are_dropped_and_named(llama: Path, tmp_path: Path) -> None:
    short = FP32.model_copy(update={"max_tokens": 8})
    log = fit(llama, EXAMPLES, ONE_STEP, short, tmp_path / "out", seed=0)
    kept = [example for example in EXAMPLES if example.id in "abce"]
    assert (log.dropped, log.examples) == (("d",), 4)
    assert log.losses == pytest.approx([mean_nll(llama, kept)], rel=1e-6)
    with pytest.raises(UsageError, match="example d"):
        fit(llama, EXAMPLES, ONE_STEP, short.model_copy(update={"too_long": "error"}), tmp_path / "none", seed=0)


def test_a_text_longer_than_the_context_is_too_long_whatever_the_recipe_allows(llama: Path, tmp_path: Path) -> None:
    context = json.loads((llama / "config.json").read_text())["max_position_embeddings"]
    endless = FitExample("endless", Tokens((1,), ((5,) * context,)))
    log = fit(llama, [*EXAMPLES, endless], ONE_STEP, FP32.model_copy(update={"max_tokens": 10**6}), tmp_path / "out", seed=0)
    assert log.dropped == ("endless",)


@pytest.mark.parametrize(
    "example",
    [
        FitExample("bad", Tokens((1,), ((2,),)), -1.0),
        FitExample("bad", Tokens((1,), ((2,),)), float("nan")),
        FitExample("bad", Tokens((), ((2, 3),))),
        FitExample("bad", Tokens((1, 2), ())),
    ],
)
def test_a_bad_example_is_named(llama: Path, tmp_path: Path, example: FitExample) -> None:
    with pytest.raises(UsageError, match="example bad"):
        fit(llama, [*EXAMPLES, example], ONE_STEP, FP32, tmp_path / "out", seed=0)


def test_nothing_to_fit_is_an_error(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to fit"):
        fit(llama, reweighted(0.0), ONE_STEP, FP32, tmp_path / "out", seed=0)


def test_a_folder_in_use_is_left_alone(llama: Path, tmp_path: Path) -> None:
    before = weights(llama)
    with pytest.raises(UsageError, match="there is something"):
        fit(llama, EXAMPLES, ONE_STEP, FP32, llama, seed=0)
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(llama).items())


def test_a_last_step_to_weights_that_are_no_numbers_stops_the_fit_and_leaves_nothing(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(Stopped, match="weights are not finite after the last step: model"):
        fit(llama, EXAMPLES, Fit(epochs=1, lr=1e39, batch=8, warmup=0), FP32, tmp_path / "out", seed=0)
    assert {path.name for path in tmp_path.iterdir()} == {"llama"}


def test_too_little_memory_is_an_error_that_says_what_may_help(llama: Path, tmp_path: Path) -> None:
    def run_out(_: Progress) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    with pytest.raises(MissingHere, match="Tried to allocate") as raised:
        fit(llama, EXAMPLES, ONE_STEP, FP32, tmp_path / "out", seed=0, on_step=run_out)
    assert "launch: fsdp2" in raised.value.remedy


def test_a_loss_that_is_not_finite_stops_the_fit_and_leaves_nothing(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(Stopped, match="step 2 of 3"):
        fit(llama, EXAMPLES, Fit(epochs=3, lr=1e38, batch=8, warmup=0), FP32, tmp_path / "out", seed=0)
    assert {path.name for path in tmp_path.iterdir()} == {"llama"}
