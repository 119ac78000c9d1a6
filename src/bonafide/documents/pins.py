"""Pins: which keys the app's hosts may show in TLS, signed so that they can be changed without an update of the app.

A pin is SHA-256 of a SubjectPublicKeyInfo in DER (RFC 7469 section 2.4), in base64. A host has two or more, one of them
of a key that is kept in reserve.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bonafide.codec import json
from bonafide.documents import envelope
from bonafide.errors import MalformedEvidence, Misuse
from bonafide.reasons import document as reasons

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from bonafide.keys import ServiceKey

TYPE: Final = "bonafide-pins+jwt"
MAX_HOSTS: Final = 64
MIN_PINS: Final = 2
MAX_PINS: Final = 16

HOST: Final = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)
"""A host as TLS names it: lower case, no port, no final dot, no wildcard."""

PIN: Final = re.compile(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=")

_CLAIMS: Final = ("app", "version", "exp", "pins")


@dataclass(frozen=True, slots=True, kw_only=True)
class PinsDocument:
    """Pins by host. Without any host, nothing is pinned by document. `expires_at` in whole seconds, in UTC."""

    version: int
    expires_at: datetime
    pins: Mapping[str, tuple[str, ...]]


def issue_pins(document: PinsDocument, *, app: str, service_key: ServiceKey) -> str:
    """Return the JWS of these pins. Raises `Misuse` (`document.unissuable`) for what `open_pins` would refuse."""
    expires = int(document.expires_at.timestamp())
    pins = {host: list(pins) for host, pins in document.pins.items()}
    claims: dict[str, object] = {"app": app, "version": document.version, "exp": expires, "pins": pins}
    try:
        _document(claims)
    except MalformedEvidence as error:
        raise Misuse(reasons.UNISSUABLE, error.detail) from None
    if document.version > json.MAX_INTEGER:
        raise Misuse(reasons.UNISSUABLE, "version")
    return envelope.issue_signed(claims, typ=TYPE, service_key=service_key)


def open_pins(token: str, *, pinned: Collection[str], app: str, seen: int, now: datetime) -> PinsDocument:
    """Open the pins. `seen` is the highest version that this app has taken, 0 before the first.

    Proves: a pinned service key signed these pins for this app, no older than those seen, and they have not ended.
    Not proven: that they are the newest, nor that any host shows such a key.

    Raises as `open_public_configuration`.
    """
    claims = envelope.open_signed(token, typ=TYPE, pinned=pinned, names=_CLAIMS)
    envelope.require_app(claims, app)
    document = _document(claims)
    envelope.require_not_older(document.version, seen)
    envelope.require_current(document.expires_at, now)
    return document


def _document(claims: Mapping[str, object]) -> PinsDocument:
    hosts = envelope.members(claims, "pins")
    if len(hosts) > MAX_HOSTS:
        raise MalformedEvidence(reasons.CLAIMS_MALFORMED, f"more than {MAX_HOSTS} hosts")
    return PinsDocument(
        version=envelope.number(claims, "version"),
        expires_at=envelope.moment(claims, "exp"),
        pins={_host(host): _pins(pins) for host, pins in hosts.items()},
    )


def _host(name: str) -> str:
    if HOST.fullmatch(name) is None:
        raise MalformedEvidence(reasons.CLAIMS_MALFORMED, "a host")
    return name


def _pins(value: object) -> tuple[str, ...]:
    pins = tuple(pin for pin in value if isinstance(pin, str) and PIN.fullmatch(pin)) if isinstance(value, list) else ()
    if list(pins) != value or not MIN_PINS <= len(pins) <= MAX_PINS or len(set(pins)) < len(pins):
        raise MalformedEvidence(reasons.CLAIMS_MALFORMED, "pins of a host")
    return pins
