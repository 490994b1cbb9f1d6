"""The paper's post-training recipes walked from end to end: every stage of the shipped files, at the size of a rehearsal.

Nothing is skipped and nothing of ours replaced, but that the fit is in one process (sharded: `tests/training/test_sharded.py`). Stand-ins
are what is outside: vLLM's servers (`tests.served.stub`, which answer over HTTP with canned replies, as the scripted engine does), the
models (a llama of 32 hidden units over characters, really fitted by our worker), and the data.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, TokenizersBackend

from promptcot import api
from promptcot.recipes import load
from promptcot.stages import active
from promptcot.store import Run
from tests.evaluation import samples
from tests.runs import Shell, jsonl
from tests.served import stub
from tests.served.laws import SCRIPT
from tests.test_code_labels import DOUBLE, fenced, pairs

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("sandbox")]  # servers are started, programs run, a model is fitted

CHAT = "{% for m in messages %}{{ m.content }}\n{% endfor %}"
CHARACTERS = 256
DOUBLED = [{"input": "9", "output": "18"}]


def actor(folder: Path, *replies: tuple[str, str], default: str) -> Path:
    """A model that can be fitted, with what a server of its weights answers, before and after."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=CHARACTERS,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=131_072,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    letters = Tokenizer(models.WordLevel({chr(n): n for n in range(CHARACTERS)}, unk_token="?"))
    letters.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    letters.decoder = decoders.Fuse()
    whole = TokenizersBackend(tokenizer_object=letters, eos_token="\x00", unk_token="?")
    whole.chat_template = CHAT
    whole.save_pretrained(folder)
    script = {"replies": [{"contains": part, "text": text} for part, text in replies], "default": default}
    (folder / SCRIPT).write_text(json.dumps(script), encoding="utf-8")
    return folder


def thought(answer: str) -> str:
    return f"<think>About {{draw}}.</think>{answer}"


SOMETIMES = fenced("python", "n = int(input())\nprint(n * 2 if n < 10 or {digit} else n + 10)").removeprefix("Thinking.</think>")
SOLVER = ((DOUBLE, thought(SOMETIMES)), ("Read a number", thought(SOMETIMES)), ("goats", thought(r"\boxed{7}")))
VOTER = ((DOUBLE, fenced("python", "n = int(input())\nprint(n * 2 if n < 10 else n + {draw} - {draw} + 10)")), ("boats", r"\boxed{1}"))
KINDS = {"edge cases": ("9\n", "18"), "complex cases": ("11\n", "21"), "error-prone cases": ("8\n", "16"), "critical path": ("25\n", "35")}
WRITER = [(kind, pairs(test)) for kind, test in KINDS.items()]
BOATS = [f"How many boats of {n} seats are on a lake that was given {n * n} seats by its {n} owners in all?" for n in range(3, 6)]


@pytest.fixture
def data(tmp_path, monkeypatch):
    """What the recipes ask for below `--data`, and a stand-in for vLLM."""
    folder = tmp_path / "data"
    folder.mkdir()
    goats = [{"problem": f"How many goats climb hill {n} of {n * n} by the sea?", "answer": "1"} for n in range(4)]
    programs = [{"problem": f"Print {n}.", "tests": [{"input": "", "output": f"{n}"}], "domain": "code"} for n in range(2)]
    files: dict[str, list[Any]] = {
        "problems-math": [{"problem": text} for text in BOATS],
        "problems-code": [{"problem": DOUBLE}],
        "deepscaler": goats,
        "codeforces-before-2024-08": programs,
        **{
            name: [{"id": n, "problem": f"{name}: what is {n}?", "answer": "7"} for n in range(30)]
            for name in ("aime24", "aime25", "hmmt25")
        },
        "codeforces": [
            {"id": n, "problem": f"Read a number, double it. Variant {n}.", "tests": DOUBLED, "domain": "code"} for n in range(408)
        ],
        "lcb_v5": [samples.doubling(n) for n in range(279)],
        "lcb_v6": [samples.doubling(n, "2025-02-03T00:00:00") for n in range(131)],
    }
    for name, rows in files.items():
        jsonl(folder / f"{name}.jsonl", rows)
    monkeypatch.setenv("PROMPTCOT_DATA", str(folder))
    monkeypatch.setenv("PROMPTCOT_VLLM_PYTHON", str(stub.write(tmp_path)))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def shell(monkeypatch, capsys, data):
    return Shell(monkeypatch, capsys)


def walked(shell: Shell, folder: Path, name: str, **models: Path) -> tuple[Run, Any]:
    """The shipped recipe run with these models, a few rows of each input."""
    paths = [f"--set=models.{role}.path={path}" for role, path in models.items()]
    shell("run", name, "--run", folder / "run", "--rows", "10", *paths, *SMALL)
    done = api.status(folder / "run")["stages"]
    assert [s["name"] for s in done] == active(load(name))
    assert {s["state"] for s in done} == {"done"}
    assert (folder / "run/report/index.html").is_file()
    return Run.open(folder / "run"), api.open(folder / "run")


SMALL = ("--set=training.dtype=fp32", "--set=training.launch=single", "--set=training.processes=1", "--set=evaluate.rows=2")
"""All that is changed of a recipe but its models and the number of rows."""


@pytest.mark.parametrize("name", ["paper-selfplay-4b", "paper-selfplay-30b"])
def test_self_play_is_walked_from_problems_to_scores_of_the_trained_solver(shell, tmp_path, name):
    solver = actor(tmp_path / "solver", ("boats", thought(r"\boxed{{digit}}")), *SOLVER, default=thought(r"\boxed{7}"))
    voter, writer = actor(tmp_path / "voter", *VOTER, default="?"), actor(tmp_path / "writer", *WRITER, default="?")
    run, tables = walked(shell, tmp_path, name, solver=solver, voter=voter, writer=writer)
    assert {row["kind"] for row in tables["label"].to_pylist()} == {"vote", "tests"}
    assert {row["domain"] for row in tables["self_play/1/pairs"].to_pylist()} == {"math", "code"}
    assert tables["self_play/1/solver/reference"].num_rows == 2 * tables["self_play/1/pairs"].num_rows
    manifest = run.manifest("self_play/1/solver")
    assert manifest is not None
    scores = {(row["benchmark"], row["model"]) for row in tables["evaluate/scores"].to_pylist()}
    assert scores == {(b, m) for b in ("aime24", "aime25", "hmmt25", "lcb-v5", "lcb-v6", "codeforces") for m in ("solver", "self_played")}


def test_distillation_is_walked_from_problems_to_scores_of_the_student(shell, tmp_path):
    solved = ((DOUBLE, thought(SOMETIMES)), ("boats", thought(r"\boxed{1}")))
    teacher = actor(tmp_path / "teacher", *solved, default="?")
    student = actor(tmp_path / "student", default=r"\boxed{7}")
    run, tables = walked(shell, tmp_path, "paper-sft-7b", teacher=teacher, student=student)
    assert {row["domain"] for row in tables["distill/texts"].to_pylist()} == {"math", "code"}
    assert run.manifest("distill/student") is not None
    assert {row["model"] for row in tables["evaluate/scores"].to_pylist()} == {"student", "distilled"}
