"""Shapes of models, against numbers that their makers publish."""

import json

import pytest

from promptcot import models
from promptcot.errors import UsageError
from promptcot.planning.shapes import PUBLISHED, from_config, shape_of
from promptcot.recipe import ModelSpec
from tests.engines.conftest import save_tiny_model

KIB = 1024


@pytest.mark.parametrize(
    ("name", "kib"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", 56),
        ("Qwen/Qwen2.5-32B", 256),
        ("Qwen/Qwen3-30B-A3B-Thinking-2507", 96),
        ("Qwen/Qwen2.5-72B-Instruct", 320),
    ],
)
def test_keys_and_values_a_token(name, kib):
    """2 x layers x heads x size x 2 bytes; for instance 2 x 28 x 4 x 128 x 2 = 57,344."""
    shape = shape_of(ModelSpec(path=name))
    assert shape is not None
    assert shape.kv_bytes == kib * KIB


@pytest.mark.parametrize(
    ("name", "parameters", "active"),
    [
        ("qwen2.5-7b-instruct", 7_615_616_512, None),
        ("qwen2.5-32b", 32_763_876_352, None),
        ("qwen2.5-72b-instruct", 72_706_203_648, None),
        ("qwen3-8b-base", 8_190_735_360, None),
        ("qwen3-4b-thinking-2507", 4_022_468_096, None),
        ("qwen3-30b-a3b-thinking-2507", 30_532_122_624, 3.3e9),
        ("llama-3.1-70b-instruct", 70_553_706_496, None),
        ("phi-4", 14_659_507_200, None),
        ("gpt-oss-120b", 116.8e9, None),
    ],
)
def test_the_count_from_a_config_is_the_published_one(name, parameters, active):
    shape = PUBLISHED[name]
    assert shape.parameters == pytest.approx(parameters, rel=1e-3)
    assert shape.active == pytest.approx(active or shape.active, rel=0.03)
    assert shape.is_moe == (name in {"qwen3-30b-a3b-thinking-2507", "gpt-oss-120b"})


def test_a_folder_is_counted_from_its_weights_and_needs_no_torch(tmp_path):
    from transformers import AutoModelForCausalLM

    folder = save_tiny_model(tmp_path / "tiny")
    shape = shape_of(ModelSpec(path=str(folder)))
    assert shape is not None
    network = AutoModelForCausalLM.from_pretrained(folder)
    assert shape.parameters == sum(p.numel() for p in network.parameters())
    assert shape.layers == network.config.num_hidden_layers


def test_a_config_alone_is_enough(tmp_path):
    config = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 10, "intermediate_size": 16}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    shape = shape_of(ModelSpec(path=str(tmp_path)))
    assert shape is not None
    # per layer: q, k, v, o of 8 x 8 and three matrices of 8 x 16; embeddings and head of 10 x 8
    assert shape.parameters == 2 * (4 * 64 + 3 * 128) + 2 * 80
    assert shape.kv_bytes == 2 * 2 * 2 * 4 * 2


def test_an_unknown_model_is_refused_with_a_way_out():
    with pytest.raises(UsageError, match=r"the shape of `someone/new-model` is not known here(.|\n)*config.json(.|\n)*Qwen/Qwen2.5-32B"):
        shape_of(ModelSpec(path="someone/new-model"))


def test_a_config_of_no_language_model_is_refused():
    with pytest.raises(UsageError, match="lacks vocab_size"):
        from_config("x", {"hidden_size": 1, "num_hidden_layers": 1, "num_attention_heads": 1}, "config.json")


def test_tables_and_scripts_have_no_shape(tmp_path):
    (tmp_path / "script.json").write_text("{}", encoding="utf-8")
    assert shape_of(ModelSpec(path=str(tmp_path))) is None


def test_at_hand_downloads_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMPTCOT_CACHE", str(tmp_path / "empty"))
    assert models.at_hand("smollm2-135m-instruct") is None
    assert models.at_hand("owner/never-downloaded") is None
    assert models.at_hand(str(tmp_path)) == tmp_path
    assert not (tmp_path / "empty").exists()
