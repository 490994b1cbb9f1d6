"""Fits on pairs as steps of a run: the reference is scored once and kept, checkpoints survive a kill and go with the result."""

import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from promptcot import models
from promptcot.engines.protocol import Tokens
from promptcot.errors import Stopped
from promptcot.executors import CHECKPOINTS, LocalWorkplace, Progress
from promptcot.fitting import PairTokens, fit_on_pairs
from promptcot.metering import spent_in
from promptcot.recipe import EngineSpec, Fit, Training
from promptcot.roles import Role
from promptcot.store import Run
from promptcot.templates import PLAIN
from tests.training.test_pairs import PAIRS, log_p
from tests.training.tiny import save_llama

TRAINING = Training(dtype="fp32", max_tokens=8, checkpoint_steps=1)
LONG = PairTokens("long", Tokens((1,), ((5, 2),)), Tokens((1,), ((6,) * 9,)))
TEXTS = [*(PairTokens(pair.id, pair.chosen, pair.rejected, pair.weight) for pair in PAIRS), LONG]
