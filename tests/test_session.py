"""A session opens for the device, instance and challenge it was made for, under a pinned key, and otherwise not."""

from __future__ import annotations

import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import jwt  # noqa: TID251 - the second opinion
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import example, given, settings
from hypothesis import strategies as st
from joserfc import jwe as joserfc_jwe
from joserfc.jwk import ECKey

from bonafide import session as sessions
from bonafide.codec import base64url, jose, jwe, jwk
from bonafide.errors import MalformedEvidence, Misuse, VerificationFailed
from bonafide.keys import ServiceKey
from bonafide.reasons import session as reasons
from bonafide.session import Session, issue_session, mac_key, open_session, session_key

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bonafide.reasons import Reason

_NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
_AGREE = ec.derive_private_key(101, ec.SECP256R1())
_SERVICE = ServiceKey.of(ec.derive_private_key(102, ec.SECP256R1()))
_SPARE = ServiceKey.of(ec.derive_private_key(103, ec.SECP256R1()))
_JKT = "a" * 43
_SESSION = Session(
    app="com.example.app",
    instance="instance-1",
    jkt=_JKT,
    challenge="challenge-1",
    sid=bytes(range(16)),
    key=bytes(range(32)),
    issued_at=_NOON,
    expires_at=_NOON + timedelta(minutes=5),
)
_EXPECTED: dict[str, str] = {
    "app": "com.example.app",
    "instance": "instance-1",
    "jkt": _JKT,
    "challenge": "challenge-1",
}
_PINNED = frozenset({_SERVICE.kid, _SPARE.kid})
_HEADER = {"alg": "ES256", "typ": sessions.TYPE, "jwk": jwk.from_public(_SERVICE.private_key.public_key())}
_CLAIMS = {
    "app": "com.example.app",
    "inst": "instance-1",
    "jkt": _JKT,
    "challenge": "challenge-1",
    "sid": base64url.encode(_SESSION.sid),
    "key": base64url.encode(_SESSION.key),
    "iat": int(_NOON.timestamp()),
    "exp": int(_NOON.timestamp()) + 300,
}


def _random(count: int) -> bytes:
    return sha256(b"octets").digest()[:12] if count == 12 else bytes(range(1, count + 1))


_TOKEN = issue_session(_SESSION, service_key=_SERVICE, recipient=_AGREE.public_key(), random=_random)


def _open(token: str, **changes: Any) -> Session:
    return open_session(token, **{"agree_key": _AGREE, "pinned": _PINNED, **_EXPECTED, **changes})


def _refused(reason: Reason, token: str, **changes: Any) -> str:
    with pytest.raises((MalformedEvidence, VerificationFailed)) as refusal:
        _open(token, **changes)
    assert refusal.value.reason is reason
    return refusal.value.detail


def _sealed(inner: bytes, header: dict[str, str] | None = None) -> str:
    ephemeral = ec.derive_private_key(104, ec.SECP256R1())
    outer = {"cty": "JWT"} if header is None else header
    return jwe.encrypt(inner, recipient=_AGREE.public_key(), header=outer, ephemeral=ephemeral, iv=bytes(12))


