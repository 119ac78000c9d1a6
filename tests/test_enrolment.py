"""Enrolment's whole story: an app and a service that speak to each other, and what is never taken twice."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.codec import base64url, json
from bonafide.codec.jose import parse_jws, sign_es256
from bonafide.enrolment.messages import parse_enrolment, parse_renewal
from bonafide.errors import MalformedEvidence, VerificationFailed
from bonafide.http import HttpRequest, split_target
from bonafide.proof.http_signature import parse_proof
from bonafide.reasons import appraisal as appraisal_reasons
from bonafide.reasons import challenge as challenge_reasons
from bonafide.reasons import enrolment as reasons
from bonafide.testing.hints import Refused
from bonafide.testing.memory_enrolment_store import MemoryEnrolmentStore
from tests.enrolment.reception import Reception, received
from tests.enrolment.world import World, body, refusal, under, with_evidence

if TYPE_CHECKING:
    from bonafide.testing.device import PendingMessage


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def reception(request: pytest.FixtureRequest) -> Reception:
    return Reception(World(), asynchronous=request.param)


# An app and a service --------------------------------------------------------------------------------


def test_an_app_enrols_and_renews_over_days_with_one_attest_key(reception: Reception) -> None:
    world = reception.world
    with reception.client() as client:
        client.enrol()
        for _ in range(6):
            world.clock.advance(hours=9)
            client.renew()
    assert reception.refusals == [challenge_reasons.EXPIRED] * 6  # the next challenge: the app asks for another
    enrolled = world.phone.keychain.enrolled
    assert enrolled is not None
    assert world.record(enrolled.instance).counter == 12
    assert world.phone.enclave.attest_calls == 1


def test_an_app_that_renews_in_time_needs_no_other_challenge(reception: Reception) -> None:
    with reception.client() as client:
        client.enrol()
        for _ in range(5):
            reception.world.clock.advance(minutes=4)
            client.renew()
    assert reception.refusals == []
    paths = [request.url.path.split("/")[-1] for request in reception.requests]
    assert paths == ["challenge", "instances", *["renewals"] * 5]


def test_a_reinstalled_app_stays_the_same_instance(reception: Reception) -> None:
    world = reception.world
    with reception.client() as client:
        client.enrol()
        first = world.phone.keychain.enrolled
        world.phone.reinstall()
        world.phone.keychain.attest_key = None
        client.enrol()
        second = world.phone.keychain.enrolled
    assert first is not None
    assert second is not None
    assert first.instance == second.instance
    assert isinstance(world.store, MemoryEnrolmentStore)
    assert len(world.store) == 1


def test_an_app_waits_for_a_place_and_spends_no_second_attest_key(reception: Reception) -> None:
    world = reception.world
    world.places.free = 0

    def make_room(seconds: float) -> None:
        world.clock.advance(seconds=seconds)
        world.places.free = 1

    with reception.client() as client:
        client._sleep = make_room
        client.enrol()
    assert reception.refusals == [reasons.POOL_FULL]
    assert world.phone.enclave.attest_calls == 1


def test_an_app_that_is_too_old_is_told_to_update_and_asks_no_more(reception: Reception) -> None:
    reception.world.configure(apps=(under(minimum_app_version="9"),))
    with reception.client() as client, pytest.raises(Refused) as refused:
        client.enrol()
    assert refused.value.action == "update_app"
    assert reception.refusals == [appraisal_reasons.APP_VERSION_TOO_OLD]


def test_a_banned_phone_learns_what_an_unknown_one_learns(reception: Reception) -> None:
    world = reception.world
    assert isinstance(world.store, MemoryEnrolmentStore)
    with reception.client() as client:
        client.enrol()
        enrolled = world.phone.keychain.enrolled
        assert enrolled is not None
        world.store.ban(enrolled.instance)
        with pytest.raises(Refused) as refused:
            client.renew()
    assert refused.value.action == "give_up"  # the answer to the enrolment that it then tried
    assert reception.refusals == [reasons.INSTANCE_BANNED, reasons.BANNED]


# One signature, one role (claim of PROTOCOL section 9) -----------------------------------------------


def _base(request: HttpRequest) -> bytes:
    path, query = split_target(request.target)
    return parse_proof(request, path=path, query=query, attestation=None).base


def test_what_keys_sign_in_one_role_begins_unlike_what_they_sign_in_another() -> None:
    world = World()
    message = world.enrolment()
    base = _base(world.request("/instances", message.body()))
    jws = parse_jws(sign_es256({"alg": "ES256"}, b"{}", world.phone.keychain.sign_key))
    assert (base[:1], message.client_data[:1], jws.signing_input[:2]) == (b'"', b"{", b"ey")


def test_a_signature_base_is_no_client_data_even_if_a_device_attests_it() -> None:
    world = World()
    message = world.enrolment()
    base = _base(world.request("/instances", message.body()))
    attested = replace(message, client_data=base)
    attested.key = world.phone.new_key()
    attested.evidence = world.phone.attest(attested)
    assert refusal(world.enrol, attested) is reasons.CLIENT_DATA_MALFORMED


def test_the_input_of_a_jws_is_no_client_data_even_if_a_device_attests_it() -> None:
    world = World()
    jws = parse_jws(sign_es256({"alg": "ES256"}, world.enrolment().client_data, world.phone.keychain.sign_key))
    attested = replace(world.enrolment(), client_data=jws.signing_input)
    attested.key = world.phone.new_key()
    attested.evidence = world.phone.attest(attested)
    assert refusal(world.enrol, attested) is reasons.CLIENT_DATA_MALFORMED


def test_an_assertion_for_one_message_proves_no_other() -> None:
    world = World()
    enrolled = world.enrolled()
    renewal = world.renewal(enrolled)
    as_enrolment = replace(renewal, client_data=world.enrolment().client_data, evidence=renewal.evidence)
    assert refusal(world.enrol, as_enrolment) is reasons.FORMAT_UNKNOWN


def test_a_request_signed_for_one_endpoint_is_none_for_another() -> None:
    world = World()
    enrolled = world.enrolled()
    text = world.renewal(enrolled).body()
    there = world.request("/instances", text)
    here = world.request(f"/instances/{enrolled.instance}/renewals", text)
    moved = here._replace(headers={**here.headers, "signature": there.headers["signature"]})
    reception = Reception(world)
    assert refusal(reception._renew, moved, text, enrolled.instance) is reasons.KEY_MISMATCH


@settings(parent=settings.get_profile("bonafide"), max_examples=2_000)
@given(st.binary(max_size=40), st.sampled_from([parse_enrolment, parse_renewal]))
def test_octets_that_do_not_begin_with_a_brace_are_never_client_data(octets: bytes, parse: object) -> None:
    assert callable(parse)
    text = json.dump({"client_data": base64url.encode(octets), "evidence": []})
    assert refusal(parse, text) is reasons.CLIENT_DATA_MALFORMED


@settings(parent=settings.get_profile("bonafide"), max_examples=2_000)
@given(st.binary(min_size=1, max_size=40), st.binary(max_size=8))
def test_the_input_of_a_jws_begins_like_neither_of_the_others(header: bytes, payload: bytes) -> None:
    token = f"{base64url.encode(b'{' + header)}.{base64url.encode(payload)}.AA"
    for text in (token, f"{base64url.encode(header)}.{base64url.encode(payload)}.AA"):
        try:
            jws = parse_jws(text)
        except (MalformedEvidence, VerificationFailed):
            continue
        assert jws.signing_input[:1] not in {b'"', b"{"}


# Arbitrary input -------------------------------------------------------------------------------------

WORLD = World()
ENROLMENT = WORLD.enrolment()
RENEWAL = WORLD.renewal(WORLD.enrol(ENROLMENT))
INSTANCE = str(json.parse_object(RENEWAL.client_data)["instance"])
STORE = WORLD.store

_VALUES: st.SearchStrategy[object] = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=10), st.just([]), st.just({})
)


@st.composite
def _spoilt(draw: st.DrawFn, message: PendingMessage, octets_name: str) -> bytes:
    """Draw the body of a message with something changed; whoever sends it signs it anew."""
    what = draw(st.integers(0, 3))
    evidence = dict((message.evidence or [{}])[0])
    if what == 0:
        octets = bytearray(base64url.decode(str(evidence[octets_name])))
        for _ in range(draw(st.integers(1, 3))):
            octets[draw(st.integers(0, len(octets) - 1))] = draw(st.integers(0, 255))
        cut = draw(st.just(len(octets)) | st.integers(0, len(octets)))
        return with_evidence(message, **{octets_name: base64url.encode(bytes(octets[:cut]))}).body()
    if what == 1:
        members = json.parse_object(message.client_data)
        members[draw(st.sampled_from([*members, "aud", "more"]))] = draw(_VALUES)
        return replace(message, client_data=json.dump(members)).body()
    if what == 2:
        return body(message, **{draw(st.sampled_from(["client_data", "evidence"])): draw(_VALUES)})
    text = bytearray(message.body())
    text[draw(st.integers(0, len(text) - 1))] = draw(st.integers(0, 255))
    return bytes(text)


@settings(parent=settings.get_profile("bonafide"))
@given(_spoilt(ENROLMENT, "attestation") | st.binary(max_size=100))
def test_only_refusals_leave_enrolment_and_spoilt_evidence_enrols_nobody(text: bytes) -> None:
    WORLD.store = MemoryEnrolmentStore()
    try:
        WORLD.enrol(text)
    except (MalformedEvidence, VerificationFailed):
        assert len(WORLD.store) == 0
    else:
        # What may differ is the receipt: nothing in an attestation signs it, and nobody believes it.
        assert parse_enrolment(text).client_data == ENROLMENT.client_data


@settings(parent=settings.get_profile("bonafide"))
@given(_spoilt(RENEWAL, "assertion") | st.binary(max_size=100))
def test_only_refusals_leave_renewal_and_a_spoilt_assertion_moves_no_counter(text: bytes) -> None:
    WORLD.store = STORE
    try:
        WORLD.renew(text, INSTANCE)
    except (MalformedEvidence, VerificationFailed):
        assert WORLD.record(INSTANCE).counter in {0, 1}
    else:
        assert parse_renewal(text).client_data == RENEWAL.client_data


def test_received_requests_keep_their_target_and_headers() -> None:
    reception = Reception(World())
    with reception.client() as client:
        client.enrol()
    request = received(reception.requests[-1])
    assert (request.method, request.target) == ("POST", "/bonafide/v1/instances")
    assert {"signature", "signature-input", "content-digest"} <= set(request.headers)
