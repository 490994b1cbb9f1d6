"""The tokenizer of a language model in the hub's format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase

from promptcot.engines import chat_reply
from promptcot.engines.protocol import Ids
from promptcot.errors import UsageError


class HfTokenizer:
    """A transformers tokenizer as a `Tokenizer`: no special token is added, none is hidden, and spaces stay as they are."""

    def __init__(self, inner: PreTrainedTokenizerBase, eos: int) -> None:
        self.inner, self.eos = inner, eos

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Load the tokenizer in `folder`; code that comes with it is never run. Raises `UsageError` where nothing ends a sequence."""
        inner = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        eos = inner.eos_token_id
        if eos is None and (folder / "config.json").is_file():
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
            eos = config.get_text_config().eos_token_id
        if not isinstance(eos, int):
            raise UsageError("neither tokenizer nor config names one end-of-sequence token", where=str(folder), remedy="set `eos_token`")
        return cls(inner, eos)

    def encode(self, text: str) -> Ids:
        """The ids of the text."""
        return tuple(self.inner.encode(text, add_special_tokens=False, verbose=False))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids, special tokens included."""
        return str(self.inner.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def chat_prefix(self, messages: Sequence[Mapping[str, str]]) -> Ids:
        """The ids of a conversation (`role`, `content`) up to where the assistant speaks. Raises `UsageError` without a chat template."""
        return self.encode(self._prefix(messages))

    def chat_reply(self, messages: Sequence[Mapping[str, str]], reasoning: str, answer: str) -> str:
        """The assistant's turn, as it goes on after `chat_prefix`: by the chat template where that has a place for reasoning, else wrapped
        (see `chat_reply`); without the end of the turn."""
        prefix = self._prefix(messages)
        thought = dict.fromkeys(chat_reply.KEYS, reasoning) if reasoning else {}

        def conversation(text: str) -> str:
            said = {"role": "assistant", "content": text, **thought}
            return str(self.inner.apply_chat_template([*(dict(m) for m in messages), said], tokenize=False))

        tail = conversation(chat_reply.MARK).rpartition(chat_reply.MARK)[2]
        return chat_reply.rendered(prefix, conversation(answer), reasoning, answer, tail) or chat_reply.wrapped(prefix, reasoning, answer)

    def _prefix(self, messages: Sequence[Mapping[str, str]]) -> str:
        if not self.inner.chat_template:
            raise UsageError(
                "the model has no chat template", where=self.inner.name_or_path, remedy="use an instruct model, or `chat: false`"
            )
        return str(self.inner.apply_chat_template([dict(m) for m in messages], add_generation_prompt=True, tokenize=False))
