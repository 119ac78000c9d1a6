"""Every octet string has one base64url spelling, and every other text is refused."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.codec import base64url
from bonafide.errors import MalformedEvidence
from bonafide.reasons import jose as reasons

_NEAR_MISSES = st.text(alphabet="AQgwZz09-_=+/ \n.é", max_size=12) | st.text(max_size=12)


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"", ""),
        (b"f", "Zg"),
        (b"fo", "Zm8"),
        (b"foo", "Zm9v"),
        (b"\xfb\xff\xbf", "-_-_"),
        (bytes([3, 236, 255, 224, 193]), "A-z_4ME"),  # RFC 7515 appendix C
    ],
)
def test_known_values_are_spelled_as_the_standards_print_them(octets: bytes, text: str) -> None:
    assert base64url.encode(octets) == text
    assert base64url.decode(text) == octets


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Zg==", "padded"),
        ("Zg=", "padded halfway"),
        ("Zh", "an unused bit is set"),
        ("Zm9", "two unused bits are set"),
        ("Z", "no octet string has one character"),
        ("Zm9vZ", "nor five"),
        ("+/+/", "the other alphabet"),
        ("Zm9v\n", "a line end"),
        ("Zm 9v", "a space"),
        ("Zm9v.", "a foreign character that decoders skip"),
        ("Zmö9", "not ASCII"),
        ("Z\ud800", "not even Unicode"),
    ],
)
def test_a_second_spelling_is_refused(text: str, why: str) -> None:
    with pytest.raises(MalformedEvidence) as refusal:
        base64url.decode(text)
    assert refusal.value.reason is reasons.BASE64URL_MALFORMED, why


@settings(parent=settings.get_profile("bonafide"))
@given(st.binary(max_size=80))
def test_what_is_encoded_is_decoded(octets: bytes) -> None:
    text = base64url.encode(octets)
    assert base64url.decode(text) == octets
    assert text == base64.urlsafe_b64encode(octets).decode().rstrip("=")


@settings(parent=settings.get_profile("bonafide"))
@given(_NEAR_MISSES)
def test_what_is_decoded_is_its_own_encoding(text: str) -> None:
    try:
        octets = base64url.decode(text)
    except MalformedEvidence as refusal:
        if refusal.reason is not reasons.BASE64URL_MALFORMED:
            raise
    else:
        assert base64url.encode(octets) == text