def _signed(claims: object, header: Mapping[str, object] | None = None, key: ServiceKey = _SERVICE) -> str:
    """Return a session with these claims and this inner header, signed by `key` and sealed to the device."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return _sealed(jose.sign_es256(_HEADER if header is None else header, payload, key.private_key).encode())


# The key schedule


def test_the_session_key_is_derived_as_the_wire_says() -> None:
    """HKDF spelled out with HMAC alone (RFC 5869 section 2), once for the gate and once for the MAC key."""
    gate_key, sid, expires = bytes(range(32)), bytes(range(16)), 1_793_534_700
    info = b"bonafide session" + b"\x00" + sha256(b"com.example.app").digest() + b"a" * 43 + expires.to_bytes(8, "big")
    extracted = hmac.digest(sid, gate_key, "sha256")
    expected = hmac.digest(extracted, info + b"\x01", "sha256")
    derived = session_key(gate_key, sid=sid, app="com.example.app", jkt=_JKT, expires=expires)
    assert derived == expected
    extracted = hmac.digest(b"", derived, "sha256")
    assert mac_key(derived) == hmac.digest(extracted, b"bonafide mac\x01", "sha256")


def test_the_key_schedule_does_not_move() -> None:
    derived = session_key(bytes(32), sid=bytes(16), app="com.example.app", jkt=_JKT, expires=0)
    assert derived.hex() == "2895aa50b69a88ad72c04b43dfe70a26c75ba40368f99ca38557cac763d997aa"
    assert mac_key(derived).hex() == "c4daaab1d30680b249e5766904e924328d229501f3b2bcd9443b9e5890dbf18c"


@pytest.mark.parametrize(
    "change",
    [
        {"sid": bytes(15) + b"\x01"},
        {"app": "com.example.other"},
        {"jkt": "b" * 43},
        {"expires": 1},
    ],
)
def test_every_input_makes_another_session_key(change: dict[str, Any]) -> None:
    inputs: dict[str, Any] = {"sid": bytes(16), "app": "com.example.app", "jkt": _JKT, "expires": 0}
    assert session_key(bytes(32), **inputs) != session_key(bytes(32), **{**inputs, **change})
    assert session_key(bytes(32), **inputs) != session_key(bytes(31) + b"\x01", **inputs)


@pytest.mark.parametrize(
    ("gate_key", "change"),
    [
        (31, {}),
        (33, {}),
        (0, {}),
        (32, {"sid": bytes(15)}),
        (32, {"sid": bytes(17)}),
        (32, {"jkt": "a" * 42}),
        (32, {"jkt": "a" * 44}),
        (32, {"jkt": "a" * 42 + "é"}),
        (32, {"expires": -1}),
        (32, {"expires": 2**53}),
    ],
)
def test_an_input_of_another_size_is_the_programs_fault(gate_key: int, change: dict[str, Any]) -> None:
    inputs: dict[str, Any] = {"sid": bytes(16), "app": "a", "jkt": _JKT, "expires": 0, **change}
    with pytest.raises(Misuse) as refusal:
        session_key(bytes(gate_key), **inputs)
    assert refusal.value.reason is reasons.DERIVATION_MISUSED


def test_an_expiry_is_taken_as_far_as_json_keeps_integers() -> None:
    assert session_key(bytes(32), sid=bytes(16), app="a", jkt=_JKT, expires=2**53 - 1)


@pytest.mark.parametrize("octets", [0, 31, 33])
def test_a_session_key_of_another_size_is_the_programs_fault(octets: int) -> None:
    with pytest.raises(Misuse) as refusal:
        mac_key(bytes(octets))
    assert refusal.value.reason is reasons.DERIVATION_MISUSED


def test_every_wycheproof_hkdf_case_in_reach_gets_its_output(shared: Path) -> None:
    """Ours is 32 octets long; HKDF gives a shorter or longer output the same beginning. Longer than 8160: no HKDF."""
    groups = json.loads((shared / "vectors/wycheproof/hkdf_sha256.json").read_text())["testGroups"]
    cases = [case for group in groups for case in group["tests"]]
    for case in cases:
        if case["result"] != "valid":
            assert case["size"] > 255 * 32, case["tcId"]
            continue
        octets = {name: bytes.fromhex(case[name]) for name in ("ikm", "salt", "info", "okm")}
        derived = sessions._hkdf(octets["ikm"], salt=octets["salt"], info=octets["info"])
        size = min(len(derived), case["size"])
        assert derived[:size] == octets["okm"][:size], case["tcId"]
    assert len(cases) == 86


# Issuing


def test_a_session_opens_on_the_device_it_was_made_for() -> None:
    assert _open(_TOKEN) == _SESSION


@pytest.mark.parametrize("pinned", [{_SERVICE.kid}, [_SPARE.kid, _SERVICE.kid], (_SERVICE.kid,)])
def test_either_of_the_pinned_keys_may_sign(pinned: Any) -> None:
    assert _open(_TOKEN, pinned=pinned) == _SESSION
    by_spare = issue_session(_SESSION, service_key=_SPARE, recipient=_AGREE.public_key(), random=_random)
    assert _open(by_spare) == _SESSION


def test_two_other_libraries_read_the_session_as_the_wire_describes_it() -> None:
    outer = joserfc_jwe.decrypt_compact(_TOKEN, ECKey.import_key(_AGREE), algorithms=["ECDH-ES", "A256GCM"])
    assert {name: outer.protected[name] for name in ("alg", "enc", "cty")} == {
        "alg": "ECDH-ES",
        "enc": "A256GCM",
        "cty": "JWT",
    }
    assert outer.plaintext is not None
    inner = outer.plaintext.decode()
    assert jwt.get_unverified_header(inner) == _HEADER
    claims = jwt.decode(
        inner,
        _SERVICE.private_key.public_key(),
        algorithms=["ES256"],
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims == _CLAIMS


def test_every_session_is_sealed_under_a_key_of_its_own() -> None:
    draws = iter([bytes([1]) * 48, bytes(12), bytes([2]) * 48, bytes(12)])
    first, second = (
        issue_session(_SESSION, service_key=_SERVICE, recipient=_AGREE.public_key(), random=lambda _: next(draws))
        for _ in range(2)
    )
    assert first.split(".")[0] != second.split(".")[0]
    assert first.split(".")[3] != second.split(".")[3]


def test_a_session_prints_without_its_key() -> None:
    assert repr(_SESSION.key) not in repr(_SESSION)
    assert "key=" not in repr(_SESSION)


@pytest.mark.parametrize(
    "change",
    [
        {"sid": bytes(15)},
        {"sid": bytes(17)},
        {"key": bytes(31)},
        {"key": b""},
        {"expires_at": _NOON},
        {"expires_at": _NOON - timedelta(minutes=1)},
        {"expires_at": _NOON + timedelta(milliseconds=999)},
        {"expires_at": _NOON + timedelta(minutes=60, seconds=1)},
    ],
)
def test_a_session_that_no_device_would_take_is_not_issued(change: dict[str, Any]) -> None:
    with pytest.raises(Misuse) as refusal:
        issue_session(replace(_SESSION, **change), service_key=_SERVICE, recipient=_AGREE.public_key(), random=_random)
    assert refusal.value.reason is reasons.DERIVATION_MISUSED


@given(st.integers(0, 999_999), st.integers(1_000_000, 3_600_000_000))
@example(0, 1_000_000)
@example(999_999, 3_600_000_000)
def test_every_lifetime_that_is_issued_is_taken(start: int, lifetime: int) -> None:
    issued_at = _NOON + timedelta(microseconds=start)
    session = replace(_SESSION, issued_at=issued_at, expires_at=issued_at + timedelta(microseconds=lifetime))
    token = issue_session(session, service_key=_SERVICE, recipient=_AGREE.public_key(), random=_random)
    assert _open(token).issued_at == _NOON


# Opening: each refusal differs from the good session in one respect


def test_a_session_for_another_app_instance_key_or_challenge_is_refused() -> None:
    _refused(reasons.APP_MISMATCH, _TOKEN, app="com.example.other")
    _refused(reasons.INSTANCE_MISMATCH, _TOKEN, instance="instance-2")
    _refused(reasons.JKT_MISMATCH, _TOKEN, jkt="b" * 43)
    _refused(reasons.CHALLENGE_MISMATCH, _TOKEN, challenge="challenge-2")


def test_a_session_sealed_to_another_device_is_refused() -> None:
    _refused(reasons.DECRYPTION_FAILED, _TOKEN, agree_key=ec.derive_private_key(105, ec.SECP256R1()))


def test_a_proxy_s_own_session_is_refused_for_its_key() -> None:
    proxy = ServiceKey.of(ec.derive_private_key(106, ec.SECP256R1()))
    header = {**_HEADER, "jwk": jwk.from_public(proxy.private_key.public_key())}
    _refused(reasons.SERVICE_KEY_NOT_PINNED, _signed(_CLAIMS, header, proxy))
    assert _open(_signed(_CLAIMS, header, proxy), pinned={proxy.kid}) == _SESSION


def test_a_session_that_names_the_pinned_key_and_is_signed_by_another_is_refused() -> None:
    proxy = ServiceKey.of(ec.derive_private_key(106, ec.SECP256R1()))
    _refused(reasons.SIGNATURE_INVALID, _signed(_CLAIMS, _HEADER, proxy))


def test_without_pins_nothing_is_taken() -> None:
    _refused(reasons.SERVICE_KEY_NOT_PINNED, _TOKEN, pinned=frozenset())


@pytest.mark.parametrize(
    "change",
    [
        {"typ": "JWT"},
        {"typ": "oauth-client-attestation+jwt"},
        {"typ": "BONAFIDE-SESSION+JWT"},
        {"kid": _SERVICE.kid},
        {"jku": "https://example.com"},
        {"crit": ["exp"]},
        {"b64": True},
        {"x5c": []},
        {"jwk": _SERVICE.kid},
        {"jwk": None},
    ],
)
def test_another_inner_header_is_refused_although_the_pinned_key_signed_it(change: dict[str, object]) -> None:
    _refused(reasons.HEADER_REFUSED, _signed(_CLAIMS, {**_HEADER, **change}))


@pytest.mark.parametrize("name", ["typ", "jwk"])
def test_an_inner_header_without_one_of_its_members_is_refused(name: str) -> None:
    _refused(reasons.HEADER_REFUSED, _signed(_CLAIMS, {key: value for key, value in _HEADER.items() if key != name}))


@pytest.mark.parametrize("alg", ["none", "HS256"])
def test_another_inner_algorithm_is_refused(alg: str) -> None:
    header = base64url.encode(json.dumps({**_HEADER, "alg": alg}).encode())
    payload = base64url.encode(json.dumps(_CLAIMS).encode())
    _refused(reasons.HEADER_REFUSED, _sealed(f"{header}.{payload}.".encode()))


def test_an_inner_key_that_is_no_point_is_refused() -> None:
    header = {**_HEADER, "jwk": {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}}
    assert _refused(reasons.MALFORMED, _signed(_CLAIMS, header)) == "inside: jose.jwk_malformed"


def test_a_pin_of_a_key_with_other_members_is_refused() -> None:
    """RFC 7638 ignores other members, so the thumbprint of such a key would be the pinned one."""
    header = {**_HEADER, "jwk": {**jwk.from_public(_SERVICE.private_key.public_key()), "kid": "a"}}
    assert _refused(reasons.MALFORMED, _signed(_CLAIMS, header)) == "inside: jose.jwk_malformed"


@pytest.mark.parametrize(
    "header", [{}, {"cty": "jwt"}, {"cty": "JOSE"}, {"cty": "JWT", "typ": "JWT"}, {"cty": "JWT", "kid": "a"}]
)
def test_another_outer_header_is_refused(header: dict[str, str]) -> None:
    inner = jose.sign_es256(_HEADER, json.dumps(_CLAIMS).encode(), _SERVICE.private_key).encode()
    assert _open(_sealed(inner)) == _SESSION
    _refused(reasons.HEADER_REFUSED, _sealed(inner, header))


def test_an_outer_header_with_a_member_that_the_codec_refuses_is_refused() -> None:
    parts = _TOKEN.split(".")
    header = json.loads(base64url.decode(parts[0]))
    parts[0] = base64url.encode(json.dumps({**header, "zip": "DEF"}).encode())
    _refused(reasons.HEADER_REFUSED, ".".join(parts))


def test_a_token_that_is_no_jwe_is_refused() -> None:
    inner = jose.sign_es256(_HEADER, json.dumps(_CLAIMS).encode(), _SERVICE.private_key)
    assert _refused(reasons.MALFORMED, inner) == "outside: jose.jwe_malformed"
    assert _refused(reasons.MALFORMED, "") == "outside: jose.jwe_malformed"
    assert _refused(reasons.MALFORMED, _TOKEN + "A" * 8192) == "outside: jose.jwe_malformed"


@pytest.mark.parametrize("inner", [b"", b"no jws", b"a.b", b"\xff.\xff.\xff", "é.é.é".encode()])
def test_a_jwe_without_a_jws_inside_is_refused(inner: bytes) -> None:
    assert _refused(reasons.MALFORMED, _sealed(inner)).startswith("inside: ")


@pytest.mark.parametrize("name", list(_CLAIMS))
def test_a_claim_too_few_is_refused(name: str) -> None:
    _refused(reasons.CLAIMS_MALFORMED, _signed({key: value for key, value in _CLAIMS.items() if key != name}))


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://example.com"},
        {"app": 1},
        {"inst": None},
        {"jkt": ["a"]},
        {"challenge": {}},
        {"sid": base64url.encode(bytes(15))},
        {"sid": base64url.encode(bytes(17))},
        {"sid": 1},
        {"key": base64url.encode(bytes(31))},
        {"key": base64url.encode(bytes(33))},
        {"key": base64url.encode(bytes(32)) + "="},
        {"iat": "1"},
        {"iat": True},
        {"iat": -1},
        {"iat": 1.0},
        {"exp": None},
        {"exp": 2**50},
        {"exp": 253402214401},
    ],
)
def test_claims_in_another_form_are_refused(change: dict[str, object]) -> None:
    _refused(reasons.CLAIMS_MALFORMED, _signed({**_CLAIMS, **change}))


@pytest.mark.parametrize("payload", [b"", b"[]", b'{"app":1,"app":1}'])
def test_a_payload_that_is_no_strict_object_is_refused(payload: bytes) -> None:
    _refused(reasons.CLAIMS_MALFORMED, _signed(payload))


@pytest.mark.parametrize("change", [{"iat": 0}, {"exp": 0}, {"exp": 253402214400}])
def test_times_up_to_the_year_9999_are_times(change: dict[str, object]) -> None:
    _refused(reasons.LIFETIME_REFUSED, _signed({**_CLAIMS, **change}))


@pytest.mark.parametrize("lifetime", [0, -1, 3601])
def test_a_lifetime_that_is_none_or_above_the_ceiling_is_refused(lifetime: int) -> None:
    _refused(reasons.LIFETIME_REFUSED, _signed({**_CLAIMS, "exp": int(_NOON.timestamp()) + lifetime}))


@pytest.mark.parametrize("lifetime", [1, 3600])
def test_a_lifetime_up_to_the_ceiling_is_taken(lifetime: int) -> None:
    assert _open(_signed({**_CLAIMS, "exp": int(_NOON.timestamp()) + lifetime})).issued_at == _NOON


def test_no_refusal_repeats_what_it_was_sent() -> None:
    marked = {**_CLAIMS, "key": "canary" * 8, "sid": "canary"}
    with pytest.raises(MalformedEvidence) as refusal:
        _open(_signed(marked))
    assert "canary" not in f"{refusal.value}{refusal.value.detail}{refusal.value.__context__}"


@settings(parent=settings.get_profile("bonafide"))
@given(
    st.text(alphabet="AZaz09-_.=", max_size=30)
    | st.tuples(st.integers(0, len(_TOKEN) - 1), st.sampled_from("AZaz09-_.= é")).map(
        lambda change: _TOKEN[: change[0]] + change[1] + _TOKEN[change[0] + 1 :]
    )
)
def test_no_other_text_opens_and_only_refusals_are_raised(token: str) -> None:
    try:
        session = _open(token)
    except (MalformedEvidence, VerificationFailed) as refusal:
        if not refusal.reason.code.startswith("session."):
            raise
    else:
        assert (token, session) == (_TOKEN, _SESSION)


@settings(parent=settings.get_profile("bonafide"))
@given(
    st.dictionaries(
        st.sampled_from(sorted(_CLAIMS)),
        st.sampled_from(["", "a", _JKT, _CLAIMS["sid"], _CLAIMS["key"], 0, -1, 2**52, True, None, []]),
        max_size=3,
    )
)
def test_any_claims_of_a_pinned_key_are_this_session_or_refused(change: dict[str, object]) -> None:
    claims = {**_CLAIMS, **change}
    try:
        session = sessions._parse_claims(json.dumps(claims).encode())
    except MalformedEvidence as refusal:
        if refusal.reason is not reasons.CLAIMS_MALFORMED:
            raise
    else:
        assert sessions._claims(session) == claims


def test_every_wycheproof_key_is_the_one_we_derive(shared: Path) -> None:
    """As many octets as the case has of our 32: HKDF gives a shorter key as the begin of a longer one."""
    groups = json.loads((shared / "vectors/wycheproof/hkdf_sha256.json").read_text())["testGroups"]
    judged = 0
    for case in (case for group in groups for case in group["tests"]):
        octets = {name: bytes.fromhex(case[name]) for name in ("ikm", "salt", "info", "okm")}
        if case["result"] != "valid":
            continue  # more octets than HKDF has: we ask for 32
        derived = sessions._hkdf(octets["ikm"], salt=octets["salt"], info=octets["info"])
        wanted = octets["okm"][:32]
        assert derived[: len(wanted)] == wanted, case["tcId"]
        judged += 1
    assert judged == 83
