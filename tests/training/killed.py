"""A fit that kills its own process after a step: python -m tests.training.killed MODEL OUT CHECKPOINTS STEP EPOCHS LAUNCH PROCESSES."""

import os
import signal
import sys
from pathlib import Path

from promptcot.recipe import Fit, Training
from promptcot.training import FitLog, Progress, fit
from tests.training.test_worker import EXAMPLES


def run(model: Path, out: Path, checkpoints: Path, step: int, epochs: float, launch: str, processes: int) -> FitLog:
    """`step` 0: without the kill."""

    def die(done: Progress) -> None:
        print(done.step, done.steps, flush=True)
        if done.step >= step > 0:
            os.kill(os.getpid(), signal.SIGKILL)

    training = Training.model_validate({"dtype": "fp32", "checkpoint_steps": 2, "processes": processes, "launch": launch})
    settings = Fit(epochs=epochs, lr=1e-3, batch=2, warmup=0.3)
    return fit(model, EXAMPLES, settings, training, out, seed=5, checkpoints=checkpoints, on_step=die)


if __name__ == "__main__":
    model, out, checkpoints, step, epochs, launch, processes = sys.argv[1:]
    run(Path(model), Path(out), Path(checkpoints), int(step), float(epochs), launch, int(processes))
