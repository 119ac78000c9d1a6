"""The bodies of the service's endpoints as they were parsed. Nothing in them is proven (PROTOCOL section 2).

Rules of this file:
- Members are exact: what is not named here is refused, not ignored, and every text has a bound.
- Client data begins with `{`. Signature bases begin with `"` and JWS inputs with `ey`, so that nothing that
  a key signed in one role reads as a message in another.
- The digest of a body covers what was decoded, so that it names the pair and not its spelling.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bonafide.appraisal import MAX_IDENTITY_BYTES, MAX_NAME_BYTES
from bonafide.challenge import Purpose
from bonafide.codec import base64url, json
from bonafide.codec.jwk import from_public, parse_public, thumbprint
from bonafide.errors import MalformedEvidence
from bonafide.evidence.debug import FORMAT as DEBUG
from bonafide.evidence.debug import DebugEvidence, parse_debug_evidence
from bonafide.reasons import challenge as challenge_reasons
from bonafide.reasons import enrolment as reasons
from bonafide.reasons import request as request_reasons

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

MAX_BODY_BYTES: Final = 64 * 1024
MAX_CLIENT_DATA_BYTES: Final = 4096

APP_ATTEST: Final = "apple-app-attest"
APP_ATTEST_ASSERTION: Final = "apple-app-attest-assertion"
NO_EVIDENCE: Final = "none"
"""How the format of an instance is recorded whose device cannot attest."""

_KEY_ID_BYTES: Final = 32
_NAME: Final = re.compile(rf"[!-~]{{1,{MAX_NAME_BYTES}}}")
_IDENTITY: Final = re.compile(rf"[!-~]{{1,{MAX_IDENTITY_BYTES}}}")
_AUDIENCE: Final = re.compile(r"[!-~]{1,255}")
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_INSTANCE: Final = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")
_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
_VERSION: Final = re.compile(r"[0-9A-Za-z.+_-]{1,32}")

_COMMON: Final = frozenset({"type", "challenge", "app", "app_version", "os_version", "sdk_version"})
_ENROL: Final = _COMMON | {"identity", "sign_jwk"}
_RENEW: Final = _COMMON | {"instance", "jkt"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeMessage:
    """Somebody asks for a challenge for an app of this name."""

    app: str
    purpose: Purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """An App Attest attestation object, unread. `key_id` is 32 octets, `key_id_text` its base64."""

    key_id: bytes
    key_id_text: str
    attestation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DebugMac:
    """The evidence of a simulator or a CI job, in its form; nothing in it is proven."""

    members: Mapping[str, object]
    parsed: DebugEvidence


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentMessage:
    """An enrolment as it was sent. `client_data` are the exact octets; `evidence` is None from a device without."""

    client_data: bytes
    challenge: str
    app: str
    identity: str
    sign_key: ec.EllipticCurvePublicKey
    sign_jwk: Mapping[str, str]
    agree_jwk: Mapping[str, str] | None
    app_version: str
    os_version: str
    sdk_version: str
    evidence: Attestation | DebugMac | None

    @property
    def jkt(self) -> str:
        """The thumbprint of `sign_jwk`."""
        return thumbprint(self.sign_jwk)

    @property
    def format(self) -> str:
        """The format of the evidence, as an instance records it."""
        match self.evidence:
            case None:
                return NO_EVIDENCE
            case Attestation():
                return APP_ATTEST
            case DebugMac():
                return DEBUG

    @property
    def body_digest(self) -> bytes:
        """SHA-256 over the pair of client data and evidence."""
        return _digest(b"enrol", self.client_data, *_parts(self.evidence))

    @property
    def evidence_octets(self) -> bytes:
        """What is kept of the evidence, to judge it again: the object as Apple made it; of debug evidence, its MAC."""
        return b"".join(_parts(self.evidence)[-1:])


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalMessage:
    """A renewal as it was sent. `audience` is None for the app's own; `assertion` is None where none came."""

    client_data: bytes
    challenge: str
    app: str
    instance: str
    jkt: str
    audience: str | None
    app_version: str
    os_version: str
    sdk_version: str
    assertion: bytes | None

    @property
    def body_digest(self) -> bytes:
        """SHA-256 over the pair of client data and evidence."""
        if self.assertion is None:
            return _digest(b"renew", self.client_data)
        return _digest(b"renew", self.client_data, self.assertion)


