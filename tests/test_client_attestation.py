"""The client attestation verifies in one form only, and each claim is compared."""

from __future__ import annotations

import contextlib
import json as plain_json
from datetime import timedelta
from typing import Any

import jwt  # noqa: TID251 - an independent reader of what we issue
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.client_attestation import TYPE, ClientAttestation, issue, issue_for_authorization_server, parse, verify
from bonafide.codec import base64url, json
from bonafide.codec.jose import sign_es256, sign_hs256
from bonafide.errors import BonafideError, MalformedEvidence, VerificationFailed
from bonafide.keys import SigningKey
from bonafide.reasons import Reason
from bonafide.reasons import client_attestation as reasons
from tests.gate_world import ISSUER_KEY, NOW, SIGN_JWK, HeldKeys, claims, token

HEADER = {"alg": "ES256", "typ": TYPE, "kid": ISSUER_KEY.kid}


def verified(text: str, **changes: Any) -> ClientAttestation:
    how: dict[str, Any] = {
        "issuer": "https://api.example.com/bonafide/v1",
        "audience": "https://api.example.com",
        "keys": HeldKeys(),
        "now": NOW,
        **changes,
    }
    return verify(text, **how)


def refused(text: str, reason: Reason, **changes: Any) -> None:
    with pytest.raises(BonafideError) as refusal:
        verified(text, **changes)
    assert refusal.value.reason is reason


def body() -> dict[str, Any]:
    return dict(plain_json.loads(base64url.decode(token().split(".")[1])))


def signed(payload: dict[str, Any], header: dict[str, Any] | None = None) -> str:
    return sign_es256(header or HEADER, json.dump(payload), ISSUER_KEY.private_key)


def test_issued_token_verifies_to_the_same_claims() -> None:
    held = claims(warnings=("appraisal.old_os",))
    assert verified(issue(held, key=ISSUER_KEY)) == held


def test_wire_form_is_the_one_that_the_protocol_prints() -> None:
    header, payload, _ = token().split(".")
    assert plain_json.loads(base64url.decode(header)) == HEADER
    assert plain_json.loads(base64url.decode(payload)) == {
        "iss": "https://api.example.com/bonafide/v1",
        "sub": "shop",
        "aud": "https://api.example.com",
        "iat": int(NOW.timestamp()) - 60,
        "exp": int(NOW.timestamp()) + 240,
        "cnf": {"jwk": SIGN_JWK},
        "bonafide": {
            "inst": "aW5zdGFuY2UtMDAwMDAwMQ",
            "ident": "TEAM123456.com.example.shop",
            "plat": "ios",
            "env": "production",
            "tier": "affirming",
            "ast": int(NOW.timestamp()) - 60,
            "ver": "2.3.1",
            "os": "18.1",
            "warn": [],
            "sid": "AAECAwQFBgcICQoLDA0ODw",
            "gk": "20261101-a",
        },
    }


