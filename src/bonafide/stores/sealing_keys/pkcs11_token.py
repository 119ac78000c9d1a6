"""A sealing key that never leaves its token: an HSM, a smart card, or SoftHSM, behind PKCS#11 v2.40.

Rules of this file:
- AES-GCM runs in the token. The key is sensitive and not extractable, and one that is not is refused.
- The session is that of the process (`pkcs11_login`), and one caller at a time speaks to tokens.
- The PIN is read from a private file, and neither logged nor kept in any message.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pkcs11
from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, ObjectClass

from bonafide.errors import ConfigurationError, VerificationFailed
from bonafide.reasons import configuration as reasons
from bonafide.reasons import store as store_reasons
from bonafide.stores import private_files
from bonafide.stores.sealing_keys import pkcs11_login
from bonafide.stores.sealing_keys.sealed_form import KEY_OCTETS, NONCE_OCTETS, Form, additional_data, join, split

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_T = TypeVar("_T")

_ATTEMPTS: Final = 4
_PAUSE_S: Final = 0.05
"""SoftHSM shows no token at all to a process that looks while another writes its files."""

_MADE: Final[dict[Any, Any]] = {
    Attribute.TOKEN: True,
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.ENCRYPT: True,
    Attribute.DECRYPT: True,
    Attribute.WRAP: False,
    Attribute.UNWRAP: False,
}


class Pkcs11SealingKey:
    """`ports.SealingKey` by AES-256-GCM in the token of that label, under its one AES key of that label."""

    def __init__(
        self,
        *,
        module: Path,
        token: str,
        label: str,
        pin_file: Path,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Name the module (a shared library), token, key and the file of the user's PIN; nothing is opened yet."""
        self._login = pkcs11_login.at(str(module), token)
        self._token = token
        self._label = label
        self._pin_file = pin_file
        self._random = random
        self._session: Any = None  # that of the process, once our PIN was read

    @property
    def name(self) -> str:
        """Where the key is. A new key gets a new label."""
        return f"pkcs11:{self._token}/{self._label}"

    def make(self) -> bool:
        """Generate the key in the token unless there is one of that label; tell whether it was made.

        Raises as `seal`.
        """
        return self._ask(self._generate)

    def seal(self, secret: bytes, *, context: bytes) -> bytes:
        """See `ports.SealingKey.seal`."""
        nonce = self._random(NONCE_OCTETS)
        gcm = GCMParams(nonce, additional_data(Form.PKCS11, context))
        body = self._ask(lambda: self._found().encrypt(secret, mechanism=Mechanism.AES_GCM, mechanism_param=gcm))
        return join(Form.PKCS11, nonce, body)

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        """See `ports.SealingKey.open`."""
        nonce, body = split(Form.PKCS11, sealed)
        gcm = GCMParams(nonce, additional_data(Form.PKCS11, context))

        def decrypt() -> bytes:
            secret: bytes = self._found().decrypt(body, mechanism=Mechanism.AES_GCM, mechanism_param=gcm)
            return secret

        try:
            return self._ask(decrypt, attempts=2)
        except VerificationFailed:
            # Tokens say "general error" of a wrong tag and of their own troubles. One that opens what it has
            # just sealed has none.
            self._prove_that_it_works()
        try:
            return self._ask(decrypt, attempts=1)
        except VerificationFailed:
            raise ConfigurationError(reasons.SECRET_UNSEALABLE, f"not under {self.name}, or not in its place") from None

    def _prove_that_it_works(self) -> None:
        gcm = GCMParams(self._random(NONCE_OCTETS), b"bonafide probe")
        probe = self._ask(lambda: self._found().encrypt(b"probe", mechanism=Mechanism.AES_GCM, mechanism_param=gcm))
        self._ask(lambda: self._found().decrypt(probe, mechanism=Mechanism.AES_GCM, mechanism_param=gcm))

    def _ask(self, act: Callable[[], _T], *, attempts: int = _ATTEMPTS) -> _T:
        """Run `act` on a session; again on new ones, because a session may end for reasons of the token's own.

        Raises `ConfigurationError` (`configuration.sealing_key_unusable`), `VerificationFailed`
        (`store.sealing_key_unavailable`).
        """
        failure = ""
        with pkcs11_login.TURN:
            for attempt in range(attempts):
                time.sleep(attempt * _PAUSE_S)
                try:
                    return act()
                except pkcs11.PKCS11Error as error:
                    self._login.end()
                    failure = type(error).__name__
        raise VerificationFailed(store_reasons.SEALING_KEY_UNAVAILABLE, f"{self.name}: {failure}")

    def _found(self) -> Any:
        if not self._login.stands(self._session):
            self._session = self._login.begin(self._pin())
        key = self._login.keys.get(self._label)
        if key is None:
            keys = self._of_label(self._session)
            if len(keys) != 1:
                raise _unusable(self.name, f"{len(keys)} keys of that label, not one")
            key = keys[0]
            self._require_kept(key)
            self._login.keys[self._label] = key
        return key

    def _of_label(self, session: Any) -> list[Any]:
        wanted = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: self._label}
        return list(session.get_objects(wanted))

    def _require_kept(self, key: Any) -> None:
        kind, octets = key[Attribute.KEY_TYPE], key[Attribute.VALUE_LEN]
        if kind != KeyType.AES or octets != KEY_OCTETS:
            raise _unusable(self.name, "not an AES key of 256 bits")
        if key[Attribute.EXTRACTABLE] or not key[Attribute.SENSITIVE]:
            raise _unusable(self.name, "the token would hand the key out")

    def _generate(self) -> bool:
        self._login.begin(self._pin())
        session = self._login.writing()
        try:
            if self._of_label(session):
                return False
            session.generate_key(KeyType.AES, KEY_OCTETS * 8, label=self._label, template=_MADE)
            return True
        finally:
            with suppress(pkcs11.PKCS11Error):
                session.close()

    def _pin(self) -> str:
        try:
            data = private_files.read(self._pin_file)
            pin = None if data is None else data.decode().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable(self.name, f"{self._pin_file}: {type(error).__name__}") from None
        if not pin:
            raise _unusable(self.name, f"{self._pin_file}: no PIN")
        return pin


def _unusable(name: str, what: str) -> ConfigurationError:
    return ConfigurationError(reasons.SEALING_KEY_UNUSABLE, f"{name}: {what}")
