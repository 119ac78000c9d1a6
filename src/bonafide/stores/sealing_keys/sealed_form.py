"""The octets of a sealed secret: form (1) || nonce (12) || AES-256-GCM ciphertext and tag (NIST SP 800-38D).

The additional data begin with a label, so that what was sealed here is nothing elsewhere under the same key, and
end with the caller's context. Nonces are random: 2^32 sealings under one key keep a collision below 2^-32
(section 8.3), and a service seals a few times a day.
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import Final

from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons

KEY_OCTETS: Final = 32
NONCE_OCTETS: Final = 12
TAG_OCTETS: Final = 16

_LABEL: Final = b"bonafide sealed secret\x00"


@unique
class Form(IntEnum):
    """What sealed: forms are never reused, and each implementation opens its own alone."""

    FILE = 1
    PKCS11 = 2
    HELD = 3


def additional_data(form: Form, context: bytes) -> bytes:
    """Return what is authenticated beside the secret."""
    return bytes([form]) + _LABEL + context


def join(form: Form, nonce: bytes, body: bytes) -> bytes:
    """Return the octets to store; `body` ends with the tag."""
    return bytes([form]) + nonce + body


def split(form: Form, sealed: bytes) -> tuple[bytes, bytes]:
    """Return nonce and body. Proves nothing yet.

    Raises `ConfigurationError` (`configuration.secret_unsealable`) for another form, or too few octets.
    """
    if len(sealed) < 1 + NONCE_OCTETS + TAG_OCTETS:
        raise ConfigurationError(reasons.SECRET_UNSEALABLE, "cut short")
    if sealed[0] != form:
        raise ConfigurationError(reasons.SECRET_UNSEALABLE, f"form {sealed[0]}, not {form.value}")
    return sealed[1 : 1 + NONCE_OCTETS], sealed[1 + NONCE_OCTETS :]
