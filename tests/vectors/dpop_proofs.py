"""The vectors of `dpop`: one request with a DPoP proof before one gate, laid out as those of `proof` are.

Proofs and nonces are made by hand here, not by the code under test.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bonafide.codec import base64url, json, jwk
from bonafide.codec.jose import sign_es256
from bonafide.testing.vectors import ACCEPT, Vector, encode
from tests.gate_world import GATE_SECRET, JKT, NOW, SIGN, SIGN_JWK
from tests.vectors.admissions import HOST, THIEF, Case

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric import ec

TOKEN: Final = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
JTI: Final = "-BwC3ESc6acc2lTc"
HEADER: Final[Mapping[str, object]] = {"typ": "dpop+jwt", "alg": "ES256", "jwk": SIGN_JWK}
RULES: Final = [{"match": "/api/**", "proof": "dpop"}]
GONE: Final = object()


def build() -> Iterator[Vector]:
    """Yield every vector of this area."""
    for name, (comment, expect, change) in _cases().items():
        yield _vector(name, comment, expect, **change)


def _vector(name: str, comment: str, expect: str, **change: Any) -> Vector:
    now = change.pop("now", NOW)
    given = _input(**change)
    accepted = expect == ACCEPT
    return Vector(
        name=f"dpop/{name}",
        comment=comment,
        now=now,
        input=given,
        expect=expect if accepted or "." in expect else f"dpop.{expect}",
        claims=_claims(Case().held.instance) if accepted else None,
    )


def _input(
    *,
    said: Mapping[str, object] | None = None,
    header: Mapping[str, object] | None = None,
    key: ec.EllipticCurvePrivateKey = SIGN,
    proof: str | None = None,
    headers: Mapping[str, str | None] | None = None,
    **case: Any,
) -> dict[str, object]:
    """Return what a gate sees; `said` and `header` change the proof's, `headers` the request's."""
    case = {"method": "GET", "target": "/api/me", "body": b"", "rules": RULES, **case}
    given: Any = Case(headers={}, **case).input()
    fields = given["request"]["headers"]
    for name in ("content-digest", "signature", "signature-input"):
        del fields[name]
    fields["authorization"] = f"DPoP {TOKEN}"
    fields["dpop"] = proof or _proof(_said(**(said or {})), {**HEADER, **(header or {})}, key)
    for name, value in (headers or {}).items():
        fields.pop(name, None)
        if value is not None:
            fields[name] = value
    return dict(given)


def _said(**changes: object) -> dict[str, object]:
    said = {
        "jti": JTI,
        "htm": "GET",
        "htu": f"https://{HOST}/api/me",
        "iat": int(NOW.timestamp()),
        "ath": base64url.encode(hashlib.sha256(TOKEN.encode()).digest()),
        "nonce": nonce(),
        **changes,
    }
    return {name: value for name, value in said.items() if value is not GONE}


def _proof(said: Mapping[str, object], header: Mapping[str, object], key: ec.EllipticCurvePrivateKey) -> str:
    header = {name: value for name, value in header.items() if value is not GONE}
    _, payload, signature = sign_es256({**header, "alg": "ES256"}, json.dump(dict(said)), key).split(".")
    if header.get("alg") == "ES256":
        return sign_es256(header, json.dump(dict(said)), key)
    return f"{base64url.encode(json.dump(header))}.{payload}.{signature}"


def nonce(expires: datetime = NOW + timedelta(minutes=5), *, secret: bytes = GATE_SECRET, version: int = 1) -> str:
    """Return a nonce as PROTOCOL section 4 has it, with zeros where random octets go."""
    key = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"bonafide dpop nonce").derive(secret)
    head = bytes([version]) + bytes(16) + int(expires.timestamp()).to_bytes(8, "big")
    return f"20261101-a.{base64url.encode(head + hmac.digest(key, head, 'sha256'))}"


def _claims(instance: str) -> dict[str, object]:
    replay = hashlib.sha256(b"dpop\x00" + JKT.encode() + b"\x00" + JTI.encode()).digest()
    return {"instance": instance, "jkt": JKT, "proof": "dpop", "digest": None, "replay_key": encode(replay)}


def _cases() -> dict[str, tuple[str, str, dict[str, Any]]]:
    return _good() | _headers() | _claims_of_proofs() | _targets_and_times() | _tokens_and_nonces() | _beside()


def _good() -> dict[str, tuple[str, str, dict[str, Any]]]:
    return {
        "good": ("By the key of the client attestation", ACCEPT, {}),
        "good_no_token": (
            "Without an access token",
            ACCEPT,
            {"said": {"ath": GONE}, "headers": {"authorization": None}},
        ),
        "good_query": ("A query, which is not covered", ACCEPT, {"target": "/api/me?a=1"}),
        "good_body": ("A body, which is not covered", ACCEPT, {"body": b"anything"}),
        "good_scheme_case": ("The scheme in capitals", ACCEPT, {"headers": {"authorization": f"DPOP {TOKEN}"}}),
        "good_htu_port": ("The default port spelled out", ACCEPT, {"said": {"htu": f"https://{HOST}:443/api/me"}}),
        "good_htu_case": ("Scheme and host in capitals", ACCEPT, {"said": {"htu": f"HTTPS://{HOST.upper()}/api/me"}}),
        "good_oldest": ("60 s old", ACCEPT, {"now": NOW + timedelta(seconds=60)}),
        "good_newest": ("5 s ahead", ACCEPT, {"now": NOW - timedelta(seconds=5)}),
    }


def _headers() -> dict[str, tuple[str, str, dict[str, Any]]]:
    private = base64url.encode(SIGN.private_numbers().private_value.to_bytes(32, "big"))
    headers: dict[str, tuple[str, dict[str, object]]] = {
        "typ_none": ("No type", {"typ": GONE}),
        "typ_jwt": ("The type of any JWT", {"typ": "JWT"}),
        "typ_attestation": ("The type of a client attestation", {"typ": "oauth-client-attestation+jwt"}),
        "alg_none": ("No algorithm", {"alg": "none"}),
        "alg_hs256": ("A MAC", {"alg": "HS256"}),
        "alg_rs256": ("RSA", {"alg": "RS256"}),
        "jwk_none": ("No key", {"jwk": GONE}),
        "jwk_private": ("A private key", {"jwk": {**SIGN_JWK, "d": private}}),
        "jwk_use": ("A key with a fifth member", {"jwk": {**SIGN_JWK, "use": "sig"}}),
        "jwk_curve": ("A key of another curve", {"jwk": {**SIGN_JWK, "crv": "P-384"}}),
        "crit": ("An extension", {"crit": ["exp"]}),
        "kid": ("A key id", {"kid": JKT}),
        "x5c": ("A certificate", {"x5c": []}),
    }
    cases: dict[str, tuple[str, str, dict[str, Any]]] = {
        f"header_{name}": (comment, "header_refused", {"header": change}) for name, (comment, change) in headers.items()
    }
    thief = jwk.from_public(THIEF.public_key())
    good = _proof(_said(), HEADER, SIGN)
    return cases | {
        "other_key": ("By a thief's key", "key_mismatch", {"key": THIEF, "header": {"jwk": thief}}),
        "other_key_renamed": ("By a thief's key, named as ours", "signature_invalid", {"key": THIEF}),
        "edited": ("Edited", "signature_invalid", {"proof": _edited(good)}),
        "two": ("Two proofs, as a server joins them", "malformed", {"proof": f"{good}, {good}"}),
        "padded": ("Padding", "malformed", {"proof": f"{good}="}),
        "no_jws": ("A text that is no JWS", "malformed", {"proof": "x"}),
    }


def _claims_of_proofs() -> dict[str, tuple[str, str, dict[str, Any]]]:
    claims: dict[str, tuple[str, dict[str, object]]] = {
        **{f"no_{name}": ("A claim is missing", {name: GONE}) for name in ("htm", "htu", "iat", "jti")},
        "more": ("A claim that the profile has not", {"exp": int(NOW.timestamp()) + 60}),
        "iat_fraction": ("A time with a fraction", {"iat": NOW.timestamp() + 0.5}),
        "iat_text": ("A time as text", {"iat": "1793534400"}),
        "jti_short": ("An identifier of 15", {"jti": "a" * 15}),
        "jti_long": ("An identifier of 129", {"jti": "a" * 129}),
        "ath_short": ("A hash of 42", {"ath": "a" * 42}),
        "nonce_number": ("A nonce that is a number", {"nonce": 7}),
    }
    return {
        f"claims_{name}": (comment, "claims_malformed", {"said": change}) for name, (comment, change) in claims.items()
    }


def _targets_and_times() -> dict[str, tuple[str, str, dict[str, Any]]]:
    targets = {
        "path": f"https://{HOST}/api/you",
        "slash": f"https://{HOST}/api/me/",
        "case": f"https://{HOST}/API/me",
        "encoded": f"https://{HOST}/api/%6De",
        "query": f"https://{HOST}/api/me?a=1",
        "fragment": f"https://{HOST}/api/me#a",
        "scheme": f"http://{HOST}/api/me",
        "authority": "https://api.example.org/api/me",
        "port": f"https://{HOST}:8443/api/me",
        "user": f"https://user@{HOST}/api/me",
        "relative": "/api/me",
    }
    cases: dict[str, tuple[str, str, dict[str, Any]]] = {
        f"htu_{name}": ("Another target", "target_mismatch", {"said": {"htu": htu}}) for name, htu in targets.items()
    }
    return cases | {
        "htm": ("Another method", "method_mismatch", {"said": {"htm": "POST"}}),
        "old": ("61 s old", "issued_too_early", {"now": NOW + timedelta(seconds=61)}),
        "ahead": ("6 s ahead", "issued_in_future", {"now": NOW - timedelta(seconds=6)}),
    }


def _tokens_and_nonces() -> dict[str, tuple[str, str, dict[str, Any]]]:
    other = base64url.encode(hashlib.sha256(b"another").digest())
    bare = {"headers": {"authorization": None}}
    bearer = {"headers": {"authorization": f"Bearer {TOKEN}"}}
    return {
        "bearer": ("The token as a bearer token", "scheme_refused", bearer),
        "no_ath": ("A token that the proof does not name", "token_hash_missing", {"said": {"ath": GONE}}),
        "ath_other": ("Another token's hash", "token_hash_mismatch", {"said": {"ath": other}}),
        "token_gone": ("The token taken away", "token_hash_mismatch", bare),
        "token_twice": ("Two tokens", "request.field_repeated", {"headers": {"authorization": f"DPoP {TOKEN},DPoP x"}}),
        "no_nonce": ("No nonce", "nonce_missing", {"said": {"nonce": GONE}}),
        "nonce_other": ("A nonce of somebody else", "nonce_unknown", {"said": {"nonce": "eyJ7S_zG.eyJH0-Z.HX4w-7v"}}),
        "nonce_forged": ("A nonce under another key", "nonce_unknown", {"said": {"nonce": nonce(secret=bytes(32))}}),
        "nonce_version": ("A nonce of another version", "nonce_unknown", {"said": {"nonce": nonce(version=2)}}),
        "nonce_key_gone": ("A nonce under an erased key", "nonce_unknown", {"gate": {"gate_keys": {}}}),
        "nonce_expired": ("A nonce that ends now", "nonce_expired", {"said": {"nonce": nonce(NOW)}}),
    }


def _beside() -> dict[str, tuple[str, str, dict[str, Any]]]:
    ours = {"signature": "bonafide=:AAAA:"}
    session, hardware = [{"match": "/api/**"}], [{"match": "/api/**", "proof": "hardware"}]
    return {
        "signature": ("Our own proof beside it", "beside_another_proof", {"headers": ours}),
        "pop": (
            "ABCA's own proof beside it",
            "beside_another_proof",
            {"headers": {"oauth-client-attestation-pop": "x"}},
        ),
        "no_attestation": (
            "No client attestation",
            "client_attestation.missing",
            {"headers": {"oauth-client-attestation": None}},
        ),
        "session_route": ("On a route that needs body and query", "route.proof_kind_too_weak", {"rules": session}),
        "hardware_route": ("On a route that needs hardware", "route.proof_kind_too_weak", {"rules": hardware}),
        "replayed": ("Used before", "proof.replayed", {"first_use": "replayed"}),
        "fenced": ("Older than the store can vouch for", "proof.fenced", {"first_use": "fenced"}),
        "cookie": ("A cookie that is not ASCII", "request.field_not_ascii", {"headers": {"cookie": "a=\u00e9"}}),
    }


def _edited(token: str) -> str:
    head, payload, signature = token.split(".")
    other = base64url.decode(payload).replace(JTI.encode(), b"another-identifi")
    return f"{head}.{base64url.encode(other)}.{signature}"
