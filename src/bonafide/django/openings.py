"""Broken glass: routes that an operator lets only observe for some minutes, signed, audited, and loud.

Rule of this file: what the service key did not sign opens nothing. So a row that somebody writes into the database
is an alarm and not an opening; closing early, which only makes things stricter, needs no signature.
"""

from __future__ import annotations

import logging
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db import router, transaction
from django.utils import timezone

from bonafide import opening as statements
from bonafide.codec import base64url
from bonafide.django import revisions
from bonafide.django.models import AuditEvent, AuditKind
from bonafide.django.models import Opening as OpeningRow
from bonafide.django.revisions import Copy, Reading
from bonafide.errors import ConfigurationError, MalformedEvidence, VerificationFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime, timedelta

    from django.db.models import QuerySet

    from bonafide.django.conf import Settings
    from bonafide.django.key_sources import KeySources
    from bonafide.keys import ServiceKey
    from bonafide.opening import Opening
    from bonafide.terms import Environment

logger: Final = logging.getLogger("bonafide.openings")

ALARM_EVERY_S: Final = 60.0

_ID_OCTETS: Final = 16


@dataclass(frozen=True, slots=True)
class Openings:
    """The openings that were read last, each of them verified."""

    verified: tuple[Opening, ...] = ()

    def covering(self, route: str, now: datetime) -> Opening | None:
        """Return the opening that stands at `now` for the rule with the pattern `route`, or None."""
        return next((opening for opening in self.verified if opening.covers(route, now)), None)

    def standing(self, now: datetime) -> tuple[Opening, ...]:
        """Return those that stand at `now`."""
        return tuple(opening for opening in self.verified if opening.opened_at <= now < opening.until)


NONE: Final = Openings()


def break_glass(
    route: str, *, length: timedelta, because: str, by: str, settings: Settings, service_key: ServiceKey, now: datetime
) -> OpeningRow:
    """Let the rule with the pattern `route` (`*`: every rule) only observe, for `length` from `now` on.

    Raises `Misuse` (`opening.too_long`, `opening.without_cause`).
    """
    begins = now.replace(microsecond=0)
    said = statements.Opening(
        id=base64url.encode(secrets.token_bytes(_ID_OCTETS)),
        issuer=settings.issuer,
        environment=settings.environment,
        route=route,
        because=because,
        by=by,
        opened_at=begins,
        until=begins + length,
    )
    token = statements.issue(said, service_key=service_key)
    using = router.db_for_write(OpeningRow)
    with transaction.atomic(using=using):
        row = OpeningRow.objects.using(using).create(
            environment=said.environment,
            route=route,
            token=token,
            because=because,
            opened_by=by,
            opened_at=begins,
            until=said.until,
        )
        _tell(AuditKind.GLASS_BROKEN, row, by, now, using)
    logger.critical("glass broken: %s only observes until %s, by %s: %s", route, said.until.isoformat(), by, because)
    return row


def close(route: str | None, *, by: str, environment: Environment, now: datetime) -> list[OpeningRow]:
    """End the openings of `route` now, or all of them (None). Returns those that stood."""
    using = router.db_for_write(OpeningRow)
    with transaction.atomic(using=using):
        rows = unclosed(environment, now, using)
        ended = list(rows if route is None else rows.filter(route=route))
        for row in ended:
            row.closed_at = now
            row.save(using=using, update_fields=["closed_at"])
            _tell(AuditKind.GLASS_CLOSED, row, by, now, using)
    for row in ended:
        logger.critical("glass closed: %s is enforced again, by %s", row.route, by)
    return ended


def unclosed(environment: Environment, now: datetime, using: str) -> QuerySet[OpeningRow]:
    """Select the rows that say they stand at `now`, oldest first. What they say is not verified."""
    rows = OpeningRow.objects.using(using).filter(environment=environment, until__gt=now, closed_at__isnull=True)
    return rows.order_by("pk")


def read_tokens(environment: Environment, now: datetime, using: str) -> Reading[tuple[str, ...]]:
    """Read the statements that stand at `now`, for gates, which verify them, and until when that is so."""
    rows = list(unclosed(environment, now, using).values_list("token", "until"))
    return Reading(tuple(token for token, _ in rows), min((until for _, until in rows), default=None))


def watch(settings: Settings, keys: KeySources, *, clock: Callable[[], datetime] = timezone.now) -> Copy[Openings]:
    """Return this process's copy of the openings of its environment."""

    def read(now: datetime, using: str) -> Reading[Openings]:
        tokens = read_tokens(settings.environment, now, using)
        if not tokens.value:
            return Reading(NONE)
        try:
            pinned = keys.service_ring().thumbprints
        except (ConfigurationError, VerificationFailed) as refusal:
            logger.critical("openings cannot be verified: %s", refusal.reason.code)
            return Reading(NONE, now)  # to be read again at the next look
        return Reading(verify(tokens.value, settings, pinned), tokens.ends_at)

    return Copy(
        revisions.OPENINGS, environment=settings.environment, read=read, every=settings.revocations_every, clock=clock
    )


def verify(tokens: Collection[str], settings: Settings, pinned: Collection[str]) -> Openings:
    """Return what the service key signed; of all else only the reason is told."""
    verified = []
    for token in tokens:
        try:
            verified.append(
                statements.verify(token, issuer=settings.issuer, environment=settings.environment, pinned=pinned)
            )
        except (MalformedEvidence, VerificationFailed) as refusal:
            logger.critical("a row of the table of openings is none: %s", refusal.reason.code)
    return Openings(tuple(verified))


class Alarm:
    """Says aloud, once a minute in each process, that glass is broken."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._told = -ALARM_EVERY_S

    def tell(self, openings: Openings, now: datetime) -> None:
        """Log each opening that stands, unless that was done within the last minute."""
        standing = openings.standing(now)
        if not standing or self._monotonic() - self._told < ALARM_EVERY_S:
            return
        self._told = self._monotonic()
        for opening in standing:
            logger.critical(
                "glass is broken: %s only observes until %s, by %s: %s",
                opening.route,
                opening.until.isoformat(),
                opening.by,
                opening.because,
            )


def _tell(kind: AuditKind, row: OpeningRow, by: str, now: datetime, using: str) -> None:
    detail = {"route": row.route, "because": row.because, "until": row.until.isoformat()}
    AuditEvent.objects.using(using).create(
        at=now, environment=row.environment, kind=kind, subject=row.route[:_MAX_SUBJECT], actor=by, detail=detail
    )
    revisions.raise_revision(revisions.OPENINGS, environment=row.environment, using=using)


_MAX_SUBJECT: Final = 255
