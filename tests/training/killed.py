"""A fit that kills itself: python -m tests.training.killed MODEL OUT CHECKPOINTS STEP."""

import os
import signal
import sys
from pathlib import Path

from promptcot.training import Progress, fit
from tests.training.test_checkpoints import SETTINGS, TRAINING
from tests.training.test_worker import EXAMPLES


def main(model: str, out: str, checkpoints: str, step: str) -> None:
    def die(done: Progress) -> None:
        if done.step == int(step):
            os.kill(os.getpid(), signal.SIGKILL)

    fit(Path(model), EXAMPLES, SETTINGS, TRAINING, Path(out), seed=5, checkpoints=Path(checkpoints), on_step=die)


if __name__ == "__main__":
    main(*sys.argv[1:])
