"""The one profile of HTTP Message Signatures (RFC 9421) that is admitted (PROTOCOL section 4).

Rules of this file:
- There is one byte form. Components and parameters stand in one order, so Signature-Input is matched
  whole and never parsed as a structured field; what deviates in any octet is refused.
- The verifier, not the signer, decides what is covered: the list must equal the one that follows from
  the request in hand.
- Nothing is keyed on an ECDSA signature: it is malleable.
"""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from hmac import digest as hmac_digest
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from cryptography.exceptions import InvalidSignature

from bonafide.codec import base64url
from bonafide.codec.ecdsa import sign_raw, verify_raw
from bonafide.errors import MalformedEvidence, VerificationFailed
from bonafide.http import MAX_HEADER_BYTES, METHOD, split_target
from bonafide.proof.content_digest import digest_of, parse_digest, verify_digest
from bonafide.reasons import proof as reasons
from bonafide.reasons import request as request_reasons
from bonafide.terms import ProofKind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric import ec

    from bonafide.http import HttpRequest
    from bonafide.reasons import Reason

MAX_AGE_S: Final = 60
"""How far back `created` may lie, unless the route says more."""

MAX_AHEAD_S: Final = 5
"""How far ahead `created` may lie."""

CLIENT_ATTESTATION: Final = "oauth-client-attestation"
DPOP: Final = "dpop"
ATTESTATION_POP: Final = "oauth-client-attestation-pop"
"""The draft's other proof of possession, which is for authorization servers."""

_SIGNATURE_INPUT: Final = re.compile(
    r'bonafide=((\([^()]*\));created=(0|[1-9][0-9]{0,14});nonce="([A-Za-z0-9_-]{22,64})"'
    r';keyid="([A-Za-z0-9_-]{1,64})";alg="(ecdsa-p256-sha256|hmac-sha256)";tag="bonafide")'
)
_HARDWARE_SIGNATURE: Final = re.compile(r"bonafide=:([A-Za-z0-9+/]{85}[AQgw]==):")
_SESSION_SIGNATURE: Final = re.compile(r"bonafide=:([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=):")
_KINDS: Final = {"ecdsa-p256-sha256": ProofKind.HARDWARE, "hmac-sha256": ProofKind.SESSION}


class RequestProof(NamedTuple):
    """A proof in the right form over the right components. It proves nothing yet.

    `created` is in seconds since the epoch, `signature` the header as it came, `base` the signature
    base of RFC 9421 section 2.5 in octets, `digest` the covered Content-Digest header value.
    """

    kind: ProofKind
    created: int
    nonce: str
    key_id: str
    signature: str
    base: bytes
    digest: str


class ProvenRequest(NamedTuple):
    """A proof that verified: the holder of the key signed this request at `created`.

    `replay_key` names the single use in a replay store. Whether this *is* the first use, and whether
    the body has the covered `digest`, is not proven here. `digest` is None where the proof covers no body (DPoP).
    """

    kind: ProofKind
    created: int
    digest: str | None
    replay_key: bytes


def parse_proof(request: HttpRequest, *, path: str, query: str, attestation: str | None) -> RequestProof:
    """Read the proof of a request and rebuild its signature base (RFC 9421 section 2.5).

    `path` and `query` are those of `parse_request_line`. `attestation` is the text of a client attestation
    that verified (so it is ASCII without spaces), or None on enrolment and renewal, where none is covered.

    Raises `VerificationFailed` (`proof.missing`, `proof.components_mismatch`) and `MalformedEvidence`
    (`proof.input_malformed`, `proof.digest_malformed`, `request.field_*`). Does not verify anything.
    """
    headers = request.headers
    try:
        signature_input, signature, digest = (
            headers["signature-input"],
            headers["signature"],
            headers["content-digest"],
        )
    except KeyError:
        raise VerificationFailed(reasons.MISSING) from None
    match = _SIGNATURE_INPUT.fullmatch(signature_input)
    if match is None:
        raise MalformedEvidence(reasons.INPUT_MALFORMED)
    parameters, components, created, nonce, key_id, algorithm = match.groups()
    expected, base = _compose(request, path, query, attestation, parse_digest(digest))
    if components != expected:
        raise VerificationFailed(reasons.COMPONENTS_MISMATCH, f"this request must cover {expected}")
    return RequestProof(
        _KINDS[algorithm],
        int(created),
        nonce,
        key_id,
        signature,
        f'{base}"@signature-params": {parameters}'.encode("ascii"),
        digest,
    )


