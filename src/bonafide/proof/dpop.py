"""DPoP proofs (RFC 9449) by the key that a client attestation names: ABCA's combined mode.

Proven: the holder of the `sign` key signed for this method and this target without its query, at `iat`, with this
access token where there is one. **Not** proven, and stated wherever such a proof is admitted: body, query, cookies,
Content-Type and all other header fields; whoever is between may edit them.

Rules of this file:
- Header and claims are closed sets. RFC 9449 lets a proof say more; what it would then say (`exp`, `aud`) might narrow
  it, and is not honoured here, so it is refused.
- The key comes from the client attestation. The header's `jwk` is compared with it and never used.
- Nothing is keyed on the signature: it is malleable.
"""

from __future__ import annotations

import re
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Final, NamedTuple

from bonafide.codec import base64url, json
from bonafide.codec.jose import parse_jws, sign_es256, verify_es256
from bonafide.codec.jwk import from_public, thumbprint
from bonafide.errors import MalformedEvidence, VerificationFailed
from bonafide.http import MAX_TARGET_BYTES, METHOD
from bonafide.proof import dpop_nonce
from bonafide.proof.http_signature import (
    ATTESTATION_POP,
    DPOP,
    MAX_AGE_S,
    ProvenRequest,
    require_plain_fields,
    require_within,
)
from bonafide.reasons import dpop as reasons
from bonafide.terms import ProofKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric import ec

    from bonafide.codec.jose import Jws
    from bonafide.http import HttpRequest, Origin

TYPE: Final = "dpop+jwt"

_OTHER_PROOFS: Final = ("signature", "signature-input", ATTESTATION_POP)
_REQUIRED: Final = frozenset(("htm", "htu", "iat", "jti"))
_KNOWN: Final = _REQUIRED | {"ath", "nonce"}
_FORMS: Final = {
    "htm": METHOD,
    "htu": re.compile(rf"[!-~]{{1,{MAX_TARGET_BYTES}}}"),
    "jti": re.compile(r"[!-~]{16,128}"),
    "ath": re.compile(r"[A-Za-z0-9_-]{43}"),
    "nonce": re.compile(r"[!#-\[\]-~]{1,256}"),
}
_MAX_SECONDS: Final = 10**12
_HTU: Final = re.compile(r"(?P<scheme>[A-Za-z]+)://(?P<authority>[^/?#@\\]+)(?P<path>/[^?#]*)?")
_PORTS: Final = {"https": ":443", "http": ":80"}
_CREDENTIAL: Final = re.compile(r"(?i:dpop) ([A-Za-z0-9._~+/-]+=*)")


class DpopProof(NamedTuple):
    """A proof as it was parsed; it proves nothing yet. `issued_at` is in seconds since the epoch."""

    jws: Jws
    method: str
    target: str
    issued_at: int
    identifier: str
    token_hash: str | None
    nonce: str | None


def is_judged(headers: Mapping[str, str], demanded: ProofKind) -> bool:
    """Tell whether a request's DPoP proof is what is to be judged, on a route that demands this kind of proof.

    Beside our own proof it is the application's business, except on a route that takes both: there it is judged, and
    refused, because whoever edits the request would choose which of the two is.
    """
    if DPOP not in headers:
        return False
    return demanded is ProofKind.DPOP or not ("signature" in headers or "signature-input" in headers)


def parse_proof(value: str) -> DpopProof:
    """Read the value of a DPoP field (RFC 9449 section 4.3, checks 1 to 5 and 7). Does not verify anything.

    Several fields, which servers join by a comma, are no compact JWS. Raises `MalformedEvidence` (`dpop.malformed`,
    `dpop.claims_malformed`) and `VerificationFailed` (`dpop.header_refused`).
    """
    try:
        jws = parse_jws(value)
        claims = json.parse_object(jws.payload)
    except MalformedEvidence as error:
        raise MalformedEvidence(reasons.MALFORMED, error.reason.code) from None
    key = jws.header.get("jwk")
    if jws.header != {"typ": TYPE, "alg": "ES256", "jwk": key} or not isinstance(key, dict):
        raise VerificationFailed(reasons.HEADER_REFUSED, "not exactly typ, alg and jwk")
    if key.keys() != {"kty", "crv", "x", "y"} or (key["kty"], key["crv"]) != ("EC", "P-256"):
        raise VerificationFailed(reasons.HEADER_REFUSED, "jwk is not a public P-256 key of four members")
    if not _REQUIRED <= claims.keys() <= _KNOWN:
        raise MalformedEvidence(reasons.CLAIMS_MALFORMED, "members")
    issued_at = claims["iat"]
    if type(issued_at) is not int or not 0 <= issued_at <= _MAX_SECONDS:
        raise MalformedEvidence(reasons.CLAIMS_MALFORMED, "iat")
    texts = {name: _text(claims[name], name) for name in _FORMS if name in claims}
    return DpopProof(
        jws, texts["htm"], texts["htu"], issued_at, texts["jti"], texts.get("ath"), texts.get("nonce")
    )  # fmt: skip


