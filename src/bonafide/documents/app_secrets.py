"""Secrets that the service hands to a genuine app alone: an API key of a third party, say (PROTOCOL section 5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bonafide.documents import envelope
from bonafide.errors import MalformedEvidence
from bonafide.reasons import document as reasons

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric import ec

    from bonafide.documents.envelope import Addressee, Validity
    from bonafide.keys import ServiceKey

TYPE: Final = "bonafide-secrets+jwt"

_CLAIMS: Final = ("app", "inst", "jkt", "question", "iat", "exp", "version", "secrets")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretsDocument:
    """Name to value, and until when the app may use them before it asks again."""

    validity: Validity
    secrets: Mapping[str, str] = field(repr=False)


def issue_secrets(
    document: SecretsDocument,
    *,
    addressee: Addressee,
    service_key: ServiceKey,
    recipient: ec.EllipticCurvePublicKey,
    random: Callable[[int], bytes],
) -> str:
    """Return the nested JWT that brings these secrets to the device whose `agree` key is `recipient`.

    `random` gives the ephemeral key (48 octets) and the IV (12). Raises `Misuse` (`document.unissuable`).
    """
    claims = {
        "app": addressee.app,
        **envelope.addressed(addressee),
        **envelope.dated(document.validity),
        "secrets": dict(document.secrets),
    }
    return envelope.issue_sealed(claims, typ=TYPE, service_key=service_key, recipient=recipient, random=random)


def open_secrets(
    token: str,
    *,
    agree_key: ec.EllipticCurvePrivateKey,
    pinned: Collection[str],
    addressee: Addressee,
    now: datetime,
) -> SecretsDocument:
    """Open the secrets as the app does: keys, pinned thumbprints and `addressee` are its own, `now` its trusted clock.

    Proves: a pinned service key signed these secrets for this app, instance, `sign` key and question, they were sealed
    to this device, and have not ended. The question makes them fresh, so no version is compared. Not proven: that
    nothing else in the app reads them (N1).

    Raises `MalformedEvidence` (`document.malformed`, `document.claims_malformed`) and `VerificationFailed` (the other
    reasons of `document` but `document.version_lower`).
    """
    claims = envelope.open_sealed(token, typ=TYPE, agree_key=agree_key, pinned=pinned, names=_CLAIMS)
    envelope.require_addressee(claims, addressee)
    validity = envelope.validity(claims)
    secrets = {name: value for name, value in envelope.members(claims, "secrets").items() if isinstance(value, str)}
    if secrets != claims["secrets"]:
        raise MalformedEvidence(reasons.CLAIMS_MALFORMED, "secrets")
    envelope.require_current(validity.expires_at, now)
    return SecretsDocument(validity=validity, secrets=secrets)
