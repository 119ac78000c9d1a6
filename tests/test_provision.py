"""A gate is told keys and bans by its own service, in secret, and knows when it was not told anew."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide import provision
from bonafide.codec import base64url, jose, json, jwe, pinned_jws
from bonafide.errors import BonafideError, MalformedEvidence, VerificationFailed
from bonafide.keys import ServiceKey, VerificationKey
from bonafide.reasons import provision as reasons
from bonafide.terms import Environment
from tests.gate.service import AUDIENCE, ISSUER, SERVICE_KEY, state
from tests.gate_world import NOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from bonafide.provision import Answer, ProvenAsk, SerialisedState
    from bonafide.reasons import Reason

GATE_KEY = ec.derive_private_key(0x6A7E, ec.SECP256R1())
FOREIGN = ec.derive_private_key(0xBAD, ec.SECP256R1())
STATE = replace(
    state(NOW),
    revoked_instances=frozenset(["aW5zdGFuY2UtMDAwMDAwMQ", "aW5zdGFuY2UtMDAwMDAwMg"]),
    revoked_jkts=frozenset(["a-jkt"]),
    openings=("an.open.ing",),
)


def ask(**changes: Any) -> tuple[str, str]:
    how: dict[str, Any] = {
        "gate": "gate-1",
        "key": GATE_KEY,
        "issuer": ISSUER,
        "environment": Environment.PRODUCTION,
        "have": "",
        "now": NOW,
        "random": os.urandom,
        **changes,
    }
    return provision.issue_ask(**how)


def proven(token: str, **changes: Any) -> ProvenAsk:
    how: dict[str, Any] = {
        "key": GATE_KEY.public_key(),
        "issuer": ISSUER,
        "environment": Environment.PRODUCTION,
        "now": NOW,
        **changes,
    }
    return provision.verify_ask(provision.parse_ask(token), **how)


def answer(asked: ProvenAsk, told: SerialisedState | None = None, **changes: Any) -> str:
    how: dict[str, Any] = {
        "audience": AUDIENCE,
        "service_key": SERVICE_KEY,
        "recipient": GATE_KEY.public_key(),
        "now": NOW,
        "random": os.urandom,
        **changes,
    }
    return provision.issue_answer(asked, told or provision.serialise(STATE), **how)


def opened(token: str, **changes: Any) -> Answer:
    how: dict[str, Any] = {
        "key": GATE_KEY,
        "pinned": frozenset([SERVICE_KEY.kid]),
        "gate": "gate-1",
        "environment": Environment.PRODUCTION,
        "audience": AUDIENCE,
        "ask_id": None,
        **changes,
    }
    return provision.open_answer(token, **how)


def refused(act: Callable[[], object], reason: Reason) -> None:
    with pytest.raises(BonafideError) as refusal:
        act()
    assert refusal.value.reason is reason


def test_a_gate_is_told_what_its_service_knows() -> None:
    token, ask_id = ask()
    told = opened(answer(proven(token)), ask_id=ask_id)
    assert told.state == STATE
    assert told.issued_at == NOW
    assert told.tag == provision.serialise(STATE).tag


def test_a_gate_that_has_the_state_is_told_that_it_holds() -> None:
    token, ask_id = ask(have=provision.serialise(STATE).tag)
    told = opened(answer(proven(token)), ask_id=ask_id)
    assert told.state is None
    assert told.tag == provision.serialise(STATE).tag


def test_every_change_changes_the_tag() -> None:
    changes: list[dict[str, Any]] = [
        {"keys": ()},
        {"gate_keys": ()},
        {"revoked_instances": frozenset()},
        {"revoked_jkts": frozenset()},
        {"openings": ()},
        {"ramp_key": bytes(32)},
    ]
    tags = {provision.serialise(replace(STATE, **change)).tag for change in changes}
    assert len(tags | {provision.serialise(STATE).tag}) == len(changes) + 1


def test_the_answer_hides_the_gate_keys() -> None:
    token, _ = ask()
    sealed = answer(proven(token))
    assert base64url.encode(STATE.gate_keys[0].secret) not in sealed
    refused(lambda: opened(sealed, key=FOREIGN), reasons.ANSWER_NOT_OURS)


# The ask ----------------------------------------------------------------------------------------------


def test_a_gate_that_is_not_registered_is_told_nothing() -> None:
    refused(lambda: proven(ask()[0], key=None), reasons.GATE_UNKNOWN)


def test_somebody_else_in_a_gates_name_is_told_nothing() -> None:
    refused(lambda: proven(ask(key=FOREIGN)[0]), reasons.ASK_SIGNATURE_INVALID)


@pytest.mark.parametrize("changes", [{"issuer": "https://other.example"}, {"environment": Environment.STAGING}])
def test_an_ask_for_another_service_or_environment_is_refused(changes: dict[str, Any]) -> None:
    refused(lambda: proven(ask(**changes)[0]), reasons.ASK_ELSEWHERE)


@pytest.mark.parametrize("age", [-5, 0, 15])
def test_an_ask_holds_for_a_quarter_of_a_minute(age: int) -> None:
    assert proven(ask()[0], now=NOW + timedelta(seconds=age)).gate == "gate-1"


@pytest.mark.parametrize("age", [-6, 16])
def test_an_ask_of_another_time_is_refused(age: int) -> None:
    refused(lambda: proven(ask()[0], now=NOW + timedelta(seconds=age)), reasons.ASK_STALE)


def spoiled_ask(change: Callable[[dict[str, Any]], object], header: dict[str, object] | None = None) -> str:
    body = json.parse_object(jose.parse_jws(ask()[0]).payload)
    change(body)
    return jose.sign_es256(header or {"alg": "ES256", "typ": provision.ASK_TYPE}, json.dump(body), GATE_KEY)


ASKS: dict[str, Callable[[dict[str, Any]], object]] = {
    "member more": lambda body: body.update(more="x"),
    "member less": lambda body: body.pop("have"),
    "no time": lambda body: body.pop("iat"),
    "time a text": lambda body: body.update(iat="1"),
    "time a truth": lambda body: body.update(iat=True),
    "time beyond all": lambda body: body.update(iat=2**52),
    "gate a list": lambda body: body.update(gate=["gate-1"]),
}


@pytest.mark.parametrize("change", ASKS.values(), ids=ASKS.keys())
def test_an_ask_of_another_form_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    refused(lambda: provision.parse_ask(spoiled_ask(change)), reasons.ASK_MALFORMED)


@pytest.mark.parametrize("header", [{"alg": "ES256"}, {"alg": "ES256", "typ": provision.ASK_TYPE, "kid": "x"}], ids=str)
def test_an_ask_under_another_header_is_refused(header: dict[str, object]) -> None:
    refused(lambda: provision.parse_ask(spoiled_ask(lambda _: None, header)), reasons.ASK_MALFORMED)


def test_a_longer_ask_than_any_gate_makes_is_refused() -> None:
    refused(lambda: provision.parse_ask(ask(have="x" * provision.MAX_ASK_BYTES)[0]), reasons.ASK_MALFORMED)


# The answer -------------------------------------------------------------------------------------------


def test_an_answer_to_an_earlier_ask_is_refused_where_a_new_one_was_asked() -> None:
    """Otherwise somebody in between could keep a ban from a gate for ever, by an old answer."""
    earlier = answer(proven(ask()[0]))
    refused(lambda: opened(earlier, ask_id=ask()[1]), reasons.ANSWER_ELSEWHERE)


def test_an_answer_from_the_gates_own_disk_needs_no_ask() -> None:
    assert opened(answer(proven(ask()[0])), ask_id=None).state == STATE


@pytest.mark.parametrize(
    "changes",
    [{"gate": "gate-2"}, {"environment": Environment.STAGING}, {"audience": "https://other.example"}],
    ids=str,
)
def test_an_answer_for_another_gate_environment_or_audience_is_refused(changes: dict[str, Any]) -> None:
    sealed = answer(proven(ask()[0]))
    refused(lambda: opened(sealed, **changes), reasons.ANSWER_ELSEWHERE)


def test_an_answer_by_a_key_that_is_not_pinned_is_refused() -> None:
    sealed = answer(proven(ask()[0]), service_key=ServiceKey.of(FOREIGN))
    refused(lambda: opened(sealed), reasons.ANSWER_NOT_OURS)


def test_the_spare_is_pinned_as_well() -> None:
    sealed = answer(proven(ask()[0]), service_key=ServiceKey.of(FOREIGN))
    pins = frozenset([SERVICE_KEY.kid, ServiceKey.of(FOREIGN).kid])
    assert opened(sealed, pinned=pins).state == STATE


def sealed(payload: bytes, *, typ: str = provision.ANSWER_TYPE, cty: str = "JWT") -> str:
    signed = pinned_jws.sign(payload, typ=typ, key=SERVICE_KEY.private_key)
    ephemeral = ec.derive_private_key(0xE9, ec.SECP256R1())
    return jwe.encrypt(
        signed.encode(), recipient=GATE_KEY.public_key(), header={"cty": cty}, ephemeral=ephemeral, iv=bytes(12)
    )


def body() -> dict[str, Any]:
    asked = proven(ask()[0])
    told = provision.serialise(STATE)
    return {
        "gate": asked.gate,
        "env": asked.environment,
        "aud": AUDIENCE,
        "jti": asked.id,
        "tag": told.tag,
        "iat": int(NOW.timestamp()),
        "state": json.parse_object(json.dump(told.body)),
    }


def test_another_token_of_the_service_key_is_no_answer() -> None:
    refused(lambda: opened(sealed(json.dump(body()), typ="bonafide-session+jwt")), reasons.ANSWER_NOT_OURS)


def test_an_answer_under_another_outer_header_is_refused() -> None:
    refused(lambda: opened(sealed(json.dump(body()), cty="text")), reasons.ANSWER_MALFORMED)


ANSWERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "member more": lambda body: body.update(more="x"),
    "member less": lambda body: body.pop("tag"),
    "time a text": lambda body: body.update(iat="1"),
    "tag a number": lambda body: body.update(tag=1),
    "state a list": lambda body: body.update(state=[]),
    "state more": lambda body: body["state"].update(more=[]),
    "state less": lambda body: body["state"].pop("jkts"),
    "instances a text": lambda body: body["state"].update(instances="all"),
    "instance a number": lambda body: body["state"].update(instances=[1]),
    "jkt a number": lambda body: body["state"].update(jkts=[1]),
    "opening a number": lambda body: body["state"].update(openings=[1]),
    "ramp short": lambda body: body["state"].update(ramp=base64url.encode(bytes(31))),
    "ramp no base64url": lambda body: body["state"].update(ramp="!"),
    "key a text": lambda body: body["state"].update(keys=["key"]),
    "key more": lambda body: body["state"]["keys"][0].update(more=1),
    "key's app a number": lambda body: body["state"]["keys"][0].update(app=1),
    "key's jwk a text": lambda body: body["state"]["keys"][0].update(jwk="key"),
    "key's jwk no point": lambda body: body["state"]["keys"][0]["jwk"].update(x="AAAA"),
    "key under another's id": lambda body: body["state"]["keys"][0].update(
        kid=VerificationKey.of(FOREIGN.public_key()).kid
    ),
    "gate key short": lambda body: body["state"]["gate_keys"][0].update(key=base64url.encode(bytes(31))),
    "gate key more": lambda body: body["state"]["gate_keys"][0].update(more=1),
    "gate key's id a number": lambda body: body["state"]["gate_keys"][0].update(kid=1),
    "gate key's end a text": lambda body: body["state"]["gate_keys"][0].update(exp="1"),
}


@pytest.mark.parametrize("change", ANSWERS.values(), ids=ANSWERS.keys())
def test_an_answer_of_another_form_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    told = body()
    assert opened(sealed(json.dump(told))).state == STATE
    change(told)
    refused(lambda: opened(sealed(json.dump(told))), reasons.ANSWER_MALFORMED)


@pytest.mark.parametrize("text", ["", "x", "a.b.c.d.e", "<html>"])
def test_what_is_no_answer_is_refused(text: str) -> None:
    refused(lambda: opened(text), reasons.ANSWER_MALFORMED)


def test_the_operator_is_told_what_is_wrong_with_an_answer() -> None:
    with pytest.raises(MalformedEvidence) as refusal:
        opened("not an answer")
    assert refusal.value.detail == "jose.jwe_malformed"


def test_secrets_stay_out_of_what_is_printed() -> None:
    secret = STATE.gate_keys[0].secret
    for value in (STATE, provision.serialise(STATE)):
        assert repr(secret) not in repr(value)
        assert base64url.encode(secret) not in repr(value)
    assert repr(STATE.ramp_key) not in repr(STATE)


@settings(max_examples=10_000, derandomize=True, deadline=None, database=None)
@given(st.text(max_size=200))
def test_whatever_comes_only_our_refusals_come_out(text: str) -> None:
    with pytest.raises((MalformedEvidence, VerificationFailed)):
        provision.parse_ask(text)
    with pytest.raises((MalformedEvidence, VerificationFailed)):
        opened(text)