def verify_hardware(
    proof: RequestProof, *, key: ec.EllipticCurvePublicKey, jkt: str, now: float, max_age: int = MAX_AGE_S
) -> ProvenRequest:
    """Verify a proof by the instance's hardware key (ES256, raw r || s; RFC 9421 section 3.3.4).

    `jkt` is the RFC 7638 thumbprint of `key`; `now` in seconds since the epoch; `max_age` in seconds.
    Proves that the holder of `key` signed these components within the window. Does not prove first
    use, nor anything of the body. Raises `VerificationFailed` (`proof.key_mismatch`,
    `proof.created_*`, `proof.signature_invalid`), `MalformedEvidence` (`proof.signature_malformed`).
    """
    if proof.kind is not ProofKind.HARDWARE or proof.key_id != jkt:
        raise VerificationFailed(reasons.KEY_MISMATCH)
    _require_fresh(proof.created, now, max_age)
    match = _HARDWARE_SIGNATURE.fullmatch(proof.signature)
    if match is None:
        raise MalformedEvidence(reasons.SIGNATURE_MALFORMED)
    try:
        verify_raw(key, a2b_base64(match[1]), proof.base)
    except InvalidSignature:
        raise VerificationFailed(reasons.SIGNATURE_INVALID) from None
    return _proven(proof)


def verify_session(
    proof: RequestProof, *, mac_key: bytes, sid: str, now: float, max_age: int = MAX_AGE_S
) -> ProvenRequest:
    """Verify a proof by the session's MAC key (HMAC-SHA-256; RFC 9421 section 3.3.3).

    `sid` is the session id of the same client attestation, `mac_key` 32 octets. The comparison takes
    constant time and is one of header texts, so a MAC has one spelling. Proves what
    `verify_hardware` proves, for the holder of the MAC key: whoever reads it out of a running app can
    sign until the attestation expires (N4). Raises as `verify_hardware`.
    """
    if proof.kind is not ProofKind.SESSION or proof.key_id != sid:
        raise VerificationFailed(reasons.KEY_MISMATCH)
    _require_fresh(proof.created, now, max_age)
    match = _SESSION_SIGNATURE.fullmatch(proof.signature)
    if match is None:
        raise MalformedEvidence(reasons.SIGNATURE_MALFORMED)
    mac = b2a_base64(hmac_digest(mac_key, proof.base, "sha256"), newline=False)
    if not compare_digest(mac, match[1].encode("ascii")):
        raise VerificationFailed(reasons.SIGNATURE_INVALID)
    return _proven(proof)


def verify_enrolment_proof(
    request: HttpRequest, *, key: ec.EllipticCurvePublicKey, jkt: str, body: bytes, now: datetime
) -> None:
    """Verify the proof of `POST /instances` or of a renewal, by the `sign` key, over this very body.

    Proves that the holder of `key` sent this request within the window. Does not prove that it is the
    first time: the challenge inside the body is what is single use. Raises as `parse_proof` and
    `verify_hardware`, and `VerificationFailed` (`proof.digest_mismatch`); `request.*` for the target.
    """
    path, query = parse_request_line(request)
    verify_form(request)
    proof = parse_proof(request, path=path, query=query, attestation=None)
    verify_hardware(proof, key=key, jkt=jkt, now=now.timestamp())
    verify_digest(proof.digest, digest_of((body,)))


def parse_request_line(request: HttpRequest) -> tuple[str, str]:
    """Return path and `@query` component of a request whose method and target are in the admitted form.

    Raises `MalformedEvidence` (`request.method_malformed`, `request.target_not_canonical`).
    """
    if METHOD.fullmatch(request.method) is None:
        raise MalformedEvidence(request_reasons.METHOD_MALFORMED)
    return split_target(request.target)


def verify_form(request: HttpRequest, *, upgrade: bool = False) -> None:
    """Refuse what no proof can make safe: codings, method overrides, upgrades, trailers, joined fields.

    `upgrade` allows an Upgrade to `websocket`: any other is a tunnel that nobody judges.
    Raises `MalformedEvidence` (`request.*`). Proves nothing else.
    """
    headers = request.headers
    if not _REFUSED.keys().isdisjoint(headers):
        for name, reason in _REFUSED.items():
            if name in headers and not (upgrade and name == "upgrade" and headers[name].lower() == "websocket"):
                raise MalformedEvidence(reason, name)
    for name in _SINGLE_VALUED:
        if "," in headers.get(name, ""):
            raise MalformedEvidence(request_reasons.FIELD_REPEATED, name)


_SINGLE_VALUED: Final = ("authorization", "content-type")
_REFUSED: Final = {
    "content-encoding": request_reasons.CONTENT_CODING,
    "x-http-method-override": request_reasons.METHOD_OVERRIDE,
    "x-http-method": request_reasons.METHOD_OVERRIDE,
    "x-method-override": request_reasons.METHOD_OVERRIDE,
    "upgrade": request_reasons.UPGRADE,
    "trailer": request_reasons.TRAILERS,
}


_PROOFS: Final = ("signature-input", "signature", "content-digest", CLIENT_ATTESTATION, DPOP, ATTESTATION_POP)
FIELDS_READ: Final = frozenset((*_PROOFS, "authorization", "cookie", "content-type", *_REFUSED))
"""Every header field that judging a request looks at: an adapter that builds no others builds enough."""


