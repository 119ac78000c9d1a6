"""The two forms of a document: signed for every app, or signed and sealed for one instance and one question.

Rule of this package: claims are a closed set in a closed form. What an opener would refuse is not issued.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from bonafide.codec import base64url, json, nested_jwt, pinned_jws
from bonafide.errors import MalformedEvidence, Misuse, VerificationFailed
from bonafide.keys import PRIVATE_KEY_OCTETS, private_key_from
from bonafide.reasons import document as reasons
from bonafide.reasons import jose as jose_reasons

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from cryptography.hazmat.primitives.asymmetric import ec

    from bonafide.keys import ServiceKey

MAX_BYTES: Final = 65536
"""How long a token is at most: signed, or signed and sealed."""

_PARTIES: Final = ("inst", "jkt", "question")


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressee:
    """Whom a sealed document is for, and what it answers: `question` is `question_of` the request that asked.

    `jkt` is the thumbprint of the instance's `sign` key.
    """

    app: str
    instance: str
    jkt: str
    question: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """Version, and from when until when. Whole seconds, in UTC. `version` counts from 0, where nothing was set yet."""

    version: int
    issued_at: datetime
    expires_at: datetime


def question_of(signature_base: bytes) -> str:
    """Return what names one request: SHA-256 of its signature base (RFC 9421 section 2.5), in base64url.

    The base is what was signed, from `"@method"` to the end of the `@signature-params` line.
    """
    return base64url.encode(sha256(signature_base).digest())


def issue_signed(claims: Mapping[str, object], *, typ: str, service_key: ServiceKey) -> str:
    """Return the JWS of these claims. Raises `Misuse` (`document.unissuable`) where an opener would refuse its size."""
    return _bounded(pinned_jws.sign(json.dump(claims), typ=typ, key=service_key.private_key))


def issue_sealed(
    claims: Mapping[str, object],
    *,
    typ: str,
    service_key: ServiceKey,
    recipient: ec.EllipticCurvePublicKey,
    random: Callable[[int], bytes],
) -> str:
    """Return the nested JWT of these claims for the device whose `agree` key is `recipient`.

    `random` gives the ephemeral key (48 octets) and the IV (12). Raises as `issue_signed`.
    """
    token = nested_jwt.seal(
        json.dump(claims),
        typ=typ,
        signer=service_key.private_key,
        recipient=recipient,
        ephemeral=private_key_from(random(PRIVATE_KEY_OCTETS)),
        iv=random(nested_jwt.IV_OCTETS),
    )
    return _bounded(token)


def open_signed(token: str, *, typ: str, pinned: Collection[str], names: Collection[str]) -> Mapping[str, object]:
    """Return the claims of a JWS, exactly those of `names`, proven to be signed by a pinned key as a `typ`.

    Raises `MalformedEvidence` (`document.malformed`, `document.claims_malformed`) and `VerificationFailed`
    (`document.header_refused`, `document.service_key_not_pinned`, `document.signature_invalid`).
    """
    try:
        payload = pinned_jws.verify(token, typ=typ, pinned=pinned, max_bytes=MAX_BYTES)
    except MalformedEvidence as error:
        raise MalformedEvidence(reasons.MALFORMED, error.reason.code) from None
    except VerificationFailed as error:
        raise VerificationFailed(_REFUSED[error.reason]) from None
    return _claims(payload, names)


def open_sealed(
    token: str,
    *,
    typ: str,
    agree_key: ec.EllipticCurvePrivateKey,
    pinned: Collection[str],
    names: Collection[str],
) -> Mapping[str, object]:
    """Return the claims of a nested JWT, as `open_signed`, proven besides to be sealed to this device.

    Raises as `open_signed`, and `VerificationFailed` (`document.decryption_failed`).
    """
    try:
        payload = nested_jwt.open_sealed(token, typ=typ, agree_key=agree_key, pinned=pinned, max_bytes=MAX_BYTES)
    except MalformedEvidence as error:
        raise MalformedEvidence(reasons.MALFORMED, error.detail) from None
    except VerificationFailed as error:
        raise VerificationFailed(_REFUSED[error.reason], error.detail) from None
    return _claims(payload, names)


_REFUSED: Final = {
    jose_reasons.HEADER_REFUSED: reasons.HEADER_REFUSED,
    jose_reasons.DECRYPTION_FAILED: reasons.DECRYPTION_FAILED,
    jose_reasons.SIGNER_NOT_PINNED: reasons.SERVICE_KEY_NOT_PINNED,
    jose_reasons.SIGNATURE_INVALID: reasons.SIGNATURE_INVALID,
}


def addressed(addressee: Addressee) -> dict[str, object]:
    """Return the claims that bind a document to one instance and one question."""
    return {"inst": addressee.instance, "jkt": addressee.jkt, "question": addressee.question}


def dated(validity: Validity) -> dict[str, object]:
    """Return `iat`, `exp` and `version`. Raises `Misuse` (`document.unissuable`) where an opener would refuse them."""
    issued, expires = (int(moment.timestamp()) for moment in (validity.issued_at, validity.expires_at))
    if not 0 <= validity.version <= json.MAX_INTEGER or not 0 <= issued < expires <= _MAX_SECONDS:
        raise Misuse(reasons.UNISSUABLE, "version or times")
    return {"iat": issued, "exp": expires, "version": validity.version}


def require_addressee(claims: Mapping[str, object], addressee: Addressee) -> None:
    """Refuse what is for another app, instance, key or question.

    Raises `VerificationFailed` (`document.app_mismatch`, `document.instance_mismatch`, `document.jkt_mismatch`,
    `document.question_mismatch`), `MalformedEvidence` (`document.claims_malformed`).
    """
    require_app(claims, addressee.app)
    instance, jkt, question = (text(claims, name) for name in _PARTIES)
    if instance != addressee.instance:
        raise VerificationFailed(reasons.INSTANCE_MISMATCH)
    if jkt != addressee.jkt:
        raise VerificationFailed(reasons.JKT_MISMATCH)
    if not compare_digest(question.encode(), addressee.question.encode()):
        raise VerificationFailed(reasons.QUESTION_MISMATCH)


def require_app(claims: Mapping[str, object], app: str) -> None:
    """Refuse what is for another app. Raises as `require_addressee`."""
    if text(claims, "app") != app:
        raise VerificationFailed(reasons.APP_MISMATCH)


def require_not_older(version: int, seen: int) -> None:
    """Refuse a version below the highest that the app has `seen`, 0 before the first.

    Raises `VerificationFailed` (`document.version_lower`).
    """
    if version < seen:
        raise VerificationFailed(reasons.VERSION_LOWER, f"{version} < {seen}")


def require_current(expires_at: datetime, now: datetime) -> None:
    """Refuse what has ended at `now`, the app's trusted clock. Raises `VerificationFailed` (`document.expired`)."""
    if expires_at <= now:
        raise VerificationFailed(reasons.EXPIRED)


