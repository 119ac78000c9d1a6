"""The session: a key that the service gives a device in secret, and that gates derive for themselves.

The token is a JWS by a service key in a JWE to the device's `agree` key (PROTOCOL section 5). The inner
header carries the service key as `jwk`, because an app pins thumbprints: the key is used only after its
thumbprint was found among the pins, so that the token cannot bring a key of its choice.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bonafide.codec import base64url, json, nested_jwt
from bonafide.errors import MalformedEvidence, Misuse, VerificationFailed
from bonafide.keys import MAX_TOKEN_LIFETIME, PRIVATE_KEY_OCTETS, private_key_from
from bonafide.reasons import jose as jose_reasons
from bonafide.reasons import session as reasons

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from cryptography.hazmat.primitives.asymmetric import ec

    from bonafide.keys import ServiceKey

TYPE: Final = "bonafide-session+jwt"
MAX_BYTES: Final = 8192
SID_OCTETS: Final = 16
KEY_OCTETS: Final = 32

_JKT_CHARACTERS: Final = 43
_MAX_EXPIRY: Final = 2**53 - 1
_TEXTS: Final = ("app", "inst", "jkt", "challenge")
_CLAIMS: Final = frozenset((*_TEXTS, "sid", "key", "iat", "exp"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One session of one instance. `sid` is 16 octets, `key` 32; `challenge` is the text that was presented.

    Times are whole seconds, in UTC. `expires_at` is that of the client attestation beside it.
    """

    app: str
    instance: str
    jkt: str
    challenge: str
    sid: bytes
    key: bytes = field(repr=False)
    issued_at: datetime
    expires_at: datetime


def session_key(gate_key: bytes, *, sid: bytes, app: str, jkt: str, expires: int) -> bytes:
    """Return the session key, 32 octets, that a gate derives from what a client attestation says.

    HKDF-SHA-256 (RFC 5869) with the 32 octets of the gate key, salt `sid` (16 octets) and info
    `bonafide session` ‖ 0x00 ‖ SHA-256(`app`) ‖ `jkt` (43 characters) ‖ `expires` as 8 octets. Every
    input has a fixed length, so no two sessions share an info. Proves nothing about its inputs.

    Raises `Misuse` (`session.derivation_misused`).
    """
    if len(gate_key) != KEY_OCTETS or len(sid) != SID_OCTETS:
        raise Misuse(reasons.DERIVATION_MISUSED, "gate key or sid")
    if len(jkt) != _JKT_CHARACTERS or not jkt.isascii() or not 0 <= expires <= _MAX_EXPIRY:
        raise Misuse(reasons.DERIVATION_MISUSED, "jkt or expiry")
    digest = hashlib.sha256(app.encode("utf-8")).digest()
    info = b"bonafide session\x00" + digest + jkt.encode("ascii") + expires.to_bytes(8, "big")
    return _hkdf(gate_key, salt=sid, info=info)


def mac_key(session_key: bytes) -> bytes:
    """Return the key, 32 octets, under which a session signs requests with `hmac-sha256`.

    Raises `Misuse` (`session.derivation_misused`) for a session key that is not 32 octets.
    """
    if len(session_key) != KEY_OCTETS:
        raise Misuse(reasons.DERIVATION_MISUSED, "session key")
    return _hkdf(session_key, salt=b"", info=b"bonafide mac")


def seal_response_key(session_key: bytes) -> bytes:
    """Return the key, 32 octets, from which the keys of sealed answers derive (`bonafide.sealing`).

    Raises `Misuse` (`session.derivation_misused`) for a session key that is not 32 octets.
    """
    if len(session_key) != KEY_OCTETS:
        raise Misuse(reasons.DERIVATION_MISUSED, "session key")
    return _hkdf(session_key, salt=b"", info=b"bonafide seal response")


def issue_session(
    session: Session,
    *,
    service_key: ServiceKey,
    recipient: ec.EllipticCurvePublicKey,
    random: Callable[[int], bytes],
) -> str:
    """Return the nested JWT that brings `session` to the device whose `agree` key is `recipient`.

    `random` gives the ephemeral key (48 octets) and the IV (12). Proves to the device, once opened, that
    the service made this session for this instance and challenge.

    Raises `Misuse` (`session.derivation_misused`) for sizes or a lifetime that `open_session` would refuse.
    """
    lifetime = session.expires_at - session.issued_at
    if len(session.sid) != SID_OCTETS or len(session.key) != KEY_OCTETS:
        raise Misuse(reasons.DERIVATION_MISUSED, "sid or key")
    if not timedelta(seconds=1) <= lifetime <= MAX_TOKEN_LIFETIME:
        raise Misuse(reasons.DERIVATION_MISUSED, "lifetime")
    return nested_jwt.seal(
        json.dump(_claims(session)),
        typ=TYPE,
        signer=service_key.private_key,
        recipient=recipient,
        ephemeral=private_key_from(random(PRIVATE_KEY_OCTETS)),
        iv=random(nested_jwt.IV_OCTETS),
    )


