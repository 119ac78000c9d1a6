"""What a gate says of a sender is of this request, also where the same attestation came before."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bonafide.admission import Admitted
from bonafide.gate import config as configuration
from bonafide.gate import judge as judge_module
from bonafide.gate.asked import Asked
from bonafide.gate.judge import KEPT_S, Judge, Passed, Refused, _Senders
from bonafide.gate.provisioned import Provisioned
from bonafide.gate.rates import Rates
from bonafide.proof.content_digest import digest_of
from bonafide.provision import Answer
from bonafide.reasons import route as route_reasons
from bonafide.statement import verify
from bonafide.stores.memory import MemoryReplayStore
from bonafide.terms import ProofKind
from tests import gate_world
from tests.gate.service import state
from tests.gate.world import RunningGate, asked, fresh, key_to

if TYPE_CHECKING:
    from pathlib import Path

    from bonafide.http import HttpRequest
    from bonafide.proof.http_signature import HardwareSigner
    from bonafide.statement import Statement

KEY = bytes(range(32))
MOMENT = 1000.0


def judge(home: Path, **how: Any) -> Judge:
    """Return the judgement of one worker whose service has just spoken."""
    running = RunningGate(home=home / "gate", **how)
    running.service.stop()
    config = configuration.load(running.file)
    provisioned = Provisioned(config, clock=time.time, on_unknown_key=lambda: None)
    now = datetime.now(UTC)
    provisioned.take(Answer(issued_at=now, tag="t", id="i", state=state(now)))
    store = MemoryReplayStore()
    store.remember(os.urandom(32), created=int(time.time()) - 60, now=time.time() - 60)
    rates = Rates(config.limits, timeout=timedelta(seconds=1))
    return Judge(config, keys={"api": KEY}, provisioned=provisioned, replay=store, rates=rates)


def say(at: Judge, request: HttpRequest) -> Statement:
    """Return what the gate says of a request, as the API reads it."""
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in asked(request).items()}
    outcome = at.judge(environ, datetime.now(UTC))
    assert isinstance(outcome, Passed), outcome
    return verify(outcome.statement, keys=[KEY], request=request, now=datetime.now(UTC))


def test_each_request_of_one_attestation_has_its_own_word(tmp_path: Path) -> None:
    at = judge(tmp_path)
    first = fresh()
    token = first.headers["oauth-client-attestation"]
    said = say(at, first)
    assert said.sender is not None
    assert said.sender.proof is ProofKind.SESSION
    digest = digest_of((b"body",))
    later = gate_world.request(
        attestation=token,
        signer=gate_world.HARDWARE,
        created=int(time.time()),
        nonce=os.urandom(16).hex(),
        headers={"content-digest": digest},
    )
    again = say(at, later)
    assert again.sender is not None
    assert (again.sender.proof, again.sender.digest) == (ProofKind.HARDWARE, digest)
    assert again.sender.attestation == said.sender.attestation
    assert again.record != said.record


def test_two_instances_are_two_senders(tmp_path: Path) -> None:
    at = judge(tmp_path)
    names = ["aW5zdGFuY2UtMDAwMDAwMQ", "aW5zdGFuY2UtMDAwMDAwMg"]
    for name in [*names, *names]:
        said = say(at, fresh(claims={"instance": name}))
        assert said.sender is not None
        assert said.sender.instance == name


def test_senders_that_nobody_asks_for_are_forgotten() -> None:
    senders = _Senders()
    said = gate_world.request()
    asked_about = Asked(said, has_body=False, length=None)
    route = gate_world.gate().routes.match("GET", "/api/config")
    assert route is not None
    digest = said.headers["content-digest"]
    admitted = Admitted(gate_world.claims(), gate_world.JKT, route, ProofKind.SESSION, digest, MOMENT)
    other = Admitted(gate_world.claims(instance="other"), gate_world.JKT, route, ProofKind.SESSION, digest, MOMENT)
    first = senders.of(admitted, asked_about, 1000)
    assert senders.of(admitted, asked_about, 1000 + KEPT_S)[0] is first[0]
    assert senders.of(other, asked_about, 1000 + KEPT_S)[0].instance == "other"
    assert senders.of(admitted, asked_about, 1000 + 2 * KEPT_S)[0] is first[0]
    for turn in range(4, 7):
        senders.of(other, asked_about, 1000 + turn * KEPT_S)
    assert len(senders._young) + len(senders._old) <= 2
    assert senders.of(admitted, asked_about, 1000 + 6 * KEPT_S)[0] is not first[0]


def test_many_senders_at_once_are_not_all_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_module, "MOST_SENDERS", 10)
    senders = _Senders()
    said = gate_world.request()
    asked_about = Asked(said, has_body=False, length=None)
    route = gate_world.gate().routes.match("GET", "/api/config")
    assert route is not None
    digest = said.headers["content-digest"]
    phones = [
        Admitted(gate_world.claims(instance=f"{number}"), gate_world.JKT, route, ProofKind.SESSION, digest, MOMENT)
        for number in range(45)
    ]
    for phone in [*phones, *phones[-20:]]:
        assert senders.of(phone, asked_about, 1000)[0].instance == phone.attestation.instance
        assert len(senders._young) <= 10
        assert len(senders._old) <= 10


SEALING = """\
[[route]]
match = "/api/sealed"
seal = true

[[route]]
match = "/api/rehearsed"
mode = "observe"
seal = true

[[route]]
match = "/api/**"
"""


@pytest.fixture
def sealing(tmp_path: Path) -> Judge:
    return judge(tmp_path, routes=SEALING, upstream="seals = true\n")


@pytest.mark.parametrize("signer", [None, gate_world.HARDWARE], ids=["session", "hardware"])
def test_where_the_route_seals_the_word_has_the_key_that_the_phone_makes(
    sealing: Judge, signer: HardwareSigner | None
) -> None:
    first, second = fresh("/api/sealed", signer=signer), fresh("/api/sealed", signer=signer)
    for request in (first, second):
        assert say(sealing, request).answer_key == key_to(request)
    assert key_to(first) != key_to(second)


def test_where_the_route_does_not_seal_the_word_has_no_key(sealing: Judge) -> None:
    said = say(sealing, fresh("/api/config"))
    assert said.admitted
    assert said.answer_key is None


def test_where_nobody_was_admitted_the_word_has_no_key(sealing: Judge) -> None:
    said = say(sealing, fresh("/api/rehearsed", created=1))
    assert not said.admitted
    assert said.answer_key is None
    assert say(sealing, fresh("/api/rehearsed")).answer_key is not None


def test_what_has_no_answer_to_seal_is_refused(sealing: Judge) -> None:
    request = fresh("/api/sealed", method="HEAD")
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in asked(request).items()}
    outcome = sealing.judge(environ, datetime.now(UTC))
    assert isinstance(outcome, Refused)
    assert outcome.denied.reason is route_reasons.HEAD_NOT_SEALED
