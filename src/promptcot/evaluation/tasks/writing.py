"""Writing a benchmark as a folder that another tool reads.

    questions.jsonl                          both: id, prompt, grading, reference, function, starter, ...
    promptcot_NAME.yaml, utils.py            lm-eval:     lm_eval run --include_path DIR --tasks promptcot_NAME ...
    task.py                                  inspect-ai:  cd DIR && inspect eval task.py --model ...

Nothing in a folder depends on where it is.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from promptcot import __version__
from promptcot.durable import aside, disk_errors, make_folder, publish, sync_tree
from promptcot.errors import UsageError
from promptcot.evaluation import benchmarks
from promptcot.evaluation.benchmarks import Benchmark
from promptcot.evaluation.stage import settled
from promptcot.evaluation.tasks import lm_eval, stored
from promptcot.recipe import Evaluate


@dataclass(frozen=True)
class Exported:
    """A written folder: the task's name in the tool, how many questions it has, and the command that runs it."""

    folder: Path
    task: str
    questions: int
    command: str


@dataclass(frozen=True)
class _Task:
    """What a folder is written from."""

    benchmark: Benchmark
    settings: Evaluate
    samples: int

    @property
    def name(self) -> str:
        """An identifier in Python and in lm_eval."""
        plain = re.sub(r"[^A-Za-z0-9]+", "_", self.benchmark.name).strip("_")
        return f"promptcot_{plain or self.benchmark.digest[:12]}"

    @property
    def policy(self) -> dict[str, Any]:
        return {key: getattr(self.settings, key) for key in stored.POLICY}

    @property
    def about(self) -> dict[str, Any]:
        """Where the questions are from, for the logs of the tool."""
        b = self.benchmark
        facts = {"benchmark": b.name, "source": b.source, "digest": b.digest, "note": b.note}
        return {"version": 1, **facts, "questions": len(b.questions), "promptcot": __version__}


def export(settings: Evaluate, to: str, folder: Path, *, seed: int = 0, domain: str = "math") -> Exported:
    """Write the one benchmark of `settings` as a task for `to`, one of `TOOLS`, with its number of samples, sampler and grading.

    Raises `UsageError` for an unknown tool, a folder that is in use, and a benchmark that has statements only."""
    if to not in TOOLS:
        raise UsageError(f"`{to}` is no tool that benchmarks are exported to", where="--to", remedy=", ".join(TOOLS))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError("there is something already", where=str(folder), remedy="name a new or empty folder")
    spec = settled(settings.benchmarks[0], settings)
    benchmark = benchmarks.load(spec.name, rows=spec.rows, window=spec.window, seed=seed, domain=domain)
    if not benchmark.gradable:
        raise UsageError(
            f"`{benchmark.name}` has statements only: nothing to grade by", where=benchmark.source, remedy="get its tests or answers"
        )
    task = _Task(benchmark, settings, spec.samples or 1)
    texts, command = TOOLS[to](task)
    _publish(folder, task, texts)
    return Exported(folder, task.name, len(benchmark.questions), command.format(folder=shlex.quote(str(folder)), task=task.name))


def _publish(folder: Path, task: _Task, texts: Mapping[str, str]) -> None:
    target = aside(folder)
    make_folder(target)
    stored.write(target, task.benchmark.questions)
    for name, text in texts.items():
        with disk_errors(target / name):
            (target / name).write_text(text, encoding="utf-8")
    sync_tree(target)
    publish(target, folder)


class _Function(str):
    """lm_eval's `!function`: a name in a module beside the YAML."""


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(_Function, lambda dumper, name: dumper.represent_scalar("!function", str(name)))


def _lm_eval(task: _Task) -> tuple[dict[str, str], str]:
    how = task.settings.sample
    greedy = how.temperature == 0
    sampler = {"do_sample": False} if greedy else {"do_sample": True, "temperature": how.temperature, "top_p": how.top_p}
    config = {
        "task": task.name,
        "custom_dataset": _Function("utils.documents"),
        "test_split": lm_eval.SPLIT,
        "output_type": "generate_until",
        "num_fewshot": 0,
        "doc_to_text": "prompt",
        "doc_to_target": "target",
        "generation_kwargs": {"until": [], "max_gen_toks": how.max_tokens, **sampler},
        "repeats": task.samples,
        "filter_list": [{"name": lm_eval.FILTER, "filter": [{"function": "custom", "filter_fn": _Function("utils.verdicts")}]}],
        "process_results": _Function("utils.process_results"),
        "metric_list": [{"metric": name, "aggregation": "mean", "higher_is_better": name != "verifier_error"} for name in lm_eval.SCORES],
        "metadata": task.about,
    }
    text = yaml.dump(config, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=140)
    command = "lm_eval run --include_path {folder} --tasks {task} --apply_chat_template --log_samples --model ..."
    return {f"{task.name}.yaml": text, "utils.py": _UTILS.format(policy=task.policy)}, command


def _inspect_ai(task: _Task) -> tuple[dict[str, str], str]:
    how = task.settings.sample
    config = f"temperature={how.temperature!r}, top_p={how.top_p!r}, max_tokens={how.max_tokens}"
    text = _TASK.format(task=task.name, policy=task.policy, about=task.about, samples=task.samples, config=config)
    return {"task.py": text}, "cd {folder} && inspect eval task.py --model ..."  # it takes no absolute path


TOOLS: Mapping[str, Callable[[_Task], tuple[dict[str, str], str]]] = {"lm-eval": _lm_eval, "inspect-ai": _inspect_ai}
"""Tool -> its files beside the questions, and the command that runs them."""

_UTILS = '''"""What the YAML beside this calls. Needs promptcot; programs run in its sandbox, nothing of a model's runs outside it."""

from pathlib import Path

from promptcot.evaluation.tasks import lm_eval

FOLDER = Path(__file__).parent
POLICY = {policy!r}


def documents(**_):
    """The questions."""
    return lm_eval.documents(FOLDER, POLICY)


def verdicts(responses, docs):
    """All attempts at all documents, graded."""
    return lm_eval.verdicts(FOLDER, POLICY, responses, docs)


def process_results(doc, results):
    """A document's metrics."""
    return lm_eval.results(doc, results)
'''

_TASK = '''"""Run by `inspect eval task.py --model ...`. Needs promptcot; programs run in its sandbox."""

from pathlib import Path

from inspect_ai import Task, task
from inspect_ai.model import GenerateConfig
from inspect_ai.solver import generate

from promptcot.evaluation.tasks.inspect_ai import samples, verified

FOLDER = Path(__file__).resolve().parent
POLICY = {policy!r}
ABOUT = {about!r}


@task
def {task}() -> Task:
    """The questions as promptcot asks and grades them."""
    return Task(
        dataset=samples(FOLDER, POLICY),
        solver=generate(),
        scorer=verified(str(FOLDER), POLICY),
        epochs={samples},
        config=GenerateConfig({config}),
        metadata=ABOUT,
    )
'''
