"""The service dies before and after each call of its store, at every one of them, and nothing is lost or won.

Every answered enrolment works, every unanswered one succeeds by plain repetition with `attestKey` called
once, renewals likewise, and everything that was admitted before is refused when it is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from bonafide.admission import Admitted, Gate, PendingAdmission, admit
from bonafide.attestation_memory import AttestationMemory
from bonafide.challenge import Purpose
from bonafide.codec import base64url
from bonafide.http import HttpRequest
from bonafide.keys import PublishedKey
from bonafide.ports import FirstUse
from bonafide.proof.content_digest import NO_BODY
from bonafide.proof.http_signature import SessionSigner, sign
from bonafide.reasons import challenge as challenge_reasons
from bonafide.reasons import enrolment as reasons
from bonafide.reasons import proof as proof_reasons
from bonafide.routes import parse_rules
from bonafide.session import mac_key
from bonafide.terms import EvidenceEnvironment
from bonafide.testing.killing_store import KillingStore, KillPoint, ProcessDeath, kill_points
from bonafide.testing.memory_enrolment_store import MemoryEnrolmentStore
from tests.enrolment.reception import Reception
from tests.enrolment.world import AUDIENCE, ISSUER, ORIGIN, World, refusal, with_evidence

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import httpx

    from bonafide.keys import KeyRing
    from bonafide.testing.client import AppClient
    from bonafide.testing.device import Enrolled

RENEWALS = 3


@dataclass
class _HeldKeys:
    """The service's keys, as a gate holds them."""

    ring: KeyRing

    def find(self, kid: str, now: datetime) -> PublishedKey | None:
        key = self.ring.find(kid, now)
        return None if key is None else PublishedKey(app="shop", key=key)

    def secret(self, kid: str, now: datetime) -> bytes | None:
        return self.ring.secret(kid, now)


class _NobodyRevoked:
    def is_revoked(self, instance: str, jkt: str) -> bool:
        del instance, jkt
        return False


class Story:
    """An app that enrols and renews, at a service that may die once. Whatever is not answered is repeated."""

    def __init__(self, at: KillPoint | None = None, *, asynchronous: bool = False) -> None:
        self.rows = MemoryEnrolmentStore()
        self.store = KillingStore(self.rows, at=at)
        self.world = World(store=self.store)
        self.reception = Reception(self.world, asynchronous=asynchronous)
        self.deaths = 0
        self.answered: list[Enrolled] = []

    def run(self) -> Story:
        """Enrol, and renew a few times; at each answer the app uses what it got."""
        self._see_through(lambda client: client.enrol())
        for _ in range(RENEWALS):
            self.world.clock.advance(minutes=4)
            self._see_through(lambda client: client.renew())
        return self

    def _see_through(self, step: Callable[[AppClient], None]) -> None:
        """Take a step, in a new process of the app where the last one got no answer."""
        while True:
            try:
                with self.reception.client() as client:
                    step(client)
            except ProcessDeath:
                self.deaths += 1
                self.world.clock.advance(seconds=7)
                continue
            enrolled = self.world.phone.keychain.enrolled
            assert enrolled is not None
            self.answered.append(enrolled)
            assert self.is_admitted(enrolled)
            return

    def is_admitted(self, enrolled: Enrolled) -> bool:
        """Ask a gate to admit a request that the phone signs with what it was given."""
        session = enrolled.session
        assert session is not None
        headers = {"oauth-client-attestation": enrolled.client_attestation, "content-digest": NO_BODY}
        bare = HttpRequest(method="GET", origin=ORIGIN, target="/api/me", headers=headers)
        signer = SessionSigner(mac_key(session.key), base64url.encode(session.sid))
        created = int(self.world.now.timestamp())
        proof = sign(bare, created=created, nonce=base64url.encode(self.world.random(16)), signer=signer)
        keys = _HeldKeys(self.world.service.keys.ring("shop", self.world.now))
        gate = Gate(
            issuer=ISSUER,
            audience=AUDIENCE,
            apps=frozenset({"shop"}),
            environments=frozenset({EvidenceEnvironment.PRODUCTION}),
            routes=parse_rules([{"match": "/api/**"}]),
            keys=keys,
            revocations=_NobodyRevoked(),
            memory=AttestationMemory(),
        )
        decision = admit(bare._replace(headers={**headers, **proof}), gate=gate, now=self.world.now)
        return isinstance(decision, PendingAdmission) and isinstance(decision.settle(FirstUse.FIRST), Admitted)


def _points(*, asynchronous: bool) -> tuple[KillPoint, ...]:
    def story(store: KillingStore) -> None:
        told = Story(asynchronous=asynchronous)
        told.world.store = store
        told.run()

    return kill_points(story, MemoryEnrolmentStore())