def open_session(
    token: str,
    *,
    agree_key: ec.EllipticCurvePrivateKey,
    pinned: Collection[str],
    app: str,
    instance: str,
    jkt: str,
    challenge: str,
) -> Session:
    """Open a session as the client does: `agree_key` and the pinned thumbprints of service keys are its own.

    Proves: a pinned service key signed this session for this app, instance, `sign` key (`jkt`) and
    challenge, and it was sealed to this device. The challenge makes it fresh: `issued_at` is the service's
    time, by which a client may set its own. Not proven: that `expires_at` lies ahead.

    Raises `MalformedEvidence` (`session.malformed`, `session.claims_malformed`) and
    `VerificationFailed` (the other reasons of `session`).
    """
    session = _parse_claims(_open(token, agree_key, pinned))
    if session.app != app:
        raise VerificationFailed(reasons.APP_MISMATCH)
    if session.instance != instance:
        raise VerificationFailed(reasons.INSTANCE_MISMATCH)
    if session.jkt != jkt:
        raise VerificationFailed(reasons.JKT_MISMATCH)
    if session.challenge != challenge:
        raise VerificationFailed(reasons.CHALLENGE_MISMATCH)
    if not timedelta(0) < session.expires_at - session.issued_at <= MAX_TOKEN_LIFETIME:
        raise VerificationFailed(reasons.LIFETIME_REFUSED)
    return session


def _open(token: str, agree_key: ec.EllipticCurvePrivateKey, pinned: Collection[str]) -> bytes:
    """Return the payload of the inner JWS, proven to be signed by a pinned key."""
    try:
        return nested_jwt.open_sealed(token, typ=TYPE, agree_key=agree_key, pinned=pinned, max_bytes=MAX_BYTES)
    except MalformedEvidence as error:
        raise MalformedEvidence(reasons.MALFORMED, error.detail) from None
    except VerificationFailed as error:
        raise VerificationFailed(_REFUSED[error.reason], error.detail) from None


_REFUSED: Final = {
    jose_reasons.HEADER_REFUSED: reasons.HEADER_REFUSED,
    jose_reasons.DECRYPTION_FAILED: reasons.DECRYPTION_FAILED,
    jose_reasons.SIGNER_NOT_PINNED: reasons.SERVICE_KEY_NOT_PINNED,
    jose_reasons.SIGNATURE_INVALID: reasons.SIGNATURE_INVALID,
}


def _claims(session: Session) -> dict[str, object]:
    return {
        "app": session.app,
        "inst": session.instance,
        "jkt": session.jkt,
        "challenge": session.challenge,
        "sid": base64url.encode(session.sid),
        "key": base64url.encode(session.key),
        "iat": int(session.issued_at.timestamp()),
        "exp": int(session.expires_at.timestamp()),
    }


def _parse_claims(payload: bytes) -> Session:
    try:
        body = json.parse_object(payload, max_bytes=MAX_BYTES)
        if body.keys() != _CLAIMS:
            raise MalformedEvidence(reasons.CLAIMS_MALFORMED, "members")
        texts = {name: _text(body, name) for name in _TEXTS}
        return Session(
            app=texts["app"],
            instance=texts["inst"],
            jkt=texts["jkt"],
            challenge=texts["challenge"],
            sid=_octets(body, "sid", SID_OCTETS),
            key=_octets(body, "key", KEY_OCTETS),
            issued_at=_time(body, "iat"),
            expires_at=_time(body, "exp"),
        )
    except MalformedEvidence as error:
        raise MalformedEvidence(reasons.CLAIMS_MALFORMED, error.detail) from None


def _text(body: Mapping[str, object], name: str) -> str:
    value = body[name]
    if not isinstance(value, str):
        raise MalformedEvidence(reasons.CLAIMS_MALFORMED, name)
    return value


def _octets(body: Mapping[str, object], name: str, size: int) -> bytes:
    octets = base64url.decode(_text(body, name))
    if len(octets) != size:
        raise MalformedEvidence(reasons.CLAIMS_MALFORMED, name)
    return octets


def _time(body: Mapping[str, object], name: str) -> datetime:
    value = body[name]
    if type(value) is not int or not 0 <= value <= _MAX_SECONDS:
        raise MalformedEvidence(reasons.CLAIMS_MALFORMED, name)
    return datetime.fromtimestamp(value, UTC)


_MAX_SECONDS: Final = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())


def _hkdf(key: bytes, *, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=KEY_OCTETS, salt=salt, info=info).derive(key)
