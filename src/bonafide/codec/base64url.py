"""base64url without padding, in the one spelling that each octet string has (RFC 7515 section 2)."""

from __future__ import annotations

import base64
from binascii import b2a_base64
from typing import Final

from bonafide.errors import MalformedEvidence
from bonafide.reasons import jose as reasons

__all__ = ["decode", "encode"]


def encode(data: bytes) -> str:
    """Return `data` as base64url without padding."""
    return b2a_base64(data, newline=False).translate(_URL_SAFE).rstrip(b"=").decode("ascii")


_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


def decode(text: str) -> bytes:
    """Return the octets that `text` spells.

    Proves that `encode` of the answer is `text` again: no padding, no character outside the
    alphabet, no unused bit set (RFC 4648 section 3.5). The cost is linear in `len(text)`, which the
    caller bounds.

    Raises `MalformedEvidence` (`jose.base64url_malformed`).
    """
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:  # a length that cannot be, or a character that is not ASCII
        raise MalformedEvidence(reasons.BASE64URL_MALFORMED) from None
    if encode(data) != text:  # the standard decoder skips foreign characters and ignores unused bits
        raise MalformedEvidence(reasons.BASE64URL_MALFORMED)
    return data
