"""What may be seen of the keys: id, state and times of each, and never an octet of one.

Nothing is made, rotated or erased by looking: what is due is written by the processes that serve.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum, unique
from itertools import zip_longest
from typing import TYPE_CHECKING

from bonafide.django.key_sources import storage_of
from bonafide.keys import CLOCK_ALLOWANCE, MAX_TOKEN_LIFETIME
from bonafide.stores.key_rings import AppKeys, ServiceKeys

if TYPE_CHECKING:
    from datetime import datetime

    from bonafide.django.conf import Settings
    from bonafide.keys import GateKey, ScheduledKey


@unique
class KeyState(StrEnum):
    """Where in its life a key is."""

    PUBLISHED = "published"
    """It does not sign yet. Gates know it already."""
    SIGNS = "signs"
    """New tokens are made under it."""
    RETIRED = "retired"
    """Tokens that name it are still taken; none is made."""
    OVER = "over"
    """Nothing can name it. Whoever writes next erases it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFacts:
    """One key. `retires` and `erased` are None while no successor says when; `audience` is that of a gate key."""

    kid: str
    state: KeyState
    begins: datetime
    retires: datetime | None
    erased: datetime | None
    audience: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppFacts:
    """The keys of one app, oldest first."""

    signing: tuple[KeyFacts, ...]
    gate: tuple[KeyFacts, ...]


def of_app(settings: Settings, app: str, now: datetime) -> AppFacts:
    """Return the facts of an app's keys as they lie in the storage.

    Raises `ConfigurationError`, `VerificationFailed` and `stores.key_storage.StorageSilent` where they cannot be read.
    """
    ring = AppKeys(storage_of(settings), app=app, audiences=()).held()
    successors = zip_longest(ring.signing, ring.signing[1:])
    return AppFacts(
        signing=tuple(_signing(key, successor, now) for key, successor in successors),
        gate=tuple(_gate(key, now) for key in sorted(ring.gate, key=lambda key: (key.not_before, key.audience))),
    )


def of_service(settings: Settings) -> tuple[str, str] | None:
    """Return the thumbprints of the service key and of its spare, or None before the first run. Raises as `of_app`."""
    ring = ServiceKeys(storage_of(settings)).held()
    return None if ring is None else ring.thumbprints


def _signing(scheduled: ScheduledKey, successor: ScheduledKey | None, now: datetime) -> KeyFacts:
    retires = None if successor is None else successor.signs_from
    erased = None if retires is None else retires + MAX_TOKEN_LIFETIME + CLOCK_ALLOWANCE
    return KeyFacts(
        kid=scheduled.key.kid,
        state=_state(now, scheduled.signs_from, retires, erased),
        begins=scheduled.signs_from,
        retires=retires,
        erased=erased,
    )


def _gate(key: GateKey, now: datetime) -> KeyFacts:
    retires = key.not_before + timedelta(days=1)
    return KeyFacts(
        kid=key.kid,
        state=_state(now, key.not_before, retires, key.erase_after),
        begins=key.not_before,
        retires=retires,
        erased=key.erase_after,
        audience=key.audience,
    )


def _state(now: datetime, begins: datetime, retires: datetime | None, erased: datetime | None) -> KeyState:
    if now < begins:
        return KeyState.PUBLISHED
    if retires is None or now < retires:
        return KeyState.SIGNS
    return KeyState.RETIRED if erased is None or now < erased else KeyState.OVER
