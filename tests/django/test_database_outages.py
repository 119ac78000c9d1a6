"""A PostgreSQL that goes, or has no connection left: 503 within seconds, and back without a restart of ours.

Two real processes serve the locked API under gunicorn, with pooled connections and keys in the database.
"""

from __future__ import annotations

import signal
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx
import psycopg
import pytest

from bonafide.django.databases import POOL_WAIT_S, STATEMENT_TIMEOUT_S
from bonafide.testing.client import AppClient, Build
from bonafide.testing.iphone import IPhone
from tests.django.databases import NAME, USER, PostgresqlServer
from tests.django.real_server import ANSWER_S, IDENTITY, RealServer, signed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import RequireProgram

CONNECTIONS: Final = 24
PATIENCE_S: Final = 30.0
"""For how long a test asks again until the service is back; the assertion is how long it took."""

BACK_S: Final = 10.0
"""What is promised: the service is back this long after its database is."""


@dataclass(slots=True, kw_only=True)
class PooledServer(RealServer):
    """A server whose rows and keys are in PostgreSQL."""

    database: Path

    def environment(self) -> dict[str, str]:
        return super(PooledServer, self).environment() | {
            "BONAFIDE_TEST_POSTGRESQL": str(self.database),
            "BONAFIDE_TEST_POSTGRESQL_NAME": NAME,
            "BONAFIDE_TEST_POOLED": "yes",
            "BONAFIDE_TEST_SEALING_KEY": str(self.state / "sealing.key"),
        }

    def phone(self) -> AppClient:
        listed = self.output("bonafide_keys", "list").splitlines()
        keys = (listed[0].split()[2], listed[1].split()[2])
        phone = IPhone(Build(app="shop", identity=IDENTITY), apple=self.apple, clock=time.time)
        client = AppClient(phone, api=self.origin, service_keys=keys, timeout=ANSWER_S)
        client.make_ready()
        return client

    def challenge(self) -> httpx.Response:
        """Ask for an enrolment challenge, which reads apps and keys, and takes its place in the governor's table."""
        message = {"app": "shop", "purpose": "enrol"}
        return httpx.post(f"{self.origin}/bonafide/v1/challenge", json=message, timeout=ANSWER_S, trust_env=False)

    def seconds_until_it_is_back(self) -> float:
        began = time.monotonic()
        while (answer := self.challenge()).status_code != 200:
            assert answer.status_code == 503
            assert time.monotonic() - began < PATIENCE_S, self.log.read_text()[-4000:]
            time.sleep(0.1)
        return time.monotonic() - began


@pytest.fixture(scope="module")
def database(require_program: RequireProgram) -> Iterator[PostgresqlServer]:
    server = PostgresqlServer(
        require_program, f"max_connections={CONNECTIONS}", "superuser_reserved_connections=3", "autovacuum=off"
    )
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="module")
def server(database: PostgresqlServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PooledServer]:
    serving = PooledServer(name="gunicorn", state=tmp_path_factory.mktemp("pooled"), database=database.place)
    serving.manage("bonafide_keys", "make-sealing-key")
    try:
        serving.start()
        yield serving
    finally:
        serving.stop()


def send(request: httpx.Request) -> httpx.Response:
    """Send a request as it is, on a connection of its own, which any process may take."""
    with httpx.Client(trust_env=False, timeout=ANSWER_S) as wire:
        return wire.send(request)


def refused_for_the_database(server: PooledServer, answer: httpx.Response) -> None:
    assert answer.status_code == 503
    assert answer.headers["bonafide-action"] == "back_off"
    assert "psycopg" not in answer.text
    record = f"record={answer.headers['bonafide-record']} "
    (line,) = [line for line in server.log.read_text(errors="replace").splitlines() if record in line]
    assert line.partition("reason=")[2].partition(" ")[0] == "store.database_unavailable"


def backends() -> str:
    return "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"


def test_processes_share_a_bounded_number_of_connections(database: PostgresqlServer, server: PooledServer) -> None:
    with closing(server.phone()) as phone:
        for _ in range(10):
            assert phone.get("/api/echo").status_code == 200
    with psycopg.connect(host=str(database.place), user=USER, dbname=NAME) as connection:
        found = connection.execute(f"SELECT count(*) {backends()}").fetchone()
    assert found is not None
    assert 1 <= found[0] <= 8  # two processes, four each


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["restarted", "crashed"])
def test_a_database_that_goes_is_told_by_503_and_missed_by_nobody_once_it_is_back(
    database: PostgresqlServer, server: PooledServer, how: signal.Signals
) -> None:
    with closing(server.phone()) as phone:
        for _ in range(20):  # each process has looked once who its apps are and who is banned
            assert send(signed(phone)).status_code == 200
        database.stop(how)
        try:
            began = time.monotonic()
            refused_for_the_database(server, server.challenge())
            assert time.monotonic() - began < POOL_WAIT_S + 2
            # What was enrolled before is admitted: nothing on the way of a request needs the database.
            assert send(signed(phone)).status_code == 200
        finally:
            database.start()
        assert server.seconds_until_it_is_back() < BACK_S
        assert phone.get("/api/echo").status_code == 200
    with closing(server.phone()) as another:
        assert another.get("/api/echo").status_code == 200


def test_a_database_without_a_connection_left_is_told_by_503_until_there_is_one(
    database: PostgresqlServer, server: PooledServer
) -> None:
    held = []
    try:
        first = psycopg.connect(host=str(database.place), user=USER, dbname=NAME, autocommit=True)
        held.append(first)
        until = time.monotonic() + PATIENCE_S
        while len(held) < CONNECTIONS and time.monotonic() < until:
            first.execute(f"SELECT pg_terminate_backend(pid) {backends()} AND application_name <> 'hoarder'")
            try:
                held.append(
                    psycopg.connect(
                        host=str(database.place), user=USER, dbname=NAME, application_name="hoarder", autocommit=True
                    )
                )
            except psycopg.OperationalError:
                time.sleep(0.05)
        assert len(held) == CONNECTIONS
        refused_for_the_database(server, server.challenge())
    finally:
        for connection in held:
            connection.close()
    assert server.seconds_until_it_is_back() < BACK_S


def test_a_statement_that_waits_for_a_lock_is_given_up(database: PostgresqlServer, server: PooledServer) -> None:
    with psycopg.connect(host=str(database.place), user=USER, dbname=NAME) as connection:
        connection.execute("LOCK TABLE bonafide_governorbucket IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        refused_for_the_database(server, server.challenge())
        assert time.monotonic() - began < STATEMENT_TIMEOUT_S + 1
    assert server.seconds_until_it_is_back() < BACK_S
