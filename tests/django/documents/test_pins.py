"""Pins are published whole, with a spare, one version after the other, and their end is known before it comes."""

from __future__ import annotations

import base64
import hashlib
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connections

from bonafide.django import checks
from bonafide.django.documents import pins
from bonafide.django.documents.pins import WARN_BEFORE, PinnedHost
from bonafide.django.models import App, AuditEvent, AuditKind, PublishedPins
from tests.django.hearing import hearing

if TYPE_CHECKING:
    from tests.django.databases import Database

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
SERVED, SPARE, THIRD = (base64.b64encode(hashlib.sha256(name).digest()).decode() for name in (b"1", b"2", b"3"))
ENDS = NOON + timedelta(days=60)
HOST = PinnedHost(port=443, served=SERVED, subject="CN=api", ends=int(ENDS.timestamp()), spares=(SPARE,))
NAME = "api.example.com"


@pytest.fixture
def app(database: Database) -> App:
    del database
    return App.objects.create(name="shop", environment="test")


def publish(app: App, hosts: dict[str, PinnedHost] | None = None, *, over: int = 0, **changes: Any) -> PublishedPins:
    given = {"by": "anna", "now": NOON, "expires_at": NOON + timedelta(days=90), **changes}
    return pins.publish(app, {NAME: HOST} if hosts is None else hosts, over=over, **given)


def refused(app: App, hosts: dict[str, PinnedHost] | None = None, **changes: Any) -> str:
    with pytest.raises(ValidationError) as refusal:
        publish(app, hosts, **changes)
    assert not PublishedPins.objects.exists()
    return "; ".join(refusal.value.messages)


def test_what_was_published_is_what_apps_get(app: App) -> None:
    row = publish(app, expires_at=NOON + timedelta(days=90, microseconds=5))
    assert pins.newest("test", "shop") == row
    assert pins.hosts_of(PublishedPins.objects.get()) == {NAME: HOST}
    document = pins.document(PublishedPins.objects.get())
    assert (document.version, document.expires_at) == (1, NOON + timedelta(days=90))
    assert document.pins == {NAME: (SERVED, SPARE)}
    event = AuditEvent.objects.get()
    assert (event.kind, event.actor) == (AuditKind.PINS_PUBLISHED, "anna")
    assert event.detail == {"version": 1, "hosts": {NAME: [SERVED, SPARE]}}


def test_without_its_served_key_a_host_has_its_spares_alone(app: App) -> None:
    publish(app, {NAME: replace(HOST, served="", ends=0, spares=(SPARE, THIRD))})
    assert pins.document(PublishedPins.objects.get()).pins == {NAME: (SPARE, THIRD)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"spares": ()}, "a spare is wanted"),
        ({"spares": (SERVED,)}, "a spare is wanted"),
        ({"spares": (SPARE, SPARE)}, "a spare is wanted"),
        ({"served": ""}, "two to 16"),
        ({"spares": ("x",)}, "base64"),
        ({"spares": tuple(base64.b64encode(bytes([n]) * 32).decode() for n in range(16))}, "two to 16"),
    ],
)
def test_pins_that_would_lock_apps_out_are_not_published(app: App, change: dict[str, Any], words: str) -> None:
    assert words in refused(app, {NAME: replace(HOST, **change)})


@pytest.mark.parametrize("name", ["API.example.com", "api.example.com:443", "*.example.com", "", "münchen.example"])
def test_a_host_of_another_form_is_not_published(app: App, name: str) -> None:
    assert "host name" in refused(app, {name: HOST})


def test_more_than_a_document_holds_is_not_published(app: App) -> None:
    assert "64" in refused(app, {f"h{n}.example": HOST for n in range(65)})
    many = tuple(base64.b64encode(bytes([n]) * 32).decode() for n in range(15))
    assert "one document" in refused(app, {f"h{n}.example": replace(HOST, spares=many) for n in range(64)})


def test_pins_that_have_ended_already_are_not_published(app: App) -> None:
    refused(app, expires_at=NOON)


def test_nobody_overwrites_what_another_published_meanwhile(app: App) -> None:
    publish(app)
    with pytest.raises(ValidationError, match="Somebody else"):
        publish(app, {"other.example": HOST}, over=0)
    assert publish(app, {"other.example": HOST}, over=1).version == 2


def test_of_publishers_that_race_one_is_first(app: App) -> None:
    outcomes: list[str] = []
    barrier = threading.Barrier(4)

    def race(me: int) -> None:
        barrier.wait()
        try:
            publish(app, {f"h{me}.example": HOST})
            outcomes.append("published")
        except ValidationError:
            outcomes.append("told")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=race, args=[me]) for me in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["published", "told", "told", "told"]
    assert PublishedPins.objects.get().version == 1


# What ends ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "found"),
    [
        (ENDS - WARN_BEFORE - timedelta(seconds=1), []),
        (ENDS - WARN_BEFORE, [NAME]),
        (ENDS + timedelta(days=1), [NAME, ""]),
    ],
)
def test_a_pinned_certificate_and_the_pins_are_told_30_days_before_they_end(
    app: App, now: datetime, found: list[str]
) -> None:
    publish(app)
    assert [ending.host for ending in pins.due("test", now)] == found
    assert pins.due("production", now) == []


def test_what_was_published_over_is_told_no_more(app: App) -> None:
    publish(app)
    later = NOON + timedelta(days=400)
    publish(app, {NAME: replace(HOST, ends=int(later.timestamp()))}, over=1, expires_at=later)
    assert pins.due("test", ENDS) == []
    assert [ending.ends_at for ending in pins.due("test", later)] == [later, later]


def test_a_document_without_hosts_ends_without_a_word(app: App) -> None:
    publish(app, {})
    assert pins.due("test", NOON + timedelta(days=400)) == []


def test_an_end_is_told_in_words(app: App) -> None:
    publish(app)
    first, second = pins.due("test", ENDS)
    assert first.words(NOON) == f"The pinned certificate of {NAME} (shop) ends on 2026-12-31"
    assert first.words(ENDS) == f"The pinned certificate of {NAME} (shop) ended on 2026-12-31"
    assert second.words(NOON) == "The published document of pins (shop) ends on 2027-01-30"


def test_a_system_check_tells_it_where_the_database_may_be_asked(app: App, settings: Any, tmp_path: Any) -> None:
    settings.BONAFIDE = settings.BONAFIDE | {"KEYS_DIR": str(tmp_path)}
    assert checks.examine_rows(databases=["default"]) == []
    publish(app, expires_at=datetime.now(UTC) + timedelta(days=1), now=datetime.now(UTC))
    assert {found.id for found in checks.examine_rows(databases=["default"])} == {"bonafide.W013"}
    assert checks.examine_rows() == []


def test_a_publication_is_told(app: App) -> None:
    with hearing() as heard:
        publish(app)
        publish(app, over=1)
    assert heard == [
        ("pins_published", {"app": "shop", "environment": "test", "version": version, "by": "anna"})
        for version in (1, 2)
    ]