def parse_challenge_request(body: bytes) -> ChallengeMessage:
    """Parse the body of `POST /challenge`: `{"purpose": "enrol" | "renew" | "pop", "app": "…"}`.

    Raises `MalformedEvidence` (`request.body_*`, `challenge.purpose_unknown`).
    """
    members = _parse_body(body, {"purpose", "app"})
    app, purpose = members["app"], members["purpose"]
    if not isinstance(app, str) or _NAME.fullmatch(app) is None:
        raise MalformedEvidence(request_reasons.BODY_MALFORMED, "app")
    for known in Purpose:
        if purpose == known:
            return ChallengeMessage(app=app, purpose=known)
    raise MalformedEvidence(challenge_reasons.PURPOSE_UNKNOWN)


def parse_enrolment(body: bytes) -> EnrolmentMessage:
    """Parse the body of `POST /instances`.

    Raises `MalformedEvidence` (`request.body_*`, `enrolment.client_data_malformed`,
    `enrolment.evidence_malformed`, `enrolment.format_unknown`, `enrolment.keys_equal`).
    """
    client_data, evidence = _parse_pair(body)
    members = _parse_client_data(client_data, "enrol", _ENROL, optional="agree_jwk")
    sign_key = _key(members, "sign_jwk")
    agree_key = _key(members, "agree_jwk") if "agree_jwk" in members else None
    sign_jwk, agree_jwk = from_public(sign_key), None if agree_key is None else from_public(agree_key)
    if sign_jwk == agree_jwk:
        raise MalformedEvidence(reasons.KEYS_EQUAL)
    return EnrolmentMessage(
        client_data=client_data,
        challenge=_text(members, "challenge", _CHALLENGE),
        app=_text(members, "app", _NAME),
        identity=_text(members, "identity", _IDENTITY),
        sign_key=sign_key,
        sign_jwk=sign_jwk,
        agree_jwk=agree_jwk,
        app_version=_text(members, "app_version", _VERSION),
        os_version=_text(members, "os_version", _VERSION),
        sdk_version=_text(members, "sdk_version", _VERSION),
        evidence=None if evidence is None else _parse_evidence(evidence),
    )


def parse_renewal(body: bytes) -> RenewalMessage:
    """Parse the body of `POST /instances/{instance}/renewals`.

    Raises `MalformedEvidence` (`request.body_*`, `enrolment.client_data_malformed`,
    `enrolment.evidence_malformed`, `enrolment.format_unknown`).
    """
    client_data, evidence = _parse_pair(body)
    members = _parse_client_data(client_data, "renew", _RENEW, optional="aud")
    return RenewalMessage(
        client_data=client_data,
        challenge=_text(members, "challenge", _CHALLENGE),
        app=_text(members, "app", _NAME),
        instance=_text(members, "instance", _INSTANCE),
        jkt=_text(members, "jkt", _THUMBPRINT),
        audience=_text(members, "aud", _AUDIENCE) if "aud" in members else None,
        app_version=_text(members, "app_version", _VERSION),
        os_version=_text(members, "os_version", _VERSION),
        sdk_version=_text(members, "sdk_version", _VERSION),
        assertion=None if evidence is None else _parse_assertion(evidence),
    )


def _parse_body(body: bytes, wanted: set[str]) -> Mapping[str, object]:
    if len(body) > MAX_BODY_BYTES:
        raise MalformedEvidence(request_reasons.BODY_TOO_LARGE)
    try:
        members = json.parse_object(body, max_bytes=MAX_BODY_BYTES)
    except MalformedEvidence as error:
        raise MalformedEvidence(request_reasons.BODY_MALFORMED, error.detail) from None
    if members.keys() != wanted:
        raise MalformedEvidence(request_reasons.BODY_MALFORMED, f"not exactly {', '.join(sorted(wanted))}")
    return members


def _parse_pair(body: bytes) -> tuple[bytes, Mapping[str, object] | None]:
    """Split the body into client data and the one piece of evidence, or None where the list is empty."""
    members = _parse_body(body, {"client_data", "evidence"})
    client_data = _octets(members["client_data"])
    if client_data is None or len(client_data) > MAX_CLIENT_DATA_BYTES:
        raise MalformedEvidence(reasons.CLIENT_DATA_MALFORMED, "not base64url of at most 4 KiB")
    match members["evidence"]:
        case []:
            return client_data, None
        case [dict() as evidence]:
            return client_data, evidence
        case _:
            raise MalformedEvidence(reasons.EVIDENCE_MALFORMED, "not a list of at most one object")


