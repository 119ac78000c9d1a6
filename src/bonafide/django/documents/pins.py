"""Pins as they were published: which keys each host may show, what it showed then, and when that ends.

Rules of this file: a version is written once and never changed; a host has the key that it showed and at least one that
it did not, unless the operator says aloud that it shall have the others alone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from django.core.exceptions import ValidationError
from django.db import router, transaction

from bonafide.codec import json
from bonafide.django import signals
from bonafide.django.documents import versions
from bonafide.django.documents.values import MAX_PUBLIC_CONTENT
from bonafide.django.models import AuditEvent, AuditKind, Document, PublishedPins
from bonafide.documents import PinsDocument
from bonafide.documents.pins import HOST, MAX_HOSTS, MAX_PINS, PIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from bonafide.django.models import App
    from bonafide.terms import Environment

WARN_BEFORE: Final = timedelta(days=30)
"""How long before a pinned certificate or a document ends it is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedHost:
    """One host of a document: where it was asked, the pin of what it showed, and those of keys in reserve.

    `served` is empty where the operator wanted the reserve alone. `ends` is when the certificate that showed the key
    ends, in seconds since the epoch, 0 where none was pinned.
    """

    port: int
    served: str
    subject: str
    ends: int
    spares: tuple[str, ...]

    @property
    def pins(self) -> tuple[str, ...]:
        """All pins, the served one first."""
        return (self.served, *self.spares) if self.served else self.spares


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Something that ends soon, or has ended: a pinned certificate of a host, or the whole document."""

    app: str
    host: str
    ends_at: datetime

    def words(self, now: datetime) -> str:
        """Say it in one line."""
        what = f"The pinned certificate of {self.host}" if self.host else "The published document of pins"
        verb = "ends" if now < self.ends_at else "ended"
        return f"{what} ({self.app}) {verb} on {self.ends_at:%Y-%m-%d}"


def publish(
    app: App, hosts: Mapping[str, PinnedHost], *, over: int, by: str, now: datetime, expires_at: datetime
) -> PublishedPins:
    """Publish the next version, with exactly these hosts, made of what version `over` held (0: of nothing).

    Raises `ValidationError` for hosts or pins that no app would take, for an end that is not ahead, and where somebody
    else has published since `over`, whose hosts would be lost.
    """
    _require_form(hosts)
    expires_at = expires_at.astimezone(UTC).replace(microsecond=0)
    if expires_at <= now:
        message = "The pins would have ended already."
        raise ValidationError(message)
    using = router.db_for_write(PublishedPins)
    with transaction.atomic(using=using):
        row = PublishedPins(
            environment=app.environment,
            app=app.name,
            version=_next(app, over, using),
            hosts={name: asdict(host) for name, host in hosts.items()},
            published_at=now,
            published_by=by,
            expires_at=expires_at,
        )
        row.save(using=using, force_insert=True)
        detail = {"version": row.version, "hosts": {name: host.pins for name, host in hosts.items()}}
        AuditEvent.objects.using(using).create(
            at=now,
            app=app.name,
            environment=app.environment,
            kind=AuditKind.PINS_PUBLISHED,
            subject=app.name,
            actor=by,
            detail=detail,
        )
        signals.send_after_commit(
            signals.pins_published,
            using=using,
            app=app.name,
            environment=str(app.environment),
            version=row.version,
            by=by,
        )
    return row


def _next(app: App, over: int, using: str) -> int:
    number = versions.take(app, Document.PINS, using=using)
    if number != over + 1:
        message = "Somebody else published meanwhile; nothing was. Look at theirs, and repeat."
        raise ValidationError(message)
    return number


def newest(environment: Environment | str, app: str, *, using: str | None = None) -> PublishedPins | None:
    """Return what was published last, whether it has ended or not."""
    rows = PublishedPins.objects.using(using or router.db_for_read(PublishedPins))
    return rows.filter(environment=environment, app=app).order_by("-version").first()


def hosts_of(row: PublishedPins) -> dict[str, PinnedHost]:
    """Return the hosts of a published version."""
    return {name: PinnedHost(**{**host, "spares": tuple(host["spares"])}) for name, host in row.hosts.items()}


def document(row: PublishedPins) -> PinsDocument:
    """Return what is signed for apps."""
    pinned = {name: host.pins for name, host in hosts_of(row).items()}
    return PinsDocument(version=row.version, expires_at=row.expires_at, pins=pinned)


def current(environment: Environment | str) -> Iterator[PublishedPins]:
    """Yield each app's newest version."""
    apps = PublishedPins.objects.filter(environment=environment).values_list("app", flat=True).distinct()
    for app in sorted(set(apps)):
        row = newest(environment, app)
        if row is not None:
            yield row


def endings(environment: Environment | str) -> Iterator[Ending]:
    """Yield when each newest document ends, unless it pins nothing, and each certificate pinned in it."""
    for row in current(environment):
        if row.hosts:
            yield Ending(app=row.app, host="", ends_at=row.expires_at)
        for name, host in hosts_of(row).items():
            if host.ends:
                yield Ending(app=row.app, host=name, ends_at=datetime.fromtimestamp(host.ends, UTC))


def due(environment: Environment | str, now: datetime) -> list[Ending]:
    """Return what has ended, or does within `WARN_BEFORE`, first things first."""
    found = [ending for ending in endings(environment) if ending.ends_at - now <= WARN_BEFORE]
    return sorted(found, key=lambda ending: ending.ends_at)


def _require_form(hosts: Mapping[str, PinnedHost]) -> None:
    if len(hosts) > MAX_HOSTS:
        message = f"A document has at most {MAX_HOSTS} hosts."
        raise ValidationError(message)
    if len(json.dump({name: host.pins for name, host in hosts.items()})) > MAX_PUBLIC_CONTENT:
        message = "The pins would take more than one document holds."
        raise ValidationError(message)
    for name, host in hosts.items():
        if HOST.fullmatch(name) is None:
            message = f"{name!r} is no host name in lower case, without a port."
            raise ValidationError(message)
        _require_pins(name, host.pins, host.spares)


def _require_pins(name: str, found: tuple[str, ...], spares: Iterable[str]) -> None:
    if any(PIN.fullmatch(pin) is None for pin in found):
        message = f"{name}: a pin is SHA-256 in base64."
        raise ValidationError(message)
    if len(set(found)) < len(found) or not list(spares):
        message = f"{name}: a spare is wanted, of a key that the host does not show: without one, no app would follow."
        raise ValidationError(message)
    if not 2 <= len(found) <= MAX_PINS:  # noqa: PLR2004 - one that is shown, one in reserve
        message = f"{name}: a host has two to {MAX_PINS} pins."
        raise ValidationError(message)