def validity(claims: Mapping[str, object]) -> Validity:
    """Read `iat`, `exp` and `version`. Raises `MalformedEvidence` (`document.claims_malformed`)."""
    return Validity(
        version=number(claims, "version"), issued_at=moment(claims, "iat"), expires_at=moment(claims, "exp")
    )


def text(claims: Mapping[str, object], name: str) -> str:
    """Read a text. Raises `MalformedEvidence` (`document.claims_malformed`)."""
    value = claims[name]
    if not isinstance(value, str):
        raise MalformedEvidence(reasons.CLAIMS_MALFORMED, name)
    return value


def number(claims: Mapping[str, object], name: str) -> int:
    """Read an integer from 0 on. Raises `MalformedEvidence` (`document.claims_malformed`)."""
    value = claims[name]
    if type(value) is not int or value < 0:
        raise MalformedEvidence(reasons.CLAIMS_MALFORMED, name)
    return value


def moment(claims: Mapping[str, object], name: str) -> datetime:
    """Read a time in whole seconds. Raises `MalformedEvidence` (`document.claims_malformed`)."""
    seconds = number(claims, name)
    if seconds > _MAX_SECONDS:
        raise MalformedEvidence(reasons.CLAIMS_MALFORMED, name)
    return _EPOCH + timedelta(seconds=seconds)


def members(claims: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Read an object. Raises `MalformedEvidence` (`document.claims_malformed`)."""
    value = claims[name]
    if not isinstance(value, dict):
        raise MalformedEvidence(reasons.CLAIMS_MALFORMED, name)
    return value


def _claims(payload: bytes, names: Collection[str]) -> Mapping[str, object]:
    try:
        claims = json.parse_object(payload, max_bytes=MAX_BYTES)
    except MalformedEvidence as error:
        raise MalformedEvidence(reasons.CLAIMS_MALFORMED, error.detail) from None
    if claims.keys() != set(names):
        raise MalformedEvidence(reasons.CLAIMS_MALFORMED, "members")
    return claims


def _bounded(token: str) -> str:
    if len(token) > MAX_BYTES:
        raise Misuse(reasons.UNISSUABLE, f"longer than {MAX_BYTES} characters")
    return token


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_SECONDS: Final = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())
