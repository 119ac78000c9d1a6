"""Requests with DPoP proofs in the small world of `gate_world`: one that is admitted, and ways to change one thing."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from bonafide.codec import base64url, json, jwk
from bonafide.codec.jose import sign_es256
from bonafide.http import HttpRequest
from bonafide.proof import dpop, dpop_nonce
from tests import canaries
from tests.gate_world import GATE_SECRET, NOW, ORIGIN, SIGN, SIGN_JWK, token

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric import ec

ACCESS_TOKEN: Final = "access-token-of-a-user.that-no-log-may-tell"
canaries.plant("access token", ACCESS_TOKEN)
KEY_ID: Final = "20261101-a"
JTI: Final = "-BwC3ESc6acc2lTc"
RULE: Final = {"match": "/api/**", "proof": "dpop"}
HEADER: Final[Mapping[str, object]] = {"typ": dpop.TYPE, "alg": "ES256", "jwk": SIGN_JWK}
GONE: Final = object()
"""In `claims` or `header`: the member is left out."""


def nonce(at: datetime = NOW, *, secret: bytes = GATE_SECRET, key_id: str = KEY_ID) -> str:
    """Return a nonce that a gate issued at this time."""
    return dpop_nonce.issue(secret, key_id=key_id, now=at, random=os.urandom)


def claims(**changes: object) -> dict[str, object]:
    """Return the claims of a proof for `GET /api/config` with the access token, a moment ago."""
    said: dict[str, object] = {
        "htm": "GET",
        "htu": f"{ORIGIN}/api/config",
        "iat": int(NOW.timestamp()),
        "jti": JTI,
        "ath": dpop.token_hash(ACCESS_TOKEN),
        "nonce": nonce(),
        **changes,
    }
    return {name: value for name, value in said.items() if value is not GONE}


def proof(
    said: Mapping[str, object] | bytes | None = None, *, key: ec.EllipticCurvePrivateKey = SIGN, **header: object
) -> str:
    """Return a proof of these claims, with these members of the header changed, signed by `key`."""
    members = {name: value for name, value in {**HEADER, **header}.items() if value is not GONE}
    payload = said if isinstance(said, bytes) else json.dump(claims() if said is None else dict(said))
    if members.get("alg") == "ES256":
        return sign_es256(members, payload, key)
    honest = sign_es256({**members, "alg": "ES256"}, payload, key).rpartition(".")[2]
    return f"{base64url.encode(json.dump(members))}.{base64url.encode(payload)}.{honest}"


def public(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    """Return the JWK of a key's public half."""
    return jwk.from_public(key.public_key())


def request(
    target: str = "/api/config",
    *,
    method: str = "GET",
    sent: str | None = None,
    headers: Mapping[str, str | None] | None = None,
    **said: object,
) -> HttpRequest:
    """Return a request with a DPoP proof; `sent` is the field's value, `said` changes claims of the usual one."""
    value = sent or proof(claims(**said))
    canaries.plant("DPoP proof", value)
    fields: dict[str, Any] = {
        "oauth-client-attestation": token(),
        "authorization": f"DPoP {ACCESS_TOKEN}",
        "dpop": value,
        **(headers or {}),
    }
    present = {name: text for name, text in fields.items() if text is not None}
    return HttpRequest(method=method, origin=ORIGIN, target=target, headers=present)


FIVE_MINUTES: Final = timedelta(minutes=5)
