"""The service's keys in files: made on the first run, rotated by whoever comes first, re-read by all others.

    <directory>/<environment>/service.json         the service key, and its spare until that is taken offline
    <directory>/<environment>/<app>/signing.json   signing keys: retired, signing, next
    <directory>/<environment>/<app>/gate.json      gate keys: one per audience and UTC day

Signing and gate keys lie in two files, because a gate needs the one kind without the other.
"""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from bonafide.errors import ConfigurationError
from bonafide.keys import (
    PRIVATE_KEY_OCTETS,
    KeyRing,
    ServiceKey,
    ServiceRing,
    gate_keys_due,
    plan_gate_keys,
    plan_signing_keys,
    private_key_from,
    signing_keys_due,
)
from bonafide.reasons import configuration as reasons
from bonafide.stores import key_text, private_files

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from bonafide.keys import VerificationKey
    from bonafide.terms import Environment

REREAD_AFTER: Final = timedelta(seconds=10)
"""An unknown key id makes a process look at its files again, but no sooner than this after the last time."""

MAX_APP_CHARACTERS: Final = 64

_log = logging.getLogger("bonafide.keys")
_LITERAL: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")


def _system_time() -> datetime:
    return datetime.now(UTC)


class KeyFiles:
    """The signing keys and gate keys of one app and environment: what issues tokens, and `admission.Keys`.

    One object serves all threads of a process; other processes, on this host or on one that mounts the same
    directory, have their own. Whoever finds a key due writes it under the directory's lock, and everybody goes
    by the file. While the keys at hand still serve, a file system that fails is logged and tried again; a file
    that is malformed or open to others stops the caller at once, with `configuration.keys_unsafe`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        app: str,
        environment: Environment,
        audiences: Collection[str],
        clock: Callable[[], datetime] = _system_time,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Name the files; nothing is read or written yet.

        Raises `ConfigurationError` (`configuration.setting_malformed`) for an app without a usable name.
        """
        self._home = directory / environment / _directory_name(app)
        self._directories = (directory, directory / environment, self._home)
        self._signing = self._home / "signing.json"
        self._gate = self._home / "gate.json"
        self._audiences = frozenset(audiences)
        self._clock = clock
        self._random = random
        self._ring: KeyRing | None = None
        self._read_at = datetime.min.replace(tzinfo=UTC)

    def current(self, now: datetime) -> KeyRing:
        """Return the keys as they stand at `now`; make, rotate and erase what is due.

        Raises `ConfigurationError` (`configuration.keys_unsafe`).
        """
        ring = self._ring
        if ring is None:
            return self._load(now)
        if self._due(ring, now) and (self._may_reread(now) or not ring.serves(self._audiences, now)):
            return self._load(now)
        return ring

    def find(self, kid: str, now: datetime | None = None) -> VerificationKey | None:
        """Return the published signing key of this id, or None. Without `now` it is what the clock says."""
        now = self._clock() if now is None else now
        found = self.current(now).find(kid, now)
        if found is None and self._may_reread(now):
            found = self._load(now).find(kid, now)
        return found

    def secret(self, kid: str, now: datetime | None = None) -> bytes | None:
        """Return the gate key of this id while tokens may name it, else None. Without `now` as `find`."""
        now = self._clock() if now is None else now
        found = self.current(now).secret(kid, now)
        if found is None and self._may_reread(now):
            found = self._load(now).secret(kid, now)
        return found

    def discard(self) -> None:
        """Forget every key of the app, for the day when somebody else has them; the next call makes new ones.

        Processes that hold them go on until they are restarted: what is discarded here is known to them still.
        Raises `ConfigurationError` (`configuration.keys_unsafe`).
        """
        try:
            for level in self._directories:
                private_files.own_directory(level)
            with private_files.exclusively(self._home):
                self._signing.unlink(missing_ok=True)
                self._gate.unlink(missing_ok=True)
        except OSError as error:
            raise _refused(self._home, error) from error
        self._ring = None

    def _may_reread(self, now: datetime) -> bool:
        return not timedelta(0) <= now - self._read_at < REREAD_AFTER  # a clock set back does not lock us out

    def _due(self, ring: KeyRing, now: datetime) -> bool:
        return signing_keys_due(ring.signing, now=now) or gate_keys_due(ring.gate, audiences=self._audiences, now=now)

    def _load(self, now: datetime) -> KeyRing:
        self._read_at = now
        ring = self._ring
        try:
            for level in self._directories:
                private_files.own_directory(level)
            ring = self._read()
            if self._due(ring, now):
                ring = self._rotate(now)
        except OSError as error:
            if ring is None or not ring.serves(self._audiences, now):
                raise _refused(self._home, error) from error
            _log.warning("keys cannot be read again or rotated: %s: %s", self._home, error.strerror)
        self._ring = ring
        return ring

    def _rotate(self, now: datetime) -> KeyRing:
        with private_files.exclusively(self._home):
            private_files.remove_unfinished(self._home)
            self._write_due_signing_keys(now)
            self._write_due_gate_keys(now)
            return self._read()

    def _read(self) -> KeyRing:
        signing, gate = private_files.read(self._signing), private_files.read(self._gate)
        return KeyRing(
            signing=() if signing is None else key_text.parse_signing_keys(signing, str(self._signing)),
            gate=() if gate is None else key_text.parse_gate_keys(gate, str(self._gate)),
        )

    def _write_due_signing_keys(self, now: datetime) -> None:
        data = private_files.read(self._signing)
        keys = () if data is None else key_text.parse_signing_keys(data, str(self._signing))
        planned = plan_signing_keys(keys, now=now, random=self._random)
        if planned is not keys:
            _publish(self._signing, key_text.dump_signing_keys(planned), first=data is None)

    def _write_due_gate_keys(self, now: datetime) -> None:
        data = private_files.read(self._gate)
        keys = () if data is None else key_text.parse_gate_keys(data, str(self._gate))
        planned = plan_gate_keys(keys, audiences=self._audiences, now=now, random=self._random)
        if planned is not keys:
            _publish(self._gate, key_text.dump_gate_keys(planned), first=data is None)


