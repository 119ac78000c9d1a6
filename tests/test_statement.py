"""A gate's word is taken from a gate, about the request in hand, for ten seconds, and from nobody else."""

from __future__ import annotations

import json as json_module
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide import statement
from bonafide.codec import base64url, jose, json
from bonafide.errors import BonafideError, MalformedEvidence, Misuse, VerificationFailed
from bonafide.http import MAX_TARGET_BYTES, Origin, split_target
from bonafide.proof.http_signature import digest_of_fields
from bonafide.reasons import jose as jose_reasons
from bonafide.reasons import sealed as sealed_reasons
from bonafide.reasons import statement as reasons
from bonafide.sealing import AnswerKey
from bonafide.statement import Sender, Statement
from bonafide.terms import EvidenceEnvironment, ProofKind, Tier
from tests import canaries, gate_world
from tests.gate_world import NOW

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bonafide.http import HttpRequest
    from bonafide.reasons import Reason

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
canaries.plant("admission key", KEY)
FIELDS = {"authorization": "Bearer x", "cookie": "a=1", "content-type": "text/plain"}
REQUEST = gate_world.request("/api/config?a=1", method="POST", headers=FIELDS)

SENDER = Sender(
    instance="aW5zdGFuY2UtMDAwMDAwMQ",
    jkt=gate_world.JKT,
    app="shop",
    identity="TEAM123456.com.example.shop",
    environment=EvidenceEnvironment.PRODUCTION,
    tier=Tier.AFFIRMING,
    proof=ProofKind.SESSION,
    app_version="2.3.1",
    warnings=("old_os",),
    digest=REQUEST.headers["content-digest"],
    attestation=statement.digest_of_attestation(REQUEST.headers["oauth-client-attestation"]),
)
SAID = Statement(
    method="POST",
    authority="api.example.com",
    target="/api/config?a=1",
    route="/api/**",
    client="app",
    record="cmVjb3JkLTAwMDAwMDAwMQ",
    fields=digest_of_fields(REQUEST.headers),
    issued_at=NOW,
    sender=SENDER,
)


def refused(token: str | None, reason: Reason, request: HttpRequest = REQUEST, **how: Any) -> None:
    with pytest.raises(BonafideError) as refusal:
        statement.verify(token, keys=how.get("keys", [KEY]), request=request, now=how.get("now", NOW))
    assert refusal.value.reason is reason


def said(change: Callable[[dict[str, Any]], object] | None = None, header: dict[str, object] | None = None) -> str:
    """Return the statement as a holder of the key would make it, spoiled in one respect."""
    body = json.parse_object(jose.parse_jws(statement.issue(SAID, key=KEY)).payload)
    if change is not None:
        change(body)
    return jose.sign_hs256(header or {"alg": "HS256", "typ": statement.TYPE}, json.dump(body), KEY)


def test_what_was_said_is_read_as_it_was_said() -> None:
    token = statement.issue(SAID, key=KEY)
    assert statement.verify(token, keys=[KEY], request=REQUEST, now=NOW) == SAID
    assert SAID.admitted


def test_a_statement_that_admits_nobody_names_nobody() -> None:
    observed = SAID._replace(sender=None)
    token = statement.issue(observed, key=KEY)
    assert statement.verify(token, keys=[KEY], request=REQUEST, now=NOW) == observed
    assert not observed.admitted
    assert b"inst" not in jose.parse_jws(token).payload


@pytest.mark.parametrize("keys", [[KEY, OTHER_KEY], [OTHER_KEY, KEY]])
def test_either_key_is_taken_while_one_is_replaced(keys: list[bytes]) -> None:
    assert statement.verify(statement.issue(SAID, key=KEY), keys=keys, request=REQUEST, now=NOW) == SAID


@pytest.mark.parametrize("token", [None, ""])
def test_a_request_without_a_statement_is_refused(token: str | None) -> None:
    refused(token, reasons.MISSING)


@pytest.mark.parametrize("keys", [[OTHER_KEY], []])
def test_another_gates_key_is_refused(keys: list[bytes]) -> None:
    refused(statement.issue(SAID, key=KEY), reasons.SIGNATURE_INVALID, keys=keys)


def test_an_edited_statement_is_refused() -> None:
    header, payload, mac = statement.issue(SAID, key=KEY).split(".")
    body = {**json.parse_object(base64url.decode(payload)), "target": "/api/admin"}
    refused(f"{header}.{base64url.encode(json.dump(body))}.{mac}", reasons.SIGNATURE_INVALID)


