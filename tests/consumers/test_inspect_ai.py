"""inspect_ai's own evaluation with our scorer, on its mock model."""

import pytest

pytest.importorskip("inspect_ai")

from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.solver import generate

from promptcot.rewards.inspect_ai import math_answer

pytestmark = [pytest.mark.consumers, pytest.mark.filterwarnings("ignore")]  # their warnings are not ours

REPLIES = [r"so \boxed{\frac{1}{2}}", r"\boxed{3}", "no idea", r"\boxed{\int_0^1 x\,dx}"]
TARGETS = ["0.5", "4", "4", r"\frac12"]


def test_an_evaluation_counts_right_answers_and_tells_wrong_from_none(tmp_path):
    outputs = [ModelOutput.from_content("mockllm/model", text) for text in REPLIES]
    for output in outputs:
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)  # it would fetch a tokenizer to count them
    model = get_model("mockllm/model", custom_outputs=outputs)
    task = Task(dataset=[Sample(input="?", target=t) for t in TARGETS], solver=generate(), scorer=math_answer())
    log = eval(task, model=model, display="none", log_dir=str(tmp_path), max_connections=1, max_samples=1)[0]
    assert log.status == "success", log.error.message if log.error else ""
    assert log.samples is not None
    scores = [next(iter((sample.scores or {}).values())) for sample in log.samples]
    assert [score.metadata["verdict"] for score in scores if score.metadata] == ["correct", "wrong", "no_answer", "correct"]
    assert log.results is not None
    assert log.results.scores[0].metrics["accuracy"].value == 0.5