def verify_proof(
    request: HttpRequest,
    *,
    path: str,
    key: ec.EllipticCurvePublicKey,
    jkt: str,
    find_gate_key: Callable[[str], bytes | None],
    now: datetime,
    max_age: int = MAX_AGE_S,
) -> ProvenRequest:
    """Verify the DPoP proof of a request by the key of its client attestation (RFC 9449 section 4.3; ABCA section 7.3).

    `path` is that of `parse_request_line`; `jkt` the thumbprint of `key`; `find_gate_key` returns the gate key of an
    id, for nonces; `max_age` in seconds. A nonce is looked at last, so that whoever is told to come back with one has
    proven the rest.

    Proves what this module says. Does not prove first use, which `replay_key` names. Raises `MalformedEvidence` and
    `VerificationFailed` (`dpop.*`; `request.field_*` for header fields that no proof of ours could cover).
    """
    headers = request.headers
    if any(name in headers for name in _OTHER_PROOFS):
        raise VerificationFailed(reasons.BESIDE_ANOTHER_PROOF)
    require_plain_fields(headers)
    proof = parse_proof(headers[DPOP])
    if thumbprint(proof.jws.header["jwk"]) != jkt:  # type: ignore[arg-type]  # four members, as parsed
        raise VerificationFailed(reasons.KEY_MISMATCH)
    try:
        verify_es256(proof.jws, key)
    except (MalformedEvidence, VerificationFailed):
        raise VerificationFailed(reasons.SIGNATURE_INVALID) from None
    if proof.method != request.method:
        raise VerificationFailed(reasons.METHOD_MISMATCH, proof.method)
    if not _is_target(proof.target, request.origin, path):
        raise VerificationFailed(reasons.TARGET_MISMATCH)
    require_within(
        proof.issued_at,
        now.timestamp(),
        max_age=max_age,
        too_old=reasons.ISSUED_TOO_EARLY,
        in_future=reasons.ISSUED_IN_FUTURE,
    )
    _verify_token_hash(proof.token_hash, headers.get("authorization"))
    if proof.nonce is None:
        raise VerificationFailed(reasons.NONCE_MISSING)
    dpop_nonce.verify(proof.nonce, find=find_gate_key, now=now)
    return ProvenRequest(ProofKind.DPOP, proof.issued_at, None, replay_key(jkt, proof.identifier))


def replay_key(jkt: str, identifier: str) -> bytes:
    """Return what a replay store knows a proof by: SHA-256(`dpop` || 0x00 || `jkt` || 0x00 || `jti`), 32 octets.

    `jti` is visible ASCII. Proofs of RFC 9421 have one 0x00 in theirs, so that the two never meet.
    """
    return sha256(f"dpop\0{jkt}\0{identifier}".encode("ascii")).digest()


def token_hash(access_token: str) -> str:
    """Return `ath` of an access token in ASCII (RFC 9449 section 4.2)."""
    return base64url.encode(sha256(access_token.encode("ascii")).digest())


def prove(
    method: str,
    target: str,
    *,
    key: ec.EllipticCurvePrivateKey,
    issued_at: int,
    identifier: str,
    access_token: str | None = None,
    nonce: str | None = None,
) -> str:
    """Return the DPoP field of a request: the client's half.

    `target` is the URL without query and fragment, `identifier` the `jti` (16 to 128 visible characters, never used
    before), `nonce` the last one that this origin handed out.
    """
    claims: dict[str, object] = {"htm": method, "htu": target, "iat": issued_at, "jti": identifier}
    if access_token is not None:
        claims["ath"] = token_hash(access_token)
    if nonce is not None:
        claims["nonce"] = nonce
    return sign_es256(
        {"typ": TYPE, "alg": "ES256", "jwk": from_public(key.public_key())}, json.dump(claims), key
    )  # fmt: skip


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or _FORMS[name].fullmatch(value) is None:
        raise MalformedEvidence(reasons.CLAIMS_MALFORMED, name)
    return value


def _is_target(htu: str, origin: Origin, path: str) -> bool:
    """Compare `htu` with the request's target without its query (RFC 3986 sections 6.2.2.1 and 6.2.3).

    Scheme and authority in either case, a default port or none, an empty path or `/`. The path itself has one
    spelling, in which it was admitted. A query in `htu` matches nothing: it would read as if it were covered.
    """
    match = _HTU.fullmatch(htu)
    if match is None or match["scheme"].lower() != origin.scheme:
        return False
    authority = match["authority"].lower().removesuffix(_PORTS[origin.scheme])
    return authority == origin.authority and (match["path"] or "/") == path


def _verify_token_hash(claimed: str | None, authorization: str | None) -> None:
    if authorization is None:
        if claimed is not None:
            raise VerificationFailed(reasons.TOKEN_HASH_MISMATCH, "a proof for a token, and no token")
        return
    credential = _CREDENTIAL.fullmatch(authorization)
    if credential is None:
        raise VerificationFailed(reasons.SCHEME_REFUSED)
    if claimed is None:
        raise VerificationFailed(reasons.TOKEN_HASH_MISSING)
    if not compare_digest(claimed, token_hash(credential[1])):
        raise VerificationFailed(reasons.TOKEN_HASH_MISMATCH)