@pytest.mark.parametrize("age", [-5, 0, 10])
def test_a_statement_holds_for_ten_seconds(age: int) -> None:
    assert statement.verify(said(), keys=[KEY], request=REQUEST, now=NOW + timedelta(seconds=age)) == SAID


@pytest.mark.parametrize("age", [-5.1, -3600, 10.1, 3600])
def test_a_statement_of_another_time_is_refused(age: float) -> None:
    refused(said(), reasons.STALE, now=NOW + timedelta(seconds=age))


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "GET"},
        {"method": "post"},
        {"target": "/api/config?a=2"},
        {"target": "/api/config"},
        {"origin": Origin(scheme="https", authority="api.example.org")},
    ],
    ids=str,
)
def test_a_statement_about_another_request_is_refused(changes: dict[str, Any]) -> None:
    refused(said(), reasons.REQUEST_MISMATCH, REQUEST._replace(**changes))


@pytest.mark.parametrize("attestation", [None, "", "other", "\udc80"])
def test_another_client_attestation_than_the_gate_verified_is_refused(attestation: str | None) -> None:
    changed = gate_world.with_headers(REQUEST, oauth_client_attestation=attestation)
    refused(said(), reasons.ATTESTATION_MISMATCH, changed)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [None, "", "x", "\xff", "text/plain,a/b"])
def test_another_covered_field_than_the_gate_read_is_refused(field: str, value: str | None) -> None:
    """Where a proxy and two servers read one request differently, the API is the one that notices."""
    refused(said(), reasons.REQUEST_MISMATCH, gate_world.with_headers(REQUEST, **{field.replace("-", "_"): value}))


@pytest.mark.parametrize("field", FIELDS)
def test_a_covered_field_that_the_gate_did_not_see_is_refused(field: str) -> None:
    bare = gate_world.with_headers(REQUEST, **{field.replace("-", "_"): None})
    told = statement.issue(SAID._replace(fields=digest_of_fields(bare.headers)), key=KEY)
    assert statement.verify(told, keys=[KEY], request=bare, now=NOW).admitted
    refused(told, reasons.REQUEST_MISMATCH)


def test_the_longest_target_has_room_in_a_statement() -> None:
    longest = REQUEST._replace(target="/?" + '"' * (MAX_TARGET_BYTES - 2))
    split_target(longest.target)
    token = statement.issue(SAID._replace(target=longest.target), key=KEY)
    assert statement.verify(token, keys=[KEY], request=longest, now=NOW).target == longest.target


def test_an_observed_request_needs_no_client_attestation() -> None:
    bare = gate_world.with_headers(REQUEST, oauth_client_attestation=None)
    observed = SAID._replace(sender=None)
    assert statement.verify(statement.issue(observed, key=KEY), keys=[KEY], request=bare, now=NOW) == observed


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "HS256"},
        {"alg": "HS256", "typ": "JWT"},
        {"alg": "HS256", "typ": statement.TYPE, "kid": "x"},
    ],
    ids=str,
)
def test_another_header_is_refused(header: dict[str, object]) -> None:
    refused(said(header=header), reasons.MALFORMED)


@pytest.mark.parametrize("token", ["x", "a.b", "a.b.c", "A" * (statement.MAX_BYTES + 1)], ids=lambda token: token[:9])
def test_what_is_no_jws_is_refused(token: str) -> None:
    refused(token, reasons.MALFORMED)


def test_a_longer_statement_than_any_gate_makes_is_refused() -> None:
    refused(said(lambda body: body.update(record="x" * statement.MAX_BYTES)), reasons.MALFORMED)


