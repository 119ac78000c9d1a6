"""A service whose PostgreSQL keeps it waiting says so: 503, and no worker is lost to the wait."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import psycopg
import pytest

from bonafide.testing.hints import Refused
from tests.django.databases import USER
from tests.django.service.running import ANSWER_S, RunningService

if TYPE_CHECKING:
    from collections.abc import Iterator

DATABASE = "kept_waiting"


@pytest.fixture(scope="module")
def service(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with psycopg.connect(host=postgresql, user=USER, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {DATABASE}")
    running = RunningService(home=tmp_path_factory.mktemp("waiting") / "home")
    running.make(database=f"postgresql://{USER}@/{DATABASE}?host={postgresql}")
    running.start("--workers", "1")
    try:
        running.add_app()
        yield running
    finally:
        running.kill()


def test_a_renewal_that_waits_for_a_locked_row_is_given_up(service: RunningService, postgresql: str) -> None:
    answers: list[int] = []
    with service.phone(event_hooks={"response": [lambda answer: answers.append(answer.status_code)]}) as phone:
        phone.enrol()
        with psycopg.connect(host=postgresql, user=USER, dbname=DATABASE) as other:
            other.execute("SELECT id FROM bonafide_instance FOR UPDATE")
            with pytest.raises(Refused):
                phone.renew()
        assert answers[-1] == 503
        assert service.get("/readyz").status_code == 200
        phone.renew()


def test_more_requests_than_connections_are_all_answered(service: RunningService, postgresql: str) -> None:
    """Each of them waits for a lock, and then says so: none waits for a place in the pool for ever."""
    with psycopg.connect(host=postgresql, user=USER, dbname=DATABASE) as other:
        other.execute("LOCK TABLE bonafide_governorbucket IN ACCESS EXCLUSIVE MODE")
        with ThreadPoolExecutor(6) as clients:
            answers = list(clients.map(lambda _: post_challenge(service), range(6)))
    assert {answer.status_code for answer in answers} == {503}
    assert {answer.headers["bonafide-action"] for answer in answers} == {"back_off"}


def post_challenge(service: RunningService) -> httpx.Response:
    message = {"purpose": "enrol", "app": "shop"}
    return httpx.post(f"{service.origin}/bonafide/v1/challenge", json=message, timeout=ANSWER_S, trust_env=False)
