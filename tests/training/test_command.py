"""A fit by a program of one's own: it sees token ids and weights, and its model is taken only if it is one."""

import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from promptcot.engines.protocol import FitExample, Tokens
from promptcot.errors import Stopped, UsageError
from promptcot.recipe import Fit, Training
from promptcot.training import fit, fit_pairs
from tests.training.test_pairs import PAIRS
from tests.training.test_worker import EXAMPLES
from tests.training.tiny import save_llama

COPY = """
import json, pathlib, shutil, sys
data, model, out, seed, keep = sys.argv[1:]
keep = pathlib.Path(keep)
shutil.copytree(data, keep)
shutil.copytree(model, out, ignore=shutil.ignore_patterns("tokenizer*"))
(keep / "seed").write_text(seed)
"""
WHERE = ["{data}", "{model}", "{out}", "{seed}"]


def command(program: str, *more: str, max_tokens: int = 1024) -> Training:
    return Training(backend="command", cmd=[sys.executable, "-c", program, *WHERE, *more], max_tokens=max_tokens)


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    save_llama(tmp_path / "llama")
    (tmp_path / "llama" / "tokenizer.json").write_text("{}")
    return tmp_path / "llama"


def test_the_program_gets_what_a_fit_sees_and_its_model_is_taken(llama: Path, tmp_path: Path) -> None:
    from promptcot.training.files import read_job

    silent, long = FitExample("silent", Tokens((1,), ((2,),)), 0.0), FitExample("long", Tokens((1,), ((2,) * 30,)))
    training = command(COPY, str(tmp_path / "seen"), max_tokens=20)
    log = fit(llama, [*EXAMPLES, silent, long], Fit(epochs=2, batch=2), training, tmp_path / "out", seed=7)
    assert (log.examples, log.dropped, log.total_tokens) == (5, ("long",), 2 * sum(len(e.tokens) for e in EXAMPLES))
    job, _ = read_job(tmp_path / "seen")
    assert (job.examples, job.settings, job.training, job.seed, job.beta) == (tuple(EXAMPLES), Fit(epochs=2, batch=2), training, 7, None)
    assert (tmp_path / "seen" / "seed").read_text() == "7"
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"config.json", "model.safetensors", "tokenizer.json"}
    assert {path.name for path in tmp_path.iterdir()} == {"llama", "out", "seen"}


def test_pairs_go_with_their_reference(llama: Path, tmp_path: Path) -> None:
    from promptcot.training.files import read_job

    fit_pairs(llama, PAIRS, Fit(), 0.3, command(COPY, str(tmp_path / "seen")), tmp_path / "out", seed=0)
    job, _ = read_job(tmp_path / "seen")
    assert (job.examples, job.beta) == (tuple(PAIRS), 0.3)


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("print('out of paper'); raise SystemExit(3)", "ended with code 3(.|\n)*out of paper"),
        ("pass", "left no model"),
        ("import sys, shutil; shutil.copytree(sys.argv[2], sys.argv[3], ignore=shutil.ignore_patterns('*.safetensors'))", "no weights"),
        ("import sys, shutil; shutil.copytree(sys.argv[2], sys.argv[3]); open(sys.argv[3] + '/model.safetensors', 'w')", "left no model"),
    ],
)
def test_a_program_that_fails_or_leaves_no_model_stops_the_fit(llama: Path, tmp_path: Path, program: str, said: str) -> None:
    with pytest.raises(Stopped, match=said):
        fit(llama, EXAMPLES, Fit(), command(program), tmp_path / "out", seed=0)
    assert {path.name for path in tmp_path.iterdir()} == {"llama"}


def test_a_program_that_is_not_there_is_named(llama: Path, tmp_path: Path) -> None:
    training = Training(backend="command", cmd=["no-such-program", *WHERE])
    with pytest.raises(UsageError, match="no-such-program"):
        fit(llama, EXAMPLES, Fit(), training, tmp_path / "out", seed=0)


def test_a_command_must_name_its_places() -> None:
    with pytest.raises(ValidationError, match=r"needs \{model\}, \{out\} in"):
        Training(backend="command", cmd=["program", "{data}"])