POINTS = [(point, asynchronous) for asynchronous in (False, True) for point in _points(asynchronous=asynchronous)]
NAMES = [f"{'async' if asynchronous else 'sync'}, {point}" for point, asynchronous in POINTS]


def test_the_points_are_all_there_are() -> None:
    """Enrolment asks its store twice and a renewal twice; each call has two sides."""
    assert len(POINTS) == 2 * 2 * (2 + 2 * RENEWALS)
    assert {point.method for point, _ in POINTS} == {"spend_challenge", "register", "instance", "renew"}


@pytest.mark.parametrize(("point", "asynchronous"), POINTS, ids=NAMES)
def test_whatever_was_not_answered_succeeds_by_repetition_with_one_attest_key(
    point: KillPoint, asynchronous: bool
) -> None:
    story = Story(point, asynchronous=asynchronous).run()
    assert story.deaths == 1
    assert story.reception.refusals == []
    assert story.world.phone.enclave.attest_calls == 1
    assert len(story.rows) == 1
    assert len({enrolled.instance for enrolled in story.answered}) == 1
    assert len(story.answered) == 1 + RENEWALS


@pytest.mark.parametrize(("point", "asynchronous"), POINTS, ids=NAMES)
def test_the_row_holds_the_counter_of_the_last_assertion_and_no_other(point: KillPoint, asynchronous: bool) -> None:
    story = Story(point, asynchronous=asynchronous).run()
    record = story.world.record(story.answered[-1].instance)
    assert record.counter == RENEWALS  # the repeated renewal was the same one, so it made no other assertion
    assert record.counter == story.world.phone.enclave._keys[str(record.key_id)].counter
    assert record.asserted_at <= story.world.now


@pytest.mark.parametrize(("point", "asynchronous"), POINTS, ids=NAMES)
def test_every_request_of_the_story_is_refused_when_it_is_recorded_and_sent_again(
    point: KillPoint, asynchronous: bool
) -> None:
    story = Story(point, asynchronous=asynchronous).run()
    record = story.world.record(story.answered[-1].instance)
    told = [request for request in story.reception.requests if not request.url.path.endswith("/challenge")]
    story.world.clock.advance(seconds=61)
    for request in told:
        assert story.reception.serve(request).status_code == 401
    assert set(story.reception.refusals) == {proof_reasons.CREATED_TOO_OLD}
    assert story.world.record(record.instance) == record


@pytest.mark.parametrize(("point", "asynchronous"), POINTS, ids=NAMES)
def test_every_renewal_but_the_last_is_refused_even_if_the_phone_signs_it_again(
    point: KillPoint, asynchronous: bool
) -> None:
    story = Story(point, asynchronous=asynchronous).run()
    bodies = list(dict.fromkeys(_renewals(story)))
    assert len(bodies) == RENEWALS
    for body in bodies[:-1]:
        assert refusal(story.world.renew, body, story.answered[0].instance) is challenge_reasons.OVERTAKEN
    story.world.renew(bodies[-1], story.answered[0].instance)


@pytest.mark.parametrize(("point", "asynchronous"), POINTS, ids=NAMES)
def test_an_assertion_of_the_story_does_not_serve_under_a_new_challenge(point: KillPoint, asynchronous: bool) -> None:
    story = Story(point, asynchronous=asynchronous).run()
    world, enclave = story.world, story.world.phone.enclave
    enrolled = story.answered[-1]
    key = enclave._keys[str(world.phone.keychain.attest_key)]
    for used in range(RENEWALS):
        key.counter = used  # a copy of the key that does not know of its other half
        message = world.renewal(enrolled, challenge=world.challenge(Purpose.RENEW))
        assert refusal(world.renew, message, enrolled.instance) is reasons.COUNTER_NOT_INCREASED


def test_a_death_while_a_failure_is_recorded_leaves_a_refusal_all_the_same() -> None:
    def attack(store: KillingStore) -> None:
        world = World(store=store)
        spoilt = with_evidence(world.enrolment(), attestation=base64url.encode(b"\xa0"))
        refusal(world.enrol, spoilt)

    points = kill_points(attack, MemoryEnrolmentStore())
    assert [point.method for point in points[::2]] == ["spend_challenge", "fail_challenge"]
    for point in points:
        rows = MemoryEnrolmentStore()
        world = World(store=KillingStore(rows, at=point))
        spoilt = with_evidence(world.enrolment(), attestation=base64url.encode(b"\xa0"))
        with pytest.raises(ProcessDeath):
            world.enrol(spoilt)
        assert refusal(world.enrol, spoilt).code == "app_attest.object_malformed"
        assert refusal(world.enrol, spoilt).code == "app_attest.object_malformed"
        assert len(rows) == 0


def _renewals(story: Story) -> list[bytes]:
    requests: list[httpx.Request] = story.reception.requests
    return [request.content for request in requests if request.url.path.endswith("/renewals")]
