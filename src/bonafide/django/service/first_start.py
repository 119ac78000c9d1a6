"""What every start makes sure of: tables of this release, keys, and a configuration without a grave finding.

Any number of processes, on any number of hosts, may start at once: one of them migrates, and the others wait.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings as django_settings
from django.core.checks import ERROR
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connections

from bonafide.django import checks, conf
from bonafide.django.key_sources import KeySources
from bonafide.stores import private_files
from bonafide.stores.addresses import open_replay_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from django.core.checks import CheckMessage
    from django.db.backends.base.base import BaseDatabaseWrapper

    from bonafide.django.conf import Settings
    from bonafide.keys import ServiceRing

_ADVISORY_LOCK: Final = 0x626F6E61  # "bona": one number for all services of a database

_BOUNDS: Final = ("statement_timeout", "idle_in_transaction_session_timeout")
"""What a request has to finish by, and a migration has not."""


def make_ready(home: Path) -> ServiceRing:
    """Bring tables and keys into being, and return the service key with its spare's thumbprint.

    Raises `ConfigurationError` for keys or settings that cannot be run with, and what the database raises.
    """
    conf.current()
    try:
        with private_files.exclusively(home), _one_migrates(), unhurried():
            call_command("migrate", interactive=False, verbosity=0)
        keys = KeySources(conf.current())
        keys.challenge_key()
        keys.document_key()
        _let_store_begin(conf.current())
        return keys.service_ring()
    finally:
        _leave_connections_behind()


def _let_store_begin(settings: Settings) -> None:
    """Have the replay store be born now: what is signed before its birth is refused, so the first phone would be."""
    store = open_replay_store(settings.replay_store)
    try:
        store.require_ready(now=time.time())
    finally:
        store.close()


def findings() -> list[CheckMessage]:
    """Return what is dangerous about the configuration, as `manage.py check` would say it."""
    silenced = set(django_settings.SILENCED_SYSTEM_CHECKS)
    return [found for found in checks.examine() if found.id not in silenced]


def grave(found: list[CheckMessage]) -> list[CheckMessage]:
    """Return those with which a service does not start."""
    return [each for each in found if each.level >= ERROR]


@contextmanager
def unhurried(using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Let statements take their time on this thread's connection: a migration may, a request must not.

    Locks are waited for as briefly as ever: who waits for one makes others wait behind it. Not while requests are
    served, because the process's pool goes.
    """
    connection = connections[using]
    if connection.vendor != "postgresql":
        yield
        return
    usual = connection.settings_dict["OPTIONS"]
    _leave_behind(connection)
    connection.settings_dict["OPTIONS"] = _patient(usual, *_BOUNDS)
    try:
        yield
    finally:
        _leave_behind(connection)
        connection.settings_dict["OPTIONS"] = usual


@contextmanager
def _one_migrates(using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Hold the database's own lock, where it has one: other hosts have other homes.

    The lock is that of a transaction, on a connection of its own, so that it ends with either. One of a session would
    stay with PgBouncer's connection, which goes to somebody else, and nobody would start again.
    """
    connection = connections[using]
    if connection.vendor != "postgresql":
        yield
        return
    options = _patient(connection.settings_dict["OPTIONS"])
    holder = type(connection)(connection.settings_dict | {"OPTIONS": options}, using)
    try:
        holder.set_autocommit(False)
        with holder.cursor() as cursor:
            # Ours, or the role's: behind a PgBouncer that wants no options.
            for timeout in (*_BOUNDS, "lock_timeout"):
                cursor.execute(f"SET LOCAL {timeout} = 0")
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK])
            yield
    finally:
        holder.close()


def _patient(options: Mapping[str, Any], *timeouts: str) -> dict[str, Any]:
    """Return options of one connection, outside the pool, without these timeouts."""
    kept = {name: value for name, value in options.items() if name != "pool"}
    if kept.get("options"):  # a PgBouncer that wants none is sent none
        kept["options"] = " ".join([kept["options"], *(f"-c {timeout}=0" for timeout in timeouts)])
    return kept


def _leave_connections_behind() -> None:
    """Close what workers would inherit: a connection that two processes speak on, a pool without its threads."""
    for connection in connections.all(initialized_only=True):
        _leave_behind(connection)


def _leave_behind(connection: BaseDatabaseWrapper) -> None:
    connection.close()
    close_pool = getattr(connection, "close_pool", None)
    if close_pool is not None:
        close_pool()
