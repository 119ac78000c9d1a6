"""`GET /gate` as a gate and as anybody else meets it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.utils import timezone

from bonafide import provision
from bonafide.codec import jwk
from bonafide.django import conf, gates, runtime
from bonafide.reasons import provision as reasons
from bonafide.reasons import request as request_reasons
from bonafide.terms import Environment
from tests.django.locked_api import configure, reason, send

if TYPE_CHECKING:
    from bonafide.testing.client import AppClient

pytestmark = pytest.mark.usefixtures("locked")

GATE = "/bonafide/v1/gate"
KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def registered(bonafide_client: AppClient) -> None:
    settings = conf.current()
    public = jwk.from_public(KEY.public_key())
    gates.register(
        "gate-1", public, audience=settings.audience, environment=settings.environment, by="anna", now=timezone.now()
    )


def token(**changes: Any) -> tuple[str, str]:
    settings = conf.current()
    said = {"gate": "gate-1", "issuer": settings.issuer, "environment": settings.environment} | changes
    return provision.issue_ask(key=KEY, have="", now=timezone.now(), random=os.urandom, **said)


def ask(authorization: str | None, method: str = "GET") -> httpx.Response:
    headers = {} if authorization is None else {"authorization": authorization}
    return send(httpx.Request(method, f"https://testserver{GATE}", headers=headers))


def test_a_registered_gate_is_answered_past_the_middleware(registered: None) -> None:
    asked, ask_id = token()
    answer = ask(f"Bonafide-Gate {asked}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/jose"
    assert answer.headers["cache-control"] == "no-store"
    settings = conf.current()
    opened = provision.open_answer(
        answer.text,
        key=KEY,
        pinned=runtime.current().keys.service_ring().thumbprints,
        gate="gate-1",
        environment=settings.environment,
        audience=settings.audience,
        ask_id=ask_id,
    )
    assert opened.state is not None
    assert opened.state.keys


@pytest.mark.parametrize("authorization", [None, "", "Bearer token", "Bonafide-Gate", "Bonafide-Gate a.b.c"])
def test_whoever_does_not_ask_as_a_gate_does_is_refused(registered: None, authorization: str | None) -> None:
    answer = ask(authorization)
    assert answer.status_code == 401
    assert reason(answer) == reasons.ASK_MALFORMED.code


def test_an_unknown_gate_and_a_foreign_issuer_are_refused_alike(registered: None) -> None:
    unknown = ask(f"Bonafide-Gate {token(gate='gate-9')[0]}")
    foreign = ask(f"Bonafide-Gate {token(issuer='https://other.example.com')[0]}")
    assert reason(unknown) == reasons.GATE_UNKNOWN.code
    assert reason(foreign) == reasons.ASK_ELSEWHERE.code
    assert {**unknown.json(), "record": ""} == {**foreign.json(), "record": ""}


def test_an_ask_for_another_environment_is_refused(registered: None) -> None:
    assert reason(ask(f"Bonafide-Gate {token(environment=Environment.STAGING)[0]}")) == reasons.ASK_ELSEWHERE.code


def test_only_get_is_answered(registered: None) -> None:
    assert ask(f"Bonafide-Gate {token()[0]}", "POST").status_code == 405


def test_those_who_fail_too_often_back_off_and_gates_do_not(registered: None, settings: Any) -> None:
    configure(settings, NETWORK_LIMITS={"gate": 1})
    answers = [ask("Bonafide-Gate a.b.c") for _ in range(5)]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert reason(answers[-1]) == request_reasons.RATE_EXCEEDED.code
    assert ask(f"Bonafide-Gate {token()[0]}").status_code == 200


def test_keys_that_cannot_be_read_are_no_fault_of_the_gate_and_cost_it_nothing(
    registered: None, settings: Any, tmp_path: Any
) -> None:
    configure(settings, NETWORK_LIMITS={"gate": 1}, KEYS_DIR=str(tmp_path / "open"))
    (tmp_path / "open").mkdir(mode=0o755)
    asked = [ask(f"Bonafide-Gate {token()[0]}") for _ in range(5)]
    assert {answer.status_code for answer in asked} == {500}
