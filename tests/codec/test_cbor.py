"""CBOR: the profile and nothing else, however it is dressed up."""

from __future__ import annotations

import base64
import json
import tracemalloc
from typing import TYPE_CHECKING

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.codec import cbor
from bonafide.errors import MalformedEvidence
from bonafide.reasons import cbor as reasons
from bonafide.testing.vectors import ACCEPT
from tests.vectors.judges import assert_verdict, attempt, name, vectors

if TYPE_CHECKING:
    from pathlib import Path

    from bonafide.testing.vectors import Vector

MAX_BYTES = 65536
SEARCH = settings(parent=settings.get_profile("bonafide"))

KEYS = st.integers(-(2**64), 2**64 - 1) | st.text(max_size=8)
SCALARS = st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=8) | st.booleans() | st.none()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=12
)


@pytest.mark.parametrize("vector", vectors("cbor"), ids=name)
def test_every_vector_gets_its_verdict(vector: Vector) -> None:
    assert_verdict(vector)


def refusal(data: bytes) -> str:
    with pytest.raises(MalformedEvidence) as refused:
        cbor.parse(data, max_bytes=MAX_BYTES)
    return refused.value.reason.code


def test_the_examples_of_rfc_8949_are_read_where_the_form_is_ours_and_refused_where_it_is_not(shared: Path) -> None:
    read = 0
    for example in json.loads((shared / "vectors/cbor/appendix_a.json").read_text()):
        data = base64.b64decode(example["cbor"])
        if code := foreign(data):
            assert refusal(data) == code, example["hex"]
            continue
        value, written = cbor.parse(data, max_bytes=MAX_BYTES), cbor2.loads(data)
        assert (value, type(value)) == (written, type(written)), example["hex"]
        assert "decoded" not in example or (value, type(value)) == (example["decoded"], type(example["decoded"]))
        read += 1
    assert read == 37


def foreign(data: bytes) -> str | None:
    """Say how an example of appendix A is refused: tags, floats, other simple values; breaks; or None for ours."""
    if data[0] >> 5 == 6 or data[0] in {0xF0, 0xF7, 0xF9, 0xFA, 0xFB} or data == b"\xf8\xff":
        return "cbor.type_refused"
    if data == b"\xf8\x18" or (0xFF in data and data[0] not in {0x1B, 0x3B}):
        return "cbor.malformed"
    return None


def test_the_first_item_is_told_apart_from_what_follows() -> None:
    assert cbor.parse_first(bytes.fromhex("a10102") + b"rest") == ({1: 2}, 3)
    with pytest.raises(MalformedEvidence) as refused:
        cbor.parse(bytes.fromhex("a10102") + b"rest", max_bytes=MAX_BYTES)
    assert refused.value.reason is reasons.TRAILING_DATA
    assert refused.value.detail == "4 octets"


@pytest.mark.parametrize("head", ["5b", "7b", "9b", "bb", "5a", "7a", "9a", "ba"])
def test_an_announced_length_takes_no_memory(head: str) -> None:
    data = bytes.fromhex(head) + b"\x7f" + b"\xff" * (7 if head[1] == "b" else 3)
    tracemalloc.start()
    try:
        assert refusal(data) == "cbor.malformed"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1024 * 1024


@pytest.mark.parametrize("opening", [b"\x81", b"\xa1\x00", b"\xc1", b"\xd8\x1c", b"\xa1"])
def test_no_depth_exhausts_the_stack(opening: bytes) -> None:
    assert refusal(opening * (MAX_BYTES // 2 // len(opening)) + b"\x00") == "cbor.malformed"


@pytest.mark.parametrize("content", ["00", "20", "4101", "6161", "80", "a0", "f4"])
def test_no_tag_is_looked_through(content: str) -> None:
    for tag in [*range(1100), 55799, 2**16, 2**32, 2**64 - 1]:
        encoded = bytearray(cbor2.dumps(tag))
        encoded[0] |= 0xC0
        assert refusal(bytes(encoded) + bytes.fromhex(content)) == "cbor.type_refused", tag


def test_one_and_true_are_not_one_key() -> None:
    assert refusal(cbor2.dumps({True: 2})) == "cbor.type_refused"
    assert refusal(bytes.fromhex("a20102f503")) == "cbor.malformed"


@given(VALUES)
def test_what_is_in_the_profile_is_read_as_it_was_written(value: object) -> None:
    data = cbor2.dumps(value)
    parsed = cbor.parse(data, max_bytes=MAX_BYTES)
    assert parsed == value
    assert cbor2.dumps(parsed) == data
    assert cbor.parse_first(data + b"\xff") == (value, len(data))


SEEDS = [vector.octets("cbor") for vector in vectors("cbor") if len(vector.octets("cbor")) < 64]
EDITED = st.builds(
    lambda seed, at, cut, octets: seed[: at % (len(seed) + 1)] + octets + seed[at % (len(seed) + 1) + cut :],
    st.sampled_from(SEEDS),
    st.integers(0, 64),
    st.integers(0, 2),
    st.binary(max_size=3),
)


@SEARCH
@given(EDITED | st.binary(max_size=64))
def test_nothing_but_a_refusal_or_an_exact_value_comes_of_any_octets(data: bytes) -> None:
    value, verdict = attempt(lambda: cbor.parse(data, max_bytes=64))
    assert verdict == ACCEPT or verdict.startswith("cbor.")
    assert_exact(value)


def assert_exact(value: object) -> None:
    if type(value) is dict:
        assert all(type(key) in {int, str} for key in value)
        for inner in value.values():
            assert_exact(inner)
    elif type(value) is list:
        for inner in value:
            assert_exact(inner)
    else:
        assert type(value) in {int, str, bytes, bool, type(None)}
