"""Remote configuration: values for every app, signed, and values for one instance, sealed besides (ADR 15)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bonafide.documents import envelope

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric import ec

    from bonafide.documents.envelope import Addressee, Validity
    from bonafide.keys import ServiceKey

TYPE: Final = "bonafide-configuration+jwt"

_PUBLIC_CLAIMS: Final = ("app", "iat", "exp", "version", "values")
_SEALED_CLAIMS: Final = (*_PUBLIC_CLAIMS, "inst", "jkt", "question")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationDocument:
    """Values by name, any JSON. They do not show in a traceback: the sealed ones are for one instance."""

    validity: Validity
    values: Mapping[str, object] = field(repr=False)


def issue_public_configuration(document: ConfigurationDocument, *, app: str, service_key: ServiceKey) -> str:
    """Return the JWS of values that anyone admitted may read. Raises `Misuse` (`document.unissuable`)."""
    return envelope.issue_signed(_claims(document, app), typ=TYPE, service_key=service_key)


def issue_sealed_configuration(
    document: ConfigurationDocument,
    *,
    addressee: Addressee,
    service_key: ServiceKey,
    recipient: ec.EllipticCurvePublicKey,
    random: Callable[[int], bytes],
) -> str:
    """Return the nested JWT of values for one instance. `random` and errors as for `issue_secrets`."""
    claims = {**_claims(document, addressee.app), **envelope.addressed(addressee)}
    return envelope.issue_sealed(claims, typ=TYPE, service_key=service_key, recipient=recipient, random=random)


def open_public_configuration(
    token: str, *, pinned: Collection[str], app: str, seen: int, now: datetime
) -> ConfigurationDocument:
    """Open the public values. `seen` is the highest version that this app has taken, 0 before the first.

    Proves: a pinned service key signed these values for this app, no older than those seen, and they have not ended.
    Not proven: that they are the newest. Who withholds a newer document gains until `exp`.

    Raises `MalformedEvidence` (`document.malformed`, `document.claims_malformed`) and `VerificationFailed`
    (`document.header_refused`, `document.service_key_not_pinned`, `document.signature_invalid`,
    `document.app_mismatch`, `document.version_lower`, `document.expired`).
    """
    claims = envelope.open_signed(token, typ=TYPE, pinned=pinned, names=_PUBLIC_CLAIMS)
    envelope.require_app(claims, app)
    document = _document(claims)
    envelope.require_not_older(document.validity.version, seen)
    envelope.require_current(document.validity.expires_at, now)
    return document


def open_sealed_configuration(
    token: str,
    *,
    agree_key: ec.EllipticCurvePrivateKey,
    pinned: Collection[str],
    addressee: Addressee,
    now: datetime,
) -> ConfigurationDocument:
    """Open the values for this instance. Proves and raises as `open_secrets`."""
    claims = envelope.open_sealed(token, typ=TYPE, agree_key=agree_key, pinned=pinned, names=_SEALED_CLAIMS)
    envelope.require_addressee(claims, addressee)
    document = _document(claims)
    envelope.require_current(document.validity.expires_at, now)
    return document


def _claims(document: ConfigurationDocument, app: str) -> dict[str, object]:
    return {"app": app, **envelope.dated(document.validity), "values": dict(document.values)}


def _document(claims: Mapping[str, object]) -> ConfigurationDocument:
    return ConfigurationDocument(validity=envelope.validity(claims), values=envelope.members(claims, "values"))