@dataclass(frozen=True, slots=True)
class HardwareSigner:
    """The client's half: signs with `key`, whose thumbprint is `key_id`."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    key_id: str
    algorithm: ClassVar = "ecdsa-p256-sha256"

    def sign(self, base: bytes) -> bytes:
        """Return r and s, 64 octets."""
        return sign_raw(self.key, base)


@dataclass(frozen=True, slots=True)
class SessionSigner:
    """The client's half: signs with the session's MAC key (32 octets); `key_id` is its `sid`."""

    mac_key: bytes = field(repr=False)
    key_id: str
    algorithm: ClassVar = "hmac-sha256"

    def sign(self, base: bytes) -> bytes:
        """Return the MAC, 32 octets."""
        return hmac_digest(self.mac_key, base, "sha256")


def sign(
    request: HttpRequest, *, created: int, nonce: str, signer: HardwareSigner | SessionSigner
) -> Mapping[str, str]:
    """Return the `signature-input` and `signature` headers for a request that has its Content-Digest.

    `created` in seconds since the epoch; `nonce` 22 to 64 base64url characters, never used before. The
    client attestation is covered when the request carries one.
    """
    path, query = split_target(request.target)
    headers = request.headers
    components, base = _compose(request, path, query, headers.get(CLIENT_ATTESTATION), headers["content-digest"])
    key = f'keyid="{signer.key_id}";alg="{signer.algorithm}"'
    parameters = f'{components};created={created};nonce="{nonce}";{key};tag="bonafide"'
    signature = signer.sign(f'{base}"@signature-params": {parameters}'.encode("ascii"))
    return {
        "signature-input": f"bonafide={parameters}",
        "signature": f"bonafide=:{b2a_base64(signature, newline=False).decode()}:",
    }


def _compose(request: HttpRequest, path: str, query: str, attestation: str | None, digest: str) -> tuple[str, str]:
    """Return the component list that this request must cover, and the base's lines for it."""
    origin, headers = request.origin, request.headers
    lines = (
        f'"@method": {request.method}\n"@scheme": {origin.scheme}\n"@authority": {origin.authority}\n'
        f'"@path": {path}\n"@query": {query}\n'
    )
    names = _LEADING
    if attestation is not None:
        names = _LEADING_ATTESTED
        lines += f'"oauth-client-attestation": {attestation}\n'
    present, field_lines = _fields(headers)
    return f'{names}{present} "content-digest")', f'{lines}{field_lines}"content-digest": {digest}\n'


def digest_of_fields(headers: Mapping[str, str]) -> str:
    """Return the SHA-256, in base64url, of the Authorization, Cookie and Content-Type that a proof covers.

    By it two parties that were handed one request by a proxy tell whether they read the same fields. Proves nothing by
    itself. Raises `MalformedEvidence` (`request.field_*`) for values that no proof covers.
    """
    return base64url.encode(sha256(_fields(headers)[1].encode("ascii")).digest())


def require_plain_fields(headers: Mapping[str, str]) -> None:
    """Refuse values of Authorization, Cookie and Content-Type that no proof of ours could cover, where none does.

    Raises `MalformedEvidence` (`request.field_*`). Proves nothing else.
    """
    _fields(headers)


def require_within(created: int, now: float, *, max_age: int, too_old: Reason, in_future: Reason) -> None:
    """Refuse what was signed longer ago than `max_age` seconds, or more than `MAX_AHEAD_S` ahead, of `now`.

    Raises `VerificationFailed` with the reason given.
    """
    if created < now - max_age:
        raise VerificationFailed(too_old, f"{now - created:.0f} s old")
    if created > now + MAX_AHEAD_S:
        raise VerificationFailed(in_future, f"{created - now:.0f} s ahead")


def _fields(headers: Mapping[str, str]) -> tuple[str, str]:
    names = lines = ""
    if (value := headers.get("authorization")) is not None:
        names = ' "authorization"'
        lines = f'"authorization": {_covered("authorization", value)}\n'
    if (value := headers.get("cookie")) is not None:
        names += ' "cookie"'
        lines += f'"cookie": {_covered("cookie", value)}\n'
    if (value := headers.get("content-type")) is not None:
        names += ' "content-type"'
        lines += f'"content-type": {_covered("content-type", value)}\n'
    return names, lines


_LEADING: Final = '("@method" "@scheme" "@authority" "@path" "@query"'
_LEADING_ATTESTED: Final = f'{_LEADING} "{CLIENT_ATTESTATION}"'


def _covered(name: str, value: str) -> str:
    """Return a value that is one line, or one component could imitate the next (RFC 9421 section 7.5.6).

    An empty one is refused as well: granian says '' for a value that is not ASCII, and others hand it on.
    """
    if len(value) > MAX_HEADER_BYTES:
        raise MalformedEvidence(request_reasons.FIELD_TOO_LARGE, name)
    if not value or not (value.isascii() and value.isprintable()) or value != value.strip():
        raise MalformedEvidence(request_reasons.FIELD_NOT_ASCII, name)
    return value


def _require_fresh(created: int, now: float, max_age: int) -> None:
    require_within(created, now, max_age=max_age, too_old=reasons.CREATED_TOO_OLD, in_future=reasons.CREATED_IN_FUTURE)


def _proven(proof: RequestProof) -> ProvenRequest:
    replay_key = sha256(f"{proof.key_id}\0{proof.nonce}".encode()).digest()
    return ProvenRequest(proof.kind, proof.created, proof.digest, replay_key)
