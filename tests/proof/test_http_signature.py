"""One profile of RFC 9421: each deviation from a good request is refused with its own reason."""

from __future__ import annotations

import json
import re
from binascii import a2b_base64, b2a_base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.codec import jwk
from bonafide.errors import BonafideError, MalformedEvidence, VerificationFailed
from bonafide.http import HttpRequest, Origin, split_target
from bonafide.proof.content_digest import NO_BODY, digest_of
from bonafide.proof.http_signature import (
    HardwareSigner,
    ProvenRequest,
    RequestProof,
    SessionSigner,
    parse_proof,
    parse_request_line,
    sign,
    verify_enrolment_proof,
    verify_form,
    verify_hardware,
    verify_session,
)
from bonafide.reasons import proof as reasons
from bonafide.reasons import request as request_reasons
from bonafide.terms import ProofKind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bonafide.reasons import Reason

KEY = ec.derive_private_key(0x0B0A_F1DE, ec.SECP256R1())
JKT = jwk.thumbprint(jwk.from_public(KEY.public_key()))
HARDWARE = HardwareSigner(KEY, JKT)
SID = "AAAAAAAAAAAAAAAAAAAAAA"
MAC_KEY = bytes(range(32))
SESSION = SessionSigner(MAC_KEY, SID)
NONCE = "bm9uY2Vub25jZW5vbmNlbg"
NOW = 1_764_000_000
ATTESTATION = "eyJ0.eyJ1.c2ln"
ORIGIN = Origin(scheme="https", authority="api.example.com")

Signer = HardwareSigner | SessionSigner


def unsigned(*, headers: Mapping[str, str | None] | None = None, **changes: Any) -> HttpRequest:
    merged = {
        "oauth-client-attestation": ATTESTATION,
        "authorization": "Bearer abc",
        "cookie": "a=1, b=2; c=3",
        "content-type": "application/json",
        "content-digest": digest_of([b"{}"]),
        **(headers or {}),
    }
    present = {name: value for name, value in merged.items() if value is not None}
    values: dict[str, Any] = {"method": "POST", "origin": ORIGIN, "target": "/api/orders?x=1", **changes}
    return HttpRequest(headers=present, **values)


def signed(request: HttpRequest, signer: Signer = HARDWARE, *, created: int = NOW, nonce: str = NONCE) -> HttpRequest:
    return with_headers(request, **sign(request, created=created, nonce=nonce, signer=signer))


