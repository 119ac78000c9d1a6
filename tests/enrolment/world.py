"""A service in memory, a phone, and the words between them: each can be changed in exactly one respect.

Everything is derived: the same test makes the same keys, challenges and signatures.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from bonafide import enrolment
from bonafide.appraisal import App, Identity, IdentityPolicy
from bonafide.challenge import ChallengeKey, Purpose
from bonafide.codec import base64url
from bonafide.enrolment import Enrolled, Service
from bonafide.errors import BonafideError
from bonafide.evidence.app_attest import KnownIntermediates
from bonafide.http import HttpRequest, Origin
from bonafide.keys import KeyRing, ServiceKey, plan_gate_keys, plan_signing_keys
from bonafide.proof.content_digest import digest_of
from bonafide.proof.http_signature import HardwareSigner, sign
from bonafide.terms import Environment
from bonafide.testing.apple import FakeApple, derive_key
from bonafide.testing.device import Build, Keychain, PendingMessage, enrolment_message, renewal_message
from bonafide.testing.iphone import IPhone
from bonafide.testing.memory_enrolment_store import MemoryEnrolmentStore
from tests import canaries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bonafide.ports import EnrolmentStore, InstanceRecord
    from bonafide.reasons import Reason
    from bonafide.testing import device
    from bonafide.testing.device import Evidence

START = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
ISSUER = "https://api.example.com/bonafide/v1"
AUDIENCE = "https://api.example.com"
OTHER_AUDIENCE = "https://login.example.com"
IDENTITY = "ABCDE12345.com.example.shop"
CLIP = "ABCDE12345.com.example.shop.Clip"
ORIGIN = Origin(scheme="https", authority="api.example.com")
SERVICE_KEY = ServiceKey.of(derive_key(b"service", "key", ec.SECP256R1()))
CHALLENGE_KEY = ChallengeKey(secret=bytes(range(32)))
canaries.plant("challenge key", CHALLENGE_KEY.secret)


@cache
def apple() -> FakeApple:
    """Return the one fake Apple of these tests."""
    return FakeApple()


@dataclass
class Clock:
    """The time of a test; it moves when told."""

    now: datetime = START

    def advance(self, **by: float) -> None:
        """Move on."""
        self.now += timedelta(**by)

    def seconds(self) -> float:
        """Return seconds since the epoch, as a phone reads them."""
        return self.now.timestamp()


@dataclass
class Octets:
    """A source of octets that never repeats, and is the same in each run."""

    seed: bytes
    drawn: Iterator[int] = field(default_factory=count)

    def __call__(self, number: int) -> bytes:
        """Return that many octets."""
        return hashlib.shake_256(self.seed + next(self.drawn).to_bytes(8)).digest(number)


class Keys:
    """The keys of a service, rotated by plan."""

    def __init__(self, audiences: tuple[str, ...] = (AUDIENCE,)) -> None:
        """Make no key yet."""
        self._audiences = audiences
        self._rings: dict[str, KeyRing] = {}

    def ring(self, app: str, now: datetime) -> KeyRing:
        """Return the app's keys as they stand at `now`."""
        old, random = self._rings.get(app, KeyRing(signing=(), gate=())), Octets(app.encode())
        signing = plan_signing_keys(old.signing, now=now, random=random)
        gate = plan_gate_keys(old.gate, audiences=self._audiences, now=now, random=Octets(f"{now}".encode()))
        self._rings[app] = KeyRing(signing=signing, gate=gate)
        for key in gate:
            canaries.plant("gate key", key.secret)
        return self._rings[app]

    def service_key(self, now: datetime) -> ServiceKey:
        """Return the one service key."""
        del now
        return SERVICE_KEY


@dataclass
class Places:
    """A verification pool with so many places; `most` is how many were taken at once."""

    free: int = 1
    taken: int = 0
    entered: int = 0

    @contextmanager
    def slot(self) -> Iterator[bool]:
        """See `ports.VerificationPool`."""
        if self.taken >= self.free:
            yield False
            return
        self.taken += 1
        self.entered += 1
        try:
            yield True
        finally:
            self.taken -= 1


def app(**changes: Any) -> App:
    """Return the shop: an app and its App Clip."""
    identities = (Identity(name=IDENTITY), Identity(name=CLIP))
    audiences = {"audience": AUDIENCE, "other_audiences": frozenset({OTHER_AUDIENCE})}
    return App(**{"name": "shop", "identities": identities, **audiences, **changes})


def under(**policy: Any) -> App:
    """Return the shop under another policy."""
    return app(identities=(Identity(name=IDENTITY, policy=IdentityPolicy(**policy)),))


def service(**changes: Any) -> Service:
    """Return the shop's service, which trusts the fake Apple."""
    good: dict[str, Any] = {
        "issuer": ISSUER,
        "environment": Environment.TEST,
        "apps": (app(), app(name="other")),
        "keys": Keys(),
        "challenge_key": CHALLENGE_KEY,
        "anchors": apple().anchors,
        "known_intermediates": KnownIntermediates(),
    }
    return Service(**good | changes)


def keychain(name: str = "phone") -> Keychain:
    """Return the two keys of a phone."""
    return Keychain(
        derive_key(name.encode(), "sign", ec.SECP256R1()), derive_key(name.encode(), "agree", ec.SECP256R1())
    )


