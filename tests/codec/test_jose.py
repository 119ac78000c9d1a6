"""A compact JWS under ES256 or HS256 verifies; nothing else does."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jwt  # noqa: TID251 - the second opinion
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws as joserfc_jws
from joserfc.jwk import ECKey, OctKey

from bonafide.codec import base64url, ecdsa, jose, jwk
from bonafide.errors import BonafideError, MalformedEvidence, Misuse, VerificationFailed
from bonafide.reasons import jose as reasons

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_KEY = ec.derive_private_key(20261101, ec.SECP256R1())
_PUBLIC = _KEY.public_key()
_SECRET = bytes(range(32))
_HEADER = {"alg": "ES256", "typ": "example+jwt", "kid": "a"}
_PAYLOAD = b'{"iss":"https://example.com"}'
_ES256 = jose.sign_es256(_HEADER, _PAYLOAD, _KEY)
_HS256 = jose.sign_hs256({"alg": "HS256"}, _PAYLOAD, _SECRET)


def _token(header: bytes, payload: bytes = _PAYLOAD) -> str:
    """Return a token by `_KEY` whose header has these very octets."""
    signing_input = f"{base64url.encode(header)}.{base64url.encode(payload)}"
    return f"{signing_input}.{base64url.encode(ecdsa.sign_raw(_KEY, signing_input.encode()))}"


def _verified(token: str) -> bytes:
    return jose.verify_es256(jose.parse_jws(token), _PUBLIC)


def test_a_signed_payload_comes_back_with_its_header() -> None:
    jws = jose.parse_jws(_ES256)
    assert jws.header == _HEADER
    assert jose.verify_es256(jws, _PUBLIC) == _PAYLOAD
    assert jose.verify_hs256(jose.parse_jws(_HS256), _SECRET) == _PAYLOAD


def test_a_signature_is_deterministic_so_that_no_bad_randomness_can_leak_the_key() -> None:
    assert jose.sign_es256(_HEADER, _PAYLOAD, _KEY) == _ES256


def test_the_size_is_bounded_before_anything_is_read() -> None:
    assert jose.parse_jws(_ES256, max_bytes=len(_ES256)).payload == _PAYLOAD
    with pytest.raises(MalformedEvidence) as refusal:
        jose.parse_jws(_ES256, max_bytes=len(_ES256) - 1)
    assert refusal.value.reason is reasons.JWS_MALFORMED


@pytest.mark.parametrize(
    "token", ["", ".", "...", "....", _ES256.rpartition(".")[0], _ES256 + ".", _ES256 + ".AAAA", "." + _ES256]
)
def test_anything_but_three_parts_is_refused(token: str) -> None:
    with pytest.raises(MalformedEvidence) as refusal:
        jose.parse_jws(token)
    assert refusal.value.reason is reasons.JWS_MALFORMED


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("change", [lambda text: text + "=", lambda text: text + "\n", lambda text: " " + text])
def test_a_part_in_another_spelling_is_refused(part: int, change: Callable[[str], str]) -> None:
    parts = _ES256.split(".")
    parts[part] = change(parts[part])
    with pytest.raises(MalformedEvidence) as refusal:
        jose.parse_jws(".".join(parts))
    assert refusal.value.reason is reasons.BASE64URL_MALFORMED


def test_a_signature_with_unused_bits_set_is_refused_although_its_octets_are_the_same() -> None:
    swapped = _ES256[:-1] + {"A": "B", "Q": "R", "g": "h", "w": "x"}[_ES256[-1]]
    with pytest.raises(MalformedEvidence) as refusal:
        jose.parse_jws(swapped)
    assert refusal.value.reason is reasons.BASE64URL_MALFORMED


@pytest.mark.parametrize(
    "header",
    [b"", b"[]", b'"ES256"', b'{"alg":"ES256","alg":"none"}', b'{"alg":"ES256"', b'\xef\xbb\xbf{"alg":"ES256"}'],
)
def test_a_header_that_is_not_one_strict_object_is_refused(header: bytes) -> None:
    with pytest.raises(MalformedEvidence) as refusal:
        jose.parse_jws(_token(header))
    assert refusal.value.reason is reasons.JSON_MALFORMED


@pytest.mark.parametrize(
    "alg", ["none", "None", "HS256", "ES384", "RS256", "PS256", "es256", "ES256 ", "", None, 1, ["ES256"]]
)
def test_another_algorithm_is_refused_although_the_signature_is_good(alg: object) -> None:
    with pytest.raises(VerificationFailed) as refusal:
        _verified(_token(json.dumps({"alg": alg}).encode()))
    assert refusal.value.reason is reasons.HEADER_REFUSED


def test_a_header_without_algorithm_is_refused_although_the_signature_is_good() -> None:
    with pytest.raises(VerificationFailed) as refusal:
        _verified(_token(b"{}"))
    assert refusal.value.reason is reasons.HEADER_REFUSED


@pytest.mark.parametrize(
    "member",
    [{"crit": ["exp"], "exp": 1}, {"crit": []}, {"b64": False}, {"b64": True}, {"crit": ["b64"], "b64": False}],
)
def test_an_extension_is_refused_although_the_signature_is_good(member: dict[str, object]) -> None:
    token = _token(json.dumps({"alg": "ES256", **member}).encode())
    with pytest.raises(VerificationFailed) as refusal:
        _verified(token)
    assert refusal.value.reason is reasons.HEADER_REFUSED
    mac = jose.sign_hs256({"alg": "HS256", **member}, _PAYLOAD, _SECRET)
    with pytest.raises(VerificationFailed) as refusal:
        jose.verify_hs256(jose.parse_jws(mac), _SECRET)
    assert refusal.value.reason is reasons.HEADER_REFUSED


def test_a_public_key_is_no_mac_key() -> None:
    """RS256/HS256 confusion: the attacker signs with the published key as if it were a secret."""
    published = json.dumps(jwk.from_public(_PUBLIC)).encode()
    forged = jose.sign_hs256({"alg": "HS256"}, _PAYLOAD, published)
    with pytest.raises(VerificationFailed) as refusal:
        _verified(forged)
    assert refusal.value.reason is reasons.HEADER_REFUSED


def test_an_es256_token_is_not_verified_as_a_mac() -> None:
    with pytest.raises(VerificationFailed) as refusal:
        jose.verify_hs256(jose.parse_jws(_ES256), _SECRET)
    assert refusal.value.reason is reasons.HEADER_REFUSED


@pytest.mark.parametrize(
    "name", ["jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "crit", "zip", "p2c", "p2s", "b64", "Alg", ""]
)
def test_a_header_is_closed_by_naming_what_it_may_have(name: str) -> None:
    allowed = {"alg", "typ", "kid"}
    jose.refuse_other_members(_HEADER, allowed=allowed)
    with pytest.raises(VerificationFailed) as refusal:
        jose.refuse_other_members({**_HEADER, name: "a"}, allowed=allowed)
    assert refusal.value.reason is reasons.HEADER_REFUSED


def test_the_refusal_of_a_member_repeats_little_of_what_it_was_sent() -> None:
    with pytest.raises(VerificationFailed) as refusal:
        jose.refuse_other_members({"a" * 500: 1}, allowed=())
    assert len(str(refusal.value)) < 60


@pytest.mark.parametrize("part", [0, 1])
def test_a_token_with_another_header_or_payload_is_refused(part: int) -> None:
    parts = _ES256.split(".")
    parts[part] = base64url.encode([b'{"alg":"ES256","typ":"example+jwt","kid":"b"}', b"{}"][part])
    with pytest.raises(VerificationFailed) as refusal:
        _verified(".".join(parts))
    assert refusal.value.reason is reasons.SIGNATURE_INVALID


@pytest.mark.parametrize(
    "change",
    [
        lambda _: b"",
        lambda raw: raw[:-1],
        lambda raw: raw + b"\x00",
        lambda raw: raw[:32] + b"\x00" + raw[32:],
        lambda _: bytes(64),
        lambda raw: raw[32:] + raw[:32],
        ecdsa.der_from_raw,
    ],
)
def test_a_signature_in_another_form_is_refused(change: Callable[[bytes], bytes]) -> None:
    jws = jose.parse_jws(_ES256)
    with pytest.raises(VerificationFailed) as refusal:
        jose.verify_es256(replace(jws, signature=change(jws.signature)), _PUBLIC)
    assert refusal.value.reason is reasons.SIGNATURE_INVALID


def test_a_signature_by_another_key_is_refused() -> None:
    with pytest.raises(VerificationFailed) as refusal:
        jose.verify_es256(jose.parse_jws(_ES256), ec.derive_private_key(5, ec.SECP256R1()).public_key())
    assert refusal.value.reason is reasons.SIGNATURE_INVALID


@pytest.mark.parametrize(
    "change",
    [lambda _: b"", lambda mac: mac[:16], lambda mac: mac + b"\x00", lambda mac: mac[:-1] + bytes([mac[-1] ^ 1])],
)
def test_a_mac_that_differs_or_is_cut_is_refused(change: Callable[[bytes], bytes]) -> None:
    jws = jose.parse_jws(_HS256)
    with pytest.raises(VerificationFailed) as refusal:
        jose.verify_hs256(replace(jws, signature=change(jws.signature)), _SECRET)
    assert refusal.value.reason is reasons.SIGNATURE_INVALID


def test_a_mac_under_another_key_is_refused() -> None:
    with pytest.raises(VerificationFailed) as refusal:
        jose.verify_hs256(jose.parse_jws(_HS256), _SECRET[::-1])
    assert refusal.value.reason is reasons.SIGNATURE_INVALID


@pytest.mark.parametrize("octets", [0, 16, 31])
def test_a_mac_key_below_32_octets_is_the_programs_fault(octets: int) -> None:
    with pytest.raises(Misuse) as refusal:
        jose.sign_hs256({"alg": "HS256"}, _PAYLOAD, bytes(octets))
    assert refusal.value.reason is reasons.KEY_UNFIT
    with pytest.raises(Misuse) as refusal:
        jose.verify_hs256(jose.parse_jws(_HS256), bytes(octets))
    assert refusal.value.reason is reasons.KEY_UNFIT


@pytest.mark.parametrize("header", [{}, {"alg": "none"}, {"alg": "HS384"}])
def test_a_header_that_says_another_algorithm_than_its_signer_is_the_programs_fault(header: dict[str, object]) -> None:
    with pytest.raises(Misuse) as refusal:
        jose.sign_es256(header, _PAYLOAD, _KEY)
    assert refusal.value.reason is reasons.HEADER_REFUSED
    with pytest.raises(Misuse) as refusal:
        jose.sign_hs256(header, _PAYLOAD, _SECRET)
    assert refusal.value.reason is reasons.HEADER_REFUSED


def test_two_other_libraries_verify_what_we_sign() -> None:
    claims = json.loads(_PAYLOAD)
    assert jwt.decode(_ES256, _PUBLIC, algorithms=["ES256"]) == claims
    assert jwt.decode(_HS256, _SECRET, algorithms=["HS256"]) == claims
    ec_key, oct_key = ECKey.import_key(dict(jwk.from_public(_PUBLIC))), OctKey.import_key(_SECRET)
    assert joserfc_jws.deserialize_compact(_ES256, ec_key, ["ES256"]).payload == _PAYLOAD
    assert joserfc_jws.deserialize_compact(_HS256, oct_key, ["HS256"]).payload == _PAYLOAD


def test_we_verify_what_two_other_libraries_sign() -> None:
    by_pyjwt = jwt.encode({"a": 1}, _KEY, algorithm="ES256")
    assert json.loads(_verified(by_pyjwt)) == {"a": 1}
    by_joserfc = joserfc_jws.serialize_compact({"alg": "ES256"}, b"octets", ECKey.import_key(_KEY))
    assert _verified(by_joserfc) == b"octets"
    mac_by_pyjwt = jwt.encode({"a": 1}, _SECRET, algorithm="HS256")
    assert json.loads(jose.verify_hs256(jose.parse_jws(mac_by_pyjwt), _SECRET)) == {"a": 1}
    mac_by_joserfc = joserfc_jws.serialize_compact({"alg": "HS256"}, b"octets", OctKey.import_key(_SECRET))
    assert jose.verify_hs256(jose.parse_jws(mac_by_joserfc), _SECRET) == b"octets"


def test_the_examples_of_rfc_7515_verify() -> None:
    """Appendix A.1 (HS256) and A.3 (ES256); their payload has line ends of its own."""
    payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    mac = f"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{payload}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    secret = base64url.decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
    assert jose.verify_hs256(jose.parse_jws(mac), secret).startswith(b'{"iss":"joe",\r\n')
    signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    public = jwk.parse_public(
        {
            "kty": "EC",
            "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        }
    )
    assert jose.verify_es256(jose.parse_jws(f"eyJhbGciOiJFUzI1NiJ9.{payload}.{signature}"), public)


def test_every_wycheproof_jws_gets_its_verdict(shared: Path) -> None:
    groups = json.loads((shared / "vectors/wycheproof/json_web_crypto.json").read_text())["testGroups"]
    groups += json.loads((shared / "vectors/wycheproof/json_web_key.json").read_text())["testGroups"]
    cases = [(group, case) for group in groups for case in group["tests"] if "jws" in case]
    verdicts = [_judge(group, case) for group, case in cases]
    assert not [verdict for verdict in verdicts if verdict.startswith("wrong")]
    assert {verdict: verdicts.count(verdict) for verdict in set(verdicts)} == {
        "accepted": 3,
        "refused": 34,
        "out of form": 38,
    }


def _judge(group: dict[str, Any], case: dict[str, Any]) -> str:
    """Judge one case; out of form are RSA and key sets (a verifier of ours is given one key, by `kid`, of its own)."""
    keys = group.get("public", group["private"])
    keys = keys.get("keys", [keys])
    if len(keys) != 1 or keys[0].get("alg") not in {"HS256", "ES256"} or keys[0].get("use") != "sig":
        return "out of form"
    if not isinstance(case["jws"], str):
        return "out of form"  # the JSON serialization, and a token that is no text at all
    try:
        jws = jose.parse_jws(case["jws"])
        if keys[0]["kty"] == "oct":
            jose.verify_hs256(jws, base64url.decode(keys[0]["k"]))
        else:
            jose.verify_es256(jws, jwk.parse_public({name: keys[0][name] for name in ("kty", "crv", "x", "y")}))
    except BonafideError:
        return "refused" if case["result"] == "invalid" else f"wrong refusal of {case['comment']}"
    return "accepted" if case["result"] == "valid" else f"wrong acceptance of {case['comment']}"


def test_every_wycheproof_hmac_is_the_one_we_compute(shared: Path) -> None:
    """Keys below 32 octets are out of form; of tags cut to 16 octets the beginning is compared."""
    groups = json.loads((shared / "vectors/wycheproof/hmac_sha256.json").read_text())["testGroups"]
    compared = 0
    for group in groups:
        for case in group["tests"]:
            key, tag = bytes.fromhex(case["key"]), bytes.fromhex(case["tag"])
            if len(key) < 32:
                with pytest.raises(Misuse):
                    jose._mac(key, bytes.fromhex(case["msg"]))
                continue
            compared += 1
            computed = jose._mac(key, bytes.fromhex(case["msg"]))
            assert (computed[: len(tag)] == tag) == (case["result"] == "valid"), case["tcId"]
    assert compared == 168


@settings(parent=settings.get_profile("bonafide"))
@given(
    st.text(alphabet="AZaz09-_.=", max_size=40)
    | st.tuples(st.integers(0, len(_ES256) - 1), st.sampled_from("AZaz09-_.= é")).map(
        lambda change: _ES256[: change[0]] + change[1] + _ES256[change[0] + 1 :]
    )
)
def test_no_other_text_verifies_and_only_refusals_are_raised(token: str) -> None:
    try:
        payload = _verified(token)
    except (MalformedEvidence, VerificationFailed):
        pass
    else:
        assert (token, payload) == (_ES256, _PAYLOAD)


@settings(parent=settings.get_profile("bonafide"))
@given(st.integers(0, len(_HS256) - 1), st.text(alphabet="AZaz09-_.= é", min_size=1, max_size=2), st.integers(0, 2))
def test_no_other_text_has_this_mac_and_only_refusals_are_raised(position: int, text: str, dropped: int) -> None:
    token = _HS256[:position] + text + _HS256[position + dropped :]
    try:
        payload = jose.verify_hs256(jose.parse_jws(token), _SECRET)
    except (MalformedEvidence, VerificationFailed):
        pass
    else:
        assert (token, payload) == (_HS256, _PAYLOAD)