def test_an_independent_library_accepts_what_we_issue() -> None:
    pem = ISSUER_KEY.private_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    decoded = jwt.decode(
        token(),
        pem,
        algorithms=["ES256"],
        audience="https://api.example.com",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert decoded["sub"] == "shop"


def test_token_for_an_authorization_server_names_no_instance_and_is_refused_by_gates() -> None:
    text = issue_for_authorization_server(claims(), key=ISSUER_KEY)
    assert "bonafide" not in plain_json.loads(base64url.decode(text.split(".")[1]))
    refused(text, reasons.NOT_FOR_GATES)


def test_text_that_somebody_vouches_for_is_read_without_its_signature_and_as_strictly() -> None:
    held = claims(warnings=("appraisal.old_os",))
    text = issue(held, key=ISSUER_KEY)
    head, payload, _ = text.split(".")
    assert parse(text) == parse(f"{head}.{payload}.{base64url.encode(bytes(64))}") == held
    for wrong, reason in (
        ("x", reasons.MALFORMED),
        (signed({**body(), "more": 1}), reasons.CLAIMS_MALFORMED),
        (issue_for_authorization_server(held, key=ISSUER_KEY), reasons.NOT_FOR_GATES),
    ):
        with pytest.raises(BonafideError) as refusal:
            parse(wrong)
        assert refusal.value.reason is reason


@pytest.mark.parametrize(
    "text",
    ["", "a.b", "a.b.c.d", "é.b.c", token() + ".", token() + "=", token().replace(".", ".=", 1), "x" * 5000],
)
def test_anything_but_a_compact_jws_is_refused(text: str) -> None:
    refused(text, reasons.MALFORMED)


@pytest.mark.parametrize(
    "change",
    [
        {"alg": "HS256"},
        {"alg": "none"},
        {"alg": "es256"},
        {"typ": "JWT"},
        {"typ": None},
        {"kid": None},
        {"kid": 1},
        {"jwk": SIGN_JWK},
        {"jku": "https://evil.example/jwks.json"},
        {"x5c": []},
        {"x5u": "https://evil.example"},
        {"crit": ["exp"]},
        {"b64": True},
        {"zip": "DEF"},
        {"cty": "JWT"},
    ],
    ids=str,
)
def test_any_other_header_is_refused(change: dict[str, object]) -> None:
    header = {name: value for name, value in {**HEADER, **change}.items() if value is not None}
    _, payload, signature = token().split(".")
    refused(f"{base64url.encode(json.dump(header))}.{payload}.{signature}", reasons.HEADER_REFUSED)


def test_mac_under_the_public_key_is_refused() -> None:
    """HS256 confusion: the attacker MACs with what everybody may know."""
    public = ISSUER_KEY.private_key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    refused(sign_hs256({**HEADER, "alg": "HS256"}, json.dump(body()), public), reasons.HEADER_REFUSED)


def test_foreign_kid_is_refused() -> None:
    foreign = SigningKey.of(ec.derive_private_key(99, ec.SECP256R1()))
    refused(issue(claims(), key=foreign), reasons.KEY_UNKNOWN)


def test_foreign_key_under_our_kid_is_refused() -> None:
    foreign = SigningKey(kid=ISSUER_KEY.kid, private_key=ec.derive_private_key(99, ec.SECP256R1()))
    refused(issue(claims(), key=foreign), reasons.SIGNATURE_INVALID)


def test_edited_payload_is_refused() -> None:
    header, _, signature = token().split(".")
    payload = base64url.encode(json.dump({**body(), "sub": "other"}))
    refused(f"{header}.{payload}.{signature}", reasons.SIGNATURE_INVALID)


@pytest.mark.parametrize(
    "change",
    [
        {"iss": None},
        {"iss": 1},
        {"sub": None},
        {"sub": ["shop"]},
        {"aud": ["https://api.example.com"]},
        {"iat": None},
        {"iat": "1"},
        {"iat": 1.5},
        {"iat": True},
        {"exp": None},
        {"exp": 2**52},
        {"exp": -(2**52)},
        {"nbf": 0},
        {"jti": "x"},
        {"cnf": None},
        {"cnf": []},
        {"cnf": {"jkt": "x"}},
        {"cnf": {"jwk": SIGN_JWK, "kid": "x"}},
        {"cnf": {"jwk": "x"}},
        {"cnf": {"jwk": {**SIGN_JWK, "x": SIGN_JWK["y"]}}},
        {"cnf": {"jwk": {**SIGN_JWK, "kid": "x"}}},
        {"bonafide": []},
        {"bonafide": {}},
    ],
    ids=str,
)
def test_any_other_registered_claim_is_refused(change: dict[str, object]) -> None:
    refused(
        signed({name: value for name, value in {**body(), **change}.items() if value is not None}),
        reasons.CLAIMS_MALFORMED,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"inst": None},
        {"inst": 1},
        {"plat": "symbian"},
        {"env": "test"},
        {"tier": "high"},
        {"warn": "x"},
        {"warn": [1]},
        {"sid": "AAECAwQFBgcICQoLDA0OD"},
        {"sid": "AAECAwQFBgcICQoLDA0ODx"},
        {"sid": "AAECAwQFBgcICQoLDA0ODw=="},
        {"gk": None},
        {"os": None},
        {"more": "x"},
    ],
    ids=str,
)
def test_any_other_claim_of_ours_is_refused(change: dict[str, object]) -> None:
    payload = body()
    payload["bonafide"] = {k: v for k, v in {**payload["bonafide"], **change}.items() if v is not None}
    refused(signed(payload), reasons.CLAIMS_MALFORMED)


def test_payload_that_is_no_strict_object_is_refused() -> None:
    refused(sign_es256(HEADER, b'{"a":1,"a":2}', ISSUER_KEY.private_key), reasons.CLAIMS_MALFORMED)


def test_other_issuer_is_refused() -> None:
    refused(token(issuer="https://api.example.com/bonafide/v1/"), reasons.ISSUER_MISMATCH)


def test_other_audience_is_refused() -> None:
    refused(token(audience="https://api.example.org"), reasons.AUDIENCE_MISMATCH)


def test_token_ends_at_exp_and_not_before() -> None:
    verified(token(), now=NOW + timedelta(seconds=239.9))
    refused(token(), reasons.EXPIRED, now=NOW + timedelta(seconds=240))


def test_token_from_the_future_is_refused_beyond_five_seconds() -> None:
    verified(token(issued_at=NOW + timedelta(seconds=5)))
    refused(token(issued_at=NOW + timedelta(seconds=6)), reasons.ISSUED_IN_FUTURE)


TOKEN = token()


@settings(max_examples=10_000, derandomize=True, deadline=None, database=None)
@given(position=st.integers(0, len(TOKEN) - 1), text=st.text(max_size=3))
def test_every_mutated_token_is_refused_with_one_of_our_exceptions(position: int, text: str) -> None:
    mutated = TOKEN[:position] + text + TOKEN[position + 1 :]
    if mutated == TOKEN:
        return
    with pytest.raises((MalformedEvidence, VerificationFailed)):
        verified(mutated)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
REGISTERED = st.sampled_from(["iss", "sub", "aud", "iat", "exp", "cnf", "bonafide"])
OURS = st.sampled_from(["inst", "ident", "plat", "env", "tier", "ver", "os", "warn", "sid", "gk"])


@settings(max_examples=10_000, derandomize=True, deadline=None, database=None)
@given(registered=st.dictionaries(REGISTERED, JSON, max_size=2), ours=st.dictionaries(OURS, JSON, max_size=2))
def test_claims_of_any_shape_end_in_claims_or_one_of_our_exceptions(
    registered: dict[str, object], ours: dict[str, object]
) -> None:
    payload = {**PAYLOAD, "bonafide": {**PAYLOAD["bonafide"], **ours}, **registered}
    with contextlib.suppress(MalformedEvidence, VerificationFailed):
        verified(signed(payload))


PAYLOAD = body()
