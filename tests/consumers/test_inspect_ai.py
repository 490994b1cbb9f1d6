"""inspect_ai's own evaluation with our scorer, on its mock model."""

import json

import pytest

pytest.importorskip("inspect_ai")

from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.solver import generate

from promptcot.rewards.inspect_ai import math_answer, program_tests

pytestmark = [pytest.mark.consumers, pytest.mark.filterwarnings("ignore")]  # their warnings are not ours

REPLIES = [r"so \boxed{\frac{1}{2}}", r"\boxed{3}", "no idea", r"\boxed{\int_0^1 x\,dx}"]
TARGETS = ["0.5", "4", "4", r"\frac12"]


def evaluated(folder, samples, replies, scorer):
    """The log of an evaluation in which the model gives these replies."""
    outputs = [ModelOutput.from_content("mockllm/model", text) for text in replies]
    for output in outputs:
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)  # it would fetch a tokenizer to count them
    model = get_model("mockllm/model", custom_outputs=outputs)
    task = Task(dataset=samples, solver=generate(), scorer=scorer)
    return eval(task, model=model, display="none", log_dir=str(folder), max_connections=1, max_samples=1)[0]


def verdicts(log):
    assert log.status == "success", log.error.message if log.error else ""
    scores = [next(iter((sample.scores or {}).values())) for sample in log.samples or []]
    return [score.metadata["verdict"] for score in scores if score.metadata]


def test_an_evaluation_counts_right_answers_and_tells_wrong_from_none(tmp_path):
    log = evaluated(tmp_path, [Sample(input="?", target=t) for t in TARGETS], REPLIES, math_answer())
    assert verdicts(log) == ["correct", "wrong", "no_answer", "correct"]
    assert log.results.scores[0].metrics["accuracy"].value == 0.5


DOUBLES = [{"input": "3", "output": "6"}, {"input": "4", "output": "8"}]


@pytest.mark.usefixtures("sandbox")
def test_programs_are_run_on_the_tests_of_their_sample(tmp_path):
    samples = [
        Sample(input="?", target=json.dumps(DOUBLES)),
        Sample(input="?", target="", metadata={"tests": DOUBLES}),
        Sample(input="?", target="", metadata={"tests": {"inputs": ["3"], "outputs": ["6"]}, "function": "double"}),
        Sample(input="?", target=json.dumps(DOUBLES)),
    ]
    replies = [
        "```python\nprint(int(input()) * 2)\n```",
        "```python\nprint(6)\n```",
        "```python\ndef double(x):\n    return 2 * x\n```",
        "I cannot.",
    ]
    log = evaluated(tmp_path, samples, replies, program_tests())
    assert verdicts(log) == ["correct", "wrong", "correct", "no_answer"]
    assert log.results.scores[0].metrics["accuracy"].value == 0.5


def test_tests_that_cannot_be_read_are_an_error_and_no_score(tmp_path):
    log = evaluated(tmp_path, [Sample(input="?", target="many")], ["```python\nprint(6)\n```"], program_tests())
    assert log.status == "error"
    assert "its tests cannot be read" in log.error.message
