"""The options that a database is told are the ones it runs under."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from django.db import OperationalError, connection, connections, transaction

from bonafide.django.databases import (
    POOL_CONNECTIONS,
    POSTGRESQL,
    SQLITE_BUSY_SECONDS,
    SQLITE_OPTIONS,
    STATEMENT_TIMEOUT_S,
)
from tests.django.databases import NAME, USER

if TYPE_CHECKING:
    from collections.abc import Iterator

sqlite = pytest.mark.django_db(transaction=True)


def pragma(name: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA {name}")
        return cursor.fetchone()[0]


@sqlite
def test_a_connection_writes_ahead_waits_for_others_and_syncs_each_commit() -> None:
    assert connection.settings_dict["OPTIONS"] == SQLITE_OPTIONS
    assert pragma("journal_mode") == "wal"
    assert pragma("busy_timeout") == SQLITE_BUSY_SECONDS * 1000
    assert pragma("synchronous") == 2


@sqlite
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


# PostgreSQL: what becomes of them is in test_database_outages.


@pytest.fixture
def pooled(postgresql: str, django_db_blocker: Any) -> Iterator[Any]:
    connections.databases["pooled"] = (
        connections.databases["default"]
        | POSTGRESQL
        | {
            "HOST": postgresql,
            "PORT": "",
            "USER": USER,
            "NAME": NAME,
        }
    )
    with django_db_blocker.unblock():
        try:
            yield connections["pooled"]
        finally:
            pool: Any = connections["pooled"]
            pool.close()
            pool.close_pool()
            del connections["pooled"]
            del connections.databases["pooled"]


def test_a_pooled_connection_gives_up_in_time(pooled: Any) -> None:
    with pooled.cursor() as cursor:
        for name, value in {
            "statement_timeout": f"{STATEMENT_TIMEOUT_S}s",
            "lock_timeout": "3s",
            "idle_in_transaction_session_timeout": "10s",
        }.items():
            cursor.execute(f"SHOW {name}")
            assert cursor.fetchone() == (value,)


def test_connections_are_given_back_and_used_again(pooled: Any) -> None:
    seen = set()
    for _ in range(5 * POOL_CONNECTIONS):
        with pooled.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            seen.add(cursor.fetchone())
        pooled.close()
    assert len(seen) <= POOL_CONNECTIONS


def test_who_gets_no_connection_in_time_hears_an_error_of_the_database(pooled: Any) -> None:
    others = [connections.create_connection("pooled") for _ in range(POOL_CONNECTIONS)]
    try:
        for other in others:
            other.ensure_connection()
        with pytest.raises(OperationalError, match="couldn't get a connection"):
            pooled.ensure_connection()
    finally:
        for other in others:
            other.close()
    pooled.ensure_connection()


def test_a_connection_that_died_is_not_handed_out(pooled: Any, postgresql: str) -> None:
    with pooled.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    pooled.close()
    with psycopg.connect(host=postgresql, user=USER, dbname=NAME, autocommit=True) as server:
        server.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    with pooled.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        assert cursor.fetchone() != (pid,)
