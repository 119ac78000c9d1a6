"""DER: Apple's extensions are walked by tag, never cut at an offset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.codec import der
from bonafide.testing.apple import nonce_der, tagged, tlv
from bonafide.testing.vectors import ACCEPT
from tests.vectors.attestation_world import APPLE
from tests.vectors.judges import assert_verdict, attempt, name, vectors

if TYPE_CHECKING:
    from bonafide.testing.vectors import Vector

SEARCH = settings(parent=settings.get_profile("bonafide"))
OCTETS = st.binary(max_size=80) | st.builds(
    lambda start, rest: bytes.fromhex(start) + rest,
    st.sampled_from(["3024a1220420", "3024", "3009bf8a78", "3003a4", "3080", "30820004"]),
    st.binary(max_size=48),
)


@pytest.mark.parametrize("vector", vectors("der"), ids=name)
def test_every_vector_gets_its_verdict(vector: Vector) -> None:
    assert_verdict(vector)


@pytest.mark.parametrize("number", [0, 5, 30, 31, 127, 128, 1400, 2**14])
def test_a_member_is_found_under_any_number(number: int) -> None:
    identifier = bytes([0xA0 | number]) if number < 31 else b"\xbf" + _groups(number)
    member = tlv(identifier, tlv(0x04, b"text"))
    assert der.read_tagged_texts(tlv(0x30, member), [number]) == {number: "text"}
    assert der.read_tagged_texts(tlv(0x30, member), [number + 1]) == {}


def _groups(number: int) -> bytes:
    """Return base 128, the continuation bit set on all octets but the last (X.690 section 8.1.2.4.2)."""
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.insert(0, 0x80 | number & 0x7F)
    return bytes(groups)


@SEARCH
@given(st.binary(max_size=64))
def test_a_nonce_is_read_as_it_was_written(nonce: bytes) -> None:
    assert der.read_nonce(nonce_der(nonce)) == nonce


@SEARCH
@given(OCTETS)
def test_nothing_but_a_refusal_or_octets_comes_of_any_octets(octets: bytes) -> None:
    nonce, verdict = attempt(lambda: der.read_nonce(octets))
    assert verdict == ("der.malformed" if nonce is None else ACCEPT)
    assert nonce is None or octets == nonce_der(nonce)


@SEARCH
@given(OCTETS | st.binary(max_size=40).map(lambda content: tlv(0x30, tagged(1400, content))))
def test_nothing_but_a_refusal_or_printable_texts_comes_of_any_octets(octets: bytes) -> None:
    texts, verdict = attempt(lambda: der.read_tagged_texts(octets, [4, 1400]))
    assert verdict == ("der.malformed" if texts is None else ACCEPT)
    assert all(text.isascii() and text.isprintable() for text in (texts or {}).values())


CERTIFICATE = APPLE.intermediate_der


@SEARCH
@given(st.integers(0, len(CERTIFICATE)), st.integers(0, 4), st.binary(max_size=4))
def test_nothing_but_a_refusal_or_octets_that_were_there_comes_of_any_certificate(
    at: int, cut: int, octets: bytes
) -> None:
    certificate = CERTIFICATE[:at] + octets + CERTIFICATE[at + cut :]
    names, verdict = attempt(lambda: der.read_names(certificate))
    assert verdict == ("der.malformed" if names is None else ACCEPT)
    assert names is None or (names.issuer[1:] in certificate and names.subject[1:] in certificate)
