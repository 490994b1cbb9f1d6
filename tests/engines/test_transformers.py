"""Opening, closing and the tokenizer: what the engine accepts and what it leaves alone."""

import gc
import shutil
import weakref
from pathlib import Path

import pytest
import torch

from promptcot.engines import open_engine
from promptcot.engines.protocol import SampleRequest, Sampling, ScoreRequest, Tokens
from promptcot.engines.transformers import TransformersEngine, accelerators, pick_device, pick_dtype
from promptcot.errors import UsageError
from promptcot.recipe import EngineSpec
from promptcot.usage import Usage

from .conftest import CONTEXT, EOS

CPU = EngineSpec(dtype="fp32", device="cpu")


def test_the_kind_transformers_opens_this_engine(tiny_folder: Path):
    with open_engine(tiny_folder, CPU) as engine:
        assert isinstance(engine, TransformersEngine)
        assert engine.context == CONTEXT
        assert engine.model.dtype == torch.float32


def test_closing_frees_the_model(tiny_folder: Path):
    engine = TransformersEngine.open(tiny_folder, CPU)
    model = weakref.ref(engine.model)
    engine.close()
    gc.collect()
    assert model() is None
    engine.close()


def test_usage_counts_tokens_without_padding_and_a_shared_prompt_once(tiny_folder: Path):
    with open_engine(tiny_folder, CPU) as engine:
        assert engine.usage == Usage()
        requests = [SampleRequest("a", (3, 4, 5), (0, 1, 2)), SampleRequest("b", (6,), (0,))]
        written = sum(c.tokens for reply in engine.sample(requests, Sampling(max_tokens=6), 0) for c in reply.completions)
        assert engine.usage == Usage(tokens_in=3 + 1, tokens_out=written)
        list(engine.score([ScoreRequest("s", Tokens((3, 4), ((5, 6), (7,)))), ScoreRequest("t", Tokens((3,), ((4,),)))]))
    assert engine.usage == Usage(tokens_in=4 + 5 + 2, tokens_out=written), "on a CPU no accelerator is held"


def test_an_accelerator_is_held_by_what_is_not_on_the_cpu():
    assert [accelerators(torch.device(name)) for name in ("cpu", "cuda:1", "mps")] == [0, 1, 1]


def test_the_tokenizer_adds_and_hides_nothing(tiny: TransformersEngine):
    assert tiny.tokenizer.eos == EOS
    assert tiny.tokenizer.encode("a b </s> c") == (3, 4, EOS, 5)
    assert tiny.tokenizer.encode("") == ()
    assert tiny.tokenizer.decode((3, EOS, 4)) == "a </s> b"


def test_a_model_without_a_chat_template_cannot_chat(tiny: TransformersEngine):
    with pytest.raises(UsageError, match="chat template"):
        tiny.chat_prefix([{"role": "user", "content": "a"}])


def test_pickled_weights_are_refused(tiny_folder: Path, tmp_path: Path):
    folder = tmp_path / "pickled"
    shutil.copytree(tiny_folder, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(UsageError, match="safetensors"):
        TransformersEngine.open(folder, CPU)


def test_code_in_a_model_folder_is_never_run(tiny_folder: Path, tmp_path: Path):
    folder = tmp_path / "with-code"
    shutil.copytree(tiny_folder, folder)
    mark = tmp_path / "ran"
    (folder / "modeling_evil.py").write_text(f"open({str(mark)!r}, 'w')")
    config = (folder / "config.json").read_text()
    hook = '"auto_map": {"AutoConfig": "modeling_evil.C", "AutoModelForCausalLM": "modeling_evil.M"},'
    (folder / "config.json").write_text(config.replace("{", "{" + hook, 1))
    TransformersEngine.open(folder, CPU).close()
    assert not mark.exists()


def test_formats_and_devices():
    cpu = torch.device("cpu")
    assert pick_device("cpu") == cpu
    assert pick_dtype("bf16", cpu) is torch.bfloat16
    assert pick_dtype("fp32", cpu) is torch.float32
    assert pick_dtype("auto", cpu) in (torch.bfloat16, torch.float32)
    for name in ("warp-drive", "cuda:99", "meta-physics"):
        with pytest.raises(UsageError, match=name):
            pick_device(name)
