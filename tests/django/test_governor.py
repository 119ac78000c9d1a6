"""Rates are shared by every process, kept to, and told politely; `request.rate_exceeded` is what a network gets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from bonafide.django.governor import NETWORK_SPREAD, Endpoint, Governor, network_of
from bonafide.django.models import GovernorBucket
from bonafide.reasons import request as reasons
from tests.django.locked_api import configure, reason, send, unsigned

pytestmark = pytest.mark.django_db

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOME = "192.0.2.1"


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def governor(clock: Clock, *, enrolments: int = 5, challenge: int | None = 6, random: int = 0) -> Governor:
    limits = SimpleNamespace(challenge=challenge, instances=None, renewals=None)
    settings: Any = SimpleNamespace(environment="test", enrolments_per_second=enrolments, network_limits=limits)
    return Governor(settings, clock=clock, random=lambda size: random.to_bytes(size, "big"))


def taken(one: Governor, times: int, app: str = "shop") -> int:
    return sum(one.enrolment(app) is None for _ in range(times))


def test_a_second_of_enrolments_may_come_at_once_and_no_more(clock: Clock) -> None:
    one = governor(clock)
    assert taken(one, 50) in {5, 6}
    clock.advance(1)
    assert taken(one, 50) == 5


def test_processes_share_one_rate(clock: Clock) -> None:
    both = governor(clock), governor(clock)
    assert sum(taken(one, 20) for one in both) in {5, 6}


def test_apps_have_a_rate_each(clock: Clock) -> None:
    one = governor(clock)
    taken(one, 20)
    assert one.enrolment("another") is None


def test_long_silence_saves_up_no_more_than_the_burst(clock: Clock) -> None:
    one = governor(clock)
    taken(one, 20)
    clock.advance(3600)
    assert taken(one, 50) in {5, 6}


def test_refused_process_asks_no_database_until_the_bucket_opens(clock: Clock, django_assert_num_queries: Any) -> None:
    one = governor(clock)
    taken(one, 20)
    with django_assert_num_queries(0):
        assert taken(one, 20) == 0


def test_network_above_its_limit_is_told_whole_seconds_and_spread(clock: Clock) -> None:
    waits = set()
    for random in range(10):
        one = governor(clock, random=random)
        answers = [one.network(Endpoint.CHALLENGE, HOME) for _ in range(10)]
        assert answers[-1] is not None
        waits.add(answers[-1])
    assert len(waits) == 10
    assert max(waits) - min(waits) < NETWORK_SPREAD
    assert all(wait >= timedelta(seconds=1) and wait == timedelta(seconds=int(wait.total_seconds())) for wait in waits)


def test_no_limit_asks_nobody(clock: Clock, django_assert_num_queries: Any) -> None:
    one = governor(clock)
    with django_assert_num_queries(0):
        assert all(one.network(Endpoint.INSTANCES, HOME) is None for _ in range(100))


def test_bucket_of_a_host_whose_clock_was_wrong_is_taken_over(clock: Clock) -> None:
    clock.advance(86400)
    taken(governor(clock), 20)
    clock.advance(-86400)
    assert governor(clock).enrolment("shop") is None


def test_no_address_is_stored(clock: Clock) -> None:
    governor(clock).network(Endpoint.CHALLENGE, HOME)
    (name,) = GovernorBucket.objects.values_list("name", flat=True)
    assert HOME not in name


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1:2:3", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("", "unknown"),
        ("nonsense", "unknown"),
    ],
)
def test_network_that_shares_a_limit(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.usefixtures("locked", "bonafide_client")
def test_caller_above_the_rate_is_refused_before_anything_else(settings: Any) -> None:
    configure(settings, NETWORK_LIMITS={"challenge": 1})
    answers = [send(unsigned("POST", "/bonafide/v1/challenge", content=b"not read")) for _ in range(20)]
    assert answers[-1].status_code == 429
    assert reason(answers[-1]) == reasons.RATE_EXCEEDED.code
