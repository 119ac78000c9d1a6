"""Attacks on enrolment and renewal. The twin is a genuine phone that does the same, and is then answered."""

from __future__ import annotations

import copy
import secrets
import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import httpx

from bonafide.challenge import ChallengeKey, ChallengeScope, Purpose, issue
from bonafide.terms import Environment, EvidenceEnvironment
from bonafide.testing.apple import FakeApple
from bonafide.testing.device import PendingMessage, enrolment_message, renewal_message
from bonafide.testing.hints import Refused
from bonafide.testing.simulator import Simulator
from demonstration.servers import DidNotStart, Server
from demonstration.trial import Trial, attack
from demonstration.wire import Answer
from demonstration.world import BUILD, answer_of, now, refusal_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from bonafide.testing.client import AppClient
    from bonafide.testing.device import Device
    from bonafide.testing.iphone import IPhone
    from demonstration.world import World

OTHER_APP: Final = "ZYXWV98765.com.example.flashlight"


def _trial(world: World, attempt: Callable[[], Answer]) -> Trial:
    """A genuine phone enrols and reads the configuration; the attacker reads it unprotected, and tries `attempt`."""
    return Trial(before=lambda: _unprotected(world), attack=attempt, control=lambda: _genuine(world))


def _unprotected(world: World) -> Answer:
    return world.send_open(world.bearer_alone(world.people["mallory"], "/api/config"))


def _genuine(world: World) -> Answer:
    return answer_of(world.client(world.phone()).get("/api/config"))


def _enrol(world: World, device: Device, server: Server | None = None) -> Answer:
    """Enrol a device and, where that works, use it."""
    client = world.client(device, server)
    try:
        return answer_of(client.get("/api/config"))
    except Refused as refused:
        return refusal_of(refused)


@attack
def attestation_of_another_app(world: World) -> Trial:
    """A genuine attestation that Apple gave the attacker's own app, sent as if it were the shop's."""
    phone = world.phone()
    phone.enclave.app_id = OTHER_APP
    return _trial(world, lambda: _enrol(world, phone))


@attack
def another_app_by_its_own_name(world: World) -> Trial:
    """The attacker's own app, which says who it is."""
    return _trial(world, lambda: _enrol(world, world.phone(replace(BUILD, identity=OTHER_APP))))


@attack
def development_build(world: World) -> Trial:
    """A changed build of the app, attested by Apple's development service."""
    phone = world.phone(environment=EvidenceEnvironment.DEVELOPMENT)
    return _trial(world, lambda: _enrol(world, phone))


@attack
def attestation_under_a_look_alike_root(world: World) -> Trial:
    """Certificates with Apple's names on them, under a root of the attacker's."""
    return _trial(world, lambda: _enrol(world, world.phone(apple=FakeApple(seed=b"look-alike"))))


@attack
def test_world_in_production(world: World) -> Trial:
    """The software iPhone that this demo believes, against the production settings."""
    return _trial(world, lambda: _enrol(world, world.phone(), world.production))


@attack
def no_evidence(world: World) -> Trial:
    """An enrolment that says the device cannot attest."""
    phone = world.phone()
    phone.attest = lambda message: []  # type: ignore[method-assign]  # noqa: ARG005 - a changed app
    return _trial(world, lambda: _enrol(world, phone))


@attack
def challenge_of_another_purpose(world: World) -> Trial:
    """A challenge for renewals, used to enrol."""
    return _with_challenge(world, purpose="renew", app=BUILD.app)


@attack
def challenge_of_another_app(world: World) -> Trial:
    """A challenge that was issued for another app of the same service."""
    return _with_challenge(world, purpose="enrol", app="partner")


@attack
def challenge_made_up(world: World) -> Trial:
    """A challenge for the right scope, under a key of the attacker's."""
    scope = ChallengeScope(
        service=world.locked.origin, environment=Environment.TEST, app=BUILD.app, purpose=Purpose.ENROL
    )
    key = ChallengeKey(secret=secrets.token_bytes(32))
    made_up = issue(key, scope=scope, expires_at=now() + timedelta(hours=1), random=secrets.token_bytes)
    return _trial(world, lambda: _answer_to(world, world.phone(), made_up.text))


def _with_challenge(world: World, *, purpose: str, app: str) -> Trial:
    return _trial(world, lambda: _answer_to(world, world.phone(), _challenge(world, purpose, app)))


def _challenge(world: World, purpose: str, app: str) -> str:
    with httpx.Client(verify=world.trust, trust_env=False) as http:
        url = f"{world.locked.origin}/bonafide/v1/challenge"
        response = http.post(url, json={"purpose": purpose, "app": app})
    response.raise_for_status()
    return str(response.json()["attestation_challenge"])


def _answer_to(world: World, phone: IPhone, challenge: str) -> Answer:
    """Enrol once, with this challenge and no other."""
    message = enrolment_message(phone, challenge, phone.new_key())
    message.evidence = phone.attest(message)
    return _post(world, phone, "/instances", message)


