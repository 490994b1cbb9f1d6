"""Fits on pairs as steps of a run: the reference is scored once and kept, checkpoints survive a kill and go with the result."""

import math
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from promptcot import models
from promptcot.engines.protocol import Tokens
from promptcot.errors import Stopped
from promptcot.executors import CHECKPOINTS, LocalWorkplace, Progress, Watch
from promptcot.fitting import PairTokens, fit_on_pairs
from promptcot.metering import spent_in
from promptcot.recipe import EngineSpec, Fit, Training
from promptcot.records import ScoreRow
from promptcot.roles import Role
from promptcot.store import Manifest, Run
from promptcot.tables import read_parquet
from promptcot.templates import PLAIN
from tests.training.test_pairs import PAIRS, log_p
from tests.training.tiny import save_llama

TRAINING = Training(dtype="fp32", max_tokens=8, checkpoint_steps=1)
LONG = PairTokens("long", Tokens((1,), ((5, 2),)), Tokens((1,), ((6,) * 9,)))
TEXTS = [*(PairTokens(pair.id, pair.chosen, pair.rejected, pair.weight) for pair in PAIRS), LONG]


def start_at(folder: Path) -> Role:
    save_llama(folder)
    words = {"<eos>": 0, **{f"w{n}": n for n in range(1, 50)}}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel(words, unk_token="w1")), eos_token="<eos>", unk_token="w1")
    tokenizer.save_pretrained(folder)
    return Role("solver", folder, models.fingerprint(folder), EngineSpec(dtype="fp32", device="cpu"), PLAIN)


def place_at(folder: Path, watch: Watch | None = None) -> LocalWorkplace:
    run = Run.create(folder, {})
    with run.writing():
        return LocalWorkplace(run, watch=watch)


def fit(place: LocalWorkplace, start: Role) -> Role:
    return fit_on_pairs(place, "dpo/1", start, TEXTS, Fit(epochs=3, lr=1e-3, batch=2), 0.2, TRAINING, seed=0)


@pytest.mark.slow
def test_the_reference_is_scored_once_and_a_broken_fit_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    start = start_at(tmp_path / "llama")
    whole = fit(place_at(tmp_path / "whole"), start)

    def fail(progress: Progress) -> None:
        if progress.step == "dpo/1" and progress.done == 3:
            raise KeyboardInterrupt

    broken = place_at(tmp_path / "run", watch=fail)
    with pytest.raises(KeyboardInterrupt):
        fit(broken, start)
    (folder,) = broken.run.folders("dpo/1")
    assert [path.name for path in (folder / CHECKPOINTS).iterdir()] == ["step-00000003"]

    place = place_at(tmp_path / "run")
    scored = place.run.manifest("dpo/1/reference")
    fitted = fit(place, start)
    assert fitted.fingerprint == whole.fingerprint
    assert not (folder / CHECKPOINTS).exists()
    assert place.run.manifest("dpo/1/reference") == scored
    info = load(place, "dpo/1").info
    assert (info["steps"], info["examples"], info["dropped"]) == (6, 3, ["long"])
    assert info["margins"][0] == pytest.approx(0, abs=1e-4), "the reference is what the fit starts from"
    trained = 3 * sum(len(pair.chosen) + len(pair.rejected) for pair in PAIRS)
    assert spent_in(folder).tokens_trained == trained == info["total_tokens"], "what the broken process did is booked, once"
    assert fit(place, start) == fitted


def test_the_reference_is_log_p_of_all_segments_and_what_is_too_long_is_not_scored(tmp_path: Path) -> None:
    start, place = start_at(tmp_path / "llama"), place_at(tmp_path / "run")
    fit(place, start)
    manifest = load(place, "dpo/1/reference")
    rows = read_parquet(sorted((tmp_path / "run").glob("dpo/1/reference/*/part-*.parquet")), ScoreRow).to_pylist()
    assert manifest.rows_out == len(rows) == 2 * len(PAIRS)
    model = AutoModelForCausalLM.from_pretrained(start.path)
    expected = [log_p(model, text).item() for pair in PAIRS for text in (pair.chosen, pair.rejected)]
    assert [math.fsum(row["log_p"]) for row in rows] == pytest.approx(expected, abs=1e-4)


def test_a_pair_beyond_the_models_context_is_dropped_too_and_not_scored(tmp_path: Path) -> None:
    """Of 2048 tokens; the engine would refuse to score more."""
    endless = PairTokens("endless", Tokens((1,), ((5, 2),)), Tokens((1,), ((6,) * 3000,)))
    place, more = place_at(tmp_path / "run"), TRAINING.model_copy(update={"max_tokens": 4096})
    fit_on_pairs(place, "dpo/1", start_at(tmp_path / "llama"), [*TEXTS, endless], Fit(), 0.1, more, seed=0)
    assert load(place, "dpo/1").info["dropped"] == ["endless"]


def test_no_pairs_are_no_fit(tmp_path: Path) -> None:
    with pytest.raises(Stopped, match="nothing to fit"):
        fit_on_pairs(place_at(tmp_path / "run"), "dpo/1", start_at(tmp_path / "llama"), [], Fit(), 0.1, TRAINING, seed=0)


def load(place: LocalWorkplace, name: str) -> Manifest:
    manifest = place.run.manifest(name)
    assert manifest is not None
    return manifest
