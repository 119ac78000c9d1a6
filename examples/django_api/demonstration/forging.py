"""What an attacker can compose: client attestations, and proofs over whatever he likes.

Tokens are forged with every means but the service's key; where a row is about a token that is wrong in one
respect and right in all others, the demo signs it as the operator, who holds that key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

from bonafide.codec import base64url, jose
from bonafide.proof.http_signature import CLIENT_ATTESTATION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cryptography.hazmat.primitives.asymmetric import ec

    from bonafide.proof.http_signature import HardwareSigner, SessionSigner
    from demonstration.wire import RawRequest

DERIVED: Final = ("@method", "@scheme", "@authority", "@path", "@query")
OPTIONAL: Final = ("authorization", "cookie", "content-type")


def components_of(request: RawRequest) -> list[str]:
    """Return what the profile wants covered, in its order."""
    present = [name for name in OPTIONAL if request.find(name) is not None]
    return [*DERIVED, CLIENT_ATTESTATION, *present, "content-digest"]


def sign_freely(
    request: RawRequest,
    signer: HardwareSigner | SessionSigner,
    *,
    created: int,
    nonce: str,
    components: Sequence[str] | None = None,
) -> RawRequest:
    """Sign a request over any components in any order, as an instrumented phone could. It refuses nothing."""
    covered = components_of(request) if components is None else components
    path, _, query = request.target.partition("?")
    derived = {
        "@method": request.method,
        "@scheme": "https",
        "@authority": request.find("host"),
        "@path": path,
        "@query": f"?{query}",
    }
    names = " ".join(f'"{name}"' for name in covered)
    key = f'keyid="{signer.key_id}";alg="{signer.algorithm}"'
    parameters = f'({names});created={created};nonce="{nonce}";{key};tag="bonafide"'
    lines = [f'"{name}": {derived.get(name) or request.find(name) or ""}' for name in covered]
    signature = signer.sign("\n".join([*lines, f'"@signature-params": {parameters}']).encode())
    return request.with_header("Signature-Input", f"bonafide={parameters}").with_header(
        "Signature", f"bonafide=:{b64encode(signature).decode()}:"
    )


def digest_of(body: bytes) -> str:
    """Return the Content-Digest of a body."""
    return f"sha-256=:{b64encode(hashlib.sha256(body).digest()).decode()}:"


def open_token(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a JWT; nobody needs a key for that."""
    header, claims, _ = (token + "..").split(".", 2)
    return json.loads(base64url.decode(header)), json.loads(base64url.decode(claims))


def sign_token(header: Mapping[str, Any], claims: Mapping[str, Any], key: ec.EllipticCurvePrivateKey) -> str:
    """Return a JWT by any P-256 key."""
    return jose.sign_es256(header, json.dumps(claims).encode(), key)


def unsigned_token(header: Mapping[str, Any], claims: Mapping[str, Any], signature: bytes = b"") -> str:
    """Return a JWT with any octets for a signature."""
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64url.encode(part) for part in parts)


def mac_token(header: Mapping[str, Any], claims: Mapping[str, Any], secret: bytes) -> str:
    """Return a JWT with an HMAC under octets that everybody knows: HS256 confusion."""
    signing_input = unsigned_token(header, claims).rpartition(".")[0]
    return f"{signing_input}.{base64url.encode(hmac.digest(secret, signing_input.encode(), 'sha256'))}"