def _post(world: World, phone: IPhone, path: str, message: PendingMessage) -> Answer:
    """Send one message to the service, signed by the phone, and obey nothing that the answer says."""
    request = world.client(phone).conversation.compose(path, message.body())
    with httpx.Client(verify=world.trust, trust_env=False) as http:
        return answer_of(http.send(request))


@attack
def challenge_spent_with_another_body(world: World) -> Trial:
    """A challenge that enrolled one phone, used for a second one."""
    challenge = _challenge(world, "enrol", BUILD.app)
    first = world.phone()

    def control() -> Answer:
        enrolled = _answer_to(world, first, challenge)
        return _genuine(world) if enrolled.status == httpx.codes.CREATED else enrolled

    return replace(
        _trial(world, lambda: _answer_to(world, world.phone(), challenge)), control=control, control_first=True
    )


@attack
def assertion_with_an_old_counter(world: World) -> Trial:
    """An assertion made before the last accepted one, in a later and otherwise fresh renewal."""
    phone, client = _enrolled(world)
    earlier, later = _challenge(world, "renew", BUILD.app), _challenge(world, "renew", BUILD.app)
    old, new = _renewal(phone, later), _renewal(phone, earlier)  # counters 1 and 2

    def control() -> Answer:
        renewed = _renew(world, phone, new)
        return answer_of(client.get("/api/config")) if renewed.status == httpx.codes.OK else renewed

    return replace(_trial(world, lambda: _renew(world, phone, old)), control=control, control_first=True)


@attack
def two_assertions_racing(world: World) -> Trial:
    """Two renewals of a cloned phone at the same moment, both with the next counter: one is taken."""
    phone, client = _enrolled(world)
    challenge = _challenge(world, "renew", BUILD.app)
    clone = copy.deepcopy(phone)
    clone.build = replace(phone.build, sdk_version="0.2")
    messages = [_renewal(each, challenge) for each in (phone, clone)]
    answers: list[Answer] = []

    def race() -> Answer:
        start = threading.Barrier(2)

        def run(message: PendingMessage) -> None:
            start.wait()
            answers.append(_renew(world, phone, message))

        threads = [threading.Thread(target=run, args=(message,)) for message in messages]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        refused = [answer for answer in answers if answer.status != httpx.codes.OK]
        if len(answers) != 2 or len(refused) != 1:  # noqa: PLR2004 - the two that race
            return Answer(status=httpx.codes.OK)
        return refused[0]

    return replace(_trial(world, race), control=lambda: answer_of(client.get("/api/config")))


def _enrolled(world: World) -> tuple[IPhone, AppClient]:
    phone = world.phone()
    client = world.client(phone)
    client.enrol()
    return phone, client


def _renewal(phone: IPhone, challenge: str) -> PendingMessage:
    message = renewal_message(phone, challenge, _instance(phone))
    message.evidence = phone.make_assertion(message)
    return message


def _renew(world: World, phone: IPhone, message: PendingMessage) -> Answer:
    return _post(world, phone, f"/instances/{_instance(phone)}/renewals", message)


def _instance(phone: IPhone) -> str:
    return phone.keychain.enrolled.instance if phone.keychain.enrolled else ""


@attack
def debug_evidence_in_production(world: World) -> Trial:
    """A simulator with a debug secret that staging believes, against the production settings."""
    secret = world.debug_secret
    return Trial(
        before=lambda: _unprotected(world),
        attack=lambda: _enrol(world, Simulator(BUILD, secret, clock=time.time), world.production),
        control=lambda: _enrol(world, Simulator(BUILD, secret, clock=time.time), world.staging),
    )


@attack
def debug_evidence_without_the_secret(world: World) -> Trial:
    """A simulator that makes a debug secret up, against staging."""
    secret = world.debug_secret
    forged = replace(secret, secret=bytes(32))
    return Trial(
        before=lambda: _unprotected(world),
        attack=lambda: _enrol(world, Simulator(BUILD, forged, clock=time.time), world.staging),
        control=lambda: _enrol(world, Simulator(BUILD, secret, clock=time.time), world.staging),
    )


@attack
def production_told_to_believe_debug_evidence(world: World) -> Trial:
    """The production settings with UNSAFE_DEBUG_EVIDENCE: the server does not start."""
    return _not_starting(world, {"UNSAFE_DEBUG_EVIDENCE": True})


@attack
def production_told_to_believe_a_test_root(world: World) -> Trial:
    """The production settings with the demo's root among the anchors: the server does not start."""
    return _not_starting(world, {"UNSAFE_TEST_ANCHORS": [str(world.state / "fake-apple.pem")]})


def _not_starting(world: World, more: dict[str, object]) -> Trial:
    server = world.server_with(more)

    def start() -> Answer:
        try:
            server.start()
            server.wait()
        except DidNotStart:
            return Answer(status=0)
        finally:
            server.stop()
        return Answer(status=200)

    def reason(_: Answer) -> str:
        log = server.log.read_text(errors="replace")
        return next((word.rstrip(":") for word in log.split() if word.startswith("configuration.")), "")

    return replace(_trial(world, start), reason=reason)