@dataclass
class World:
    """One service, one store and one phone at one time."""

    service: Service = field(default_factory=service)
    store: EnrolmentStore = field(default_factory=MemoryEnrolmentStore)
    places: Places = field(default_factory=Places)
    clock: Clock = field(default_factory=Clock)
    random: Callable[[int], bytes] = field(default_factory=lambda: Octets(b"service"))
    phone: IPhone = field(init=False)

    def __post_init__(self) -> None:
        """Install the app on the phone."""
        self.phone = self.new_phone()

    def new_phone(self, name: str = "phone", **changes: Any) -> IPhone:
        """Return a phone on which the app was just installed."""
        build = Build(app="shop", identity=changes.pop("identity", IDENTITY), app_version="2.3.0", os_version="27.0")
        changes = {"apple": apple(), "clock": self.clock.seconds, **changes}
        phone = IPhone(replace(build, os_version=changes.pop("os_version", "27.0")), **changes)
        phone.keychain = keychain(name)
        return phone

    @property
    def now(self) -> datetime:
        """The time at the service."""
        return self.clock.now

    def app(self, name: str = "shop") -> App:
        """Return an app of the service."""
        found = self.service.app(name)
        assert found is not None
        return found

    def challenge(self, purpose: Purpose = Purpose.ENROL, app: str = "shop") -> str:
        """Ask for a challenge."""
        issued = enrolment.issue_challenge(self.service, self.app(app), purpose, now=self.now, random=self.random)
        return issued.attestation_challenge

    # What the phone says ------------------------------------------------------------------------

    def enrolment(self, **changes: Any) -> PendingMessage:
        """Return an enrolment with its evidence; `changes` are to the client data, None takes a member away."""
        message = enrolment_message(self.phone, self.challenge(), self.phone.new_key())
        message.client_data = changed(message.client_data, changes)
        message.evidence = self.phone.attest(message)
        self.phone.keychain.attest_key = message.key
        return message

    def renewal(self, enrolled: Enrolled | device.Enrolled, *, asserted: bool = True, **changes: Any) -> PendingMessage:
        """Return a renewal with an assertion; `changes` are to the client data."""
        message = renewal_message(self.phone, enrolled.next_challenge, enrolled.instance)
        message.client_data = changed(message.client_data, changes)
        message.evidence = self.phone.make_assertion(message) if asserted else []
        return message

    def request(
        self, path: str, body: bytes, *, by: ec.EllipticCurvePrivateKey | None = None, **changes: Any
    ) -> HttpRequest:
        """Return the request that carries `body`, signed by the phone's `sign` key or by another."""
        keys = self.phone.keychain
        bare = HttpRequest(
            method="POST",
            origin=ORIGIN,
            target=f"/bonafide/v1{path}",
            headers={"content-type": "application/json", "content-digest": digest_of((body,))},
        )
        created, jkt = changes.get("created", int(self.now.timestamp())), changes.get("jkt", keys.jkt)
        signer = HardwareSigner(keys.sign_key if by is None else by, jkt)
        proof = sign(bare, created=created, nonce=base64url.encode(self.random(16)), signer=signer)
        return bare._replace(headers={**bare.headers, **proof})

    # What the service answers -------------------------------------------------------------------

    def enrol(self, message: PendingMessage | bytes, **request: Any) -> Enrolled:
        """Post an enrolment, signed anew."""
        body = message if isinstance(message, bytes) else message.body()
        return told_nobody(
            enrolment.enrol(
                self.request("/instances", body, **request),
                body,
                service=self.service,
                store=self.store,
                pool=self.places,
                now=self.now,
                random=self.random,
            )
        )

    def renew(self, message: PendingMessage | bytes, instance: str, **request: Any) -> Enrolled:
        """Post a renewal of `instance`, signed anew."""
        body = message if isinstance(message, bytes) else message.body()
        return told_nobody(
            enrolment.renew(
                self.request(f"/instances/{instance}/renewals", body, **request),
                body,
                instance=instance,
                service=self.service,
                store=self.store,
                now=self.now,
                random=self.random,
            )
        )

    def enrolled(self) -> Enrolled:
        """Enrol the phone."""
        return self.enrol(self.enrolment())

    def record(self, instance: str) -> InstanceRecord:
        """Return the instance as the store holds it."""
        found = self.store.instance(instance, app="shop", environment=self.service.environment)
        assert found is not None
        return found

    def configure(self, **changes: Any) -> None:
        """Change the service's configuration."""
        self.service = replace(self.service, **changes)


def told_nobody(enrolled: Enrolled) -> Enrolled:
    """Watch that no test writes down what a device was answered."""
    canaries.plant("client attestation", enrolled.client_attestation)
    if enrolled.session is not None:
        canaries.plant("session", enrolled.session)
    return enrolled


def changed(client_data: bytes, changes: Mapping[str, object]) -> bytes:
    """Return client data with members set, or absent where None."""
    members = {**json.loads(client_data), **changes}
    wanted = {name: value for name, value in members.items() if value is not None}
    return json.dumps(wanted, separators=(",", ":")).encode()  # unlike ours, it also writes what is no JSON


def body(message: PendingMessage, **changes: object) -> bytes:
    """Return the body of a message with members set, or absent where None."""
    return changed(message.body(), changes)


def with_evidence(message: PendingMessage, **changes: object) -> PendingMessage:
    """Return the message with members of its one piece of evidence set, or absent where None."""
    assert message.evidence is not None
    members = {**message.evidence[0], **changes}
    evidence: Evidence = [{name: value for name, value in members.items() if value is not None}]
    return replace(message, evidence=evidence)


def refusal(call: Callable[..., object], *arguments: Any, **named: Any) -> Reason:
    """Return the reason with which a call is refused."""
    with pytest.raises(BonafideError) as refused:
        call(*arguments, **named)
    return refused.value.reason