SPOILED: dict[str, Callable[[dict[str, Any]], object]] = {
    "member more": lambda body: body.update(more=1),
    "member less": lambda body: body.pop("route"),
    "method no text": lambda body: body.update(method=1),
    "no fields": lambda body: body.pop("fields"),
    "fields no text": lambda body: body.update(fields=1),
    "admitted a text": lambda body: body.update(admitted="true"),
    "admitted a number": lambda body: body.update(admitted=1),
    "admitted without sender": lambda body: body.pop("sender"),
    "sender without admitted": lambda body: body.update(admitted=False),
    "no admitted": lambda body: body.pop("admitted"),
    "time a text": lambda body: body.update(iat="1"),
    "time a truth": lambda body: body.update(iat=True),
    "time a fraction": lambda body: body.update(iat=1.5),
    "time beyond all": lambda body: body.update(iat=2**52),
    "sender a list": lambda body: body.update(sender=["x"]),
    "sender a text": lambda body: body.update(sender="x"),
    "sender more": lambda body: body["sender"].update(more="x"),
    "sender less": lambda body: body["sender"].pop("jkt"),
    "instance no text": lambda body: body["sender"].update(inst=None),
    "tier unknown": lambda body: body["sender"].update(tier="gold"),
    "environment unknown": lambda body: body["sender"].update(env="moon"),
    "proof unknown": lambda body: body["sender"].update(proof="word"),
    "proof a list": lambda body: body["sender"].update(proof=[]),
    "warnings a text": lambda body: body["sender"].update(warn="x"),
    "warning a number": lambda body: body["sender"].update(warn=[1]),
    "digest a number": lambda body: body["sender"].update(digest=1),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED.keys())
def test_members_that_are_not_the_profile_s_are_refused(spoil: Callable[[dict[str, Any]], object]) -> None:
    refused(said(spoil), reasons.MALFORMED)


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33)])
def test_a_key_of_another_size_signs_nothing(key: bytes) -> None:
    with pytest.raises(Misuse) as refusal:
        statement.issue(SAID, key=key)
    assert refusal.value.reason is jose_reasons.KEY_UNFIT


@settings(max_examples=10_000, derandomize=True, deadline=None, database=None)
@given(st.one_of(st.text(max_size=200), st.binary(max_size=200).map(lambda data: data.decode("latin-1"))))
def test_whatever_stands_in_the_header_only_our_refusals_come_out(token: str) -> None:
    with pytest.raises((MalformedEvidence, VerificationFailed)):
        statement.verify(token, keys=[KEY], request=REQUEST, now=NOW)


def test_how_a_sender_is_spelt_can_be_kept_and_changes_nothing() -> None:
    issuer = statement.Issuer(KEY)
    for sender in (SENDER, replace(SENDER, instance='an "instance"', warnings=())):
        token = issuer.issue(SAID._replace(sender=sender), spelt=statement.spell(sender))
        assert token == statement.issue(SAID._replace(sender=sender), key=KEY)
        assert statement.verify(token, keys=[KEY], request=REQUEST, now=NOW).sender == sender


def test_every_wycheproof_mac_is_the_one_a_gate_writes(shared: Path) -> None:
    """Of tags cut to 16 octets the beginning is compared; keys of other sizes are refused."""
    groups = json_module.loads((shared / "vectors/wycheproof/hmac_sha256.json").read_text())["testGroups"]
    compared = 0
    for case in (case for group in groups for case in group["tests"]):
        key, tag = bytes.fromhex(case["key"]), bytes.fromhex(case["tag"])
        if len(key) != len(KEY):
            with pytest.raises(Misuse):
                statement.Issuer(key)
            continue
        mac = statement.Issuer(key)._mac.copy()
        mac.update(bytes.fromhex(case["msg"]))
        assert (mac.finalize()[: len(tag)] == tag) == (case["result"] == "valid"), case["tcId"]
        compared += 1
    assert compared == 162


# The key of the answer -----------------------------------------------------------------------------

ANSWER_KEY = AnswerKey(sid=bytes(range(16)), key=bytes(range(200, 232)))
canaries.plant("answer key", ANSWER_KEY.key)
SEALED = SAID._replace(answer_key=ANSWER_KEY)


def members(token: str) -> dict[str, Any]:
    return dict(json.parse_object(jose.parse_jws(token).payload))


def carrying(sealed: object, **changes: Any) -> str:
    """Return a statement under the right key with this `k`."""
    return said(lambda body: body.update(k=sealed, **changes))


def test_the_key_of_an_answer_arrives_as_it_was_given() -> None:
    got = statement.verify(statement.issue(SEALED, key=KEY), keys=[KEY], request=REQUEST, now=NOW)
    assert got == SEALED
    assert got.answer_key == ANSWER_KEY


def test_a_statement_without_a_key_has_no_member_for_it_and_is_as_it_was() -> None:
    assert "k" not in members(statement.issue(SAID, key=KEY))
    assert statement.issue(SEALED._replace(answer_key=None), key=KEY) == statement.issue(SAID, key=KEY)


