"""Strict, bounded CBOR (RFC 8949), on top of cbor2.

The profile is what App Attest objects need and nothing more: integers of at most 64 bits, byte and
text strings, arrays, maps with text or integer keys, false, true and null; definite lengths only,
no repeated keys, at most 16 levels (an empty array or map opens none), no tags, no floats, no
undefined or unassigned simple values.
Lengths need not be in their shortest form: nothing here is compared as encoded bytes, and what was
signed is hashed as it came. A value is returned as exact `int`, `bytes`, `str`, `list`, `dict`,
`bool` or None; because no boolean can be a key, `1` and `True` never name one entry.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Final

import cbor2

from bonafide.errors import MalformedEvidence
from bonafide.reasons import cbor as reasons

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DEPTH: Final = 16
MAX_ITEMS: Final = 1024


def parse(data: bytes, *, max_bytes: int) -> object:
    """Return the one data item that `data` is.

    Raises `MalformedEvidence`: `cbor.too_large`, `cbor.malformed`, `cbor.type_refused`,
    `cbor.too_many_items`, `cbor.trailing_data`. Proves syntax only.
    """
    if len(data) > max_bytes:
        raise MalformedEvidence(reasons.TOO_LARGE, f"{len(data)} octets, at most {max_bytes}")
    value, length = parse_first(data)
    if length != len(data):
        raise MalformedEvidence(reasons.TRAILING_DATA, f"{len(data) - length} octets")
    return value


def parse_first(data: bytes) -> tuple[object, int]:
    """Return the first data item of `data` and the number of octets that it takes.

    The caller bounds `data` and judges what follows. Raises as `parse`, but for the size and the rest.
    """
    stream = BytesIO(data)
    try:
        value: object = cbor2.CBORDecoder(
            stream,
            max_depth=MAX_DEPTH,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            semantic_decoders=_NO_TAGS,
        ).decode()
    except cbor2.CBORDecodeError:
        raise MalformedEvidence(reasons.MALFORMED) from None
    _refuse_other_types(value)
    return value, stream.tell()


class _Tagged:
    """Stands where a tag stood, whatever the tag held."""


class _EveryTag(dict[int, "Callable[[object, bool], _Tagged]"]):
    """Replaces the decoder of every tag, so that none is looked through (2, 28, 55799) or acted upon (35)."""

    def __missing__(self, tag: int) -> Callable[[object, bool], _Tagged]:
        return lambda _value, _immutable: _Tagged()


_NO_TAGS: Final = _EveryTag()
_SCALARS: Final = frozenset({int, bytes, str, bool, type(None)})
_KEYS: Final = frozenset({int, str})


def _refuse_other_types(value: object) -> None:
    """Walk the decoded tree, by exact type, without recursion."""
    pending: list[object] = [value]
    count = 0
    while pending:
        item = pending.pop()
        count += 1
        if count > MAX_ITEMS:
            raise MalformedEvidence(reasons.TOO_MANY_ITEMS)
        if type(item) in _SCALARS:
            continue
        if isinstance(item, dict):
            if not _KEYS.issuperset(map(type, item)):
                raise MalformedEvidence(reasons.TYPE_REFUSED, "a map key")
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
        else:
            raise MalformedEvidence(reasons.TYPE_REFUSED, type(item).__name__)
