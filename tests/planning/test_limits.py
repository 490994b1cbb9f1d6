"""What cannot fit is refused with reason, place, remedy and the exit code that the run would end with; the rest is still planned."""

import pytest

from promptcot.planning import exit_code, machine, plan_recipe
from promptcot.recipes import load
from tests.engines.conftest import save_tiny_model
from tests.planning.plans import planned
from tests.runs import recipe as recipe_file

EM = {"rounds": 1, "rule": "snis", "check": 0}
GB = 1e9


def refused(plan, stage):
    return [r for r in plan.refusals if r.stage == stage]


SHARDED = {"launch": "fsdp2", "processes": 8, "gradient_checkpointing": True}


def test_full_fine_tuning_of_32b_needs_524_gb_and_sixteen_devices():
    plan = planned({"cold_start": {}, "training": {"gradient_checkpointing": True}})
    (refusal,) = refused(plan, "cold_start")
    memory = plan.stage("cold_start").memory
    assert memory is not None
    assert dict(memory.parts)["training state"].mid == pytest.approx(524.2e9, rel=1e-3)
    assert "training state 524" in refusal.what
    assert "`training: {launch: fsdp2, processes: 16, nodes: 2, on_nodes: [...]}` on 16 of these" in refusal.remedy
    assert refusal.exit_code == exit_code(plan.refusals) == 5


def test_each_of_eight_devices_holds_an_eighth_of_a_sharded_state():
    """65.5 GB of 524; a whole layer and both ends in passing; activations and logits of its own texts, as on one device."""
    single = planned({"cold_start": {}, "training": {"gradient_checkpointing": True}}).stage("cold_start").memory
    eight = planned({"cold_start": {}, "training": SHARDED}, "H200").stage("cold_start").memory
    assert single is not None
    assert eight is not None
    before, after = dict(single.parts), dict(eight.parts)
    assert after["training state"].mid == pytest.approx(before["training state"].mid / 8)
    assert [after[part] for part in ("activations", "logits")] == [before[part] for part in ("activations", "logits")]
    assert before["logits"].mid == 4 * 2048 * 152_064
    assert after["whole layers"].mid == pytest.approx(6 * (3 * 31.2e9 / 64 + 2 * 152_064 * 5_120), rel=0.02)
    assert not planned({"cold_start": {}, "training": SHARDED}, "H200").refusals


def test_copies_of_a_model_take_as_much_on_each_device_as_one():
    alone = planned({"cold_start": {}, "training": {"gradient_checkpointing": True}}).stage("cold_start").memory
    copies = planned({"cold_start": {}, "training": {**SHARDED, "launch": "ddp"}}).stage("cold_start").memory
    assert alone == copies


def test_a_fit_that_wants_more_devices_than_there_are_is_refused():
    refusal = refused(planned({"cold_start": {}, "training": SHARDED}, "H200", 4), "cold_start")[0]
    assert "a fit wants 8 accelerators, the machine has 4" in refusal.what
    assert refusal.exit_code == 5


def test_other_stages_are_planned_beside_a_refused_one():
    plan = planned({"cold_start": {}, "em": EM, "synthesize": {"concept_sets": 1000}})
    assert {r.stage for r in plan.refusals} == {"cold_start", "em"}
    assert plan.stage("synthesize").hours.mid > 0
    assert "what is refused is counted as if it could be done" in plan.notes


@pytest.mark.parametrize(("gpu", "fits"), [("H100", True), ("L40S", False)])
def test_lora_of_8b_keeps_its_frozen_weights_in_fp32(gpu, fits):
    sections = {
        "models": {"generator": "Qwen/Qwen3-8B-Base"},
        "engines": {"default": {"gpus": 1, "tensor_parallel": 1}},
        "cold_start": {},
        "training": {"method": "lora", "batch_tokens": 32768, "gradient_checkpointing": True},
    }
    plan = planned(sections, gpu, 1)
    memory = next(p.memory for p in plan.stage("cold_start").steps if p.step.kind == "fit")
    assert memory is not None
    assert dict(memory.parts)["training state"].mid == pytest.approx(4 * 8.19e9, rel=0.1)
    assert bool(refused(plan, "cold_start")) is (not fits)


