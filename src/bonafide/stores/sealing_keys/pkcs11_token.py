"""A sealing key that never leaves its token: an HSM, a smart card, or SoftHSM, behind PKCS#11 v2.40.

Rules of this file:
- AES-GCM runs in the token. The key is sensitive and not extractable, and one that is not is refused.
- A login belongs to the process, not to an object, and no module promises to survive a fork: one caller at a
  time speaks to tokens, and a forked child begins anew.
- A PIN that was refused is not tried again by this process: tokens lock after a few. It is read from a private
  file, and neither logged nor kept in any message.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pkcs11
from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, ObjectClass

from bonafide.errors import ConfigurationError, VerificationFailed
from bonafide.reasons import configuration as reasons
from bonafide.reasons import store as store_reasons
from bonafide.stores import private_files
from bonafide.stores.sealing_keys.sealed_form import KEY_OCTETS, NONCE_OCTETS, Form, additional_data, join, split

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_T = TypeVar("_T")

_ATTEMPTS: Final = 4
_PAUSE_S: Final = 0.05
"""SoftHSM shows no token at all to a process that looks while another writes its files."""

_REFUSED_LOGIN: Final = (
    pkcs11.PinExpired,
    pkcs11.PinIncorrect,
    pkcs11.PinInvalid,
    pkcs11.PinLenRange,
    pkcs11.PinLocked,
    pkcs11.UserPinNotInitialized,
)
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
_TURN: Final = threading.Lock()
_BEGUN: Final[dict[str, int]] = {}  # which process a module was begun in; 0 has it begin anew

os.register_at_fork(after_in_child=_TURN._at_fork_reinit)  # type: ignore[attr-defined]  # noqa: SLF001 - as logging does


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
        self._module = str(module)
        self._token = token
        self._label = label
        self._pin_file = pin_file
        self._random = random
        self._session: Any = None
        self._key: Any = None
        self._pid = 0
        self._wrong_pin: str | None = None

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
        with _TURN:
            for attempt in range(attempts):
                time.sleep(attempt * _PAUSE_S)
                try:
                    return act()
                except ConfigurationError:
                    self._forget()
                    raise
                except pkcs11.PKCS11Error as error:
                    self._forget()
                    failure = type(error).__name__
        raise VerificationFailed(store_reasons.SEALING_KEY_UNAVAILABLE, f"{self.name}: {failure}")

    def _found(self) -> Any:
        if self._key is None or self._pid != os.getpid():
            self._key = None  # a parent's session is not ours to close
            self._session, self._pid = self._log_in(), os.getpid()
            keys = self._of_label()
            if len(keys) != 1:
                raise _unusable(self.name, f"{len(keys)} keys of that label, not one")
            self._require_kept(keys[0])
            self._key = keys[0]
        return self._key

    def _of_label(self) -> list[Any]:
        wanted = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: self._label}
        return list(self._session.get_objects(wanted))

    def _require_kept(self, key: Any) -> None:
        kind, octets = key[Attribute.KEY_TYPE], key[Attribute.VALUE_LEN]
        if kind != KeyType.AES or octets != KEY_OCTETS:
            raise _unusable(self.name, "not an AES key of 256 bits")
        if key[Attribute.EXTRACTABLE] or not key[Attribute.SENSITIVE]:
            raise _unusable(self.name, "the token would hand the key out")

    def _generate(self) -> bool:
        self._forget()
        self._session, self._pid = self._log_in(writing=True), os.getpid()
        try:
            if self._of_label():
                return False
            self._session.generate_key(KeyType.AES, KEY_OCTETS * 8, label=self._label, template=_MADE)
            return True
        finally:
            self._forget()

    def _log_in(self, *, writing: bool = False) -> Any:
        try:
            token = _library(self._module).get_token(token_label=self._token)
        except pkcs11.NoSuchToken:
            _BEGUN[self._module] = 0  # many modules look for tokens only when they begin
            raise
        pin = self._pin()
        if pin == self._wrong_pin:
            raise _unusable(self.name, "the token refused this PIN before; it is not tried again")
        try:
            return token.open(rw=writing, user_pin=pin)
        except pkcs11.UserAlreadyLoggedIn:
            return token.open(rw=writing)  # by another key of this process
        except _REFUSED_LOGIN as error:
            self._wrong_pin = pin
            raise _unusable(self.name, f"the token refused the PIN: {type(error).__name__}") from None

    def _pin(self) -> str:
        try:
            data = private_files.read(self._pin_file)
            pin = None if data is None else data.decode().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable(self.name, f"{self._pin_file}: {type(error).__name__}") from None
        if not pin:
            raise _unusable(self.name, f"{self._pin_file}: no PIN")
        return pin

    def _forget(self) -> None:
        session, self._session, self._key = self._session, None, None
        if session is not None and self._pid == os.getpid():
            with suppress(pkcs11.PKCS11Error):
                session.close()


def _unusable(name: str, what: str) -> ConfigurationError:
    return ConfigurationError(reasons.SEALING_KEY_UNUSABLE, f"{name}: {what}")


def _library(path: str) -> Any:
    """Return the module, begun in this process. Raises `ConfigurationError` (`configuration.sealing_key_unusable`)."""
    pid = os.getpid()
    try:
        library = pkcs11.lib(path)
        if _BEGUN.setdefault(path, pid) != pid:
            library.reinitialize()
            _BEGUN[path] = pid
    except pkcs11.PKCS11Error as error:
        detail = f"{path}: not a PKCS#11 module that can be begun: {type(error).__name__}"
        raise ConfigurationError(reasons.SEALING_KEY_UNUSABLE, detail) from None
    return library
