"""Real servers on real databases: logins of real clients, and the same answers as in this process."""

from __future__ import annotations

import json
import os
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest

from bonafide.terms import ProofKind
from tests.django.contrib.token_api import PASSWORDS, basic
from tests.django.databases import NAME, USER
from tests.django.real_server import RealServer, octets, signed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bonafide.testing.client import AppClient
    from tests.django.real_server import Answer

USERS = "from tests.django.contrib.token_api import add_users; add_users()"


class TokenServer(RealServer):
    """Serves `token_api`, on the database that the test run's environment names."""

    def environment(self) -> dict[str, str]:
        places = [RealServer.environment(self)["PYTHONPATH"], *filter(None, [os.environ.get("PYTHONPATH")])]
        return (
            RealServer.environment(self)
            | {"DJANGO_SETTINGS_MODULE": "tests.django.contrib.token_settings"}
            | {"PYTHONPATH": os.pathsep.join(places)}
        )


@pytest.fixture(params=["gunicorn on sqlite", "granian_asgi on sqlite", "gunicorn on postgresql"])
def server(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenServer]:
    name, _, database = request.param.partition(" on ")
    if database == "postgresql":
        place = request.getfixturevalue("postgresql")
        with psycopg.connect(host=place, user=USER, dbname=NAME, autocommit=True) as connection:
            connection.execute("CREATE DATABASE served_tokens")
        monkeypatch.setenv("BONAFIDE_TEST_POSTGRESQL", place)
        monkeypatch.setenv("BONAFIDE_TEST_POSTGRESQL_NAME", "served_tokens")
    made = TokenServer(name=name, state=tmp_path)
    try:
        made.start()
        made.manage("shell", "--no-imports", "-c", USERS)
        yield made
    finally:
        made.stop()


def ask(server: TokenServer, client: AppClient, method: str, path: str, token: str) -> Answer:
    headers = {"Authorization": f"Token {token}"}
    return server.send(octets(signed(client, method, path, headers=headers, proof=ProofKind.HARDWARE)))


def log_in(server: TokenServer, client: AppClient, kind: str) -> str:
    sent = {"json": {"username": "ada", "password": PASSWORDS["ada"]}} if kind == "drf" else {"headers": basic("ada")}
    answer = server.send(octets(signed(client, "POST", f"/api/{kind}/login", proof=ProofKind.HARDWARE, **sent)))
    assert answer.status == 200, answer.body
    return str(json.loads(answer.body)["token"])


def test_tokens_open_from_their_devices_until_these_log_out(server: TokenServer) -> None:
    with closing(server.phone()) as first, closing(server.phone()) as second:
        for kind in ("drf", "knox"):
            lives_and_ends(server, kind, first, second)
    count = "from bonafide.django.models import CredentialBinding as B; print(B.objects.count())"
    assert server.output("shell", "--no-imports", "-c", count).strip() == "0"


def lives_and_ends(server: TokenServer, kind: str, first: AppClient, second: AppClient) -> None:
    me, logout = f"/api/{kind}/me", f"/api/{kind}/logout"
    token = log_in(server, first, kind)
    assert ask(server, first, "GET", me, token).status == 200
    stolen = ask(server, second, "GET", me, token)
    assert (stolen.status, server.reason(stolen)) == (401, "credential.bound_to_another_key")
    other = log_in(server, second, kind)
    assert (other == token) == (kind == "drf")
    assert ask(server, second, "GET", me, other).status == 200
    assert ask(server, first, "POST", logout, token).status in {200, 204}
    assert ask(server, first, "GET", me, token).status == 401
    assert ask(server, second, "GET", me, other).status == 200
    assert ask(server, second, "POST", logout, other).status in {200, 204}
    assert ask(server, second, "GET", me, other).status == 401
