"""verl's own loader and reward managers, the ones on Ray too, with our `compute_score`."""

import asyncio
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("verl")

import datasets
import numpy as np
import pyarrow as pa
import ray
import torch
from hydra import compose, initialize_config_module
from tokenizers import Tokenizer, decoders
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedTokenizerFast
from verl import DataProto
from verl.experimental.reward_loop import RewardLoopManager, migrate_legacy_reward_impl
from verl.trainer.ppo.reward import get_custom_reward_fn, load_reward_manager
from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn
from verl.workers.reward_manager import NaiveRewardManager

from promptcot.exporting.verl import SCHEMA, write
from promptcot.rewards import verl as rewards

pytestmark = [pytest.mark.consumers, pytest.mark.filterwarnings("ignore")]  # their warnings are not ours

FILE = f"custom_reward_function.path={rewards.__file__}"
NAME = "custom_reward_function.name=compute_score"
DOUBLES = {"inputs": ["3\n", "4\n"], "outputs": ["6\n", "8\n"]}
CALLS = {"inputs": ["3", "[1]"], "outputs": ["6", "[1, 1]"], "fn_name": "double"}


def block(code: str) -> str:
    return f"<think>a first attempt</think>This should do.\n```python\n{code}\n```"


ANSWERS: list[tuple[Any, str, str]] = [
    ("0.5", r"so \boxed{\frac{1}{2}}", "correct"),
    ("2", r"\boxed{x=2}", "correct"),
    (r"\frac12", r"\boxed{\int_0^1 x\,dx}", "correct"),  # equal by algebra, in its sandbox
    ("4", r"\boxed{3}", "wrong"),
    ("4", "no idea", "no_answer"),
]
PROGRAMS: list[tuple[Any, str, str]] = [
    (json.dumps(DOUBLES), block("print(int(input()) * 2)"), "correct"),
    (DOUBLES, block("print(int(input()) * 2)"), "correct"),
    (json.dumps(DOUBLES), block("print(6)"), "wrong"),
    (json.dumps(DOUBLES), block("print(1 / 0)"), "program_error"),
    (json.dumps(DOUBLES), "I cannot.", "no_answer"),
    (json.dumps(CALLS), block("def double(x):\n    return x * 2"), "correct"),
    (json.dumps({"inputs": ["3"], "outputs": []}), block("print(6)"), "verifier_error"),
]
TOLD = ("undecided", "no_answer", "program_error", "program_timeout", "verifier_error")


def config(*overrides: str) -> Any:
    """The trainer's own configuration with these overrides, brought up to date as the trainer does."""
    with initialize_config_module("verl.trainer.config", version_base=None):
        return migrate_legacy_reward_impl(compose("ppo_trainer", overrides=list(overrides)))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> PreTrainedTokenizerFast:
    """A token a byte, so that any text comes back as it was."""
    letters = sorted(ByteLevel.alphabet())
    bytewise = Tokenizer(BPE({letter: n for n, letter in enumerate(letters)}, []))
    bytewise.pre_tokenizer, bytewise.decoder = ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=bytewise, pad_token="<pad>", eos_token="<eos>")
    folder = tmp_path_factory.mktemp("tokenizer")
    made.save_pretrained(folder)
    loaded: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(folder)
    return loaded


@pytest.fixture(scope="module")
def with_ray() -> Iterator[None]:
    """Ray on this machine alone."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:  # sockets: short paths
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(num_cpus=2, include_dashboard=False, object_store_memory=2**27, log_to_driver=False, _temp_dir=folder)
        yield
        ray.shutdown()


def batch(tokenizer, replies: Sequence[str], columns: dict[str, Any]) -> DataProto:
    """What a rollout hands to the reward: prompts padded on the left, replies on the right."""
    encoded = [[*tokenizer.encode(reply), tokenizer.eos_token_id] for reply in replies]
    width = max(map(len, encoded))
    prompt = tokenizer.encode("?")
    pad = tokenizer.pad_token_id
    return DataProto.from_dict(
        tensors={
            "prompts": torch.tensor([[pad, *prompt]] * len(encoded)),
            "responses": torch.tensor([ids + [pad] * (width - len(ids)) for ids in encoded]),
            "attention_mask": torch.tensor([[0, *[1] * len(prompt), *[1] * len(ids), *[0] * (width - len(ids))] for ids in encoded]),
        },
        non_tensors=columns,
    )


def asked(tokenizer, cases: Sequence[tuple[Any, str, str]]) -> DataProto:
    columns = {
        "data_source": ["promptcot/any" for _ in cases],
        "reward_model": [{"style": "rule", "ground_truth": truth} for truth, _, _ in cases],
        "extra_info": [{"index": n} for n, _ in enumerate(cases)],
    }
    return batch(tokenizer, [reply for _, reply, _ in cases], {name: np.array(column, dtype=object) for name, column in columns.items()})


def expected(cases: Sequence[tuple[Any, str, str]]) -> list[dict[str, float]]:
    scores = [float(verdict == "correct") for _, _, verdict in cases]
    return [
        {"score": score, "acc": score, **{name: float(name == verdict) for name in TOLD}}
        for score, (_, _, verdict) in zip(scores, cases, strict=True)
    ]


def at_the_end(batch: DataProto, rewards: torch.Tensor) -> list[float]:
    """The reward of each row, which stands on the reply's last token; everything else is zero."""
    prompt = batch.batch["prompts"].shape[1]
    last = batch.batch["attention_mask"][:, prompt:].sum(dim=1) - 1
    found = rewards[torch.arange(len(batch)), last]
    assert rewards.sum() == found.sum()
    return list(found.tolist())


