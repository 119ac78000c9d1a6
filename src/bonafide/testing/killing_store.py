"""An enrolment store whose caller dies before or after any one of its calls.

    points = kill_points(lambda store: story(store), MemoryEnrolmentStore())
    for point in points:
        store = KillingStore(MemoryEnrolmentStore(), at=point)
        with pytest.raises(ProcessDeath): story(store)
        ...  # what the inner store holds is what the next process finds

`ProcessDeath` is no `Exception`, so that nothing on the way up takes it for an error that can be answered. In
this process it stands in for SIGKILL; with a real database and `die=lambda: os.kill(os.getpid(), 9)` it is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import TYPE_CHECKING, NoReturn, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bonafide.ports import (
        EnrolmentStore,
        InstanceRecord,
        Registration,
        RegistrationRefusal,
        Renewal,
        RenewalOutcome,
        SpentChallenge,
    )
    from bonafide.terms import Environment

__all__ = ["KillPoint", "KillingStore", "Moment", "ProcessDeath", "kill_points"]

_Answer = TypeVar("_Answer")


class ProcessDeath(BaseException):
    """The process that handled a request is gone; whoever waits for its answer gets none."""


@unique
class Moment(StrEnum):
    """When in a call the caller dies: before the store hears of it, or before the caller hears of the store."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class KillPoint:
    """A moment of the `number`th call (from 1) that a store gets."""

    number: int
    method: str
    moment: Moment

    def __str__(self) -> str:
        return f"{self.moment} call {self.number}, {self.method}"


def _die() -> NoReturn:
    raise ProcessDeath


class KillingStore:
    """`ports.EnrolmentStore` that hands calls on to `store`, and kills its caller once, at the point `at`.

    `passed` lists the points that were reached, in order. After the death it only hands on.
    """

    def __init__(
        self, store: EnrolmentStore, *, at: KillPoint | None = None, die: Callable[[], NoReturn] = _die
    ) -> None:
        """Take the store that keeps what was written; without `at` nobody dies."""
        self.passed: list[KillPoint] = []
        self._store = store
        self._at = at
        self._die = die
        self._calls = 0

    def spend_challenge(self, challenge_digest: bytes, *, body_digest: bytes, expires_at: datetime) -> SpentChallenge:
        """See `ports.EnrolmentStore.spend_challenge`."""
        return self._call(
            "spend_challenge",
            lambda: self._store.spend_challenge(challenge_digest, body_digest=body_digest, expires_at=expires_at),
        )

    def fail_challenge(self, challenge_digest: bytes, *, reason: str) -> None:
        """See `ports.EnrolmentStore.fail_challenge`."""
        self._call("fail_challenge", lambda: self._store.fail_challenge(challenge_digest, reason=reason))

    def register(self, registration: Registration) -> InstanceRecord | RegistrationRefusal:
        """See `ports.EnrolmentStore.register`."""
        return self._call("register", lambda: self._store.register(registration))

    def instance(self, instance: str, *, app: str, environment: Environment) -> InstanceRecord | None:
        """See `ports.EnrolmentStore.instance`."""
        return self._call("instance", lambda: self._store.instance(instance, app=app, environment=environment))

    def renew(self, renewal: Renewal) -> RenewalOutcome:
        """See `ports.EnrolmentStore.renew`."""
        return self._call("renew", lambda: self._store.renew(renewal))

    def _call(self, method: str, call: Callable[[], _Answer]) -> _Answer:
        self._calls += 1
        number = self._calls
        self._pass(KillPoint(number, method, Moment.BEFORE))
        answer = call()
        self._pass(KillPoint(number, method, Moment.AFTER))
        return answer

    def _pass(self, point: KillPoint) -> None:
        self.passed.append(point)
        if point == self._at:
            self._die()


def kill_points(story: Callable[[KillingStore], object], store: EnrolmentStore) -> tuple[KillPoint, ...]:
    """Run `story` once, unharmed, over `store`, and return every point at which it could have died."""
    watched = KillingStore(store)
    story(watched)
    return tuple(watched.passed)