def with_headers(request: HttpRequest, **headers: str | None) -> HttpRequest:
    merged = {**request.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return request._replace(headers={name: value for name, value in merged.items() if value is not None})


def parsed(request: HttpRequest) -> RequestProof:
    path, query = split_target(request.target)
    return parse_proof(request, path=path, query=query, attestation=request.headers.get("oauth-client-attestation"))


def verified(request: HttpRequest, *, now: float = NOW, max_age: int = 60) -> ProvenRequest:
    proof = parsed(request)
    if proof.kind is ProofKind.HARDWARE:
        return verify_hardware(proof, key=KEY.public_key(), jkt=JKT, now=now, max_age=max_age)
    return verify_session(proof, mac_key=MAC_KEY, sid=SID, now=now, max_age=max_age)


def refused(request: HttpRequest, reason: Reason, **how: Any) -> None:
    with pytest.raises(BonafideError) as refusal:
        verified(request, **how)
    assert refusal.value.reason is reason


both = pytest.mark.parametrize("signer", [HARDWARE, SESSION], ids=["hardware", "session"])


@both
@pytest.mark.parametrize(
    "absent", [(), ("authorization",), ("cookie",), ("content-type",), ("authorization", "cookie", "content-type")]
)
def test_signed_request_verifies(signer: Signer, absent: tuple[str, ...]) -> None:
    request = unsigned(headers=dict.fromkeys(absent))
    proven = verified(signed(request, signer))
    assert proven.kind is (ProofKind.HARDWARE if signer is HARDWARE else ProofKind.SESSION)
    assert proven.created == NOW
    assert proven.digest == request.headers["content-digest"]


def test_wire_form_is_the_one_that_the_protocol_prints() -> None:
    headers = sign(unsigned(), created=NOW, nonce=NONCE, signer=SESSION)
    assert headers["signature-input"] == (
        'bonafide=("@method" "@scheme" "@authority" "@path" "@query" "oauth-client-attestation" "authorization" '
        '"cookie" "content-type" "content-digest");created=1764000000;nonce="bm9uY2Vub25jZW5vbmNlbg"'
        ';keyid="AAAAAAAAAAAAAAAAAAAAAA";alg="hmac-sha256";tag="bonafide"'
    )


def test_signature_base_is_that_of_rfc_9421_section_2_5() -> None:
    request = signed(unsigned(), SESSION)
    assert parsed(request).base.decode() == (
        '"@method": POST\n"@scheme": https\n"@authority": api.example.com\n"@path": /api/orders\n"@query": ?x=1\n'
        f'"oauth-client-attestation": {ATTESTATION}\n"authorization": Bearer abc\n"cookie": a=1, b=2; c=3\n'
        f'"content-type": application/json\n"content-digest": {digest_of([b"{}"])}\n'
        f'"@signature-params": {request.headers["signature-input"].removeprefix("bonafide=")}'
    )


def test_request_without_query_signs_a_lone_question_mark() -> None:
    assert b'"@query": ?\n' in parsed(signed(unsigned(target="/api"))).base


@both
@pytest.mark.parametrize(
    "edit",
    [
        {"method": "PUT"},
        {"target": "/api/orders?x=2"},
        {"target": "/api/orders"},
        {"target": "/api/order?x=1"},
        {"origin": Origin(scheme="http", authority="api.example.com")},
        {"origin": Origin(scheme="https", authority="api.example.org")},
    ],
    ids=str,
)
def test_edited_request_line_is_refused(signer: Signer, edit: dict[str, Any]) -> None:
    refused(signed(unsigned(), signer)._replace(**edit), reasons.SIGNATURE_INVALID)


@both
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("oauth-client-attestation", "eyJ0.eyJ1.c2lo"),
        ("authorization", "Bearer abd"),
        ("cookie", "a=1, b=2; c=4"),
        ("content-type", "text/plain"),
        ("content-digest", NO_BODY),
    ],
)
def test_edited_covered_header_is_refused(signer: Signer, name: str, value: str) -> None:
    refused(with_headers(signed(unsigned(), signer), **{name: value}), reasons.SIGNATURE_INVALID)


@both
@pytest.mark.parametrize("name", ["authorization", "cookie", "content-type"])
def test_header_added_or_removed_after_signing_is_refused(signer: Signer, name: str) -> None:
    refused(with_headers(signed(unsigned(), signer), **{name: None}), reasons.COMPONENTS_MISMATCH)
    without = unsigned(headers={name: None})
    refused(with_headers(signed(without, signer), **{name: "x"}), reasons.COMPONENTS_MISMATCH)


@both
def test_attestation_added_or_removed_after_signing_is_refused(signer: Signer) -> None:
    refused(with_headers(signed(unsigned(), signer), oauth_client_attestation=None), reasons.COMPONENTS_MISMATCH)
    without = unsigned(headers={"oauth-client-attestation": None})
    refused(with_headers(signed(without, signer), oauth_client_attestation="a.b.c"), reasons.COMPONENTS_MISMATCH)


@pytest.mark.parametrize("name", ["signature-input", "signature", "content-digest"])
def test_missing_proof_header_is_refused(name: str) -> None:
    refused(with_headers(signed(unsigned()), **{name: None}), reasons.MISSING)


