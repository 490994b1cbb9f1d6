"""Python values as bytes, type by type: what a function is called with and what it returns cross the sandbox's wall as data.

Only the exact built-in types are known: None, bool, int, float, str, bytes, list, tuple, dict, set, frozenset. An instance of a subclass,
or of anything else, is *opaque*: it encodes as such, equals nothing, and none of its methods is called. `True` is not `1`, `1` not `1.0`.

    encode(value) -> bytes            decode(data) -> value            same(expected, got, tolerance=0.0) -> bool

`same` compares two encodings without building the second's values, so hostile bytes cost time linear in their length: sets and dictionaries
are matched by their members' bytes, never by their hashes. NaN is the same as NaN, 0.0 as -0.0; `tolerance` (absolute or relative) is for
floats outside of sets and keys.

This file is also loaded inside the sandbox, so it imports the standard library alone.
"""

import math
import struct

DEPTH = 150
"""Levels of nesting."""
SIZE = 16 << 20
"""Bytes of one encoding."""

_WHOLE = {b"N": None, b"T": True, b"F": False}
_MANY: dict[type, bytes] = {list: b"l", tuple: b"t", set: b"S", frozenset: b"Z"}
_BUILD = {b"l": list, b"t": tuple, b"S": set, b"Z": frozenset}


class NotEncodable(ValueError):
    """Too deep or too long."""


def encode(value: object) -> bytes:
    """The bytes of a value. Raises `NotEncodable`."""
    out: list[bytes] = []
    _put(value, out, DEPTH)
    data = b"".join(out)
    if len(data) > SIZE:
        raise NotEncodable("too long")
    return data


def _put(value: object, out: list[bytes], depth: int) -> None:
    if depth == 0:
        raise NotEncodable("too deep")
    kind = type(value)
    if value is None:
        out.append(b"N")
    elif value is True or value is False:
        out.append(b"T" if value else b"F")
    elif kind is int:
        assert isinstance(value, int)
        out.append(_sized(b"i", value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)))
    elif kind is float:
        out.append(b"f" + struct.pack("<d", value))
    elif kind is str:
        assert isinstance(value, str)
        out.append(_sized(b"s", value.encode("utf-8", "surrogatepass")))
    elif kind is bytes:
        assert isinstance(value, bytes)
        out.append(_sized(b"b", value))
    elif kind is dict:
        assert isinstance(value, dict)
        out.append(b"d" + _length(len(value)))
        for key, item in value.items():
            _put(key, out, depth - 1)
            _put(item, out, depth - 1)
    elif kind in _MANY:
        assert isinstance(value, list | tuple | set | frozenset)
        out.append(_MANY[kind] + _length(len(value)))
        for item in value:
            _put(item, out, depth - 1)
    else:
        out.append(b"o")


def _length(n: int) -> bytes:
    return n.to_bytes(4, "little")


def _sized(tag: bytes, data: bytes) -> bytes:
    return tag + _length(len(data)) + data


