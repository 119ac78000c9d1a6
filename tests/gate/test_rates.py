"""Rates count who comes how often, forget in time, and refuse where they cannot count."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits import parse
from limits.strategies import FixedWindowRateLimiter

from bonafide.errors import ConfigurationError
from bonafide.gate import rates as rates_module
from bonafide.gate.config import Limits
from bonafide.gate.rates import LEAST_WINDOWS, NO_ROOM, Rates, RatesUnavailable, Windows
from bonafide.reasons import configuration as reasons

if TYPE_CHECKING:
    from pathlib import Path

SHORT = timedelta(milliseconds=200)


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_one_request_too_many_waits_for_the_end_of_its_window() -> None:
    rates = Rates(Limits(instance="2/minute"), timeout=SHORT)
    assert [rates.instance("a"), rates.instance("a")] == [None, None]
    wait = rates.instance("a")
    assert wait is not None
    assert timedelta(seconds=50) < wait <= timedelta(seconds=60)
    assert rates.instance("b") is None


def test_instances_users_and_networks_are_counted_apart() -> None:
    rates = Rates(Limits(instance="1/minute", user="1/minute", network="1/minute"), timeout=SHORT)
    assert [rates.instance("same"), rates.user("same"), rates.network("same")] == [None, None, None]
    assert None not in [rates.instance("same"), rates.user("same"), rates.network("same")]


def test_a_limit_that_is_off_counts_nothing() -> None:
    rates = Rates(Limits(instance=None, user=None, network=None), timeout=SHORT)
    for _ in range(10):
        assert [rates.instance("a"), rates.user("a"), rates.network("a")] == [None, None, None]


def test_a_credential_is_no_key_of_the_counters() -> None:
    rates = Rates(Limits(user="5/minute"), timeout=SHORT)
    rates.user("Bearer secret")
    assert rates._user is not None
    assert "secret" not in str(vars(rates._user.storage))


def test_counters_that_do_not_answer_are_no_permission(tmp_path: Path) -> None:
    rates = Rates(Limits(store=f"redis+unix://{tmp_path}/nobody.sock", network="1/minute"), timeout=SHORT)
    with pytest.raises(RatesUnavailable):
        rates.network("192.0.2.1")


def test_a_store_that_is_none_does_not_start() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Rates(Limits(store="nothing://"), timeout=SHORT)
    assert refusal.value.reason is reasons.SETTING_MALFORMED


def test_a_window_ends_and_another_begins() -> None:
    clock = Clock()
    windows = Windows(clock, most=10 * LEAST_WINDOWS)
    assert [windows.incr("a", 10), windows.incr("a", 10), windows.get("a")] == [1, 2, 2]
    assert windows.get_expiry("a") == clock.now + 10
    clock.now += 10
    assert windows.get("a") == 0
    assert windows.get_expiry("a") == clock.now
    assert windows.incr("a", 10) == 1


def test_windows_that_ended_are_dropped_and_open_ones_are_kept() -> None:
    clock, names = Clock(), count()
    windows = Windows(clock, most=10 * LEAST_WINDOWS)
    windows.incr("kept", 10_000)
    for _ in range(50):
        for _ in range(LEAST_WINDOWS // 2):
            windows.incr(f"{next(names)}", 1)
        clock.now += 1
    assert len(windows) <= LEAST_WINDOWS
    assert windows.get("kept") == 1


def test_many_open_windows_are_all_kept() -> None:
    windows = Windows(Clock(), most=10 * LEAST_WINDOWS)
    for number in range(5 * LEAST_WINDOWS):
        windows.incr(f"{number}", 60)
    assert all(windows.get(f"{number}") == 1 for number in range(5 * LEAST_WINDOWS))


def test_above_the_bound_who_has_no_window_gets_none_and_no_count_is_forgotten(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, most = Clock(), 2 * LEAST_WINDOWS
    windows = Windows(clock, most=most)
    for number in range(most):
        assert windows.incr(f"{number}", 60) == 1
    assert [windows.incr("late", 60), windows.incr("later", 60), windows.get("late")] == [NO_ROOM, NO_ROOM, 0]
    assert [windows.incr(f"{number}", 60) for number in range(most)] == [2] * most
    assert len(windows) == most
    assert len(caplog.messages) == 1
    clock.now += 60
    assert windows.incr("late", 60) == 1
    assert len(windows) == 1


def test_which_windows_have_ended_is_looked_at_once_a_second_where_there_is_no_room() -> None:
    """Else each request from a new network would cost as much as thousands of others."""
    clock, most = Clock(), LEAST_WINDOWS
    windows = Windows(clock, most=most)
    for number in range(most):
        windows.incr(f"{number}", 60 if number else 0.5)  # type: ignore[arg-type]  # half a second, by this clock
    assert windows.incr("new", 60) == NO_ROOM
    clock.now += 0.5
    assert windows.incr("new", 60) == NO_ROOM
    clock.now += 0.5
    assert windows.incr("new", 60) == 1


def test_many_networks_keep_no_proven_instance_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates_module, "MOST_NETWORKS", LEAST_WINDOWS)
    rates = Rates(Limits(), timeout=SHORT)
    waits = [rates.network(f"2001:db8:{number:x}::/64") for number in range(LEAST_WINDOWS + 1)]
    assert waits == [None] * LEAST_WINDOWS + [timedelta(seconds=1)]
    assert rates.network("2001:db8:0::/64") is None
    assert [rates.instance("a"), rates.user("a")] == [None, None]


def test_windows_can_be_cleared_and_reset() -> None:
    windows = Windows(Clock(), most=10 * LEAST_WINDOWS)
    windows.incr("a", 60)
    windows.incr("b", 60)
    windows.clear("a")
    assert [windows.get("a"), windows.get("b"), windows.reset(), windows.get("b")] == [0, 1, 1, 0]
    assert windows.check()


@given(steps=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40)), max_size=40))
def test_the_library_s_own_strategy_over_these_windows_agrees(steps: list[tuple[str, int]]) -> None:
    clock = Clock()
    limiter, item = FixedWindowRateLimiter(Windows(clock, most=10 * LEAST_WINDOWS)), parse("3/minute")
    seen: dict[str, list[float]] = {"a": [], "b": []}
    for who, later in steps:
        clock.now += later
        window = seen[who]
        if not window or clock.now >= window[0] + 60:
            window.clear()
        window.append(clock.now)
        assert limiter.hit(item, who) is (len(window) <= 3)
