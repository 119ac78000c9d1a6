"""What every start makes sure of: tables of this release, keys, and a configuration without a grave finding.

Any number of processes, on any number of hosts, may start at once: one of them migrates, and the others wait.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from django.conf import settings as django_settings
from django.core.checks import ERROR
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connections

from bonafide.django import checks, conf
from bonafide.django.key_sources import KeySources
from bonafide.stores import private_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from django.core.checks import CheckMessage

    from bonafide.keys import ServiceRing

_ADVISORY_LOCK: Final = 0x626F6E61  # "bona": one number for all services of a database


def make_ready(home: Path) -> ServiceRing:
    """Bring tables and keys into being, and return the service key with its spare's thumbprint.

    Raises `ConfigurationError` for keys or settings that cannot be run with, and what the database raises.
    """
    conf.current()
    try:
        with private_files.exclusively(home), _one_migrates():
            call_command("migrate", interactive=False, verbosity=0)
        keys = KeySources(conf.current())
        keys.challenge_key()
        return keys.service_ring()
    finally:
        _leave_connections_behind()


def findings() -> list[CheckMessage]:
    """Return what is dangerous about the configuration, as `manage.py check` would say it."""
    silenced = set(django_settings.SILENCED_SYSTEM_CHECKS)
    return [found for found in checks.examine() if found.id not in silenced]


def grave(found: list[CheckMessage]) -> list[CheckMessage]:
    """Return those with which a service does not start."""
    return [each for each in found if each.level >= ERROR]


@contextmanager
def _one_migrates() -> Iterator[None]:
    """Hold the database's own lock, where it has one: other hosts have other homes."""
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_ADVISORY_LOCK])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_ADVISORY_LOCK])


def _leave_connections_behind() -> None:
    """Close what workers would inherit: a connection that two processes speak on, a pool without its threads."""
    for connection in connections.all(initialized_only=True):
        connection.close()
        close_pool = getattr(connection, "close_pool", None)
        if close_pool is not None:
            close_pool()