class _Reader:
    """A place in an encoding. Every read is bounded; what is malformed raises `ValueError`."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, n: int) -> bytes:
        part = self.data[self.at : self.at + n]
        if len(part) != n:
            raise ValueError("the encoding breaks off")
        self.at += n
        return part

    def length(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def skip(self, depth: int = DEPTH) -> None:
        """Pass over one value."""
        if depth == 0:
            raise ValueError("too deep")
        tag = self.take(1)
        if tag == b"f":
            self.take(8)
        elif tag in (b"i", b"s", b"b"):
            self.take(self.length())
        elif tag == b"d" or tag in _BUILD:
            for _ in range(self.length() * (2 if tag == b"d" else 1)):
                self.skip(depth - 1)
        elif tag != b"o" and tag not in _WHOLE:
            raise ValueError("an unknown tag")


def decode(data: bytes) -> object:
    """The value of an encoding from a trusted side. Raises `ValueError` where it is malformed or opaque."""
    reader = _Reader(data)
    value = _value(reader)
    if reader.at != len(data):
        raise ValueError("more than one value")
    return value


def _value(reader: _Reader) -> object:
    tag = reader.take(1)
    if tag in _WHOLE:
        return _WHOLE[tag]
    if tag == b"i":
        return int.from_bytes(reader.take(reader.length()), "little", signed=True)
    if tag == b"f":
        return struct.unpack("<d", reader.take(8))[0]
    if tag == b"s":
        return reader.take(reader.length()).decode("utf-8", "surrogatepass")
    if tag == b"b":
        return reader.take(reader.length())
    if tag == b"d":
        return {_value(reader): _value(reader) for _ in range(reader.length())}
    if tag in _BUILD:
        return _BUILD[tag](_value(reader) for _ in range(reader.length()))
    raise ValueError("an opaque value, or an unknown tag")


def same(expected: bytes, got: bytes, tolerance: float = 0.0) -> bool:
    """Whether two encodings are of the same value, type by type. What is malformed or opaque is the same as nothing."""
    a, b = _Reader(expected), _Reader(got)
    try:
        return _same(a, b, tolerance, DEPTH) and a.at == len(expected) and b.at == len(got)
    except ValueError:
        return False


def _same(a: _Reader, b: _Reader, tolerance: float, depth: int) -> bool:
    """Reads one value of each where they are the same."""
    if depth == 0:
        raise ValueError("too deep")
    tag = a.take(1)
    if tag != b.take(1) or tag == b"o":
        return False
    if tag in _WHOLE:
        return True
    if tag == b"f":
        return _close(struct.unpack("<d", a.take(8))[0], struct.unpack("<d", b.take(8))[0], tolerance)
    n = a.length()
    if n != b.length():
        return False
    if tag in (b"i", b"s", b"b"):
        return a.take(n) == b.take(n)
    if tag in (b"l", b"t"):
        return all(_same(a, b, tolerance, depth - 1) for _ in range(n))
    if tag in (b"S", b"Z"):
        return _members(a, n) == _members(b, n)
    if tag == b"d":
        return _same_items(_items(a, n), _items(b, n), tolerance, depth - 1)
    raise ValueError("an unknown tag")


def _same_items(ours: dict[bytes, bytes], theirs: dict[bytes, bytes], tolerance: float, depth: int) -> bool:
    if ours.keys() != theirs.keys():
        return False
    return all(_same(_Reader(value), _Reader(theirs[key]), tolerance, depth) for key, value in ours.items())


def _members(reader: _Reader, n: int) -> set[bytes]:
    return {_key(reader) for _ in range(n)}


def _items(reader: _Reader, n: int) -> dict[bytes, bytes]:
    items = {}
    for _ in range(n):
        key = _key(reader)
        start = reader.at
        reader.skip()
        items[key] = reader.data[start : reader.at]
    return items


def _key(reader: _Reader) -> bytes:
    """The bytes of a hashable member; an opaque one is none. A frozenset's order is that of its members' bytes."""
    start = reader.at
    tag = reader.take(1)
    if tag == b"Z":
        return b"Z" + b"".join(sorted(_key(reader) for _ in range(reader.length())))
    if tag == b"t":
        return b"t" + b"".join(_sized(b"", _key(reader)) for _ in range(reader.length()))
    if tag == b"f":
        number = struct.unpack("<d", reader.take(8))[0]
        return b"f" + struct.pack("<d", number + 0.0 if number == number else math.nan)
    if tag == b"o":
        raise ValueError("an opaque member")
    reader.at = start
    reader.skip()
    return reader.data[start : reader.at]


def _close(a: float, b: float, tolerance: float) -> bool:
    if a == b or (a != a and b != b):
        return True
    return tolerance > 0 and math.isfinite(a) and math.isfinite(b) and abs(a - b) <= tolerance * max(1.0, abs(a))
