"""Several services on one PostgreSQL: they may start at once, share sealed keys, and each knows of a ban at once."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.django.databases import USER
from tests.django.service.running import AskingGate, RunningService

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def services(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RunningService]]:
    """Start two services on an empty database, at once."""
    place = tmp_path_factory.mktemp("hosts")
    with psycopg.connect(host=postgresql, user=USER, dbname="postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE several_hosts")
    first = RunningService(home=place / "one")
    second = RunningService(home=place / "two", apple=first.apple)
    first.make(database=f"postgresql://{USER}@/several_hosts?host={postgresql}", sealing_key=place / "sealing.key")
    first.run("keys", "make-sealing-key")
    shutil.copytree(first.home, second.home)
    try:
        for each in (first, second):
            each.launch("--workers", "1")
        for each in (first, second):
            each.wait()
        first.add_app()
        yield [first, second]
    finally:
        for each in (first, second):
            each.kill()


def test_both_have_the_keys_that_neither_has_in_a_file(services: list[RunningService]) -> None:
    first, second = services
    assert first.thumbprints() == second.thumbprints()
    assert not [path for each in services for path in (each.home / "keys").rglob("*.json")]


def test_a_ban_at_the_one_is_in_the_next_answer_of_both(services: list[RunningService]) -> None:
    first, second = services
    with first.phone() as phone:
        phone.enrol()
        enrolled = phone.device.keychain.enrolled
    assert enrolled is not None
    gate = AskingGate.registered(first, "gate-1")
    there = AskingGate(service=second, name=gate.name, key=gate.key, pinned=gate.pinned, audience=first.origin)
    before = gate.ask()
    same = there.ask(have=before.tag)
    assert (same.state, same.tag) == (None, before.tag)
    first.run("ban", "--instance", enrolled.instance, "--because", "a test")
    for each in (gate, there):
        after = each.ask(have=before.tag)
        assert after.state is not None
        assert enrolled.instance in after.state.revoked_instances