def edit_input(pattern: str, replacement: str, signer: Signer = SESSION) -> HttpRequest:
    request = signed(unsigned(), signer)
    value, edits = re.subn(pattern, replacement, request.headers["signature-input"], count=1)
    assert edits == 1
    return with_headers(request, signature_input=value)


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r' "content-digest"', ""),
        (r'"@method" ', ""),
        (r'"@method" "@scheme"', '"@scheme" "@method"'),
        (r'"@method"', '"@method" "@method"'),
        (r'"@method"', '"@method";req'),
        (r'"cookie"', '"cookie";sf'),
        (r'"content-digest"', '"content-digest" "x-extra"'),
        (r'"@path"', '"@target-uri"'),
        (r'"@method" ', '"@method"  '),
        (r'\("@method".*?\)', "()"),
    ],
)
def test_any_other_component_list_is_refused(pattern: str, replacement: str) -> None:
    refused(edit_input(pattern, replacement), reasons.COMPONENTS_MISMATCH)


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"^bonafide=", "sig1="),
        (r"^bonafide=", " bonafide="),
        (r"$", ', other=("@method");created=1'),
        (r"$", ";x"),
        (r"$", "\n"),
        (r";created=\d+", ""),
        (r";created=\d+", ';created="1764000000"'),
        (r";created=", ";created=0"),
        (r";created=", ";created=-"),
        (r";created=\d+", ";created=1764000000.0"),
        (r";created=\d+", ";created=1234567890123456"),
        (r";created=(\d+)", r";created=\1;expires=1764000060"),
        (r";created=(\d+)", r"; created=\1"),
        (r';nonce="[^"]*"', ""),
        (r';nonce="[^"]*"', ';nonce="' + "a" * 21 + '"'),
        (r';nonce="[^"]*"', ';nonce="' + "a" * 65 + '"'),
        (r';nonce="[^"]*"', ';nonce="' + "a" * 21 + '="'),
        (r';keyid="[^"]*"', ""),
        (r';keyid="[^"]*"', ';keyid=""'),
        (r';keyid="[^"]*"', ';keyid="' + "a" * 65 + '"'),
        (r';alg="[^"]*"', ""),
        (r'alg="[^"]*"', 'alg="none"'),
        (r'alg="[^"]*"', 'alg="ed25519"'),
        (r'alg="[^"]*"', 'alg="HMAC-SHA256"'),
        (r';tag="bonafide"', ""),
        (r'tag="bonafide"', 'tag="other"'),
        (r"(;created=\d+)(;nonce=[^;]+)", r"\2\1"),
    ],
)
def test_any_other_form_of_signature_input_is_refused(pattern: str, replacement: str) -> None:
    refused(edit_input(pattern, replacement), reasons.INPUT_MALFORMED)


@both
@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [(r"created=\d+", "created=1764000001"), (r'nonce="b', 'nonce="c')],
)
def test_parameter_edited_within_its_form_is_refused(signer: Signer, pattern: str, replacement: str) -> None:
    refused(edit_input(pattern, replacement, signer), reasons.SIGNATURE_INVALID)


@both
def test_foreign_key_id_is_refused(signer: Signer) -> None:
    refused(edit_input(r'keyid="[^"]*"', 'keyid="someoneelse"', signer), reasons.KEY_MISMATCH)


def test_proof_of_one_kind_never_verifies_as_the_other() -> None:
    hardware, session = parsed(signed(unsigned())), parsed(signed(unsigned(), SESSION))
    with pytest.raises(VerificationFailed) as refusal:
        verify_hardware(session._replace(key_id=JKT), key=KEY.public_key(), jkt=JKT, now=NOW)
    assert refusal.value.reason is reasons.KEY_MISMATCH
    with pytest.raises(VerificationFailed) as refusal:
        verify_session(hardware._replace(key_id=SID), mac_key=MAC_KEY, sid=SID, now=NOW)
    assert refusal.value.reason is reasons.KEY_MISMATCH


def test_signature_by_another_key_is_refused() -> None:
    thief = HardwareSigner(ec.derive_private_key(7, ec.SECP256R1()), JKT)
    refused(signed(unsigned(), thief), reasons.SIGNATURE_INVALID)
    refused(signed(unsigned(), SessionSigner(bytes(32), SID)), reasons.SIGNATURE_INVALID)


@both
@pytest.mark.parametrize(
    "edit",
    [
        lambda value: value.replace("bonafide=", "sig1="),
        lambda value: value + ", other=:AAAA:",
        lambda value: value + ";x",
        lambda value: value.replace("=:", "="),
        lambda value: value.replace("=:", "=::"),
        lambda value: " " + value,
        lambda value: value + "\n",
        lambda _: "bonafide=::",
        lambda value: value.replace("=:", "=:AAAA", 1),
        lambda value: value.replace("=:", "=:é", 1),
        lambda value: re.sub(r"=+:$", ":", value),
        lambda value: value.replace("=:", "=:-", 1),
    ],
)
def test_any_other_form_of_signature_is_refused(signer: Signer, edit: Any) -> None:
    request = signed(unsigned(), signer)
    refused(with_headers(request, signature=edit(request.headers["signature"])), reasons.SIGNATURE_MALFORMED)


