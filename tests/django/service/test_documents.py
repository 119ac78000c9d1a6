"""`bonafide serve` hands out secrets, configuration and pins, set by its commands, and writes none of them anywhere."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

import pytest

from bonafide.terms import ProofKind
from bonafide.testing.hints import Refused
from tests import canaries
from tests.django.documents.tls_host import HOST, TlsHost
from tests.django.service.running import RunningService
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bonafide.testing.client import AppClient

SECRET = "a-secret-of-the-service-that-runs-alone"
FLAG = "a-sealed-value-of-the-service-that-runs-alone"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(home=tmp_path_factory.mktemp("documents") / "home")
    running.init()
    canaries.plant("app secret", SECRET)
    canaries.plant("sealed configuration", FLAG)
    running.run("secrets", "set", "shop", "maps", stdin=f"{SECRET}\n")
    running.run("configuration", "set", "shop", "flag", stdin=json.dumps(FLAG))
    running.run("configuration", "set", "shop", "colour", "--public", "--text", stdin="blue")
    running.start()
    try:
        yield running
    finally:
        running.kill()


@pytest.fixture
def phone(service: RunningService) -> Iterator[AppClient]:
    with service.phone() as client:
        client.make_ready()
        eventually(lambda: _is_given(client))  # a store that was just born refuses what it cannot vouch for
        yield client


def _is_given(client: AppClient) -> bool:
    try:
        client.secrets()
    except Refused:
        return False
    return True


def test_a_phone_is_given_what_was_set(phone: AppClient, service: RunningService) -> None:
    assert phone.secrets().secrets == {"maps": SECRET}
    configuration = phone.configuration()
    assert configuration.public.values == {"colour": "blue"}
    assert configuration.sealed is not None
    assert configuration.sealed.values == {"flag": FLAG}
    assert service.metric("bonafide_secrets_deliveries_total") >= 1


def test_a_change_and_a_removal_reach_the_next_question(phone: AppClient, service: RunningService) -> None:
    before = phone.secrets().validity.version
    service.run("secrets", "set", "shop", "other", stdin="another-secret-for-a-while")
    assert phone.secrets().secrets == {"maps": SECRET, "other": "another-secret-for-a-while"}
    service.run("secrets", "remove", "shop", "other", "--erase")
    last = phone.secrets()
    assert (last.secrets, last.validity.version) == ({"maps": SECRET}, before + 2)


def test_a_request_is_answered_by_one_worker_once(phone: AppClient, service: RunningService) -> None:
    request = phone.build_request("GET", "/bonafide/v1/secrets")
    request.read()
    phone.conversation.sign(request, proof=ProofKind.HARDWARE)
    first, second = (service.get("/bonafide/v1/secrets", headers=dict(request.headers)) for _ in range(2))
    assert (first.status_code, second.status_code) == (200, 401)
    assert second.headers["bonafide-action"] == "sign_again"


def test_a_ban_ends_it(phone: AppClient, service: RunningService) -> None:
    enrolled = phone.device.keychain.enrolled
    assert enrolled is not None
    service.run("ban", "--instance", enrolled.instance, "--because", "a test")
    with pytest.raises(Refused):
        phone.secrets()


def test_pins_are_published_from_what_a_host_shows_and_their_end_is_told(
    phone: AppClient, service: RunningService, tmp_path: Path
) -> None:
    with pytest.raises(Refused):
        phone.pins()
    with TlsHost(tmp_path).serving() as host:
        host.days = 20
        _, spare = host.spare()
        words = ("--from", host.url, "--ca-file", str(host.ca_file), "--spare", spare)
        assert "publish again" in service.run("pins", "publish", "shop", *words)
    assert phone.pins().pins == {HOST: (host.pin, spare)}
    assert service.metric("bonafide_pins_end_timestamp_seconds", app="shop", host=HOST) > 0
    assert "service.pins_end" in service.run("check", code=1)
    assert HOST in service.run("pins", "list", "shop")


def test_nothing_that_the_service_wrote_tells_a_secret(phone: AppClient, service: RunningService) -> None:
    phone.secrets()
    phone.configuration()
    service.run("secrets", "list", "shop")
    service.run("configuration", "list", "shop")
    service.run("secrets", "history", "shop", "maps")
    assert not canaries.told(service.said() + "".join(service.output))
    files = [path for path in service.home.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"db.sqlite3", "documents.key"}
    watched = [text.encode() for value in (SECRET, FLAG) for text in canaries.spellings(value.encode()).values()]
    for path in files:
        octets = path.read_bytes()
        assert not [text for text in watched if text in octets], path
    with sqlite3.connect(f"file:{service.home / 'db.sqlite3'}?mode=ro", uri=True) as database:
        assert database.execute("SELECT count(*) FROM bonafide_appvalue WHERE sealed IS NOT NULL").fetchone()[0] >= 2