def _parse_client_data(octets: bytes, kind: str, required: frozenset[str], *, optional: str) -> Mapping[str, object]:
    if octets[:1] != b"{":
        raise MalformedEvidence(reasons.CLIENT_DATA_MALFORMED, "it does not begin with {")
    try:
        members = json.parse_object(octets, max_bytes=MAX_CLIENT_DATA_BYTES)
    except MalformedEvidence as error:
        raise MalformedEvidence(reasons.CLIENT_DATA_MALFORMED, error.detail) from None
    if members.get("type") != kind:
        raise MalformedEvidence(reasons.CLIENT_DATA_MALFORMED, "type")
    if members.keys() - {optional} != required:
        raise MalformedEvidence(reasons.CLIENT_DATA_MALFORMED, "a member is missing, or one too many")
    return members


def _parse_evidence(evidence: Mapping[str, object]) -> Attestation | DebugMac:
    if evidence.get("format") == DEBUG:
        try:
            return DebugMac(members=evidence, parsed=parse_debug_evidence(evidence))
        except MalformedEvidence as error:
            raise MalformedEvidence(reasons.EVIDENCE_MALFORMED, f"{DEBUG}: {error.detail}") from None
    if evidence.get("format") != APP_ATTEST:
        raise MalformedEvidence(reasons.FORMAT_UNKNOWN)
    if evidence.keys() != {"format", "key_id", "attestation"}:
        raise MalformedEvidence(reasons.EVIDENCE_MALFORMED, "not exactly format, key_id and attestation")
    key_id_text, attestation = evidence["key_id"], _octets(evidence["attestation"])
    key_id = _key_id(key_id_text)
    if key_id is None or not isinstance(key_id_text, str):
        raise MalformedEvidence(reasons.EVIDENCE_MALFORMED, "key_id")
    if attestation is None:
        raise MalformedEvidence(reasons.EVIDENCE_MALFORMED, "attestation")
    return Attestation(key_id=key_id, key_id_text=key_id_text, attestation=attestation)


def _parse_assertion(evidence: Mapping[str, object]) -> bytes:
    if evidence.get("format") != APP_ATTEST_ASSERTION:
        raise MalformedEvidence(reasons.FORMAT_UNKNOWN)
    if evidence.keys() != {"format", "assertion"}:
        raise MalformedEvidence(reasons.EVIDENCE_MALFORMED, "not exactly format and assertion")
    assertion = _octets(evidence["assertion"])
    if assertion is None:
        raise MalformedEvidence(reasons.EVIDENCE_MALFORMED, "assertion")
    return assertion


def _text(members: Mapping[str, object], name: str, form: re.Pattern[str]) -> str:
    value = members[name]
    if not isinstance(value, str) or form.fullmatch(value) is None:
        raise MalformedEvidence(reasons.CLIENT_DATA_MALFORMED, name)
    return value


def _key(members: Mapping[str, object], name: str) -> ec.EllipticCurvePublicKey:
    value = members[name]
    if not isinstance(value, Mapping):
        raise MalformedEvidence(reasons.CLIENT_DATA_MALFORMED, name)
    try:
        return parse_public(value)
    except MalformedEvidence:
        raise MalformedEvidence(reasons.CLIENT_DATA_MALFORMED, name) from None


def _octets(value: object) -> bytes | None:
    """Decode base64url in its one spelling; None for everything else."""
    if not isinstance(value, str):
        return None
    try:
        return base64url.decode(value)
    except MalformedEvidence:
        return None


def _key_id(value: object) -> bytes | None:
    """Decode an App Attest key id: padded base64 of 32 octets, as Apple spells it, in its one spelling."""
    if not isinstance(value, str):
        return None
    try:
        octets = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):  # ValueError: not ASCII
        return None
    return octets if len(octets) == _KEY_ID_BYTES and base64.b64encode(octets).decode("ascii") == value else None


def _parts(evidence: Attestation | DebugMac | None) -> tuple[bytes, ...]:
    """Return what tells one piece of evidence from another, the evidence proper last."""
    match evidence:
        case None:
            return ()
        case Attestation():
            return APP_ATTEST.encode(), evidence.key_id, evidence.attestation
        case DebugMac(parsed=debug):
            return DEBUG.encode(), debug.name.encode(), debug.issued_at.to_bytes(8), debug.mac


def _digest(role: bytes, *parts: bytes) -> bytes:
    """Hash with the length before each part, so that no two pairs share a message."""
    digest = hashlib.sha256(b"bonafide body\x00" + role + b"\x00")
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()
