"""What a start does to a database of its own: it takes its time, alone, and leaves nothing that others trip over."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from django.db import connections

from bonafide.django.databases import POSTGRESQL_OPTIONS
from bonafide.django.service import first_start
from tests.django.databases import ALIAS, NAME, USER

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def hurried(migrated_postgresql: str, django_db_blocker: Any) -> Iterator[str]:
    """Give Django's connection the options that a service has, and return the server's place."""
    connection = connections[ALIAS]
    usual = connection.settings_dict["OPTIONS"]
    connection.close()
    connection.settings_dict["OPTIONS"] = POSTGRESQL_OPTIONS
    try:
        with django_db_blocker.unblock():
            yield migrated_postgresql
            first_start._leave_behind(connection)
    finally:
        connection.settings_dict["OPTIONS"] = usual


def shown(*settings: str) -> list[str]:
    with connections[ALIAS].cursor() as cursor:
        found = []
        for setting in settings:
            cursor.execute(f"SHOW {setting}")
            found += cursor.fetchone()
    return found


def test_only_a_migration_may_take_its_time(hurried: str) -> None:
    del hurried
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    assert shown(*names) == ["5s", "3s", "10s"]
    with first_start.unhurried(ALIAS):
        assert shown(*names) == ["0", "3s", "0"]
    assert shown(*names) == ["5s", "3s", "10s"]


def test_a_connection_that_takes_no_options_is_sent_none(hurried: str) -> None:
    """PgBouncer refuses a client that names some."""
    del hurried
    options = {"options": "", "sslmode": "disable", "pool": {}}
    assert first_start._patient(options, "lock_timeout") == {"options": "", "sslmode": "disable"}


def test_who_waits_for_anothers_migration_waits_longer_than_for_any_other_lock(hurried: str) -> None:
    """Also where the bounds are the role's, as behind a PgBouncer."""
    bounds = [("statement_timeout", "100ms"), ("lock_timeout", "100ms")]
    with psycopg.connect(host=hurried, user=USER, dbname=NAME, autocommit=True) as other:
        try:
            for name, bound in bounds:
                other.execute(f"ALTER ROLE {USER} SET {name} = '{bound}'")
            connections[ALIAS].settings_dict["OPTIONS"] = {"options": ""}
            other.execute("SELECT pg_advisory_lock(%s)", [first_start._ADVISORY_LOCK])
            release = threading.Timer(1, other.execute, ["SELECT pg_advisory_unlock_all()"])
            release.start()
            with first_start._one_migrates(ALIAS):
                release.join()
        finally:
            for name, _ in bounds:
                other.execute(f"ALTER ROLE {USER} RESET {name}")


def test_the_lock_of_a_migration_ends_with_a_transaction(hurried: str) -> None:
    """One of a session would outlive its client behind PgBouncer, which gives the session to somebody else."""
    with psycopg.connect(host=hurried, user=USER, dbname=NAME, autocommit=True) as other:
        holders = (
            "SELECT state FROM pg_stat_activity JOIN pg_locks USING (pid) "
            "WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
        )
        with first_start._one_migrates(ALIAS):
            assert other.execute(holders).fetchall() == [("idle in transaction",)]
            tried = other.execute("SELECT pg_try_advisory_lock(%s)", [first_start._ADVISORY_LOCK]).fetchone()
            assert tried == (False,)
            assert shown("lock_timeout") == ["3s"]  # what migrates has a connection of its own
        other.execute("SELECT pg_advisory_lock(%s)", [first_start._ADVISORY_LOCK])