@pytest.mark.parametrize("keys", [[KEY, OTHER_KEY], [OTHER_KEY, KEY]])
def test_the_key_opens_under_whichever_admission_key_signed(keys: list[bytes]) -> None:
    for signed_with in keys:
        token = statement.issue(SEALED, key=signed_with)
        assert statement.verify(token, keys=keys, request=REQUEST, now=NOW).answer_key == ANSWER_KEY


def test_whoever_reads_a_statement_does_not_read_the_key() -> None:
    token = statement.issue(SEALED, key=KEY)
    payload = jose.parse_jws(token).payload
    sealed = base64url.decode(members(token)["k"])
    assert ANSWER_KEY.key not in sealed
    assert ANSWER_KEY.sid not in sealed
    assert base64url.encode(ANSWER_KEY.key).encode() not in payload
    assert len(sealed) == 16 + 32 + 16


def test_the_key_stands_in_no_representation() -> None:
    told = repr(statement.verify(statement.issue(SEALED, key=KEY), keys=[KEY], request=REQUEST, now=NOW))
    assert "AnswerKey" in told
    assert repr(ANSWER_KEY.key) not in told
    assert ANSWER_KEY.key.hex() not in told


def test_one_key_is_sealed_differently_under_each_record() -> None:
    records = [base64url.encode(bytes([number]) * 16) for number in range(3)]
    sealed = {members(statement.issue(SEALED._replace(record=record), key=KEY))["k"] for record in records}
    assert len(sealed) == 3


def test_the_key_of_another_statement_does_not_open() -> None:
    other = statement.issue(SEALED._replace(record=base64url.encode(bytes(16))), key=KEY)
    refused(carrying(members(other)["k"]), reasons.ANSWER_KEY_UNOPENED)


def test_a_key_that_was_sealed_under_another_admission_key_does_not_open() -> None:
    other = statement.issue(SEALED, key=OTHER_KEY)
    refused(carrying(members(other)["k"]), reasons.ANSWER_KEY_UNOPENED, keys=[KEY, OTHER_KEY])


def test_an_edited_key_does_not_open() -> None:
    octets = bytearray(base64url.decode(members(statement.issue(SEALED, key=KEY))["k"]))
    octets[20] ^= 1
    refused(carrying(base64url.encode(bytes(octets))), reasons.ANSWER_KEY_UNOPENED)


@pytest.mark.parametrize("sealed", [None, "", 1, [], "x", "A" * 85, "A" * 86 + "=", "A" * 84, "A" * 88], ids=str)
def test_a_key_of_another_form_is_refused(sealed: object) -> None:
    refused(carrying(sealed), reasons.MALFORMED)


@pytest.mark.parametrize("record", ["", "short", base64url.encode(bytes(15)), base64url.encode(bytes(17)), "=" * 22])
def test_a_key_beside_a_record_that_is_not_sixteen_octets_is_refused(record: str) -> None:
    good = members(statement.issue(SEALED, key=KEY))["k"]
    refused(carrying(good, record=record), reasons.MALFORMED)
    with pytest.raises(Misuse) as refusal:
        statement.issue(SEALED._replace(record=record), key=KEY)
    assert refusal.value.reason is sealed_reasons.KEY_MISUSED


def test_a_key_where_nobody_was_admitted_is_refused() -> None:
    good = members(statement.issue(SEALED, key=KEY))["k"]

    def spoil(body: dict[str, Any]) -> None:
        del body["sender"]
        body.update(admitted=False, k=good)

    refused(said(spoil), reasons.MALFORMED)
    with pytest.raises(Misuse) as refusal:
        statement.issue(SEALED._replace(sender=None), key=KEY)
    assert refusal.value.reason is sealed_reasons.KEY_MISUSED


def test_a_key_for_an_answer_without_a_body_is_refused() -> None:
    head = gate_world.request("/api/config?a=1", method="HEAD", headers=FIELDS)
    token = statement.issue(SEALED._replace(method="HEAD"), key=KEY)
    refused(token, reasons.MALFORMED, head)


def test_the_longest_target_has_room_beside_a_key() -> None:
    longest = REQUEST._replace(target="/?" + '"' * (MAX_TARGET_BYTES - 2))
    token = statement.issue(SEALED._replace(target=longest.target), key=KEY)
    assert statement.verify(token, keys=[KEY], request=longest, now=NOW).answer_key == ANSWER_KEY
