"""The databases that the tests of the control plane run on: SQLite in a file, and a PostgreSQL of their own.

`database` runs a test once on each, with empty tables; every query goes there by way of a router, as in a
project with several databases.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import RequireProgram

ALIAS: Final = "postgresql"
USER: Final = "bonafide"
NAME: Final = "postgres"
_START_SECONDS: Final = 60


class ToPostgresql:
    """A database router that names one database for everything."""

    def db_for_read(self, model: type, **hints: Any) -> str:
        return ALIAS

    def db_for_write(self, model: type, **hints: Any) -> str:
        return ALIAS

    def allow_relation(self, one: object, other: object, **hints: Any) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Database:
    """Where a test's rows are, and what tells another process so."""

    alias: str
    environ: dict[str, str]

    @property
    def vendor(self) -> str:
        return connections[self.alias].vendor


class PostgresqlServer:
    """A PostgreSQL server of this test run, on a unix socket only. `place` is the socket's directory."""

    def __init__(self, require_program: RequireProgram, *settings: str) -> None:
        """Make its data directory. `settings` are further ones of the server."""
        initdb = require_program("initdb", apt="postgresql")
        self._server = require_program("postgres", apt="postgresql")
        self.place = Path(tempfile.mkdtemp(prefix="bonafide-postgresql-"))
        self._owner: dict[str, Any] = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            self._owner = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(self.place, "nobody", "nogroup")
        self._data = str(self.place / "data")
        options = ["--auth=trust", f"--username={USER}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        subprocess.run(
            [initdb, *options, "-D", self._data], check=True, capture_output=True, cwd=self.place, **self._owner
        )
        self._settings = ["listen_addresses=", f"unix_socket_directories={self.place}", "fsync=off", *settings]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command: list[str | Path] = [self._server, "-D", self._data]
        command += [part for setting in self._settings for part in ("-c", setting)]
        with (self.place / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self.place, stderr=log, **self._owner)
        _wait_until_it_answers(self.place)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT is a fast shutdown, which does not wait for clients; SIGQUIT is a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_START_SECONDS)
            self._process = None

    def remove(self) -> None:
        """Stop it, and remove what it wrote."""
        self.stop()
        shutil.rmtree(self.place)


@pytest.fixture(scope="session")
def postgresql(require_program: RequireProgram) -> Iterator[str]:
    """Start the PostgreSQL of this test run, and yield its socket's directory."""
    server = PostgresqlServer(require_program, "max_connections=200")
    try:
        server.start()
        yield str(server.place)
    finally:
        server.remove()


def _wait_until_it_answers(place: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg.connect(host=str(place), user=USER, dbname=NAME).close()
        except psycopg.OperationalError:
            if time.monotonic() > until:
                pytest.fail((place / "log").read_text())
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql: str, django_db_blocker: Any) -> Iterator[str]:
    """Add the server to Django's databases under `ALIAS`, with our migrations run on it."""
    connections.databases[ALIAS] = connections.databases["default"] | {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": postgresql,
        "PORT": "",
        "USER": USER,
        "NAME": NAME,
        "OPTIONS": {},
    }
    try:
        with django_db_blocker.unblock():
            call_command("migrate", database=ALIAS, verbosity=0)
            connections[ALIAS].close()
        yield postgresql
    finally:
        connections[ALIAS].close()
        del connections[ALIAS]
        del connections.databases[ALIAS]


@pytest.fixture(params=[pytest.param("sqlite", marks=pytest.mark.django_db(transaction=True)), "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """Run the test on each database, in transactions that are really committed."""
    if request.param == "sqlite":
        yield Database("default", {"BONAFIDE_TEST_SQLITE": str(connections["default"].settings_dict["NAME"])})
        return
    socket = request.getfixturevalue("migrated_postgresql")
    request.getfixturevalue("settings").DATABASE_ROUTERS = ["tests.django.databases.ToPostgresql"]
    environ = {"BONAFIDE_TEST_POSTGRESQL": socket, "BONAFIDE_TEST_POSTGRESQL_NAME": NAME}
    with request.getfixturevalue("django_db_blocker").unblock():
        try:
            yield Database(ALIAS, environ)
        finally:
            call_command("flush", database=ALIAS, verbosity=0, interactive=False, inhibit_post_migrate=True)
            connections[ALIAS].close()


@contextmanager
def explained(alias: str) -> Iterator[list[str]]:
    """Collect the plan of every statement that is run on `alias`, index scans preferred to scans of tiny tables."""
    plans: list[str] = []
    connection = connections[alias]
    prefix = "EXPLAIN QUERY PLAN " if connection.vendor == "sqlite" else "EXPLAIN "

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.split(" ", 1)[0] in {"SELECT", "UPDATE", "DELETE"}:
            with connection.cursor() as cursor:
                cursor.cursor.execute(_spell(prefix + sql, connection.vendor), params)
                plans.append(sql + "\n" + "\n".join(str(row[-1]) for row in cursor.fetchall()))
        return execute(sql, params, many, context)

    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET enable_seqscan = off")
    with connection.execute_wrapper(explain):
        yield plans


def _spell(sql: str, vendor: str) -> str:
    return sql.replace("%s", "?") if vendor == "sqlite" else sql
