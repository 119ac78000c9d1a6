"""Broken glass: a route that an operator opens for some minutes, signed, and ending by itself.

While an opening stands, a refusal on its route is written down and takes no effect, as on a route that
observes. It admits nobody: what was not proven is not claimed to anyone, and views that ask for a proof still refuse.
The service key signs it, so that neither who writes to the database nor a gate's host can open anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from bonafide.codec import json, pinned_jws
from bonafide.errors import MalformedEvidence, Misuse, VerificationFailed
from bonafide.reasons import opening as reasons
from bonafide.terms import Environment

if TYPE_CHECKING:
    from collections.abc import Collection

    from bonafide.keys import ServiceKey

TYPE: Final = "bonafide-opening+jwt"
MAX_BYTES: Final = 8192
MAX_LENGTH: Final = timedelta(hours=24)
EVERY_ROUTE: Final = "*"

_TEXTS: Final = ("id", "iss", "env", "route", "because", "by")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One opening: `route` is a rule's pattern, or `*` for all of them. Times are whole seconds in UTC."""

    id: str
    issuer: str
    environment: Environment
    route: str
    because: str
    by: str
    opened_at: datetime
    until: datetime

    def covers(self, route: str, now: datetime) -> bool:
        """Tell whether this opening stands at `now` for the rule with the pattern `route`."""
        return self.opened_at <= now < self.until and self.route in (EVERY_ROUTE, route)


def issue(opening: Opening, *, service_key: ServiceKey) -> str:
    """Sign an opening.

    Raises `Misuse` (`opening.too_long`, `opening.without_cause`).
    """
    if not timedelta(0) < opening.until - opening.opened_at <= MAX_LENGTH:
        raise Misuse(reasons.TOO_LONG)
    if not all(text.strip() for text in (opening.because, opening.by, opening.route)):
        raise Misuse(reasons.WITHOUT_CAUSE)
    body = {
        "id": opening.id,
        "iss": opening.issuer,
        "env": opening.environment,
        "route": opening.route,
        "because": opening.because,
        "by": opening.by,
        "iat": int(opening.opened_at.timestamp()),
        "exp": int(opening.until.timestamp()),
    }
    return pinned_jws.sign(json.dump(body), typ=TYPE, key=service_key.private_key)


def verify(token: str, *, issuer: str, environment: Environment, pinned: Collection[str]) -> Opening:
    """Verify an opening for one service and environment; `pinned` are the thumbprints of its service keys.

    Proves that the service key signed it and that it stands for 24 h at most. Does not prove that it stands
    now (`Opening.covers`), nor that it was not closed early.

    Raises `MalformedEvidence` (`opening.malformed`) and `VerificationFailed` (`opening.signature_invalid`,
    `opening.elsewhere`, `opening.too_long`).
    """
    try:
        payload = pinned_jws.verify(token, typ=TYPE, pinned=pinned, max_bytes=MAX_BYTES)
    except MalformedEvidence as error:
        raise MalformedEvidence(reasons.MALFORMED, error.reason.code) from None
    except VerificationFailed as error:
        raise VerificationFailed(reasons.SIGNATURE_INVALID, error.reason.code) from None
    opening = _parse(payload)
    if opening.issuer != issuer or opening.environment is not environment:
        raise VerificationFailed(reasons.ELSEWHERE)
    if not timedelta(0) < opening.until - opening.opened_at <= MAX_LENGTH:
        raise VerificationFailed(reasons.TOO_LONG)
    return opening


def _parse(payload: bytes) -> Opening:
    try:
        body = json.parse_object(payload, max_bytes=MAX_BYTES)
        opened, until = body.pop("iat"), body.pop("exp")
        if type(opened) is not int or type(until) is not int or body.keys() != set(_TEXTS):
            raise TypeError
        identifier, issuer, environment, route, because, by = (body[name] for name in _TEXTS)
        if not all(isinstance(body[name], str) for name in _TEXTS):
            raise TypeError
        return Opening(
            id=str(identifier),
            issuer=str(issuer),
            environment=Environment(str(environment)),
            route=str(route),
            because=str(because),
            by=str(by),
            opened_at=datetime.fromtimestamp(opened, UTC),
            until=datetime.fromtimestamp(until, UTC),
        )
    except (TypeError, KeyError, ValueError, OverflowError, OSError, MalformedEvidence):
        raise MalformedEvidence(reasons.MALFORMED, "members") from None
