"""The service's keys: made on the first run, rotated by whoever comes first, re-read by all others.

    service.json          the service key, and its spare until that is taken offline
    challenge.key         the key that makes challenges
    <app>/signing.json    signing keys: retired, signing, next
    <app>/gate.json       gate keys: one per audience and UTC day

Where these documents lie is the storage's business. Signing and gate keys are two of them, because a gate needs
the one kind without the other.
"""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from bonafide.challenge import KEY_BYTES, ChallengeKey
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
from bonafide.stores import key_text
from bonafide.stores.key_storage import StorageSilent

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from bonafide.keys import GateKey, ScheduledKey, VerificationKey
    from bonafide.stores.key_storage import KeyStorage

REREAD_AFTER: Final = timedelta(seconds=10)
"""An unknown key id makes a process look at the storage again, but no sooner than this after the last time."""

MAX_APP_CHARACTERS: Final = 64

_log = logging.getLogger("bonafide.keys")
_LITERAL: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")


def _system_time() -> datetime:
    return datetime.now(UTC)


class AppKeys:
    """The signing keys and gate keys of one app and environment: what issues tokens, and `admission.Keys`.

    One object serves all threads of a process; other processes have their own. Whoever finds a key due writes it,
    and everybody goes by what lies in the storage. While the keys at hand still serve, a storage that fails is
    logged and tried again; a document that is malformed, or open to others, stops the caller at once.
    """

    def __init__(
        self,
        storage: KeyStorage,
        *,
        app: str,
        audiences: Collection[str],
        clock: Callable[[], datetime] = _system_time,
        random: Callable[[int], bytes] = os.urandom,
        rotated: Callable[[str, tuple[ScheduledKey, ...], datetime], None] | None = None,
    ) -> None:
        """Name the documents; nothing is read or written yet.

        `rotated` is told the app, its signing keys and the time whenever this process has written new ones.
        Raises `ConfigurationError` (`configuration.setting_malformed`) for an app without a usable name.
        """
        home = document_name(app)
        self._app = app
        self._rotated = rotated
        self._storage = storage
        self._signing = f"{home}/signing.json"
        self._gate = f"{home}/gate.json"
        self._audiences = frozenset(audiences)
        self._clock = clock
        self._random = random
        self._ring: KeyRing | None = None
        self._read_at = datetime.min.replace(tzinfo=UTC)

    def current(self, now: datetime) -> KeyRing:
        """Return the keys as they stand at `now`; make, rotate and erase what is due.

        Raises `ConfigurationError` (`configuration.keys_unsafe`, `configuration.secret_unsealable`), and what the
        storage says of itself where it fails and there are no keys to go on with.
        """
        ring = self._ring
        if ring is None:
            return self._load(now)
        if self._due(ring, now) and (self._may_reread(now) or not ring.serves(self._audiences, now)):
            return self._load(now)
        return ring

    def held(self) -> KeyRing:
        """Return the keys as they lie in the storage: nothing is made, rotated or erased, and nothing remembered.

        Raises `ConfigurationError` as `current`, and `StorageSilent`.
        """
        return KeyRing(
            signing=self._parse_signing(self._storage.read(self._signing)),
            gate=self._parse_gate(self._storage.read(self._gate)),
        )

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

    def replace(self, now: datetime) -> KeyRing:
        """Forget every key of the app, for the day when somebody else has them, and return new ones.

        Processes that hold them go on until they are restarted: what is forgotten here is known to them still.
        Raises as `current`.
        """
        signing = plan_signing_keys((), now=now, random=self._random)
        gate = plan_gate_keys((), audiences=self._audiences, now=now, random=self._random)
        try:
            self._storage.put(self._signing, key_text.dump_signing_keys(signing))
            self._storage.put(self._gate, key_text.dump_gate_keys(gate))
        except StorageSilent as silence:
            raise silence.refusal from None
        self._ring = None
        return self._load(now)

    def _may_reread(self, now: datetime) -> bool:
        return not timedelta(0) <= now - self._read_at < REREAD_AFTER  # a clock set back does not lock us out

    def _due(self, ring: KeyRing, now: datetime) -> bool:
        return signing_keys_due(ring.signing, now=now) or gate_keys_due(ring.gate, audiences=self._audiences, now=now)

    def _load(self, now: datetime) -> KeyRing:
        self._read_at = now
        ring = self._ring
        try:
            ring = self.held()
            if self._due(ring, now):
                ring = self._rotate(now)
        except StorageSilent as silence:
            if ring is None or not ring.serves(self._audiences, now):
                raise silence.refusal from None
            _log.warning("keys cannot be read again or rotated: %s: %s", silence.where, silence.cause)
        self._ring = ring
        return ring

    def _rotate(self, now: datetime) -> KeyRing:
        ours = False

        def plan(data: bytes | None) -> bytes | None:
            nonlocal ours
            planned = self._plan_signing(data, now)
            ours = planned is not data  # of several plans the last one is written, if any
            return planned

        signing = self._parse_signing(self._storage.change(self._signing, plan))
        if ours and self._rotated is not None:
            self._rotated(self._app, signing, now)
        gate = self._storage.change(self._gate, lambda data: self._plan_gate(data, now))
        return KeyRing(signing=signing, gate=self._parse_gate(gate))

    def _parse_signing(self, data: bytes | None) -> tuple[ScheduledKey, ...]:
        return () if data is None else key_text.parse_signing_keys(data, self._storage.where(self._signing))

    def _parse_gate(self, data: bytes | None) -> tuple[GateKey, ...]:
        return () if data is None else key_text.parse_gate_keys(data, self._storage.where(self._gate))

    def _plan_signing(self, data: bytes | None, now: datetime) -> bytes | None:
        keys = self._parse_signing(data)
        planned = plan_signing_keys(keys, now=now, random=self._random)
        return data if planned is keys else key_text.dump_signing_keys(planned)

    def _plan_gate(self, data: bytes | None, now: datetime) -> bytes | None:
        keys = self._parse_gate(data)
        planned = plan_gate_keys(keys, audiences=self._audiences, now=now, random=self._random)
        return data if planned is keys else key_text.dump_gate_keys(planned)


