"""lm-evaluation-harness's own evaluation of an exported benchmark, with a model that gives known replies."""

from collections import defaultdict

import pytest

pytest.importorskip("lm_eval")

from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

from tests.consumers.exported import BENCHMARKS, Known, answers, without_a_reference

pytestmark = [pytest.mark.consumers, pytest.mark.filterwarnings("ignore")]  # their warnings are not ours


class Knowing(LM):
    """Gives every prompt its replies, one after the other."""

    tokenizer_name = "none"

    def __init__(self, replies):
        super().__init__()
        self.replies, self.asked, self.settings = replies, defaultdict(int), []

    def generate_until(self, requests, disable_tqdm=False):
        found = []
        for prompt, settings in (request.args for request in requests):
            found.append(self.replies[prompt][self.asked[prompt]])
            self.asked[prompt] += 1
            self.settings.append(settings)
        return found

    def apply_chat_template(self, chat_history, add_generation_prompt=True):
        (turn,) = chat_history
        assert turn["role"] == "user"
        return turn["content"]

    def loglikelihood(self, requests, disable_tqdm=False):
        raise NotImplementedError

    def loglikelihood_rolling(self, requests, disable_tqdm=False):
        raise NotImplementedError


def evaluated(known: Known, **options):
    model = Knowing(known.replies)
    manager = TaskManager(include_path=str(known.folder), include_defaults=False)
    found = simple_evaluate(model=model, tasks=[known.task], task_manager=manager, bootstrap_iters=0, log_samples=True, **options)
    return found, model


@pytest.mark.parametrize("benchmark", BENCHMARKS)
@pytest.mark.parametrize("chat", [False, True])
def test_an_evaluation_gives_the_known_score(tmp_path, monkeypatch, benchmark, chat, sandbox):
    known = benchmark(tmp_path, "lm-eval")
    monkeypatch.chdir("/")  # the questions lie beside the YAML, wherever it is run from
    found, model = evaluated(known, apply_chat_template=chat)
    scores = found["results"][known.task]
    assert scores["acc,verified"] == pytest.approx(known.acc)
    assert scores["format,verified"] == pytest.approx(known.format)
    assert scores["verifier_error,verified"] == 0
    assert {s["doc"]["name"]: s["filtered_resps"][0] for s in found["samples"][known.task]} == known.verdicts
    assert set(model.asked.values()) == {2}
    assert {(s["temperature"], s["top_p"], s["max_gen_toks"], s["do_sample"], *s["until"]) for s in model.settings} == {
        (0.6, 0.95, 4096, True)
    }


def test_a_question_that_the_verifier_fails_on_is_in_no_mean(tmp_path):
    known = answers(tmp_path, "lm-eval")
    without_a_reference(known.folder)
    scores = evaluated(known)[0]["results"][known.task]
    assert scores["acc,verified"] == pytest.approx(1 / 4)
    assert scores["verifier_error,verified"] == pytest.approx(1 / 3)
