"""A key-value cache that grows in place.

transformers' dynamic cache concatenates at every step and so copies itself once per token. Here every full-attention layer keeps spare
room and writes into it; a copy happens once per `SPARE` tokens. Layers of other kinds (sliding windows, recurrent states) stay
as transformers makes them.
"""

from __future__ import annotations

import torch
from transformers import DynamicCache, PretrainedConfig
from transformers.cache_utils import DynamicLayer

SPARE = 64
"""Tokens of room made whenever a layer is full."""


class RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """Keys and values of one layer, [rows, heads, tokens, size]: views into buffers that have room for more tokens."""

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Start empty, like the states to come."""
        super().lazy_initialization(key_states, value_states)
        self._key_room, self._value_room = key_states[:, :, :0], value_states[:, :, :0]

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append the states of new tokens and return those of all."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[2]
        self._key_room = _with_room(self._key_room, start, end)
        self._value_room = _with_room(self._value_room, start, end)
        self._key_room[:, :, start:end] = key_states
        self._value_room[:, :, start:end] = value_states
        self.keys, self.values = self._key_room[:, :, :end], self._value_room[:, :, :end]
        return self.keys, self.values

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        """Keep the rows `beam_idx`, which may repeat."""
        length = self.get_seq_length()
        self._key_room, self._value_room = self._key_room.index_select(0, beam_idx), self._value_room.index_select(0, beam_idx)
        self.keys, self.values = self._key_room[:, :, :length], self._value_room[:, :, :length]


def roomy_cache(config: PretrainedConfig) -> DynamicCache:
    """An empty cache for a model of this config, with in-place growth where its layers allow it."""
    cache = DynamicCache(config=config)
    cache.layers = [
        RoomyLayer() if type(layer) is DynamicLayer else layer  # type: ignore[no-untyped-call]
        for layer in cache.layers
    ]
    return cache


def _with_room(room: torch.Tensor, used: int, needed: int) -> torch.Tensor:
    if needed <= room.shape[2]:
        return room
    larger = room.new_empty((*room.shape[:2], needed + SPARE, room.shape[3]))
    larger[:, :, :used] = room[:, :, :used]
    return larger
