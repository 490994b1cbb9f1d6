"""Hours, against sums done by hand."""

import pytest

from promptcot.planning import Range, machine
from promptcot.planning.work import blocks
from tests.planning.plans import planned

HOUR = 3600.0
QUIET = {"server_start_s": 0, "open_s": 0, "file_rate": 1e9}
"""Figures that leave nothing but tokens."""
EIGHT = {"models": {"generator": "Qwen/Qwen3-8B-Base"}, "engines": {"default": {"gpus": 1, "tensor_parallel": 1}}}
WRITING = {"synthesize": {"concept_sets": 10_000, "sample": {"max_tokens": 4096}}}


def fit_hours(**training):
    sections = {**EIGHT, "cold_start": {"epochs": 1}, "training": {"max_tokens": 4096, **training}}
    plan = planned(sections, figures={**QUIET, "training_mfu": 0.5})
    return next(p.hours.mid for p in plan.stage("cold_start").steps if p.step.name == "cold_start/generator")


@pytest.mark.parametrize(
    ("training", "flops"),
    [
        ({"method": "full"}, 6),
        ({"method": "full", "gradient_checkpointing": True}, 8),
        ({"method": "lora"}, 4),
        ({"method": "lora", "gradient_checkpointing": True}, 6),
    ],
)
def test_a_fit_takes_its_flops_on_one_device(training, flops):
    assert fit_hours(**training) * HOUR == pytest.approx(flops * 8.19e9 * 15_586 * 960 / (0.5 * 989e12), rel=1e-3)


def writing_hours(sections, gpu="H100", gpus=1, **figures):
    plan = planned({**EIGHT, **WRITING, **sections}, gpu, gpus, figures={**QUIET, "prefill_efficiency": 1e9, **figures})
    return plan.stage("synthesize").hours.mid


def test_decoding_scales_with_parameters_and_bandwidth():
    """8.7M tokens at 1,100 x 32.8 / 8.19 a second; a device of 4.8 TB/s instead of 3.35 takes 0.70 of that."""
    assert writing_hours({}) * HOUR == pytest.approx(8.7e6 / (1100 * 32.8 / 8.19), rel=1e-3)
    assert writing_hours({}, "H200") == pytest.approx(writing_hours({}) * 3.35 / 4.8)


def test_copies_share_the_work():
    eight = {"engines": {"default": {"gpus": 8, "tensor_parallel": 1}}}
    assert writing_hours(eight, gpus=8) == pytest.approx(writing_hours({}) / 8)


def test_few_requests_in_flight_decode_no_faster_than_weights_can_be_read():
    """8 sequences, each 0.5 x 3.35 TB/s over 16.38 GB of weights: 102 tokens/s."""
    few = {"engines": {"default": {"gpus": 1, "tensor_parallel": 1, "concurrency": 8}}}
    expected = 8.7e6 / (8 * 0.5 * 3.35e12 / (2 * 8.19e9))
    assert writing_hours(few, stream_efficiency=0.5) * HOUR == pytest.approx(expected, rel=1e-3)


def test_a_mixture_of_experts_decodes_between_its_active_and_all_its_parameters():
    rate = 8.7e6 / (writing_hours({"models": {"generator": "Qwen/Qwen3-30B-A3B-Thinking-2507"}}, decode_ceiling=1e9) * HOUR)
    assert 1100 * 32.8 / 30.5 < rate < 1100 * 32.8 / 3.3


def test_a_server_starts_once_for_each_change_of_weights():
    """A round of snis: q, (p), fits, then for the bound q old, q new, q old, q new, p old, p new; the probe needs the same p."""
    seeds = [{"path": "a.jsonl", "rows": 100, "split": "train"}, {"path": "b.jsonl", "rows": 50, "split": "dev"}]
    sections = {"em": {"rounds": 1, "rule": "snis"}, "training": {"max_tokens": 4096}, "inputs": {"seeds": seeds}}
    once, more = (planned(sections, figures={**QUIET, "server_start_s": s}).hours.mid for s in (0, HOUR))
    assert more - once == pytest.approx(8)
    written = {**sections, "synthesize": {"concept_sets": 10}}
    once, more = (planned(written, figures={**QUIET, "server_start_s": s}).hours.mid for s in (0, HOUR))
    assert more - once == pytest.approx(9), "a server ends with its stage"


def test_a_services_requests_per_minute_bound_it():
    hosted = {"kind": "openai", "urls": ["http://x/v1"], "concurrency": 1000, "requests_per_minute": 60}
    sections = {"models": {"generator": {"path": "served"}}, "engines": {"default": hosted}, **WRITING}
    plan = planned(sections, figures={**QUIET, "hosted_read_rate": 1e9})
    each = 870 + 90  # tokens of a request, of which one leaves a second
    assert plan.stage("synthesize").hours.mid * HOUR == pytest.approx(8.7e6 / each + 0.9e6 / each, rel=1e-3)
    assert plan.stage("synthesize").gpu_hours.high == 0


def test_a_cpu_scales_with_parameters_and_cores():
    sections = {**EIGHT, "engines": {"default": {"kind": "transformers"}}, **WRITING}
    plan = planned(sections, "CPU", figures={**QUIET, "cpu_sample_rate": 100, "cpu_score_rate": 1e12})
    cores = machine("CPU").cores
    assert plan.stage("synthesize").hours.mid * HOUR == pytest.approx(8.7e6 / (100 * 134.5e6 / 8.19e9 * cores / 2), rel=1e-3)
    assert plan.held_gpu_hours.high == 0


def test_blocks_of_draws_until_enough_are_valid():
    """2 wanted, half valid: 1 + P(<2 of 2) + P(<2 of 4) + P(<2 of 6) = 1 + 3/4 + 5/16 + 7/64."""
    assert blocks(Range.exact(0.5), 2).mid == pytest.approx(1 + 3 / 4 + 5 / 16 + 7 / 64)
    assert blocks(Range.exact(1.0), 8) == Range.exact(1.0)
