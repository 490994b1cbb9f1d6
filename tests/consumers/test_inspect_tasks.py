"""inspect_ai's own evaluation of an exported benchmark, on its mock model."""

import gc
from collections import defaultdict

import pytest

pytest.importorskip("inspect_ai")

from inspect_ai import eval
from inspect_ai.model import ModelOutput, ModelUsage, get_model

from tests.consumers.exported import BENCHMARKS, Known, answers, without_a_reference

pytestmark = [pytest.mark.consumers, pytest.mark.filterwarnings("ignore")]  # their warnings are not ours


class Knowing:
    """Gives every prompt its replies, one after the other."""

    def __init__(self, replies, stop="stop"):
        self.replies, self.stop, self.asked, self.settings = replies, stop, defaultdict(int), []

    def __call__(self, messages, tools, tool_choice, config):
        (turn,) = messages
        assert turn.role == "user"
        text = self.replies[turn.text][self.asked[turn.text]]
        self.asked[turn.text] += 1
        self.settings.append((config.temperature, config.top_p, config.max_tokens))
        output = ModelOutput.from_content("mockllm/model", text, stop_reason=self.stop)
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)  # it would fetch a tokenizer to count them
        return output


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Where a benchmark is exported to; inspect_ai takes the path of a task only relative to where it runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def evaluated(known: Known, folder, knowing):
    model = get_model("mockllm/model", custom_outputs=knowing, memoize=False)
    options = {"display": "none", "log_dir": str(folder / "logs"), "max_connections": 1, "max_samples": 1}
    log = eval(str(known.folder.relative_to(folder) / "task.py"), model=model, **options)[0]
    gc.collect()  # of the streams that it leaves open Python complains now, where that is ignored
    assert log.status == "success", log.error.message if log.error else ""
    return log


def verdicts_of(log):
    found = defaultdict(list)
    for sample in log.samples:
        found[sample.id].append(sample.scores["verified"].metadata["verdict"])
    return found


def accuracy(log):
    return log.results.scores[0].metrics["accuracy"].value


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_an_evaluation_gives_the_known_score(folder, benchmark, sandbox):
    known = benchmark(folder, "inspect-ai")
    knowing = Knowing(known.replies)
    log = evaluated(known, folder, knowing)
    assert log.eval.task == known.task
    assert accuracy(log) == pytest.approx(known.acc)
    assert {name: sorted(found) for name, found in verdicts_of(log).items()} == {n: sorted(v) for n, v in known.verdicts.items()}
    assert set(knowing.settings) == {(0.6, 0.95, 4096)}
    assert log.eval.metadata["questions"] == len(known.verdicts)


def test_an_attempt_that_the_token_limit_cut_solves_nothing(folder):
    known = answers(folder, "inspect-ai")
    log = evaluated(known, folder, Knowing(known.replies, stop="max_tokens"))
    assert {verdict for found in verdicts_of(log).values() for verdict in found} == {"truncated"}
    assert accuracy(log) == 0


def test_a_question_that_the_verifier_fails_on_is_in_no_mean(folder):
    known = answers(folder, "inspect-ai")
    without_a_reference(known.folder)
    log = evaluated(known, folder, Knowing(known.replies))
    assert accuracy(log) == pytest.approx(1 / 4)
    assert log.results.scores[0].unscored_samples
