"""The app learns the time from hints within bounds, and trusts the service's signed time alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.testing.app_world import new_world
from tests.testing.scripted_service import Refusal

if TYPE_CHECKING:
    from tests.testing.app_world import World


@pytest.fixture
def world() -> World:
    return new_world()


def test_wrong_clock_is_corrected_by_date_before_enrolment_and_by_the_session_after(world: World) -> None:
    world.time.phone_is_off_by = -200
    client = world.start()
    client.get("/api/me")
    assert client.clock.trusted
    assert abs(client.clock.now() - world.time.now) <= 1


def test_date_moves_the_clock_by_five_minutes_at_most(world: World) -> None:
    world.time.phone_is_off_by = -1000
    client = world.start()
    client.clock.learn("Sun, 01 Nov 2026 12:00:00 GMT")
    assert client.clock.now() == world.time.phone() + 300


@pytest.mark.parametrize("date", ["soon", "", "Sun, 01 Nov 99999999999999999999 12:00:00 GMT", None])
def test_what_is_no_date_moves_nothing(world: World, date: str | None) -> None:
    client = world.start()
    client.clock.learn(date)
    assert client.clock.now() == world.time.phone()


def test_date_moves_nothing_once_a_session_has_set_the_clock(world: World) -> None:
    client = world.start()
    client.enrol()
    before = client.clock.now()
    client.clock.learn("Sun, 01 Nov 2026 12:04:00 GMT")
    assert client.clock.now() == before


def test_fix_clock_after_a_session_renews_to_be_told_the_time(world: World) -> None:
    client = world.start()
    client.get("/api/me")
    world.service.script("api", Refusal("fix_clock"))
    assert client.get("/api/me").status_code == 200
    assert world.service.asked[-3:] == ["api", "renew", "api"]
