"""What the operator of the world does and sees: the shop's app and users, its instances, bans, and records of refusals.

Somebody with a shell on the host: this process reads the database that the servers write. Django is set up
before this module is imported.
"""

from __future__ import annotations

import os
import time
from datetime import timedelta
from typing import Final

from django.core.management import call_command
from django.db import transaction
from django.utils import timezone
from shop.seed import seed

from bonafide import documents
from bonafide.appraisal import ValidationCategory
from bonafide.django import bans, debug_secrets, runtime
from bonafide.django.documents import pins, values
from bonafide.django.documents.pins import PinnedHost
from bonafide.django.documents.values import NewValue
from bonafide.django.models import App, AttestKey, Identity, Instance, Refusal, SignKey, ValueKind
from bonafide.stores.lmdb import LmdbReplayStore
from bonafide.terms import Environment, EvidenceEnvironment, Tier

APP: Final = "shop"
IDENTITY: Final = "ABCDE12345.com.example.shop"
LONG_AGO_S: Final = 60.0
REPLAY_BYTES: Final = 32 * 1024 * 1024
WRITTEN_S: Final = 0.4
"""Servers write their records ten times a second; after this long those of all answers given are there."""


def prepare(passwords: dict[str, str], *, environments: list[str]) -> tuple[str, ...]:
    """Make the database, the users and the app; return the thumbprints of the service keys.

    Evidence is accepted from `environments`.
    """
    call_command("migrate", verbosity=0)
    seed(passwords)
    categories = [ValidationCategory.TESTFLIGHT, ValidationCategory.APP_STORE]
    if EvidenceEnvironment.DEVELOPMENT in environments:  # from iOS 27 on, what Xcode runs says so here as well
        categories.append(ValidationCategory.DEVELOPMENT)
    app = App.objects.create(name=APP, environment=Environment.TEST, title="Shop")
    Identity.objects.create(
        app=app, name=IDENTITY, environments=environments, validation_categories=sorted(map(int, categories))
    )
    _age_replay_store()
    runtime.current().service()  # makes the keys now, so that no worker waits for another that does
    return runtime.current().keys.service_ring().thumbprints


def _age_replay_store() -> None:
    """Make the replay store older than any proof: a new one refuses what was signed before it was there."""
    place = runtime.current().settings.replay_store.path
    assert place is not None
    long_ago = time.time() - LONG_AGO_S
    store = LmdbReplayStore(place, max_bytes=REPLAY_BYTES)
    store.remember(os.urandom(32), created=int(long_ago), now=long_ago)
    store.close()


def debug_secret() -> dict[str, str]:
    """Make a secret for debug evidence, as a simulator holds one."""
    now, name = timezone.now(), "swift"
    text = debug_secrets.create(
        _app(), name, by="tests.swift", now=now, expires_at=now + timedelta(days=1), random=os.urandom
    )
    return {"name": name, "secret": text}


def instances() -> list[dict[str, object]]:
    """Return every instance, the oldest first. `environment` is that of its evidence."""
    return [
        {
            "instance": row.pk,
            "jkt": row.jkt,
            "key_id": row.key_id,
            "environment": row.evidence_environment,
            "tier": row.tier,
            "identity": row.identity,
            "counter": row.counter,
            "app_version": row.app_version,
            "os_version": row.os_version,
            "sdk_version": row.sdk_version,
        }
        for row in Instance.objects.order_by("enrolled_at", "pk")
    ]


def ban(instance: str) -> None:
    """Ban an instance with all its keys. Raises `Misuse` where there is none of that name."""
    bans.ban_instance(instance, bans.Act(reason="a test wants it", by="tests.swift", at=timezone.now()))


def forget(instance: str) -> bool:
    """Erase an instance, so that the service never heard of it; return whether there was one."""
    with transaction.atomic():
        for keys in (SignKey.objects, AttestKey.objects):
            keys.filter(instance=instance).delete()
        return bool(Instance.objects.filter(pk=instance).delete()[0])


def set_value(kind: str, name: str, value: object) -> int:
    """Set a secret (`secret`, text) or a configuration value (`public`, `sealed`); return the document's version."""
    of = ValueKind(kind)
    tier = Tier.NONE if of is ValueKind.PUBLIC else Tier.AFFIRMING
    new = NewValue(kind=of, name=name, value=value, tier=tier)
    key = runtime.current().keys.document_key()
    row = values.set_value(_app(), new, key=key, by="tests.swift", now=timezone.now())
    return int(row.version)


def publish_pins(host: str, shown: list[str], *, days: int) -> dict[str, object]:
    """Publish two or more pins of one host; return the version and the signed document, as an app carries it."""
    now = timezone.now()
    pinned = PinnedHost(port=443, served=shown[0], subject="", ends=0, spares=tuple(shown[1:]))
    before = pins.newest(Environment.TEST, APP)
    row = pins.publish(
        _app(),
        {host: pinned},
        over=before.version if before else 0,
        by="tests.swift",
        now=now,
        expires_at=now + timedelta(days=days),
    )
    key = runtime.current().keys.service_key(now)
    return {"version": row.version, "document": documents.issue_pins(pins.document(row), app=APP, service_key=key)}


def _app() -> App:
    return App.objects.get(name=APP, environment=Environment.TEST)


class Refusals:
    """The records of refusals, each told once. Several workers write them, so no time tells the new from the old."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def new(self) -> list[dict[str, object]]:
        """Return what was refused since the last call, the newest last."""
        time.sleep(WRITTEN_S)
        rows = [row for row in Refusal.objects.order_by("at") if row.pk not in self._told]
        self._told.update(row.pk for row in rows)
        return [
            {
                "record": row.pk,
                "reason": row.reason,
                "detail": row.detail,
                "method": row.method,
                "route": row.route,
                "instance": row.instance,
            }
            for row in rows
        ]