def test_weights_that_leave_no_room_for_one_sequence_are_refused():
    """65.5 GB of weights in 72 GB, 3 GB of working memory: room for 13k tokens of 256 KiB, and a server must hold 32,768."""
    one = {"engines": {"default": {"gpus": 8, "tensor_parallel": 1, "max_len": 32_768}}, "synthesize": {}}
    (refusal,) = refused(planned(one), "synthesize")
    assert "room for 13" in refusal.what
    assert refusal.where == "engines.default.tensor_parallel"
    assert not planned({**one, "engines": {"default": {"tensor_parallel": 2, "max_len": 32_768}}}).refusals
    assert not planned({**one, "engines": {"default": {"tensor_parallel": 1, "max_len": 8_192}}}).refusals


def test_more_accelerators_than_there_are_and_heads_that_do_not_divide_are_refused():
    assert "wants 8 accelerators, the machine has 4" in refused(planned({"synthesize": {}}, gpus=4), "synthesize")[0].what
    odd = planned({"engines": {"default": {"gpus": 6, "tensor_parallel": 3}}, "synthesize": {}})
    assert "40 attention heads" in refused(odd, "synthesize")[0].what
    assert exit_code(odd.refusals) == 2


def test_sequences_longer_than_the_context_are_refused(tmp_path):
    path = recipe_file(
        tmp_path,
        models={"generator": str(save_tiny_model(tmp_path / "tiny"))},
        engines={"default": {"kind": "transformers"}},
        synthesize={"sample": {"max_tokens": 100_000}},
    )
    plan = plan_recipe(load(path), machine("CPU"))
    assert "do not fit the" in refused(plan, "synthesize")[0].what
    assert exit_code(plan.refusals) == 2


def test_training_texts_longer_than_allowed_are_refused():
    (refusal,) = [r for r in planned({"cold_start": {}, "training": {"max_tokens": 900, "method": "lora"}}).refusals if r.exit_code == 2]
    assert refusal.where == "training.max_tokens"


def test_a_server_that_cannot_score_and_one_that_would_serve_old_weights_are_refused():
    hosted = {"default": {"kind": "openai", "urls": ["http://x/v1"], "scoring": "none"}}
    plan = planned({"engines": hosted, "em": EM})
    assert {r.exit_code for r in plan.refusals} == {2, 5}
    assert any("does not score given text" in r.what for r in plan.refusals)
    assert any("would go on serving its old weights" in r.what for r in plan.refusals)
    assert exit_code(plan.refusals) == 2


def test_annotators_servers_that_do_not_fit_side_by_side_are_refused():
    sections = {
        "models": {"a": "Qwen/Qwen2.5-32B-Instruct", "b": "microsoft/phi-4"},
        "annotate": {"annotators": [{"model": "a"}, {"model": "b"}]},
    }
    assert "side by side and want 16 accelerators" in refused(planned(sections), "annotate")[0].what


def test_a_budget_that_the_middle_estimate_exceeds_is_refused():
    """8.7M tokens, of 10,000 completions of 870, and as many prefixes of 90."""
    written = {"synthesize": {"concept_sets": 10_000, "sample": {"max_tokens": 4096}}}
    assert not planned({**written, "budget": {"tokens": 9.7e6, "gpu_hours": 1e3, "wall_hours": 1e3}}).refusals
    (whole,) = planned({**written, "budget": {"tokens": 9.5e6}}).refusals
    assert (whole.exit_code, whole.where, whole.stage) == (4, "budget.tokens", "budget")
    assert "9,600,000 tokens are more than the budget of 9,500,000" in whole.what
    (stage,) = planned({**written, "budget": {"stages": {"synthesize": {"wall_hours": 0.001}, "em": {"tokens": 1}}}}).refusals
    assert (stage.exit_code, stage.where, stage.stage) == (4, "budget.stages.synthesize.wall_hours", "synthesize")


def test_of_several_refusals_the_one_to_mend_first_decides_the_code():
    over = {"budget": {"tokens": 1}, "cold_start": {}}
    assert exit_code(planned(over).refusals) == 5
    assert exit_code(planned({**over, "training": {"max_tokens": 10}}).refusals) == 2
    assert exit_code(()) == 0
