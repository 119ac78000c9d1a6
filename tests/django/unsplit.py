"""A PostgreSQL database of one test whose tables are not split yet, and rows to fill it with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections

from tests.django.databases import USER

if TYPE_CHECKING:
    from collections.abc import Iterator

ALIAS: Final = "unsplit"
BEFORE: Final = "0002"


class ToUnsplit:
    """A database router that names the database of `unsplit` for everything."""

    def db_for_read(self, model: type, **hints: Any) -> str:
        return ALIAS

    def db_for_write(self, model: type, **hints: Any) -> str:
        return ALIAS

    def allow_relation(self, one: object, other: object, **hints: Any) -> bool:
        return True


@pytest.fixture
def unsplit(postgresql: str, settings: Any, django_db_blocker: Any) -> Iterator[str]:
    """Make a database, migrate it to before the partitions, lead every query there, and yield its alias."""
    with psycopg.connect(host=postgresql, user=USER, dbname="postgres", autocommit=True) as server:
        server.execute("DROP DATABASE IF EXISTS unsplit")
        server.execute("CREATE DATABASE unsplit")
    connections.databases[ALIAS] = connections.databases["default"] | {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": postgresql,
        "PORT": "",
        "USER": USER,
        "NAME": "unsplit",
        "OPTIONS": {},
    }
    settings.DATABASE_ROUTERS = ["tests.django.unsplit.ToUnsplit"]
    with django_db_blocker.unblock():
        try:
            for app in ("contenttypes", "auth", "admin", "sessions"):
                call_command("migrate", app, database=ALIAS, verbosity=0)
            call_command("migrate", "bonafide", BEFORE, database=ALIAS, verbosity=0)
            yield ALIAS
        finally:
            connections[ALIAS].close()
            del connections[ALIAS]
            del connections.databases[ALIAS]


def fill(alias: str, count: int) -> None:
    """Add instances with their keys, evidence and challenges, as many enrolments would have."""
    with connections[alias].cursor() as cursor:
        numbered = f"generate_series(1, {count}) AS n"
        cursor.execute(
            "INSERT INTO bonafide_instance (id, app, environment, identity, platform, jkt, sign_jwk, format, key_id,"
            " attest_key, counter, evidence_environment, claims, tier, warnings, app_version, os_version, sdk_version,"
            " enrolled_at, verified_at, asserted_at, challenge_order)"
            " SELECT 'old' || n, 'shop', 'staging', 'A.b', 'ios', 'jkt' || n, '{}', 'apple-app-attest', 'key' || n,"
            " 'x', 0, 'production', '{\"n\": 1}', 'affirming', '[]', '1', '1', '1', now(), now(), now(), 0"
            f" FROM {numbered}"
        )
        cursor.execute(
            "INSERT INTO bonafide_signkey (jkt, app, environment, instance_id)"
            f" SELECT 'jkt' || n, 'shop', 'staging', 'old' || n FROM {numbered}"
        )
        cursor.execute(
            "INSERT INTO bonafide_attestkey (key_id, app, environment, instance_id, public_key, enrolled_at)"
            f" SELECT 'key' || n, 'shop', 'staging', 'old' || n, 'x', now() FROM {numbered}"
        )
        cursor.execute(
            "INSERT INTO bonafide_evidencerecord (instance_id, app, environment, identity, format,"
            " evidence_environment, challenge_digest, evidence_digest, client_data_digest, claims, tier, warnings,"
            " verified_at) SELECT 'old' || n, 'shop', 'staging', 'A.b', 'f', 'production', 'x', 'x', 'x', '{}', 't',"
            f" '[]', now() FROM {numbered}"
        )
        cursor.execute(
            "INSERT INTO bonafide_spentchallenge (challenge_digest, body_digest, expires_at)"
            f" SELECT sha256(n::text::bytea), 'x', now() FROM {numbered}"
        )


def fill_bans(alias: str, count: int) -> None:
    """Add bans of other instances and keys."""
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "INSERT INTO bonafide_ban (app, environment, scope, subject, instance, reason, banned_by, banned_at)"
            " SELECT 'shop', 'staging', (array['instance', 'jkt', 'key_id'])[1 + n % 3], 'banned' || n, '', '', '',"
            f" now() FROM generate_series(1, {count}) AS n"
        )
