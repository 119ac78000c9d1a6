"""Deliveries are counted once each, by instance and version, also when several are counted at once."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from django.db import connections, transaction

from bonafide.django.documents import deliveries
from bonafide.django.models import Delivery, Document
from bonafide.terms import Environment
from tests.django.hearing import hearing

if TYPE_CHECKING:
    from tests.django.databases import Database

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def count(version: int = 1, now: datetime = NOON, instance: str = "i") -> None:
    deliveries.count(
        Environment.TEST, app="shop", instance=instance, document=Document.SECRETS, version=version, now=now
    )


def test_deliveries_of_one_version_are_one_row(database: Database) -> None:
    del database
    for now in (NOON, NOON + HOUR, NOON - HOUR):  # hosts whose clocks differ
        count(now=now)
    count(version=2)
    count(instance="j")
    rows = Delivery.objects.order_by("instance", "version").values_list("instance", "version", "count", "last_at")
    assert list(rows) == [("i", 1, 3, NOON + HOUR), ("i", 2, 1, NOON), ("j", 1, 1, NOON)]


def test_none_is_lost_when_many_are_counted_at_once(database: Database) -> None:
    del database
    barrier = threading.Barrier(4)

    def ask() -> None:
        barrier.wait()
        try:
            for _ in range(10):
                count()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Delivery.objects.get().count == 40


def test_a_delivery_is_told_by_its_version_once_it_is_counted(database: Database) -> None:
    with hearing() as heard:
        with transaction.atomic(using=database.alias):
            count(version=3)
            assert heard == []
        with transaction.atomic(using=database.alias):
            count(version=4)
            transaction.set_rollback(True, using=database.alias)
    told = {"app": "shop", "environment": "test", "instance": "i", "document": "secrets", "version": 3}
    assert heard == [("document_delivered", told)]
