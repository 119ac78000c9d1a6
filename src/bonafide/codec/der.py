"""Readers for the DER in Apple's certificates, on the strict reader of `cryptography`.

Nothing is found by offset: a tag that is not where the structure wants it is a refusal. What Apple
has not documented (extensions .8.6 and .8.7) is read by tag and only as far as it is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

from cryptography.hazmat import asn1

from bonafide.errors import MalformedEvidence
from bonafide.reasons import der as reasons

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_EXTENSION_BYTES: Final = 4096
MAX_CERTIFICATE_BYTES: Final = 16 * 1024

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The two names of a certificate as the octets that stand in it, without their length."""

    issuer: bytes
    subject: bytes


def read_names(der: bytes) -> Names:
    """Return issuer and subject of a v3 certificate (RFC 5280 section 4.1).

    Octets are compared, so nothing in a name is interpreted: no string types, no normal forms.
    Raises as `read_nonce`.
    """
    body = _decode(_Certificate, der, max_bytes=MAX_CERTIFICATE_BYTES).body
    return Names(
        issuer=body.issuer.tag_bytes + bytes(body.issuer.data),
        subject=body.subject.tag_bytes + bytes(body.subject.data),
    )


def read_nonce(der: bytes) -> bytes:
    """Return the octets of `SEQUENCE { [1] EXPLICIT OCTET STRING }`, extension 1.2.840.113635.100.8.2.

    Raises `MalformedEvidence`: `der.too_large`, `der.malformed`.
    """
    return _decode(_Nonce, der).nonce


def read_tagged_texts(der: bytes, numbers: Collection[int]) -> dict[int, str]:
    """Return the texts of a `SEQUENCE { [n] EXPLICIT OCTET STRING … }`, extension 1.2.840.113635.100.8.7, by n.

    Only `numbers` are read, wherever they stand: Apple adds members with every iOS. A member that is
    not an octet string of printable ASCII, or that comes twice, is left out. Raises as `read_nonce`.
    """
    members = _decode(_Members, asn1.encode_der(_Boxed(content=_decode(asn1.TLV, der)))).members
    wanted = {_context_tag(number): number for number in numbers}
    texts: dict[int, str | None] = {}
    for member in members:
        number = wanted.get(member.tag_bytes)
        if number is not None:
            texts[number] = None if number in texts else _text(bytes(member.data))
    return {number: text for number, text in texts.items() if text is not None}


@asn1.sequence
class _Nonce:
    nonce: Annotated[bytes, asn1.Explicit(1)]


@asn1.sequence
class _Body:
    version: Annotated[int, asn1.Explicit(0)]
    serial: asn1.TLV
    algorithm: asn1.TLV
    issuer: asn1.TLV
    validity: asn1.TLV
    subject: asn1.TLV
    public_key: asn1.TLV
    extensions: asn1.TLV


@asn1.sequence
class _Certificate:
    body: _Body
    algorithm: asn1.TLV
    signature: asn1.BitString


@asn1.sequence
class _Boxed:
    """A box round one value, because `cryptography` reads a SEQUENCE OF only as a member."""

    content: asn1.TLV


@asn1.sequence
class _Members:
    members: list[asn1.TLV]


def _decode(kind: type[_T], der: bytes, *, max_bytes: int = MAX_EXTENSION_BYTES) -> _T:
    if len(der) > max_bytes:
        raise MalformedEvidence(reasons.TOO_LARGE, f"{len(der)} octets")
    try:
        return asn1.decode_der(kind, der)
    except ValueError:
        raise MalformedEvidence(reasons.MALFORMED) from None


@cache
def _context_tag(number: int) -> bytes:
    """Return the identifier octets of a context-specific, constructed tag (X.690 section 8.1.2)."""
    if number < 0x1F:  # noqa: PLR2004 - the highest number of the short form is 30
        return bytes([0xA0 | number])
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(0x80 | number & 0x7F)
    return bytes([0xBF, *reversed(groups)])


def _text(der: bytes) -> str | None:
    try:
        text = asn1.decode_der(bytes, der).decode("ascii")
    except ValueError:
        return None
    return text if text.isprintable() else None
