"""`training.report_to` reaches transformers' Trainer: who is named there hears of every step."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
from transformers import TrainerCallback
from transformers.integrations import integration_utils

from promptcot.errors import MissingHere, UsageError
from promptcot.training import fit
from tests.training.test_worker import EXAMPLES, FP32, ONE_STEP
from tests.training.tiny import save_llama


class Recorder(TrainerCallback):
    heard: ClassVar[list[dict[str, float]]] = []

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.heard.append(kwargs["logs"])


class Absent(TrainerCallback):
    def __init__(self) -> None:
        raise RuntimeError("requires a library that is not installed")


def test_who_is_named_hears_of_every_step_and_who_is_not_here_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_llama(tmp_path / "llama")
    monkeypatch.setitem(integration_utils.INTEGRATION_TO_CALLBACK, "recorder", Recorder)
    monkeypatch.setitem(integration_utils.INTEGRATION_TO_CALLBACK, "absent", Absent)

    def fitted(name: str) -> tuple[float, ...]:
        training = FP32.model_copy(update={"report_to": [name]})
        return fit(tmp_path / "llama", EXAMPLES, ONE_STEP, training, tmp_path / name, seed=0).losses

    (loss,) = fitted("recorder")
    assert (Recorder.heard[0]["loss"], Recorder.heard[0]["step"]) == (loss, 1)
    with pytest.raises(MissingHere, match="requires a library"):
        fitted("absent")
    with pytest.raises(UsageError, match="no-such-place"):
        fitted("no-such-place")