class ServiceKeys:
    """The service key of one environment, made with its spare on the first run and never rotated by itself.

    Apps carry the thumbprints of both, so a document that is lost takes the sessions of every app in the
    field with it: keep a copy.
    """

    NAME: Final = "service.json"

    def __init__(self, storage: KeyStorage, *, random: Callable[[int], bytes] = os.urandom) -> None:
        """Take the storage; nothing is read or written yet."""
        self._storage = storage
        self._random = random
        self._ring: ServiceRing | None = None

    def current(self) -> ServiceRing:
        """Return the service key and its spare's thumbprint, as of this process's first look.

        Raises `ConfigurationError` (`configuration.keys_unsafe`, `configuration.secret_unsealable`), and what the
        storage says of itself where it fails.
        """
        if self._ring is None:
            self._ring = key_text.parse_service_key(
                _read_or_make(self._storage, self.NAME, self._made), self._storage.where(self.NAME)
            )
        return self._ring

    def held(self) -> ServiceRing | None:
        """Return what lies in the storage, or None where nothing was made yet. Raises as `AppKeys.held`."""
        data = self._storage.read(self.NAME)
        return None if data is None else key_text.parse_service_key(data, self._storage.where(self.NAME))

    def _made(self) -> bytes:
        key, spare = (ServiceKey.of(private_key_from(self._random(PRIVATE_KEY_OCTETS))) for _ in range(2))
        return key_text.dump_service_key(ServiceRing(key=key, spare=spare.kid), spare=spare.private_key)


class ChallengeKeys:
    """The key of the challenges of one environment, made on the first run. All hosts of a service share it."""

    NAME: Final = "challenge.key"

    def __init__(self, storage: KeyStorage, *, random: Callable[[int], bytes] = os.urandom) -> None:
        """Take the storage; nothing is read or written yet."""
        self._storage = storage
        self._random = random
        self._key: ChallengeKey | None = None

    def current(self) -> ChallengeKey:
        """Return the key, as of this process's first look. Raises as `ServiceKeys.current`."""
        if self._key is None:
            made = _read_or_make(self._storage, self.NAME, lambda: self._random(KEY_BYTES))
            self._key = ChallengeKey(secret=made)
        return self._key


def document_name(app: str) -> str:
    """Return the part of a document's name that no other app has, on file systems that fold case too.

    Raises `ConfigurationError` (`configuration.setting_malformed`) for an app without a usable name.
    """
    if not 0 < len(app) <= MAX_APP_CHARACTERS or not app.isascii() or not app.isprintable():
        raise ConfigurationError(reasons.SETTING_MALFORMED, f"an app is 1 to {MAX_APP_CHARACTERS} ASCII characters")
    escaped = "".join(letter if letter in _LITERAL else f"%{ord(letter):02X}" for letter in app)
    return f"%2E{escaped[1:]}" if escaped.startswith(".") else escaped


def _read_or_make(storage: KeyStorage, name: str, make: Callable[[], bytes]) -> bytes:
    try:
        data = storage.read(name)
        if data is None:
            data = storage.change(name, lambda held: make() if held is None else held)
    except StorageSilent as silence:
        raise silence.refusal from None
    return data or b""  # nothing, or what is not there after it was made, is no key
