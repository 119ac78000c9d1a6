"""The world in which stores are tried: registrations and renewals that derive from a name, and races.

`bonafide.testing.enrolment_store` says what must come of them.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bonafide.codec import base64url
from bonafide.ports import (
    InstanceRecord,
    Registration,
    RegistrationRefusal,
    Renewal,
    SpentChallenge,
)
from bonafide.terms import Environment, EvidenceEnvironment, Platform, Tier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bonafide.ports import EnrolmentStore

__all__ = [
    "APP",
    "ENVIRONMENT",
    "NOW",
    "RACERS",
    "Trial",
    "digest",
    "instance_id",
    "registration",
    "reinstalled",
    "renewal",
]

NOW: Final = datetime(2026, 11, 1, 12, 0, 0, 123456, tzinfo=UTC)
APP: Final = "shop"
ENVIRONMENT: Final = Environment.STAGING
RACERS: Final = 8

_Answer = TypeVar("_Answer")


def digest(name: str) -> bytes:
    """Return the 32 octets that stand for a name."""
    return hashlib.sha256(name.encode()).digest()


def instance_id(name: str) -> str:
    """Return the instance id that stands for a name."""
    return base64url.encode(digest(name)[:16])


def registration(name: str, **changes: Any) -> Registration:
    """Return a registration whose challenge, instance, `sign` key and App Attest key all derive from `name`."""
    new = Registration(
        instance=instance_id(name),
        challenge_digest=digest(f"challenge {name}"),
        app=APP,
        environment=ENVIRONMENT,
        identity="ABCDE12345.com.example.shop",
        platform=Platform.IOS,
        jkt=base64url.encode(digest(f"sign {name}")),
        sign_jwk={"kty": "EC", "crv": "P-256", "x": f"x of {name}", "y": "y"},
        agree_jwk={"kty": "EC", "crv": "P-256", "x": f"agree x of {name}", "y": "y"},
        format="apple-app-attest",
        key_id=f"key of {name}",
        attest_key=b"\x04" + digest(name) * 2,
        evidence_environment=EvidenceEnvironment.PRODUCTION,
        claims={"validation_category": 4, "bundle_version": None},
        evidence=b"evidence",
        evidence_digest=digest("evidence"),
        client_data=b"{}",
        retain_until=NOW + timedelta(days=90),
        tier=Tier.AFFIRMING,
        warnings=(),
        app_version="2.3.0",
        os_version="27.0",
        sdk_version="1.0.0",
        verified_at=NOW,
    )
    return replace(new, **changes)


def renewal(record: InstanceRecord, order: int, **changes: Any) -> Renewal:
    """Return the renewal of an instance with the challenge of that order and the next counter."""
    new = Renewal(
        instance=record.instance,
        challenge_digest=digest(f"renewal {order}"),
        challenge_order=order,
        body_digest=digest(f"body {order}"),
        key_id=record.key_id,
        counter=order,
        tier=Tier.WARNING,
        warnings=("os_version_too_old",),
        app_version="2.4.0",
        os_version="27.1",
        sdk_version="1.1.0",
        renewed_at=NOW + timedelta(minutes=order),
    )
    return replace(new, **changes)


def reinstalled(name: str) -> Registration:
    """Return an enrolment of the same `sign` key with a new App Attest key, that of `b`."""
    known = registration(name)
    return registration("b", jkt=known.jkt, sign_jwk=known.sign_jwk, challenge_digest=digest("reinstalled"))


class Trial(ABC):
    """One store under trial, and shorthand for what is done to it."""

    @abstractmethod
    def ban(self, store: Any, instance: str) -> None:
        """Ban an instance of `APP` and `ENVIRONMENT`, as the operator does."""

    def in_a_thread(self, call: Callable[[], _Answer]) -> _Answer:
        """Run `call` in a thread of a race; override it to give back what the thread opened."""
        return call()

    def race(self, calls: Sequence[Callable[[], _Answer]]) -> list[_Answer]:
        """Start all calls at the same moment, each in its own thread, and return their answers in order."""
        barrier = Barrier(len(calls))

        def run(call: Callable[[], _Answer]) -> _Answer:
            barrier.wait()
            return self.in_a_thread(call)

        with ThreadPoolExecutor(len(calls)) as pool:
            return list(pool.map(run, calls))

    def spend(self, store: EnrolmentStore, new: Registration, body: str = "body") -> SpentChallenge:
        """Present the registration's challenge with a body of that name."""
        return store.spend_challenge(
            new.challenge_digest, body_digest=digest(body), expires_at=NOW + timedelta(hours=24)
        )

    def register(self, store: EnrolmentStore, new: Registration) -> InstanceRecord | RegistrationRefusal:
        """Spend the registration's challenge and register."""
        self.spend(store, new)
        return store.register(new)

    def enrolled(self, store: EnrolmentStore, name: str = "a", **changes: Any) -> InstanceRecord:
        """Register an instance that nothing stands against."""
        record = self.register(store, registration(name, **changes))
        if not isinstance(record, InstanceRecord):
            message = f"refused: {record}"
            raise AssertionError(message)  # noqa: TRY004 - a test's failure
        return record

    def found(self, store: EnrolmentStore, instance: str) -> InstanceRecord:
        """Return an instance that must be there."""
        record = store.instance(instance, app=APP, environment=ENVIRONMENT)
        if record is None:
            message = f"instance {instance} is not there"
            raise AssertionError(message)
        return record
