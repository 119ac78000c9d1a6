"""What a gate holds of its service's word, and for how long it stands (`admission.Keys`, `admission.Revocations`).

Rule of this file: nothing is known that the service has not confirmed within `max_stale`, by the time of day and by the
clock that nobody sets; unknown refuses. A word from the future, which a clock that was put right leaves behind, stands
for nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bonafide.errors import MalformedEvidence, VerificationFailed
from bonafide.opening import verify as verify_opening
from bonafide.provision import ASK_LIFETIME_S
from bonafide.reasons import store as reasons

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from bonafide.gate.config import GateConfig
    from bonafide.keys import GateKey, PublishedKey
    from bonafide.opening import Opening
    from bonafide.provision import Answer, GateState
    from bonafide.reasons import Reason

_NO_RAMP: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class _Held:
    """One state, laid out for look-ups."""

    tag: str
    keys: Mapping[str, PublishedKey]
    gate_keys: Mapping[str, GateKey]
    instances: frozenset[str]
    jkts: frozenset[str]
    openings: tuple[Opening, ...]
    ramp_key: bytes


_NOTHING: Final = _Held("", {}, {}, frozenset(), frozenset(), (), _NO_RAMP)


class Provisioned:
    """One worker's copy. Threads read while one thread takes answers.

    `clock` is the time of day in seconds, `elapsed` that of a clock which never steps. `confirmed_at` is when the
    service said what is held, by its own clock. `forgotten` rises with every state that lacks a key of the one before:
    what it verified is to be verified anew.
    """

    def __init__(
        self,
        config: GateConfig,
        *,
        clock: Callable[[], float],
        on_unknown_key: Callable[[], None],
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        """Hold nothing yet: until the first answer everything is unknown."""
        self._apps: Final = config.apps
        self._audience: Final = config.audience
        self._issuer: Final = config.issuer
        self._environment: Final = config.environment
        self._pinned: Final = config.service_keys
        self._max_stale: Final = config.max_stale.total_seconds()
        self._clock = clock
        self._elapsed = elapsed
        self._on_unknown_key = on_unknown_key
        self._held = _NOTHING
        self._from = self._until = 0.0
        self._ends = 0.0
        self.confirmed_at = 0.0
        self.forgotten = 0
        self.refused_openings: tuple[Reason, ...] = ()

    @property
    def tag(self) -> str:
        """The tag of the state that is held; empty where none is, or one from the future, which is to be told anew."""
        return self._held.tag if self._clock() >= self._from else ""

    @property
    def ramp_key(self) -> bytes:
        """The key of the ramp's buckets."""
        return self._held.ramp_key

    def take(self, answer: Answer, *, asked: bool = False) -> None:
        """Take the service's word. One from the future, or older than what is held, changes nothing.

        `asked` is for the answer to the ask that is outstanding, which repeats its id: said after that ask, it is newer
        than what is held, whatever the service's clock made of it. All other answers come from the disk.
        """
        now, confirmed_at = self._clock(), answer.issued_at.timestamp()
        ahead = now < self._from  # the clock was put right: what is held says nothing of what is newer
        if confirmed_at > now + ASK_LIFETIME_S or not (asked or ahead or confirmed_at >= self.confirmed_at):
            return
        if answer.state is not None:
            before, self._held = self._held, self._lay_out(answer.tag, answer.state)
            if before.keys.keys() - self._held.keys.keys() or before.gate_keys.keys() - self._held.gate_keys.keys():
                self.forgotten += 1
        elif answer.tag != self._held.tag:
            return  # it confirms what another worker has, and this one will read
        self.confirmed_at = confirmed_at
        self._from = confirmed_at - ASK_LIFETIME_S
        self._until = confirmed_at + self._max_stale
        self._ends = self._elapsed() + self._max_stale - max(0.0, now - confirmed_at)

    def is_stale(self) -> bool:
        """Tell whether the service's last word does not stand: too old, by either clock, or from the future."""
        return not self._from <= self._clock() <= self._until or self._elapsed() > self._ends

    def find(self, kid: str, now: datetime) -> PublishedKey | None:
        """Return the published signing key of this id, if it signs for an app that is admitted here.

        Raises `VerificationFailed` (`store.copy_stale`).
        """
        del now
        if self.is_stale():
            raise _stale()
        found = self._held.keys.get(kid)
        if found is None:
            self._on_unknown_key()
        return found if found is not None and found.app in self._apps else None

    def secret(self, kid: str, now: datetime) -> bytes | None:
        """Return the gate key of this id while tokens may name it, else None. Raises as `find`."""
        if self.is_stale():
            raise _stale()
        key = self._held.gate_keys.get(kid)
        if key is None:
            self._on_unknown_key()
            return None
        return key.secret if key.audience == self._audience and now < key.erase_after else None

    def is_revoked(self, instance: str, jkt: str) -> bool:
        """Tell whether this instance or this key is banned. Raises as `find`."""
        if self.is_stale():
            raise _stale()
        held = self._held
        return instance in held.instances or jkt in held.jkts

    def opening(self, route: str, now: datetime) -> Opening | None:
        """Return the opening that stands for the rule with the pattern `route`, or None, also where all is stale."""
        if not self._held.openings or self.is_stale():
            return None
        return next((opening for opening in self._held.openings if opening.covers(route, now)), None)

    def openings(self, now: datetime) -> tuple[Opening, ...]:
        """Return all openings that stand now, for the alarm."""
        return tuple(opening for opening in self._held.openings if opening.opened_at <= now < opening.until)

    def _lay_out(self, tag: str, state: GateState) -> _Held:
        openings: list[Opening] = []
        refused: list[Reason] = []
        for token in state.openings:
            try:
                openings.append(
                    verify_opening(token, issuer=self._issuer, environment=self._environment, pinned=self._pinned)
                )
            except (MalformedEvidence, VerificationFailed) as refusal:
                refused.append(refusal.reason)
        self.refused_openings = tuple(refused)
        return _Held(
            tag=tag,
            keys={key.key.kid: key for key in state.keys},
            gate_keys={key.kid: key for key in state.gate_keys},
            instances=state.revoked_instances,
            jkts=state.revoked_jkts,
            openings=tuple(openings),
            ramp_key=state.ramp_key,
        )


def _stale() -> VerificationFailed:
    return VerificationFailed(reasons.COPY_STALE, "the service has not confirmed keys and bans")