@both
def test_second_spelling_of_the_same_signature_octets_is_refused(signer: Signer) -> None:
    """The bits after the last octet must be zero, or one MAC would have several texts."""
    request = signed(unsigned(), signer)
    value = request.headers["signature"]
    last = value.rstrip(":=")[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = alphabet[alphabet.index(last) + 1]
    respelt = value.replace(last + "=", other + "=")
    assert a2b_base64(respelt.split(":")[1]) == a2b_base64(value.split(":")[1])
    refused(with_headers(request, signature=respelt), reasons.SIGNATURE_MALFORMED)


@both
@pytest.mark.parametrize(("age", "max_age"), [(0, 60), (60, 60), (-5, 60), (300, 300)])
def test_created_within_the_window_verifies(signer: Signer, age: int, max_age: int) -> None:
    verified(signed(unsigned(), signer), now=NOW + age, max_age=max_age)


@both
@pytest.mark.parametrize(
    ("age", "max_age", "reason"),
    [
        (60.001, 60, reasons.CREATED_TOO_OLD),
        (300.5, 300, reasons.CREATED_TOO_OLD),
        (-5.001, 60, reasons.CREATED_IN_FUTURE),
        (-5.001, 300, reasons.CREATED_IN_FUTURE),
    ],
)
def test_created_outside_the_window_is_refused(signer: Signer, age: float, max_age: int, reason: Reason) -> None:
    refused(signed(unsigned(), signer), reason, now=NOW + age, max_age=max_age)


@pytest.mark.parametrize("name", ["authorization", "cookie", "content-type"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("x\ny", request_reasons.FIELD_NOT_ASCII),
        ('x\n"content-digest": sha-256=::', request_reasons.FIELD_NOT_ASCII),
        ("é", request_reasons.FIELD_NOT_ASCII),
        ("\udce9", request_reasons.FIELD_NOT_ASCII),
        ("x\ty", request_reasons.FIELD_NOT_ASCII),
        (" x", request_reasons.FIELD_NOT_ASCII),
        ("x ", request_reasons.FIELD_NOT_ASCII),
        ("x\x7f", request_reasons.FIELD_NOT_ASCII),
        ("x" * 8193, request_reasons.FIELD_TOO_LARGE),
    ],
    ids=["lf", "forged line", "latin", "surrogate", "tab", "leading", "trailing", "del", "large"],
)
def test_covered_header_outside_visible_ascii_is_refused(name: str, value: str, reason: Reason) -> None:
    refused(with_headers(signed(unsigned()), **{name: value}), reason)


def test_longest_covered_header_verifies() -> None:
    verified(signed(unsigned(headers={"cookie": "x" * 8192})))


def test_malformed_digest_is_refused_before_the_signature() -> None:
    refused(with_headers(signed(unsigned()), content_digest="sha-512=:AAAA:"), reasons.DIGEST_MALFORMED)


def test_replay_key_depends_on_key_and_nonce_only() -> None:
    base = verified(signed(unsigned())).replay_key
    assert len(base) == 32
    assert verified(signed(unsigned(target="/other"), created=NOW - 3)).replay_key == base
    assert verified(signed(unsigned(), nonce=NONCE[::-1])).replay_key != base
    assert verified(signed(unsigned(), SESSION)).replay_key != base


def test_malleated_signature_has_the_same_replay_key() -> None:
    """(r, n - s) verifies too; what is remembered must not depend on which of the two was sent."""
    request = signed(unsigned())
    raw = a2b_base64(request.headers["signature"].split(":")[1])
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    other = raw[:32] + (order - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    twin = with_headers(request, signature=f"bonafide=:{b2a_base64(other, newline=False).decode()}:")
    assert verified(twin).replay_key == verified(request).replay_key


ENROLMENT = unsigned(
    target="/bonafide/v1/instances",
    headers={"oauth-client-attestation": None, "authorization": None, "cookie": None},
)


def enrolled(request: HttpRequest, *, body: bytes = b"{}", now: int = NOW) -> None:
    verify_enrolment_proof(request, key=KEY.public_key(), jkt=JKT, body=body, now=datetime.fromtimestamp(now, UTC))


def test_enrolment_proof_verifies_over_this_body() -> None:
    enrolled(signed(ENROLMENT))


def test_enrolment_proof_over_another_body_is_refused() -> None:
    with pytest.raises(VerificationFailed) as refusal:
        enrolled(signed(ENROLMENT), body=b"[]")
    assert refusal.value.reason is reasons.DIGEST_MISMATCH


def test_enrolment_proof_never_covers_an_attestation() -> None:
    with pytest.raises(VerificationFailed) as refusal:
        enrolled(signed(with_headers(ENROLMENT, oauth_client_attestation=ATTESTATION)))
    assert refusal.value.reason is reasons.COMPONENTS_MISMATCH


def test_enrolment_proof_by_a_session_key_is_refused() -> None:
    with pytest.raises(VerificationFailed) as refusal:
        enrolled(signed(ENROLMENT, SESSION))
    assert refusal.value.reason is reasons.KEY_MISMATCH


def test_stale_enrolment_proof_is_refused() -> None:
    with pytest.raises(VerificationFailed) as refusal:
        enrolled(signed(ENROLMENT), now=NOW + 61)
    assert refusal.value.reason is reasons.CREATED_TOO_OLD


def test_enrolment_proof_for_a_target_that_is_not_canonical_is_refused() -> None:
    with pytest.raises(MalformedEvidence) as refusal:
        enrolled(signed(ENROLMENT)._replace(target="/bonafide//v1/instances"))
    assert refusal.value.reason is request_reasons.TARGET_NOT_CANONICAL


def test_enrolment_request_in_a_refused_form_is_refused() -> None:
    with pytest.raises(MalformedEvidence) as refusal:
        enrolled(with_headers(signed(ENROLMENT), content_encoding="gzip"))
    assert refusal.value.reason is request_reasons.CONTENT_CODING


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("content-encoding", "gzip", request_reasons.CONTENT_CODING),
        ("content-encoding", "identity", request_reasons.CONTENT_CODING),
        ("x-http-method-override", "DELETE", request_reasons.METHOD_OVERRIDE),
        ("x-http-method", "DELETE", request_reasons.METHOD_OVERRIDE),
        ("x-method-override", "DELETE", request_reasons.METHOD_OVERRIDE),
        ("upgrade", "websocket", request_reasons.UPGRADE),
        ("trailer", "x-later", request_reasons.TRAILERS),
        ("authorization", "Bearer a,Bearer b", request_reasons.FIELD_REPEATED),
        ("content-type", "text/plain, application/json", request_reasons.FIELD_REPEATED),
    ],
)
def test_what_no_proof_can_make_safe_is_refused(name: str, value: str, reason: Reason) -> None:
    with pytest.raises(MalformedEvidence) as refusal:
        verify_form(with_headers(unsigned(), **{name: value}))
    assert refusal.value.reason is reason


