"""The login of this process at a token behind PKCS#11, and the one session that it stands on.

Rules of this file:
- A login belongs to the process, not to an object: all keys of a token speak on one session. python-pkcs11 closes
  no session by itself, and loses the one on which a login fails, so none is opened that need not be.
- A PIN that a token refused is not tried there again by this process, whoever asks: tokens lock after a few.
- No module promises to survive a fork, and once it begins anew, numbers of sessions and keys come again and mean
  others: what was opened in another life of the module is forgotten, and never used.
- One caller at a time, who holds `TURN`.
"""

from __future__ import annotations

import os
import threading
from typing import Any, Final

import pkcs11

from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons

TURN: Final = threading.Lock()

_REFUSED: Final = (
    pkcs11.PinExpired,
    pkcs11.PinIncorrect,
    pkcs11.PinInvalid,
    pkcs11.PinLenRange,
    pkcs11.PinLocked,
    pkcs11.UserPinNotInitialized,
)
_Life = tuple[int, int]  # the process that a module was begun in, and how many times it was begun
_LIVES: Final[dict[str, _Life]] = {}
_LOGINS: Final[dict[tuple[str, str], Login]] = {}

os.register_at_fork(after_in_child=TURN._at_fork_reinit)  # type: ignore[attr-defined]  # noqa: SLF001 - as logging does


class Login:
    """At the token of a label, under the user's PIN."""

    def __init__(self, module: str, token: str) -> None:
        """Name module and token; nothing is opened yet. `at` has one for each."""
        self._module = module
        self._token = token
        self._session: Any = None
        self._life: _Life | None = None
        self._serial = ""
        self._refused: set[tuple[str, str]] = set()
        self.keys: dict[str, Any] = {}
        """What was found on the session, by label: a search that fails on a dead one leaves a trace on stderr."""

    def stands(self, session: object) -> bool:
        """Tell whether this is the session of the login, in this process and this life of the module."""
        return session is not None and session is self._session and self._life == _life_of(self._module)

    def begin(self, pin: str) -> Any:
        """Return the session, logged in; under `pin` where nobody of this process is yet.

        Raises `ConfigurationError` (`configuration.sealing_key_unusable`) where the token refuses the PIN, or did
        so before; `pkcs11.PKCS11Error` where it does not answer.
        """
        if not self.stands(self._session):
            self._session = None  # of another life: not ours to close
            self.keys.clear()
            token = self._find()
            self._serial = token.serial
            self._require_untried(pin)
            self._session = self._log_in(token, pin)
            self._life = _life_of(self._module)
        self._require_untried(pin)
        return self._session

    def writing(self) -> Any:
        """Return a second session, on which keys can be made while the login stands. The caller closes it."""
        return self._find().open(rw=True)

    def end(self) -> None:
        """Log out and close the session, because something went wrong on it."""
        session, self._session = self._session, None
        self.keys.clear()
        if session is None or self._life != _life_of(self._module):
            return
        try:
            session.close()
        except pkcs11.PKCS11Error:
            end_life(self._module)  # one that does not log out stays open otherwise

    def _find(self) -> Any:
        try:
            return _begun(self._module).get_token(token_label=self._token)
        except pkcs11.NoSuchToken:
            end_life(self._module)  # many modules look for tokens only when they begin
            raise

    def _require_untried(self, pin: str) -> None:
        if (self._serial, pin) in self._refused:
            raise _unusable(self._token, "the token refused this PIN before; it is not tried again")

    def _log_in(self, token: Any, pin: str) -> Any:
        try:
            return token.open(user_pin=pin)
        except pkcs11.UserAlreadyLoggedIn:
            return token.open()  # by somebody else in this process, whom a new life of the module would throw out
        except _REFUSED as error:
            self._refused.add((self._serial, pin))
            end_life(self._module)  # as below
            raise _unusable(self._token, f"the token refused the PIN: {type(error).__name__}") from None
        except pkcs11.PKCS11Error:
            end_life(self._module)  # nothing else closes the session that the failed login was tried on
            raise


def at(module: str, token: str) -> Login:
    """Return the login of this process at the token of that label."""
    return _LOGINS.setdefault((module, token), Login(module, token))


def end_life(path: str) -> None:
    """Have the module begin anew at its next use, which closes all that was opened in it."""
    _LIVES[path] = (0, _LIVES.get(path, (0, 0))[1])


def _begun(path: str) -> Any:
    """Return the module, begun in this process. Raises `ConfigurationError` (`configuration.sealing_key_unusable`)."""
    pid = os.getpid()
    try:
        library = pkcs11.lib(path)
        before, times = _LIVES.get(path, (pid, 0))
        if before != pid:
            library.reinitialize()
        if before != pid or not times:
            _LIVES[path] = (pid, times + 1)
    except pkcs11.PKCS11Error as error:
        detail = f"{path}: not a PKCS#11 module that can be begun: {type(error).__name__}"
        raise ConfigurationError(reasons.SEALING_KEY_UNUSABLE, detail) from None
    return library


def _life_of(path: str) -> _Life | None:
    life = _LIVES.get(path)
    return life if life is not None and life[0] == os.getpid() else None


def _unusable(token: str, what: str) -> ConfigurationError:
    return ConfigurationError(reasons.SEALING_KEY_UNUSABLE, f"pkcs11:{token}: {what}")
