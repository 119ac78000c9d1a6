"""Secrets and configuration in the database: set, removed, remembered by version, and read for one instance.

Rules of this file:
- A value is sealed before the database sees it, and bound to its place, identity and tier: a row that is copied, or
  whose tier is lowered in the table, does not open. Public values are text that anyone admitted may read.
- No error, audit record or representation holds a value, nor a report of a traceback from below `set_value` or `read`.
  What is refused is told by its name.
- What is for one identity stands in for what is for all of them, also where its tier is then too high.

Not claimed: that the rows are the newest. Who can write to the database can put back older ones, whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from django.core.exceptions import ValidationError
from django.db import router, transaction
from django.db.models import Q
from django.views.decorators.debug import sensitive_variables

from bonafide.codec import json
from bonafide.django import signals
from bonafide.django.documents import versions
from bonafide.django.models import AppValue, AuditEvent, AuditKind, Document, ValueKind
from bonafide.django.models.documents import TIERS
from bonafide.errors import BonafideError, ConfigurationError
from bonafide.reasons import configuration as reasons
from bonafide.terms import Tier

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from bonafide.django.models import App
    from bonafide.ports import SealingKey
    from bonafide.terms import Environment

NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
MAX_SECRET_BYTES: Final = 16 * 1024
MAX_SEALED_CONTENT: Final = 32 * 1024
MAX_PUBLIC_CONTENT: Final = 40 * 1024
"""Octets of JSON that a document of 64 KiB surely holds: sealed, base64 is written twice over."""

DOCUMENT_OF: Final = {
    ValueKind.SECRET: Document.SECRETS,
    ValueKind.SEALED: Document.CONFIGURATION,
    ValueKind.PUBLIC: Document.CONFIGURATION,
}

_WRAP: Final = "v"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewValue:
    """A value to set. `identity` is empty for all identities; public values know neither identity nor tier."""

    kind: ValueKind
    name: str
    value: object = field(repr=False)
    identity: str = ""
    tier: Tier = Tier.AFFIRMING


@sensitive_variables()
def set_value(app: App, new: NewValue, *, key: SealingKey, by: str, now: datetime) -> AppValue:
    """Set a value, as a new version over the one that stands. It takes effect with the next question.

    Raises `ValidationError` for a name, value, identity or tier that is not admitted, and where an app's values would
    no longer fit into a document.
    """
    encoded = _encoded(app, new)
    using = router.db_for_write(AppValue)
    with transaction.atomic(using=using):
        version = versions.take(app, DOCUMENT_OF[new.kind], using=using)
        row = AppValue(
            environment=app.environment,
            app=app.name,
            kind=new.kind,
            name=new.name,
            identity=new.identity,
            tier=new.tier,
            version=version,
            set_at=now,
            set_by=by,
        )
        if new.kind is ValueKind.PUBLIC:
            row.public = encoded.decode("utf-8")
        else:
            row.sealing_key, row.sealed = key.name, key.seal(encoded, context=_context(row))
        _end(_standing_row(row, using), version, by=by, now=now)
        row.save(using=using, force_insert=True)
        _require_room(row, using)
        _tell(AuditKind.VALUE_SET, row, by=by, now=now, using=using)
    return row


def remove(
    app: App, kind: ValueKind, name: str, *, identity: str = "", erase: bool = False, by: str, now: datetime
) -> bool:
    """End a value, and tell whether there was one that stood. `erase` takes the octets of all its versions at once."""
    using = router.db_for_write(AppValue)
    place = {"environment": app.environment, "app": app.name, "kind": kind, "name": name, "identity": identity}
    with transaction.atomic(using=using):
        rows = AppValue.objects.using(using).filter(**place)
        if not rows.exists():
            return False
        version = versions.take(app, DOCUMENT_OF[kind], using=using)
        row = AppValue(**place)
        removed = _end(_standing_row(row, using), version, by=by, now=now)
        if removed:
            _tell(AuditKind.VALUE_REMOVED, row, by=by, now=now, using=using)
        if erase:
            rows.update(sealed=None, public="")
            _tell(AuditKind.VALUE_ERASED, row, by=by, now=now, using=using)
    return removed or erase


def standing(environment: Environment | str, app: str, *kinds: ValueKind) -> QuerySet[AppValue]:
    """Return the rows that stand now, by name."""
    rows = AppValue.objects.filter(environment=environment, app=app, kind__in=kinds, ended_version=None)
    return rows.order_by("name", "identity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What one version of a document holds for whom. `values` never shows in a traceback."""

    version: int
    values: dict[ValueKind, dict[str, object]] = field(repr=False)


@sensitive_variables()
def read(
    environment: Environment, app: str, document: Document, *, identity: str, tier: Tier, key: SealingKey | None
) -> Content:
    """Return what an instance of this identity and tier gets, exactly as of one version.

    Without `key` only public values are read. Raises `ConfigurationError` (`configuration.secret_unsealable`) for a row
    that does not open: who asks then gets nothing, instead of less.
    """
    using = router.db_for_read(AppValue)
    version = versions.newest(environment, app, document, using=using)
    kinds = [
        kind for kind, of in DOCUMENT_OF.items() if of is document and (key is not None or kind is ValueKind.PUBLIC)
    ]
    rows = AppValue.objects.using(using).filter(
        Q(ended_version=None) | Q(ended_version__gt=version),
        environment=environment,
        app=app,
        kind__in=kinds,
        identity__in=("", identity),
        version__lte=version,
    )
    content = Content(version=version, values={kind: {} for kind in kinds})
    chosen = {(row.kind, row.name): row for row in sorted(rows, key=lambda row: (row.kind, row.name, row.identity))}
    for row in chosen.values():
        kind = ValueKind(row.kind)
        if kind is ValueKind.PUBLIC or tier.rank >= Tier(row.tier).rank:
            content.values[kind][row.name] = _value(row, key)
    return content


