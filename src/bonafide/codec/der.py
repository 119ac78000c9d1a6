"""Readers for the DER in Apple's certificate extensions, on the strict reader of `cryptography`.

Nothing is found by offset: a tag that is not where the structure wants it is a refusal. What Apple
has not documented (extensions .8.6 and .8.7) is read by tag and only as far as it is used.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeVar

from cryptography.hazmat import asn1

from bonafide.errors import MalformedEvidence
from bonafide.reasons import der as reasons

MAX_BYTES: Final = 4096

_T = TypeVar("_T")


def read_nonce(der: bytes) -> bytes:
    """Return the octets of `SEQUENCE { [1] EXPLICIT OCTET STRING }`, extension 1.2.840.113635.100.8.2.

    Raises `MalformedEvidence`: `der.too_large`, `der.malformed`.
    """
    return _decode(_Nonce, der).nonce


def read_tagged_texts(der: bytes) -> dict[int, str]:
    """Return the texts of a `SEQUENCE OF [n] EXPLICIT OCTET STRING | …`, extension 1.2.840.113635.100.8.7, by n.

    Members of other types, or whose octets are not printable ASCII, are left out: Apple adds some
    with every iOS. A number that comes twice keeps neither. Raises as `read_nonce`.
    """
    members = _decode(_Members, asn1.encode_der(_Boxed(content=_decode(asn1.TLV, der)))).members
    texts: dict[int, str | None] = {}
    for member in members:
        number = _context_number(member.tag_bytes)
        if number is not None:
            texts[number] = None if number in texts else _text(bytes(member.data))
    return {number: text for number, text in texts.items() if text is not None}


@asn1.sequence
class _Nonce:
    nonce: Annotated[bytes, asn1.Explicit(1)]


@asn1.sequence
class _Boxed:
    """A box round one value, because `cryptography` reads a SEQUENCE OF only as a member."""

    content: asn1.TLV


@asn1.sequence
class _Members:
    members: list[asn1.TLV]


def _decode(kind: type[_T], der: bytes) -> _T:
    if len(der) > MAX_BYTES:
        raise MalformedEvidence(reasons.TOO_LARGE, f"{len(der)} octets")
    try:
        return asn1.decode_der(kind, der)
    except ValueError:
        raise MalformedEvidence(reasons.MALFORMED) from None


_CONTEXT_CONSTRUCTED: Final = 0xA0
_LONG_FORM: Final = 0x1F


def _context_number(tag: bytes) -> int | None:
    """Return the number of a context-specific, constructed tag (X.690 section 8.1.2), else None."""
    if tag[0] & 0xE0 != _CONTEXT_CONSTRUCTED:
        return None
    if tag[0] & 0x1F != _LONG_FORM:
        return tag[0] & 0x1F
    number = 0
    for octet in tag[1:]:
        number = number << 7 | octet & 0x7F
    return number


def _text(der: bytes) -> str | None:
    try:
        text = asn1.decode_der(bytes, der).decode("ascii")
    except ValueError:
        return None
    return text if text.isprintable() else None
