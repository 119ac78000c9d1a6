"""Unproven requests keep to their share of a route's traffic, whoever sends how many of them."""

from __future__ import annotations

import threading
from datetime import date

import pytest

from bonafide.routes import Legacy, Route
from bonafide.stores.legacy_meter import LEGACY_BURST, MAX_CREDIT, LegacyMeter

LONG = date(2999, 1, 1)


def legacy(share: float) -> Route:
    return Route(match="/api/**", legacy=Legacy(until=LONG, max_share=share))


def test_new_process_lets_a_burst_pass_and_no_more() -> None:
    meter = LegacyMeter()
    assert sum(meter.admits(legacy(0.1)) for _ in range(200)) == LEGACY_BURST


def test_flood_of_unproven_requests_makes_no_room_for_itself() -> None:
    meter = LegacyMeter()
    while meter.admits(legacy(0.5)):
        pass
    assert not any(meter.admits(legacy(0.5)) for _ in range(1000))


@pytest.mark.parametrize(("share", "expected"), [(0.5, 100), (0.2, 25)])
def test_proven_requests_earn_the_share_of_all_traffic(share: float, expected: int) -> None:
    meter = LegacyMeter()
    while meter.admits(legacy(share)):
        pass
    for _ in range(100):
        meter.proven(legacy(share))
    assert abs(sum(meter.admits(legacy(share)) for _ in range(300)) - expected) <= 1


def test_credit_of_a_quiet_time_is_bounded() -> None:
    meter = LegacyMeter()
    for _ in range(5000):
        meter.proven(legacy(0.5))
    assert sum(meter.admits(legacy(0.5)) for _ in range(5000)) == MAX_CREDIT


def test_whole_share_admits_everything_and_no_legacy_admits_nothing() -> None:
    meter = LegacyMeter()
    meter.proven(legacy(1.0))
    assert all(meter.admits(legacy(1.0)) for _ in range(100))
    meter.proven(Route(match="/api/**"))
    assert not meter.admits(Route(match="/api/**"))


def test_many_threads_take_no_place_twice() -> None:
    meter, taken = LegacyMeter(), list[bool]()
    barrier = threading.Barrier(8)

    def take() -> None:
        barrier.wait()
        taken.extend(meter.admits(legacy(0.1)) for _ in range(50))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sum(taken) == LEGACY_BURST