def table(extra: dict[str, Any], size: int) -> list[dict[str, float]]:
    return [{name: float(extra[name][n]) for name in ("score", "acc", *TOLD)} for n in range(size)]


@pytest.mark.parametrize(
    "overrides",
    [
        (FILE, NAME),
        (f"reward.{FILE}",),
        (f"reward.{FILE}", f"reward.{NAME}"),
        ("reward.custom_reward_function.path=pkg://promptcot.rewards.verl",),
    ],
)
def test_its_loader_finds_the_function_by_old_and_new_settings(overrides):
    loaded = get_custom_reward_fn(config(*overrides))
    assert loaded is not None
    given = loaded(data_source="promptcot/math", solution_str=r"\boxed{2}", ground_truth="2", extra_info={"num_turns": None})
    assert given == expected([("2", "", "correct")])[0]


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("cases", [ANSWERS, PROGRAMS], ids=["answers", "programs"])
def test_its_reward_manager_scores_a_batch(tokenizer, cases):
    """Several at a time, in threads, as its workers do."""
    given = asked(tokenizer, cases)

    async def scored() -> list[dict[str, Any]]:
        manager = load_reward_manager(config(FILE, NAME), tokenizer)
        return list(await asyncio.gather(*(manager.run_single(given[n : n + 1]) for n in range(len(given)))))

    found = asyncio.run(scored())
    assert [row["reward_extra_info"] for row in found] == expected(cases)
    assert [row["reward_score"] for row in found] == [row["score"] for row in expected(cases)]


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("cases", [ANSWERS, PROGRAMS], ids=["answers", "programs"])
def test_its_older_reward_manager_scores_a_batch(tokenizer, cases):
    manager = NaiveRewardManager(tokenizer, num_examine=0, compute_score=get_custom_reward_fn(config(FILE, NAME)))
    given = asked(tokenizer, cases)
    found = manager(given, return_dict=True)
    assert at_the_end(given, found["reward_tensor"]) == [row["score"] for row in expected(cases)]
    assert table(found["reward_extra_info"], len(cases)) == expected(cases)


@pytest.mark.usefixtures("sandbox", "with_ray")
def test_its_workers_on_ray_score_rows_that_its_dataset_reads_in_our_schema(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    cases = [case for case in (*ANSWERS, *PROGRAMS) if isinstance(case[0], str)]
    facts: dict[str, Any] = {"split": "train", "id": "p", "level": "", "source": "", "license": "MIT"}
    rows = [
        {
            "data_source": "promptcot/any",
            "prompt": [{"role": "user", "content": "?"}],
            "ability": "any",
            "reward_model": {"style": "rule", "ground_truth": truth},
            "extra_info": facts | {"index": n},
        }
        for n, (truth, _, _) in enumerate(cases)
    ]
    write(tmp_path / "train.parquet", pa.Table.from_pylist(rows, SCHEMA))
    settings = config(
        FILE, NAME, "reward.num_workers=2", f"actor_rollout_ref.model.path={Path(tokenizer.name_or_path)}",
        "data.filter_overlong_prompts=false", f"+data.cache_dir={tmp_path / 'copies'}",
    )  # fmt: skip
    dataset = RLHFDataset(str(tmp_path / "train.parquet"), tokenizer, settings.data)
    columns = collate_fn([dataset[n] for n in range(len(dataset))])
    columns.pop("dummy_tensor")
    given = batch(tokenizer, [reply for _, reply, _ in cases], columns)
    found = RewardLoopManager(settings).compute_rm_score(given)
    assert at_the_end(given, found.batch["rm_scores"]) == [row["score"] for row in expected(cases)]
    assert table(found.non_tensor_batch, len(cases)) == expected(cases)
