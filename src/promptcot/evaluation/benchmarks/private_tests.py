"""LiveCodeBench's hidden tests: JSON text, or base64 of a zlib stream of a pickle of JSON text. Nothing in them is ever unpickled.

Unpickling runs what the pickle says, so the one thing wanted, a text, is read off its instructions: a pickle of a text pushes it, notes it
down and stops. Any other instruction is refused before it has done anything. What a stream expands to is bounded.
"""

from __future__ import annotations

import base64
import binascii
import pickletools
import zlib

from promptcot.seeds.rows import BadRow

LARGEST = 1 << 30
"""Bytes that one problem's tests may expand to."""

_TEXTS = frozenset(["UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"])
_NOTES = frozenset(["PROTO", "FRAME", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "STOP"])


def json_text(cell: str, key: str, largest: int = LARGEST) -> str:
    """The JSON text in a cell. Raises `BadRow` for what is neither, holds anything but a text, breaks off or grows too large."""
    if cell.lstrip().startswith(("[", "{")):
        return cell
    try:
        return pickled_text(inflated(base64.b64decode(cell, validate=True), largest))
    except (binascii.Error, zlib.error, ValueError) as error:
        raise BadRow(key, f"neither JSON nor base64 of a compressed, pickled text: {error}") from None


def inflated(raw: bytes, largest: int) -> bytes:
    """A whole zlib stream, no longer than `largest`. Raises `ValueError` or `zlib.error`."""
    stream = zlib.decompressobj()
    data = stream.decompress(raw, largest + 1)
    if len(data) > largest:
        raise ValueError(f"it expands to more than {largest:,} bytes")
    if not stream.eof:
        raise ValueError("the compressed stream breaks off")
    if stream.unused_data:
        raise ValueError("something follows the compressed stream")
    return data


def pickled_text(data: bytes) -> str:
    """The text that a pickle holds, by reading its instructions. Raises `ValueError` if it holds, or does, anything else."""
    texts, end = list[str](), 0
    for instruction, argument, position in pickletools.genops(data):
        if instruction.name in _TEXTS:
            texts.append(str(argument))
        elif instruction.name not in _NOTES:
            raise ValueError(f"the pickle does more than hold a text ({instruction.name} at byte {position})")
        end = position or 0
    if len(texts) != 1 or end + 1 != len(data):
        raise ValueError(f"the pickle holds {len(texts)} texts" if len(texts) != 1 else "something follows the pickle")
    return texts[0]
