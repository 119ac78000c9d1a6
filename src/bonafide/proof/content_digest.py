"""Content-Digest (RFC 9530) in the profile's one form: a single `sha-256` member.

Rule of this file: a digest is compared as the header's text. There is one spelling of 32 octets, so
equal digests are equal texts, and nothing needs to be decoded.
"""

from __future__ import annotations

import hashlib
import re
from binascii import b2a_base64
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from bonafide.errors import MalformedEvidence, VerificationFailed
from bonafide.reasons import proof as reasons

if TYPE_CHECKING:
    from collections.abc import Iterable

_FORM: Final = re.compile(r"sha-256=:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=:")


def format_digest(sha256: bytes) -> str:
    """Spell 32 octets as the value of a Content-Digest header."""
    return f"sha-256=:{b2a_base64(sha256, newline=False).decode()}:"


def digest_of(chunks: Iterable[bytes]) -> str:
    """Return the Content-Digest header value of a body, given in any number of chunks."""
    sha256 = hashlib.sha256()
    for chunk in chunks:
        sha256.update(chunk)
    return format_digest(sha256.digest())


NO_BODY: Final = digest_of(())
"""The value for a request without a body: the digest of zero octets."""


def parse_digest(value: str) -> str:
    """Return `value` if it is in the profile's form (RFC 9530 section 2, one `sha-256` member).

    Proves nothing of any body. Raises `MalformedEvidence` (`proof.digest_malformed`).
    """
    if value != NO_BODY and _FORM.fullmatch(value) is None:
        raise MalformedEvidence(reasons.DIGEST_MALFORMED)
    return value


def verify_digest(covered: str, actual: str) -> None:
    """Compare the digest that a verified proof covers with that of the body in hand.

    Both are header values. Proves that the body is the one that was signed, provided `covered` comes
    from an admitted request. Raises `VerificationFailed` (`proof.digest_mismatch`).
    """
    if not compare_digest(covered, actual):
        raise VerificationFailed(reasons.DIGEST_MISMATCH)
