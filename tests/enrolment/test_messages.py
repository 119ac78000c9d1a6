"""Claims about the bodies of the service's endpoints: members are exact, and every text has a bound."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.challenge import Purpose
from bonafide.codec import base64url, json
from bonafide.enrolment import messages
from bonafide.enrolment.messages import parse_challenge_request, parse_enrolment, parse_renewal
from bonafide.errors import MalformedEvidence
from bonafide.evidence.debug import DebugSecret, issue_debug_evidence
from bonafide.reasons import challenge as challenge_reasons
from bonafide.reasons import enrolment as reasons
from bonafide.reasons import request as request_reasons
from tests.enrolment.world import START, World, body, changed, refusal, with_evidence

if TYPE_CHECKING:
    from collections.abc import Callable

    from bonafide.testing.device import PendingMessage

WORLD = World()
ENROLMENT = WORLD.enrolment()
RENEWAL = WORLD.renewal(WORLD.enrol(ENROLMENT))
KEY_ID = base64.b64decode(str((ENROLMENT.evidence or [{}])[0]["key_id"]))

# What neither endpoint takes for any text, and what each text may not be.
NOT_TEXTS: list[object] = [None, 1, True, ["a"], {"a": "b"}, "", " ", "a b", "é", "a\n", "\x00"]


def _told(message: PendingMessage, name: str, value: object) -> bytes:
    """Return the body with one member of the client data set, or absent where it is the string "absent"."""
    members = {**json.parse_object(message.client_data), name: value}
    if value == "absent":
        del members[name]
    return replace(message, client_data=json.dump(members)).body()


# Challenges ------------------------------------------------------------------------------------------


def test_a_request_for_a_challenge_names_app_and_purpose() -> None:
    for purpose in Purpose:
        message = parse_challenge_request(json.dump({"purpose": purpose, "app": "shop"}))
        assert (message.app, message.purpose) == ("shop", purpose)


@pytest.mark.parametrize(
    "members",
    [{}, {"app": "shop"}, {"purpose": "enrol"}, {"purpose": "enrol", "app": "shop", "more": 1}],
)
def test_a_request_for_a_challenge_has_exactly_two_members(members: dict[str, object]) -> None:
    assert refusal(parse_challenge_request, json.dump(members)) is request_reasons.BODY_MALFORMED


@pytest.mark.parametrize("app", [*NOT_TEXTS, "a" * 65])
def test_a_request_for_a_challenge_names_an_app_in_form(app: object) -> None:
    text = json.dump({"purpose": "enrol", "app": app})
    assert refusal(parse_challenge_request, text) is request_reasons.BODY_MALFORMED


@pytest.mark.parametrize("purpose", ["POP", "ENROL", "", "enrol ", None, 1, [], {}, ["enrol"]])
def test_a_challenge_for_another_purpose_is_refused(purpose: object) -> None:
    text = json.dump({"purpose": purpose, "app": "shop"})
    assert refusal(parse_challenge_request, text) is challenge_reasons.PURPOSE_UNKNOWN


# Bodies ----------------------------------------------------------------------------------------------

PARSERS: list[tuple[Callable[[bytes], object], bytes]] = [
    (parse_challenge_request, b'{"purpose":"enrol","app":"shop"}'),
    (parse_enrolment, ENROLMENT.body()),
    (parse_renewal, RENEWAL.body()),
]


@pytest.mark.parametrize(("parse", "good"), PARSERS)
def test_a_body_is_taken_up_to_64_kib_and_not_beyond(parse: Callable[[bytes], object], good: bytes) -> None:
    longest = good + b" " * (64 * 1024 - len(good))
    assert parse(longest) == parse(good)
    assert refusal(parse, longest + b" ") is request_reasons.BODY_TOO_LARGE


@pytest.mark.parametrize(("parse", "good"), PARSERS)
@pytest.mark.parametrize("spoil", [b"", b"[]", b"null", b"\xff", b"\xef\xbb\xbf{}", b"{}{}", b'{"a":NaN}'])
def test_a_body_that_is_no_json_object_is_refused(parse: Callable[[bytes], object], good: bytes, spoil: bytes) -> None:
    assert parse(good)
    assert refusal(parse, spoil) is request_reasons.BODY_MALFORMED


@pytest.mark.parametrize(("parse", "good"), PARSERS[1:])
def test_a_body_has_exactly_client_data_and_evidence(parse: Callable[[bytes], object], good: bytes) -> None:
    members = json.parse_object(good)
    for spoilt in (
        {name: value for name, value in members.items() if name != "evidence"},
        {name: value for name, value in members.items() if name != "client_data"},
        members | {"more": 1},
    ):
        assert refusal(parse, json.dump(spoilt)) is request_reasons.BODY_MALFORMED


@pytest.mark.parametrize(("parse", "good"), PARSERS[1:])
def test_a_member_that_stands_twice_is_refused(parse: Callable[[bytes], object], good: bytes) -> None:
    assert refusal(parse, good[:-1] + b',"evidence":[]}') is request_reasons.BODY_MALFORMED


@pytest.mark.parametrize(("parse", "good"), PARSERS[1:])
@pytest.mark.parametrize("value", [None, 1, [], {}, "*", "=", "e30=", "e3 0", "é"])
def test_client_data_that_is_not_base64url_is_refused(
    parse: Callable[[bytes], object], good: bytes, value: object
) -> None:
    members = json.parse_object(good) | {"client_data": value}
    assert refusal(parse, json.dump(members)) is reasons.CLIENT_DATA_MALFORMED


@pytest.mark.parametrize(("parse", "good"), PARSERS[1:])
@pytest.mark.parametrize("value", [None, 1, {}, "x", [None], [[]], ["x"], [{}, {}]])
def test_evidence_that_is_not_a_list_of_at_most_one_object_is_refused(
    parse: Callable[[bytes], object], good: bytes, value: object
) -> None:
    members = json.parse_object(good) | {"evidence": value}
    assert refusal(parse, json.dump(members)) is reasons.EVIDENCE_MALFORMED


# Client data -----------------------------------------------------------------------------------------

MESSAGES: list[tuple[Callable[[bytes], Any], PendingMessage]] = [
    (parse_enrolment, ENROLMENT),
    (parse_renewal, RENEWAL),
]


@pytest.mark.parametrize(("parse", "message"), MESSAGES)
def test_client_data_is_kept_octet_for_octet(parse: Callable[[bytes], Any], message: PendingMessage) -> None:
    spaced = message.client_data.replace(b",", b" ,\n")
    assert parse(replace(message, client_data=spaced).body()).client_data == spaced


@pytest.mark.parametrize(("parse", "message"), MESSAGES)
def test_client_data_is_taken_up_to_4_kib_and_not_beyond(
    parse: Callable[[bytes], Any], message: PendingMessage
) -> None:
    longest = message.client_data + b" " * (4096 - len(message.client_data))
    assert parse(replace(message, client_data=longest).body()).client_data == longest
    longer = replace(message, client_data=longest + b" ").body()
    assert refusal(parse, longer) is reasons.CLIENT_DATA_MALFORMED


@pytest.mark.parametrize(("parse", "message"), MESSAGES)
@pytest.mark.parametrize("first", [b" ", b"\n", b"\t", b'"', b"e"])
def test_client_data_begins_with_a_brace(parse: Callable[[bytes], Any], message: PendingMessage, first: bytes) -> None:
    spoilt = replace(message, client_data=first + message.client_data).body()
    assert refusal(parse, spoilt) is reasons.CLIENT_DATA_MALFORMED


@pytest.mark.parametrize(("parse", "message"), MESSAGES)
@pytest.mark.parametrize("client_data", [b"{", b"{}", b"{}x", b'{"type":"enrol","type":"enrol"}', b"\x7b\xff\x7d"])
def test_client_data_that_is_no_strict_json_object_is_refused(
    parse: Callable[[bytes], Any], message: PendingMessage, client_data: bytes
) -> None:
    spoilt = replace(message, client_data=client_data).body()
    assert refusal(parse, spoilt) is reasons.CLIENT_DATA_MALFORMED


def test_client_data_of_one_endpoint_is_none_of_the_other() -> None:
    as_renewal = replace(ENROLMENT, evidence=[]).body()
    as_enrolment = replace(RENEWAL, evidence=[]).body()
    assert refusal(parse_renewal, as_renewal) is reasons.CLIENT_DATA_MALFORMED
    assert refusal(parse_enrolment, as_enrolment) is reasons.CLIENT_DATA_MALFORMED


@pytest.mark.parametrize(("parse", "message"), MESSAGES)
def test_the_type_is_the_endpoints_even_where_all_members_fit(
    parse: Callable[[bytes], Any], message: PendingMessage
) -> None:
    for kind in ("", "pop", "Enrol", None, "enrol" if parse is parse_renewal else "renew"):
        spoilt = _told(message, "type", kind)
        assert refusal(parse, spoilt) is reasons.CLIENT_DATA_MALFORMED


@pytest.mark.parametrize(("parse", "message"), MESSAGES)
def test_every_member_but_the_optional_one_is_needed_and_no_other_is_taken(
    parse: Callable[[bytes], Any], message: PendingMessage
) -> None:
    for name in json.parse_object(message.client_data):
        if name != "agree_jwk":
            spoilt = _told(message, name, "absent")
            assert refusal(parse, spoilt) is reasons.CLIENT_DATA_MALFORMED
    for name in ("more", "aud" if parse is parse_enrolment else "agree_jwk", "Type"):
        spoilt = _told(message, name, "x")
        assert refusal(parse, spoilt) is reasons.CLIENT_DATA_MALFORMED


BOUNDS = {
    "challenge": 128,
    "app": 64,
    "identity": 200,
    "app_version": 32,
    "os_version": 32,
    "sdk_version": 32,
    "aud": 255,
}


@pytest.mark.parametrize(
    ("parse", "message", "name"),
    [(*pair, name) for pair in MESSAGES for name in BOUNDS if name != ("identity", "aud")[pair[0] is parse_enrolment]],
)
def test_every_text_has_a_form_and_a_bound(parse: Callable[[bytes], Any], message: PendingMessage, name: str) -> None:
    longest = "1" * BOUNDS[name]
    parsed = parse(_told(message, name, longest))
    assert getattr(parsed, {"aud": "audience"}.get(name, name)) == longest
    for value in (*NOT_TEXTS, longest + "1"):
        spoilt = _told(message, name, value)
        assert refusal(parse, spoilt) is reasons.CLIENT_DATA_MALFORMED


@pytest.mark.parametrize("value", [*NOT_TEXTS, "A" * 21, "A" * 23, "A" * 21 + "B", "A" * 21 + "=", "A" * 20 + "+A"])
def test_an_instance_is_16_octets_in_their_one_spelling(value: object) -> None:
    assert parse_renewal(_told(RENEWAL, "instance", "A" * 22)).instance == "A" * 22
    spoilt = _told(RENEWAL, "instance", value)
    assert refusal(parse_renewal, spoilt) is reasons.CLIENT_DATA_MALFORMED


@pytest.mark.parametrize("value", [*NOT_TEXTS, "A" * 42, "A" * 44, "A" * 42 + "B"])
def test_a_thumbprint_is_32_octets_in_their_one_spelling(value: object) -> None:
    assert parse_renewal(_told(RENEWAL, "jkt", "A" * 43)).jkt == "A" * 43
    spoilt = _told(RENEWAL, "jkt", value)
    assert refusal(parse_renewal, spoilt) is reasons.CLIENT_DATA_MALFORMED


def test_a_renewal_without_aud_asks_for_none() -> None:
    assert parse_renewal(RENEWAL.body()).audience is None


# Keys ------------------------------------------------------------------------------------------------

GOOD_JWK: dict[str, object] = dict(WORLD.phone.keychain.sign_jwk)


@pytest.mark.parametrize("name", ["sign_jwk", "agree_jwk"])
@pytest.mark.parametrize(
    "jwk",
    [
        None,
        "x",
        [],
        {},
        {name: value for name, value in GOOD_JWK.items() if name != "y"},
        GOOD_JWK | {"kid": "1"},
        GOOD_JWK | {"d": GOOD_JWK["x"]},
        GOOD_JWK | {"crv": "P-384"},
        GOOD_JWK | {"kty": "OKP"},
        GOOD_JWK | {"x": GOOD_JWK["y"], "y": GOOD_JWK["x"]},
        GOOD_JWK | {"x": "A" * 43},
        GOOD_JWK | {"x": 1},
    ],
)
def test_a_key_that_is_no_point_on_p_256_is_refused(name: str, jwk: object) -> None:
    spoilt = _told(ENROLMENT, name, jwk)
    assert refusal(parse_enrolment, spoilt) is reasons.CLIENT_DATA_MALFORMED


def test_one_key_in_two_roles_is_refused() -> None:
    spoilt = _told(ENROLMENT, "agree_jwk", GOOD_JWK)
    assert refusal(parse_enrolment, spoilt) is reasons.KEYS_EQUAL
    reordered = _told(ENROLMENT, "agree_jwk", dict(reversed(GOOD_JWK.items())))
    assert refusal(parse_enrolment, reordered) is reasons.KEYS_EQUAL


def test_a_device_without_an_agree_key_leaves_the_member_out() -> None:
    assert parse_enrolment(_told(ENROLMENT, "agree_jwk", "absent")).agree_jwk is None


def test_the_keys_are_read_as_they_were_sent() -> None:
    message = parse_enrolment(ENROLMENT.body())
    assert message.sign_jwk == GOOD_JWK
    assert message.jkt == WORLD.phone.keychain.jkt
    assert message.agree_jwk == json.parse_object(ENROLMENT.client_data)["agree_jwk"]


# Evidence --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"key_id": None},
        {"attestation": None},
        {"more": 1},
        {"key_id": 1},
        {"attestation": 1},
        {"attestation": "e30="},
        {"attestation": "+A"},
        {"key_id": ""},
        {"key_id": base64.b64encode(KEY_ID[:31]).decode()},
        {"key_id": base64.b64encode(KEY_ID + b"\x00").decode()},
        {"key_id": base64.b64encode(KEY_ID).decode().rstrip("=")},
        {"key_id": base64.b64encode(KEY_ID).decode() + "\n"},
        {"key_id": base64.b64encode(KEY_ID).decode()[:-2] + "B="},
        {"key_id": base64url.encode(b"\xff" * 32) + "="},
        {"key_id": "é" * 44},
    ],
)
def test_an_attestation_is_exactly_format_key_id_and_attestation(change: dict[str, object]) -> None:
    spoilt = with_evidence(ENROLMENT, **change).body()
    assert refusal(parse_enrolment, spoilt) is reasons.EVIDENCE_MALFORMED


@pytest.mark.parametrize("change", [{"assertion": None}, {"more": 1}, {"assertion": 1}, {"assertion": "e30="}])
def test_an_assertion_is_exactly_format_and_assertion(change: dict[str, object]) -> None:
    spoilt = with_evidence(RENEWAL, **change).body()
    assert refusal(parse_renewal, spoilt) is reasons.EVIDENCE_MALFORMED


@pytest.mark.parametrize("name", [None, "", "android-key-attestation", "google-play-integrity", "Apple-App-Attest", 1])
def test_a_format_that_is_not_verified_here_is_refused(name: object) -> None:
    for parse, message in MESSAGES:
        spoilt = with_evidence(message, format=name).body()
        assert refusal(parse, spoilt) is reasons.FORMAT_UNKNOWN


def test_an_assertion_does_not_enrol_and_an_attestation_does_not_renew() -> None:
    swapped = replace(ENROLMENT, evidence=RENEWAL.evidence).body()
    assert refusal(parse_enrolment, swapped) is reasons.FORMAT_UNKNOWN
    swapped = replace(RENEWAL, evidence=ENROLMENT.evidence).body()
    assert refusal(parse_renewal, swapped) is reasons.FORMAT_UNKNOWN


SECRET = DebugSecret(app="shop", name="ci", secret=b"\x01" * 16)
DEBUG = replace(ENROLMENT, evidence=[issue_debug_evidence(SECRET, client_data_hash=b"\x00" * 32, now=START)])


@pytest.mark.parametrize(
    "change", [{"mac": None}, {"mac": "e30="}, {"mac": 1}, {"name": 1}, {"issued_at": "1"}, {"more": 1}]
)
def test_debug_evidence_has_its_own_exact_form(change: dict[str, object]) -> None:
    assert parse_enrolment(DEBUG.body()).format == "debug"
    spoilt = with_evidence(DEBUG, **change).body()
    assert refusal(parse_enrolment, spoilt) is reasons.EVIDENCE_MALFORMED


def test_the_format_of_an_enrolment_is_that_of_its_evidence() -> None:
    assert parse_enrolment(ENROLMENT.body()).format == "apple-app-attest"
    assert parse_enrolment(replace(ENROLMENT, evidence=[]).body()).format == "none"


def test_what_is_kept_of_the_evidence_is_the_object_itself() -> None:
    told = (ENROLMENT.evidence or [{}])[0]["attestation"]
    assert parse_enrolment(ENROLMENT.body()).evidence_octets == base64url.decode(str(told))
    assert len(parse_enrolment(DEBUG.body()).evidence_octets) == 32
    assert parse_enrolment(replace(ENROLMENT, evidence=[]).body()).evidence_octets == b""


# The digest of a pair --------------------------------------------------------------------------------


def test_the_digest_of_a_pair_does_not_depend_on_its_spelling() -> None:
    for parse, message in MESSAGES:
        spaced = message.body().replace(b",", b" , ")
        reversed_ = json.dump(dict(reversed(json.parse_object(message.body()).items())))
        assert parse(spaced).body_digest == parse(reversed_).body_digest == parse(message.body()).body_digest


def test_any_other_pair_has_another_digest() -> None:
    other_octet = base64url.encode(messages.parse_enrolment(ENROLMENT.body()).evidence_octets + b"\x00")
    bodies = [
        ENROLMENT.body(),
        replace(ENROLMENT, client_data=ENROLMENT.client_data + b" ").body(),
        replace(ENROLMENT, evidence=[]).body(),
        with_evidence(ENROLMENT, attestation=other_octet).body(),
        with_evidence(ENROLMENT, key_id=base64.b64encode(bytes(32)).decode()).body(),
        DEBUG.body(),
        with_evidence(DEBUG, name="ci2").body(),
        with_evidence(DEBUG, issued_at=1).body(),
        with_evidence(DEBUG, mac=base64url.encode(bytes(32))).body(),
    ]
    digests = {parse_enrolment(text).body_digest for text in bodies}
    digests |= {parse_renewal(text).body_digest for text in (RENEWAL.body(), replace(RENEWAL, evidence=[]).body())}
    assert len(digests) == len(bodies) + 2


# Arbitrary input -------------------------------------------------------------------------------------

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_NAMES = sorted({*json.parse_object(ENROLMENT.client_data), *json.parse_object(RENEWAL.client_data), "aud", "more"})


@st.composite
def _bodies(draw: st.DrawFn) -> bytes:
    """Draw a body that is a good one but for some members, or has a few octets changed."""
    message = draw(st.sampled_from([ENROLMENT, RENEWAL, DEBUG]))
    what = draw(st.integers(0, 3))
    if what == 0:
        spoilt = changed(message.client_data, draw(st.dictionaries(st.sampled_from(_NAMES), _JSON, max_size=2)))
        return replace(message, client_data=spoilt).body()
    if what == 1:
        name = draw(st.sampled_from(["client_data", "evidence", "more"]))
        return body(message, **{name: draw(_JSON)})
    if what == 2:
        name = draw(st.sampled_from(["format", "key_id", "attestation", "assertion", "name", "mac"]))
        evidence = {**(message.evidence or [{}])[0], name: draw(_JSON)}
        return body(message, evidence=[evidence])
    octets = bytearray(message.body())
    octets[draw(st.integers(0, len(octets) - 1))] = draw(st.integers(0, 255))
    return bytes(octets)


@settings(parent=settings.get_profile("bonafide"))
@given(st.sampled_from([parse_challenge_request, parse_enrolment, parse_renewal]), _bodies() | st.binary(max_size=200))
def test_only_our_exceptions_leave_the_parsers(parse: Callable[[bytes], object], text: bytes) -> None:
    try:
        parse(text)
    except MalformedEvidence as refused:
        assert refused.reason.status in {400, 413}  # noqa: PT017 - what is claimed holds where it is refused at all
