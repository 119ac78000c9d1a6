"""A sealing key in a private file: 32 random octets that every service host holds a copy of.

What it gives: whoever reads the database, a replica or a dump of it reads no key of the service. What it does
not: who reads the files of a host as the service's user has the key. An HSM keeps that one from leaving.
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
from bonafide.stores import private_files
from bonafide.stores.sealing_keys.sealed_form import KEY_OCTETS, NONCE_OCTETS, Form, additional_data, join, split

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_NAME_LABEL: Final = b"bonafide sealing key name"
_NAME_OCTETS: Final = 9


class FileSealingKey:
    """`ports.SealingKey` by AES-256-GCM under the octets of a file that its owner alone may read."""

    def __init__(self, path: Path, *, random: Callable[[int], bytes] = os.urandom) -> None:
        """Name the file; it is read at the first use. `random` draws nonces, and the key where one is made."""
        self._path = path
        self._random = random
        self._read: bytes | None = None

    @property
    def name(self) -> str:
        """A name that the octets of the key determine, and that tells nothing of them."""
        digest = hmac.new(self._secret(), _NAME_LABEL, sha256).digest()
        return f"file:{base64url.encode(digest[:_NAME_OCTETS])}"

    def make(self) -> bool:
        """Make the key unless the file is there; tell whether it was this call that made it.

        One host makes it and hands it to the others: a second key would open nothing of the first. Raises
        `ConfigurationError` (`configuration.sealing_key_unusable`).
        """
        try:
            return private_files.create(self._path, self._random(KEY_OCTETS))
        except OSError as error:
            raise _unusable(self._path, error.strerror or type(error).__name__) from None

    def seal(self, secret: bytes, *, context: bytes) -> bytes:
        """See `ports.SealingKey.seal`."""
        nonce = self._random(NONCE_OCTETS)
        body = AESGCM(self._secret()).encrypt(nonce, secret, additional_data(Form.FILE, context))
        return join(Form.FILE, nonce, body)

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        """See `ports.SealingKey.open`."""
        nonce, body = split(Form.FILE, sealed)
        try:
            return AESGCM(self._secret()).decrypt(nonce, body, additional_data(Form.FILE, context))
        except InvalidTag:
            raise ConfigurationError(reasons.SECRET_UNSEALABLE, f"not under {self.name}, or not in its place") from None

    def _secret(self) -> bytes:
        if self._read is None:
            try:
                secret = private_files.read(self._path)
            except OSError as error:
                raise _unusable(self._path, error.strerror or type(error).__name__) from None
            if secret is None:
                raise _unusable(self._path, "there is no such file")
            if len(secret) != KEY_OCTETS:
                raise _unusable(self._path, f"not {KEY_OCTETS} octets")
            self._read = secret
        return self._read


def _unusable(path: Path, what: str) -> ConfigurationError:
    return ConfigurationError(reasons.SEALING_KEY_UNUSABLE, f"{path}: {what}")