@pytest.mark.parametrize("method", ["", "get", "GET ", "GET\n", "G" * 17, "M-SEARCH", "GÉT"])
def test_malformed_method_is_refused(method: str) -> None:
    with pytest.raises(MalformedEvidence) as refusal:
        parse_request_line(unsigned()._replace(method=method))
    assert refusal.value.reason is request_reasons.METHOD_MALFORMED


def test_good_form_passes_and_upgrade_passes_only_where_allowed() -> None:
    verify_form(unsigned())
    verify_form(with_headers(unsigned(), upgrade="websocket"), upgrade=True)
    with pytest.raises(MalformedEvidence):
        verify_form(with_headers(unsigned(), upgrade="websocket", trailer="x"), upgrade=True)


FIELDS = ("signature-input", "signature", "content-digest", "authorization", "cookie", "content-type")


@settings(max_examples=10_000, derandomize=True, deadline=None, database=None)
@given(name=st.sampled_from(FIELDS), position=st.integers(0, 400), text=st.text(max_size=3), session=st.booleans())
def test_every_mutated_header_is_refused_with_one_of_our_exceptions(
    name: str, position: int, text: str, *, session: bool
) -> None:
    request = GOOD[session]
    value = request.headers[name]
    cut = min(position, len(value))
    mutated = value[:cut] + text + value[cut + 1 :]
    if mutated == value:
        return
    with pytest.raises((MalformedEvidence, VerificationFailed)):
        verified(with_headers(request, **{name: mutated}))


GOOD = {True: signed(unsigned(), SESSION), False: signed(unsigned())}


def test_every_wycheproof_mac_is_the_one_a_session_signs_with(shared: Path) -> None:
    """Of tags cut to 16 octets the beginning is compared."""
    groups = json.loads((shared / "vectors/wycheproof/hmac_sha256.json").read_text())["testGroups"]
    compared = 0
    for case in (case for group in groups for case in group["tests"]):
        tag = bytes.fromhex(case["tag"])
        signed = SessionSigner(bytes.fromhex(case["key"]), SID).sign(bytes.fromhex(case["msg"]))
        assert (signed[: len(tag)] == tag) == (case["result"] == "valid"), case["tcId"]
        compared += 1
    assert compared == 174
