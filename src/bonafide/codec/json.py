"""JSON objects read strictly: one reading per text, and bounds before work (RFC 8259, RFC 7493)."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Final, NoReturn

from bonafide.errors import MalformedEvidence, Misuse
from bonafide.reasons import jose as reasons

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MAX_DEPTH", "MAX_INTEGER", "dump", "parse_object"]

MAX_DEPTH: Final = 16
"""Objects and arrays within each other, the outermost counted."""

MAX_INTEGER: Final = 2**53 - 1
"""The largest magnitude of an integer that every JSON reader keeps exactly (RFC 7493 section 2.2)."""

_MAX_INTEGER_CHARACTERS: Final = len(str(-MAX_INTEGER))

# A string is one token even when its end is missing, so that the scan stays linear on any input.
_STRUCTURE: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


def parse_object(data: bytes, *, max_bytes: int = 65536) -> dict[str, object]:
    """Return the JSON object that `data` holds.

    Proves: at most `max_bytes` octets of UTF-8 without byte order mark, one object and nothing after
    it, no duplicate member name at any depth, depth at most `MAX_DEPTH`, integers within
    ±`MAX_INTEGER`, floats finite, no NaN or Infinity, strings of Unicode characters (no lone
    surrogate). Values are `dict`, `list`, `str`, `int`, `float`, `bool`, `None`. It does not prove
    that any member is there or has a type: `True` is not 1 for a caller that compares types.

    Raises `MalformedEvidence` (`jose.json_malformed`).
    """
    if len(data) > max_bytes:
        raise MalformedEvidence(reasons.JSON_MALFORMED, f"longer than {max_bytes} octets")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedEvidence(reasons.JSON_MALFORMED, "not UTF-8") from None
    _bound_depth(text)
    try:
        value = _DECODER.decode(text)
    except ValueError:
        raise MalformedEvidence(reasons.JSON_MALFORMED, "not JSON") from None
    if type(value) is not dict:
        raise MalformedEvidence(reasons.JSON_MALFORMED, "not an object")
    if "\\u" in text:
        _refuse_lone_surrogates(value)
    return value


def dump(value: object) -> bytes:
    """Return `value` as compact UTF-8 JSON, members in insertion order.

    Raises `Misuse` (`jose.value_not_json`) for what has no JSON form.
    """
    try:
        return _encode(value)
    except (TypeError, ValueError, RecursionError):  # ValueError: NaN, a cycle, a lone surrogate
        raise Misuse(reasons.VALUE_NOT_JSON) from None


def _encode(value: object) -> bytes:
    return _ENCODER.encode(value).encode("utf-8")


def _bound_depth(text: str) -> None:
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return
    depth = 0
    for token in _STRUCTURE.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise MalformedEvidence(reasons.JSON_MALFORMED, f"deeper than {MAX_DEPTH}")
        elif token[0] in "]}":
            depth -= 1


def _refuse_lone_surrogates(value: object) -> None:
    try:
        _encode(value)
    except UnicodeEncodeError:
        raise MalformedEvidence(reasons.JSON_MALFORMED, "a lone surrogate") from None


def _object(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    members: dict[str, object] = {}
    for name, value in pairs:
        if name in members:
            raise MalformedEvidence(reasons.JSON_MALFORMED, "a member name stands twice")
        members[name] = value
    return members


def _integer(literal: str) -> int:
    # The length first: reading a long literal costs more than its length.
    if len(literal) > _MAX_INTEGER_CHARACTERS or abs(int(literal)) > MAX_INTEGER:
        raise MalformedEvidence(reasons.JSON_MALFORMED, "an integer beyond 2^53 - 1")
    return int(literal)


def _float(literal: str) -> float:
    value = float(literal)
    if not math.isfinite(value):
        raise MalformedEvidence(reasons.JSON_MALFORMED, "a number beyond double precision")
    return value


def _constant(_literal: str) -> NoReturn:
    raise MalformedEvidence(reasons.JSON_MALFORMED, "NaN or Infinity")


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
)
