"""A DPoP proof holds for one method, one target and one token, by one key; each test changes one thing about it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pydpop
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from bonafide.codec import base64url, json
from bonafide.codec.jose import sign_hs256
from bonafide.errors import MalformedEvidence, VerificationFailed
from bonafide.http import HttpRequest, Origin, Origins
from bonafide.proof import dpop
from bonafide.proof.http_signature import ProvenRequest, parse_request_line
from bonafide.reasons import Reason
from bonafide.reasons import dpop as reasons
from bonafide.reasons import request as request_reasons
from bonafide.terms import ProofKind
from tests.dpop_world import ACCESS_TOKEN, GONE, HEADER, JTI, KEY_ID, claims, nonce, proof, public, request
from tests.gate_world import GATE_SECRET, JKT, NOW, ORIGIN, SIGN, SIGN_JWK, with_headers

THIEF = ec.derive_private_key(666, ec.SECP256R1())


def verify(asked: HttpRequest, *, seconds: float = 0, max_age: int = 60) -> ProvenRequest:
    path, _ = parse_request_line(asked)
    return dpop.verify_proof(
        asked,
        path=path,
        key=SIGN.public_key(),
        jkt=JKT,
        find_gate_key={KEY_ID: GATE_SECRET}.get,
        now=NOW + timedelta(seconds=seconds),
        max_age=max_age,
    )


def refused(asked: HttpRequest, reason: Reason, **how: Any) -> None:
    with pytest.raises((MalformedEvidence, VerificationFailed)) as refusal:
        verify(asked, **how)
    assert refusal.value.reason is reason


def test_good_proof_proves_the_request_and_no_body() -> None:
    proven = verify(request())
    assert (proven.kind, proven.created, proven.digest) == (ProofKind.DPOP, int(NOW.timestamp()), None)
    assert proven.replay_key == dpop.replay_key(JKT, JTI)


def test_request_without_a_token_needs_no_hash_of_one() -> None:
    verify(request(headers={"authorization": None}, ath=GONE))


# Check 2: one well-formed JWT


@pytest.mark.parametrize("value", ["", "x", "a.b.c", "\u00e9", f"{proof()}=", f"{proof()},{proof()}", f" {proof()}"])
def test_what_is_not_one_compact_jws_is_refused(value: str) -> None:
    refused(with_headers(request(), dpop=value), reasons.MALFORMED)


def test_member_that_stands_twice_is_refused() -> None:
    payload = json.dump(claims()).replace(b'"htm":"GET"', b'"htm":"POST","htm":"GET"')
    refused(request(sent=proof(payload)), reasons.MALFORMED)


def test_header_member_that_stands_twice_is_refused() -> None:
    header = json.dump(dict(HEADER)).replace(b'"typ":"dpop+jwt"', b'"typ":"JWT","typ":"dpop+jwt"')
    _, payload, signature = proof().split(".")
    refused(request(sent=f"{base64url.encode(header)}.{payload}.{signature}"), reasons.MALFORMED)


# Checks 4, 5 and 7: the header

_P384 = ec.derive_private_key(7, ec.SECP384R1())
_NUMBERS = SIGN.private_numbers().private_value.to_bytes(32, "big")
HEADERS: dict[str, dict[str, object]] = {
    "no typ": {"typ": GONE},
    "typ JWT": {"typ": "JWT"},
    "typ of a client attestation": {"typ": "oauth-client-attestation+jwt"},
    "typ of the draft's own proof": {"typ": "oauth-client-attestation-pop+jwt"},
    "typ in capitals": {"typ": "DPoP+JWT"},
    "alg none": {"alg": "none"},
    "alg ES384": {"alg": "ES384"},
    "alg RS256": {"alg": "RS256"},
    "alg HS256": {"alg": "HS256"},
    "no jwk": {"jwk": GONE},
    "jwk as text": {"jwk": "SIGN"},
    "jwk with the private part": {"jwk": {**SIGN_JWK, "d": base64url.encode(_NUMBERS)}},
    "jwk with a use": {"jwk": {**SIGN_JWK, "use": "sig"}},
    "jwk without y": {"jwk": {name: value for name, value in SIGN_JWK.items() if name != "y"}},
    "jwk of another curve": {"jwk": {**SIGN_JWK, "crv": "P-384"}},
    "jwk of another type": {"jwk": {**SIGN_JWK, "kty": "OKP"}},
    "crit": {"crit": ["exp"]},
    "b64": {"b64": False},
    "kid": {"kid": JKT},
    "x5c": {"x5c": []},
    "jku": {"jku": "https://evil.example/jwks.json"},
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_header_outside_the_profile_is_refused(header: dict[str, Any]) -> None:
    refused(request(sent=proof(**header)), reasons.HEADER_REFUSED)


def test_mac_under_the_public_key_is_refused() -> None:
    point = base64url.decode(SIGN_JWK["x"]) + base64url.decode(SIGN_JWK["y"])
    forged = sign_hs256({**HEADER, "alg": "HS256"}, json.dump(claims()), b"\x04" + point)
    refused(request(sent=forged), reasons.HEADER_REFUSED)


def test_key_of_another_curve_under_its_own_name_is_refused() -> None:
    numbers = _P384.public_key().public_numbers()
    other = {
        "kty": "EC",
        "crv": "P-384",
        "x": base64url.encode(numbers.x.to_bytes(48)),
        "y": base64url.encode(numbers.y.to_bytes(48)),
    }
    refused(request(sent=proof(jwk=other)), reasons.HEADER_REFUSED)


# Check 6, and whose key it is


def test_proof_by_another_key_is_refused() -> None:
    refused(request(sent=proof(key=THIEF, jwk=public(THIEF))), reasons.KEY_MISMATCH)


def test_proof_by_another_key_in_our_name_is_refused() -> None:
    refused(request(sent=proof(key=THIEF)), reasons.SIGNATURE_INVALID)


@pytest.mark.parametrize("name", ["x", "y"])
def test_key_with_a_coordinate_in_another_spelling_is_another_key(name: str) -> None:
    refused(request(sent=proof(jwk={**SIGN_JWK, name: f"{SIGN_JWK[name]}="})), reasons.KEY_MISMATCH)


def test_edited_claims_are_refused() -> None:
    head, _, signature = proof().split(".")
    edited = base64url.encode(json.dump(claims(jti="another-identifier")))
    refused(request(sent=f"{head}.{edited}.{signature}"), reasons.SIGNATURE_INVALID)


@pytest.mark.parametrize("octets", [b"", bytes(63), bytes(64), bytes(65)], ids=len)
def test_signature_that_is_not_r_and_s_of_this_key_is_refused(octets: bytes) -> None:
    head, payload, _ = proof().split(".")
    refused(request(sent=f"{head}.{payload}.{base64url.encode(octets)}"), reasons.SIGNATURE_INVALID)


# Check 3: the claims

CLAIMS: dict[str, dict[str, object]] = {
    **{f"no {name}": {name: GONE} for name in ("htm", "htu", "iat", "jti")},
    **{f"{name} a number": {name: 7} for name in ("htm", "htu", "jti", "ath", "nonce")},
    **{f"{name} null": {name: None} for name in ("htm", "htu", "iat", "jti", "ath", "nonce")},
    "htm in lower case": {"htm": "get"},
    "iat with a fraction": {"iat": NOW.timestamp() + 0.5},
    "iat as text": {"iat": str(int(NOW.timestamp()))},
    "iat true": {"iat": True},
    "iat negative": {"iat": -1},
    "iat far away": {"iat": 10**13},
    "jti of fifteen": {"jti": "a" * 15},
    "jti of 129": {"jti": "a" * 129},
    "jti with a control": {"jti": "a" * 16 + "\x00"},
    "jti with a space": {"jti": "a" * 16 + " b"},
    "ath short": {"ath": "a" * 42},
    "nonce empty": {"nonce": ""},
    "nonce of 257": {"nonce": "a" * 257},
    "a claim more": {"exp": int(NOW.timestamp()) + 60},
    "an audience": {"aud": "https://api.example.com"},
}


@pytest.mark.parametrize("said", CLAIMS.values(), ids=CLAIMS)
def test_claims_outside_the_profile_are_refused(said: dict[str, Any]) -> None:
    refused(request(**said), reasons.CLAIMS_MALFORMED)


# Checks 8 and 9: what was asked for


def test_proof_for_another_method_is_refused() -> None:
    refused(request(htm="POST"), reasons.METHOD_MISMATCH)
    refused(request(method="POST"), reasons.METHOD_MISMATCH)


@pytest.mark.parametrize(
    "htu",
    [
        "https://api.example.com/api/config/",
        "https://api.example.com/api/Config",
        "https://api.example.com/api/%63onfig",
        "https://api.example.com/api//config",
        "https://api.example.com/api/./config",
        "https://api.example.com/api/x/../config",
        "https://api.example.com/",
        "https://api.example.com",
        "http://api.example.com/api/config",
        "https://api.example.com:8443/api/config",
        "https://api.example.com:80/api/config",
        "https://api.example.com:443:443/api/config",
        "https://api.example.com./api/config",
        "https://api.example.org/api/config",
        "https://user@api.example.com/api/config",
        "https://api.example.com@evil.example/api/config",
        "https://api.example.com\\.evil.example/api/config",
        "https://api.example.com/api/config?admin=1",
        "https://api.example.com/api/config?",
        "https://api.example.com/api/config#x",
        "//api.example.com/api/config",
        "/api/config",
        "https:/api.example.com/api/config",
    ],
)
def test_proof_for_another_target_is_refused(htu: str) -> None:
    refused(request(htu=htu), reasons.TARGET_MISMATCH)


@pytest.mark.parametrize(
    "htu",
    [
        "https://api.example.com/api/config",
        "HTTPS://api.example.com/api/config",
        "https://API.Example.COM/api/config",
        "https://api.example.com:443/api/config",
    ],
)
def test_target_in_a_spelling_that_means_the_same_origin_holds(htu: str) -> None:
    verify(request(htu=htu))


def test_root_without_its_slash_is_the_root() -> None:
    verify(request("/", htu=str(ORIGIN)))


def test_default_port_is_that_of_the_scheme() -> None:
    plain = Origin(scheme="http", authority="api.example.com")
    verify(request(htu="http://api.example.com:80/api/config")._replace(origin=plain))
    refused(request(htu="http://api.example.com:443/api/config")._replace(origin=plain), reasons.TARGET_MISMATCH)


def test_query_is_not_covered_and_no_part_of_the_target() -> None:
    """The non-claim: the same proof holds whatever the query is."""
    for target in ("/api/config", "/api/config?a=1", "/api/config?a=2"):
        verify(request(target))


# Check 11: when


def test_window_is_that_of_created() -> None:
    verify(request(), seconds=60)
    refused(request(), reasons.ISSUED_TOO_EARLY, seconds=61)
    verify(request(), seconds=-5)
    refused(request(), reasons.ISSUED_IN_FUTURE, seconds=-6)
    verify(request(), seconds=299, max_age=300)
    refused(request(), reasons.ISSUED_TOO_EARLY, seconds=299)


# Check 12: the access token


@pytest.mark.parametrize("scheme", ["DPoP", "dpop", "DPOP"])
def test_scheme_is_the_same_in_either_case(scheme: str) -> None:
    verify(request(headers={"authorization": f"{scheme} {ACCESS_TOKEN}"}))


@pytest.mark.parametrize(
    "authorization",
    [
        f"Bearer {ACCESS_TOKEN}",
        f"Basic {ACCESS_TOKEN}",
        ACCESS_TOKEN,
        f"DPoP  {ACCESS_TOKEN}",
        f"DPoP {ACCESS_TOKEN} more",
        f'DPoP token="{ACCESS_TOKEN}"',
        "DPoP",
    ],
)
def test_token_in_another_form_is_refused(authorization: str) -> None:
    """RFC 9449 section 7.2: a bound token sent as a bearer token is a downgrade, whatever stands beside it."""
    refused(request(headers={"authorization": authorization}), reasons.SCHEME_REFUSED)


def test_proof_that_names_no_token_is_refused_beside_one() -> None:
    refused(request(ath=GONE), reasons.TOKEN_HASH_MISSING)


def test_proof_for_another_token_is_refused() -> None:
    refused(request(ath=dpop.token_hash("another")), reasons.TOKEN_HASH_MISMATCH)
    refused(request(headers={"authorization": f"DPoP {ACCESS_TOKEN}x"}), reasons.TOKEN_HASH_MISMATCH)


def test_proof_for_a_token_is_refused_where_the_token_was_taken_away() -> None:
    refused(request(headers={"authorization": None}), reasons.TOKEN_HASH_MISMATCH)


# Check 10: the nonce


def test_nonce_is_looked_at_last_so_that_only_proven_clients_learn_one() -> None:
    refused(request(nonce=GONE, ath=GONE), reasons.TOKEN_HASH_MISSING)


def test_proof_without_our_nonce_is_refused() -> None:
    refused(request(nonce=GONE), reasons.NONCE_MISSING)
    refused(request(nonce="eyJ7S_zG.eyJH0-Z.HX4w-7v"), reasons.NONCE_UNKNOWN)
    refused(request(nonce=nonce(secret=bytes(32))), reasons.NONCE_UNKNOWN)
    refused(request(nonce=nonce(key_id="20261031-z")), reasons.NONCE_UNKNOWN)
    refused(request(nonce=nonce(NOW - timedelta(minutes=5))), reasons.NONCE_EXPIRED)


# One proof, and header fields as no proof of ours could cover them


@pytest.mark.parametrize("name", ["signature", "signature-input", "oauth-client-attestation-pop"])
def test_proof_beside_another_one_is_refused(name: str) -> None:
    refused(request(headers={name: "x"}), reasons.BESIDE_ANOTHER_PROOF)


@pytest.mark.parametrize("name", ["authorization", "cookie", "content-type"])
def test_field_that_no_proof_of_ours_could_cover_is_refused(name: str) -> None:
    refused(request(headers={name: "x\xff"}), request_reasons.FIELD_NOT_ASCII)
    refused(request(headers={name: ""}), request_reasons.FIELD_NOT_ASCII)


# One use


def test_replay_key_is_that_of_one_key_and_one_identifier_and_of_no_other_kind_of_proof() -> None:
    keys = {dpop.replay_key(JKT, JTI), dpop.replay_key(JKT, JTI + "x"), dpop.replay_key("x" * 43, JTI)}
    assert len(keys) == 3
    assert dpop.replay_key("a", "bc") != dpop.replay_key("ab", "c")


def test_one_identifier_is_one_use_on_every_target() -> None:
    other = request("/api/other", htu=f"{ORIGIN}/api/other")
    assert verify(other).replay_key == verify(request()).replay_key


# Others' implementations


def test_others_accept_our_proof() -> None:
    value = dpop.prove(
        "GET",
        f"{ORIGIN}/api/config",
        key=SIGN,
        issued_at=int(NOW.timestamp()),
        identifier=JTI,
        access_token=ACCESS_TOKEN,
        nonce="a-nonce",
    )
    said = pydpop.verify_proof(
        proof=value,
        htm="GET",
        htu=f"{ORIGIN}/api/config?x=1",
        access_token=ACCESS_TOKEN,
        expected_nonce="a-nonce",
        now=int(NOW.timestamp()),
    )
    assert said["jwk_thumbprint"] == JKT


def test_we_accept_others_proof() -> None:
    value = pydpop.generate_proof(
        private_key=SIGN,
        htm="GET",
        htu=f"{ORIGIN}/api/config?x=1",
        iat=int(NOW.timestamp()),
        access_token=ACCESS_TOKEN,
        nonce=nonce(),
    )
    verify(request(sent=value))


def test_our_own_half_makes_what_the_other_half_takes() -> None:
    value = dpop.prove(
        "GET", f"{ORIGIN}/api/config", key=SIGN, issued_at=int(NOW.timestamp()), identifier=JTI, nonce=nonce()
    )
    verify(request(sent=value, headers={"authorization": None}))


@given(st.text(max_size=300))
def test_nothing_but_our_exceptions_leaves_for_any_text(text: str) -> None:
    with pytest.raises((MalformedEvidence, VerificationFailed)):
        verify(with_headers(request(), dpop=text))


@given(
    st.dictionaries(
        st.sampled_from(["htm", "htu", "iat", "jti", "ath", "nonce", "typ"]),
        st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.lists(st.integers(), max_size=2),
        min_size=1,
    )
)
def test_nothing_but_our_exceptions_leaves_for_any_claims(said: dict[str, object]) -> None:
    try:
        verify(request(sent=proof(json.dump(claims() | _bounded(said)))))
    except (MalformedEvidence, VerificationFailed):
        return


def _bounded(said: dict[str, object]) -> dict[str, object]:
    return {name: 7 if isinstance(value, int) and abs(value) > 2**53 else value for name, value in said.items()}


def test_origin_comes_from_the_closed_list_and_not_from_htu() -> None:
    origin = Origins([str(ORIGIN), "https://other.example.com"]).pick("other.example.com")
    refused(request()._replace(origin=origin), reasons.TARGET_MISMATCH)
