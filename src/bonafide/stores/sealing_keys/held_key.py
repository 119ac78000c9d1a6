"""A sealing key whose octets a key storage keeps: in a private file, or sealed by the key of an HSM.

So what is sealed often, a secret for each app that asks, costs no round trip to a token, and one change of the token's
key seals one document anew instead of each row. What it gives and does not give is what the storage's own form does.
"""

from __future__ import annotations

import hmac
import os
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bonafide.codec import base64url
from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons
from bonafide.stores.sealing_keys.sealed_form import KEY_OCTETS, NONCE_OCTETS, Form, additional_data, join, split

if TYPE_CHECKING:
    from collections.abc import Callable

_NAME_LABEL: Final = b"bonafide held key name"
_NAME_OCTETS: Final = 9


class HeldSealingKey:
    """`ports.SealingKey` by AES-256-GCM under octets that somebody else read."""

    def __init__(self, secret: bytes, *, where: str, random: Callable[[int], bytes] = os.urandom) -> None:
        """Take 32 octets, and where they lie in words for the operator. `random` draws nonces.

        Raises `ConfigurationError` (`configuration.keys_unsafe`) for another number of octets.
        """
        if len(secret) != KEY_OCTETS:
            raise ConfigurationError(reasons.KEYS_UNSAFE, f"{where}: not {KEY_OCTETS} octets")
        self._aead = AESGCM(secret)
        self._name = base64url.encode(hmac.new(secret, _NAME_LABEL, sha256).digest()[:_NAME_OCTETS])
        self._random = random

    @property
    def name(self) -> str:
        """A name that the octets of the key determine, and that tells nothing of them."""
        return f"held:{self._name}"

    def seal(self, secret: bytes, *, context: bytes) -> bytes:
        """See `ports.SealingKey.seal`."""
        nonce = self._random(NONCE_OCTETS)
        return join(Form.HELD, nonce, self._aead.encrypt(nonce, secret, additional_data(Form.HELD, context)))

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        """See `ports.SealingKey.open`."""
        nonce, body = split(Form.HELD, sealed)
        try:
            return self._aead.decrypt(nonce, body, additional_data(Form.HELD, context))
        except InvalidTag:
            raise ConfigurationError(reasons.SECRET_UNSEALABLE, f"not under {self.name}, or not in its place") from None