def parse_json(text: str) -> object:
    """Read one JSON value. Raises `ValidationError`, which does not repeat it."""
    try:
        members = json.parse_object(b'{"%s":%s}' % (_WRAP.encode(), text.encode("utf-8")))
    except BonafideError:
        members = {}
    if members.keys() != {_WRAP}:  # a text that closes the member and begins another is no value either
        message = 'The value is no JSON: true, 20, "blue", {"a": 1}.'
        raise ValidationError(message)
    return members[_WRAP]


def _value(row: AppValue, key: SealingKey | None) -> object:
    if row.kind == ValueKind.PUBLIC:
        return _decoded(row.public.encode("utf-8"), row)
    if key is None or row.sealed is None:
        raise ConfigurationError(reasons.SECRET_UNSEALABLE, f"{row.name} of {row.app}: erased")
    try:
        return _decoded(key.open(bytes(row.sealed), context=_context(row)), row)
    except ConfigurationError as error:
        raise ConfigurationError(reasons.SECRET_UNSEALABLE, f"{row.name} of {row.app}: {error.detail}") from None


def _decoded(octets: bytes, row: AppValue) -> object:
    try:
        return json.parse_object(b'{"%s":%s}' % (_WRAP.encode(), octets))[_WRAP]
    except BonafideError as error:
        raise ConfigurationError(reasons.SECRET_UNSEALABLE, f"{row.name} of {row.app}: {error.detail}") from None


def _encoded(app: App, new: NewValue) -> bytes:
    """Return a value as JSON, in the form in which apps read it."""
    if NAME.fullmatch(new.name) is None:
        message = "A name is a letter, then at most 63 letters, digits, _ . or -."
        raise ValidationError(message)
    if new.tier not in TIERS or (new.kind is ValueKind.PUBLIC and (new.identity or new.tier is not Tier.NONE)):
        message = "A public value is for anyone admitted: it has no identity, and the tier none."
        raise ValidationError(message)
    if new.identity and not app.identities.filter(name=new.identity).exists():
        message = f"{app} has no identity {new.identity}."
        raise ValidationError(message)
    if new.kind is ValueKind.SECRET and not (isinstance(new.value, str) and new.value):
        message = "A secret is a text, and not empty."
        raise ValidationError(message)
    try:
        # Two levels lower than in the document: what is too deep there is refused here.
        encoded = json.dump(new.value)
        json.parse_object(json.dump({"values": {_WRAP: new.value}}))
    except BonafideError:
        message = "The value is no JSON that every app reads: see docs/how-to/remote-configuration.md."
        raise ValidationError(message) from None
    if new.kind is ValueKind.SECRET and len(encoded) > MAX_SECRET_BYTES:
        message = f"A secret has at most {MAX_SECRET_BYTES} octets."
        raise ValidationError(message)
    return encoded


def _require_room(row: AppValue, using: str) -> None:
    """Refuse what no longer fits: each identity gets what is for all, and what is for itself in place of it."""
    public = row.kind == ValueKind.PUBLIC
    rows = list(
        AppValue.objects.using(using).filter(
            environment=row.environment, app=row.app, kind=row.kind, ended_version=None
        )
    )
    for identity in {"", *(each.identity for each in rows)}:
        chosen = {
            each.name: each for each in sorted(rows, key=lambda each: each.identity) if each.identity in {"", identity}
        }
        size = sum(_size(each) for each in chosen.values())
        if size > (MAX_PUBLIC_CONTENT if public else MAX_SEALED_CONTENT):
            message = f"The values of {row.app} would take {size} octets, more than one document holds."
            raise ValidationError(message)


def _size(row: AppValue) -> int:
    octets = len(row.public.encode("utf-8")) if row.sealed is None else len(row.sealed)
    return len(row.name) + octets + len('"":,')


def _standing_row(row: AppValue, using: str) -> QuerySet[AppValue]:
    place = {name: getattr(row, name) for name in ("environment", "app", "kind", "name", "identity")}
    return AppValue.objects.using(using).filter(ended_version=None, **place)


def _end(rows: QuerySet[AppValue], version: int, *, by: str, now: datetime) -> bool:
    return bool(rows.update(ended_version=version, ended_at=now, ended_by=by))


def _context(row: AppValue) -> bytes:
    """Return what a sealed value is bound to. No part holds the separator: names and places are of closed forms."""
    parts = (row.environment, row.app, row.kind, row.name, row.identity, row.tier, str(row.version))
    return "\x00".join(("app value", *map(str, parts))).encode()


def _tell(kind: AuditKind, row: AppValue, *, by: str, now: datetime, using: str) -> None:
    detail: dict[str, object] = {"kind": row.kind, "identity": row.identity}
    if kind is AuditKind.VALUE_SET:
        detail |= {"version": row.version, "tier": row.tier}
    AuditEvent.objects.using(using).create(
        at=now, app=row.app, environment=row.environment, kind=kind, subject=row.name, actor=by, detail=detail
    )
    signals.send_after_commit(
        signals.value_changed,
        using=using,
        app=row.app,
        environment=str(row.environment),
        change=str(kind),
        kind=str(row.kind),
        name=row.name,
        identity=row.identity,
        by=by,
    )


def erase_ended(before: datetime, *, using: str) -> int:
    """Erase the octets of versions that ended before this, and return how many there were. Who set them is kept."""
    rows = AppValue.objects.using(using).filter(ended_at__lt=before).exclude(sealed=None, public="")
    return rows.update(sealed=None, public="")