class ServiceKeyFile:
    """The service key of one environment, made with its spare on the first run and never rotated by itself.

    Apps carry the thumbprints of both, so a file that is lost takes the sessions of every app in the
    field with it: keep a copy.
    """

    def __init__(
        self, directory: Path, *, environment: Environment, random: Callable[[int], bytes] = os.urandom
    ) -> None:
        """Name the file; nothing is read or written yet."""
        self._home = directory / environment
        self._directories = (directory, self._home)
        self._path = self._home / "service.json"
        self._random = random
        self._ring: ServiceRing | None = None

    def current(self) -> ServiceRing:
        """Return the service key and its spare's thumbprint, as of this process's first look.

        Raises `ConfigurationError` (`configuration.keys_unsafe`).
        """
        if self._ring is None:
            try:
                for level in self._directories:
                    private_files.own_directory(level)
                data = private_files.read(self._path)
                if data is None:
                    data = self._make()
            except OSError as error:
                raise _refused(self._path, error) from error
            self._ring = key_text.parse_service_key(data, str(self._path))
        return self._ring

    def _make(self) -> bytes:
        with private_files.exclusively(self._home):
            private_files.remove_unfinished(self._home)
            key, spare = (ServiceKey.of(private_key_from(self._random(PRIVATE_KEY_OCTETS))) for _ in range(2))
            made = key_text.dump_service_key(ServiceRing(key=key, spare=spare.kid), spare=spare.private_key)
            private_files.create(self._path, made)
        return private_files.read(self._path) or b""  # another process may have been first


def _publish(path: Path, data: bytes, *, first: bool) -> None:
    """Write a file; what was planned from nothing never replaces what somebody else has made since."""
    if first:
        private_files.create(path, data)
    else:
        private_files.replace(path, data)


def _directory_name(app: str) -> str:
    """Return a name that no other app has, on file systems that fold case too."""
    if not 0 < len(app) <= MAX_APP_CHARACTERS or not app.isascii() or not app.isprintable():
        raise ConfigurationError(reasons.SETTING_MALFORMED, f"an app is 1 to {MAX_APP_CHARACTERS} ASCII characters")
    escaped = "".join(letter if letter in _LITERAL else f"%{ord(letter):02X}" for letter in app)
    return f"%2E{escaped[1:]}" if escaped.startswith(".") else escaped


def _refused(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(reasons.KEYS_UNSAFE, f"{path}: {error.strerror}")
