"""The options that SQLite is told are the ones it runs under."""

from __future__ import annotations

import sqlite3

import pytest
from django.db import connection, transaction

from bonafide.django.databases import SQLITE_BUSY_SECONDS, SQLITE_OPTIONS

pytestmark = pytest.mark.django_db(transaction=True)


def pragma(name: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA {name}")
        return cursor.fetchone()[0]


def test_a_connection_writes_ahead_waits_for_others_and_syncs_each_commit() -> None:
    assert connection.settings_dict["OPTIONS"] == SQLITE_OPTIONS
    assert pragma("journal_mode") == "wal"
    assert pragma("busy_timeout") == SQLITE_BUSY_SECONDS * 1000
    assert pragma("synchronous") == 2


def test_a_transaction_takes_the_write_lock_when_it_begins() -> None:
    place = str(connection.settings_dict["NAME"])
    other = sqlite3.connect(place, timeout=0, isolation_level=None)
    try:
        with transaction.atomic(), pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
    finally:
        other.close()


def test_a_project_may_add_options_of_its_own() -> None:
    assert (SQLITE_OPTIONS | {"timeout": 5})["timeout"] == 5
