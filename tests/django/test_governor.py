"""One rate for all processes, told in seconds to wait, and no address in the table."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connections
from pytest_django.asserts import assertNumQueries

from bonafide.django import conf, governor
from bonafide.django.governor import Endpoint, Governor
from bonafide.django.models import GovernorBucket
from bonafide.routes.ramp import network_of
from bonafide.testing.enrolment_trial import NOW
from tests.django.databases import explained

if TYPE_CHECKING:
    from tests.django.databases import Database

SECOND = timedelta(seconds=1)
HERE, THERE = "192.0.2.1", "192.0.2.2"


class Process:
    """A process's governor, with a clock that tests move and jitter that they know."""

    def __init__(self, now: datetime = NOW, jitter: int = 0) -> None:
        self.now = now
        self.governor = Governor(
            conf.current(), clock=lambda: self.now, random=lambda octets: jitter.to_bytes(octets, "big")
        )

    def enrolments(self, count: int, app: str = "shop") -> int:
        """Ask `count` times and return how often the answer was go ahead."""
        return sum(self.governor.enrolment(app) is None for _ in range(count))

    def requests(self, count: int, address: str = HERE, endpoint: Endpoint = Endpoint.CHALLENGE) -> int:
        return sum(self.governor.network(endpoint, address) is None for _ in range(count))


@pytest.fixture(autouse=True)
def limits(database: Database, settings: Any) -> None:
    settings.BONAFIDE = settings.BONAFIDE | {
        "ENROLMENTS_PER_SECOND": 5,
        "NETWORK_LIMITS": {"challenge": 60, "instances": 6, "renewals": None},
    }


def test_a_second_admits_its_rate_and_the_next_second_too() -> None:
    process = Process()
    assert process.enrolments(20) == 6  # those saved up, and the one that is due
    process.now += SECOND
    assert process.enrolments(20) == 5
    process.now += SECOND / 5
    assert process.enrolments(20) == 1


def test_what_was_not_used_is_saved_for_a_second_and_no_longer() -> None:
    process = Process()
    process.enrolments(20)
    process.now += 3600 * SECOND
    assert process.enrolments(20) == 6


def test_processes_share_one_rate() -> None:
    processes = [Process() for _ in range(4)]
    assert sum(process.enrolments(5) for process in processes) == 6


def test_processes_that_race_share_one_rate() -> None:
    admitted = []

    def enrol() -> None:
        try:
            admitted.append(Process().enrolments(10))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=enrol) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(admitted) == 6


def test_apps_and_environments_do_not_share(settings: Any) -> None:
    assert Process().enrolments(10) == Process().enrolments(10, "other") == 6
    settings.BONAFIDE = settings.BONAFIDE | {"ENVIRONMENT": "staging"}
    assert Process().enrolments(10) == 6


@pytest.mark.parametrize(("jitter", "seconds"), [(0, 1), (59, 60), (60, 1), (2**32 - 1, 1 + (2**32 - 1) % 60)])
def test_whoever_backs_off_is_spread_over_a_minute(jitter: int, seconds: int) -> None:
    process = Process(jitter=jitter)
    process.enrolments(6)
    assert process.governor.enrolment("shop") == timedelta(seconds=seconds)


def test_whoever_backs_off_waits_at_least_until_there_is_room() -> None:
    process = Process()
    assert process.requests(100, endpoint=Endpoint.INSTANCES) == 2  # 6 a minute: one, and one saved up
    assert process.governor.network(Endpoint.INSTANCES, HERE) == timedelta(seconds=10)
    another = Process(NOW + timedelta(seconds=4))
    assert another.governor.network(Endpoint.INSTANCES, HERE) == timedelta(seconds=6)
    process.now += timedelta(seconds=9, microseconds=999_999)
    assert process.requests(5, endpoint=Endpoint.INSTANCES) == 0
    process.now += timedelta(microseconds=1)
    assert process.requests(5, endpoint=Endpoint.INSTANCES) == 1


def test_a_process_that_was_refused_answers_by_itself_until_there_is_room(database: Database) -> None:
    process = Process()
    process.enrolments(7)
    with assertNumQueries(0, using=database.alias):
        assert process.enrolments(100) == 0
    process.now += SECOND / 5
    assert process.enrolments(1) == 1


def test_a_process_asks_again_after_a_second_whatever_it_was_told(database: Database) -> None:
    process = Process()
    process.requests(100, endpoint=Endpoint.INSTANCES)
    GovernorBucket.objects.all().delete()
    assert process.requests(1, endpoint=Endpoint.INSTANCES) == 1


def test_networks_have_limits_of_their_own_for_each_endpoint() -> None:
    process = Process()
    assert process.requests(100) == process.requests(100, THERE) == 11  # 60 a minute: one, and ten seconds' worth
    assert process.requests(100, endpoint=Endpoint.INSTANCES) == 2


def test_where_there_is_no_limit_nobody_is_asked(database: Database) -> None:
    with assertNumQueries(0, using=database.alias):
        assert Process().requests(100, endpoint=Endpoint.RENEWALS) == 100


def test_no_address_is_stored() -> None:
    process = Process()
    for address in (HERE, "2001:db8::1"):
        process.requests(1, address)
    stored = " ".join(GovernorBucket.objects.values_list("name", flat=True))
    for trace in (HERE, "2001", "192", "c0000201"):
        assert trace not in stored


def test_which_networks_share_a_bucket_is_the_services_secret(settings: Any) -> None:
    before = {governor._bucket(f"192.0.2.{n}") for n in range(50)}
    settings.SECRET_KEY = "another"
    after = {governor._bucket(f"192.0.2.{n}") for n in range(50)}
    assert len(before) == len(after) == 50
    assert not before & after
    assert all(0 <= bucket < governor.NETWORK_BUCKETS for bucket in before | after)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", "unknown"),
        ("localhost", "unknown"),
        ("192.0.2.1:80", "unknown"),
    ],
)
def test_a_network_is_what_one_customer_has(address: str, network: str) -> None:
    assert network_of(address) == network


def test_a_bucket_of_a_host_whose_clock_was_wrong_is_taken_over() -> None:
    ahead = Process(NOW + timedelta(hours=1))
    ahead.enrolments(20)
    assert Process().enrolments(20) == 6
    near = Process(NOW + timedelta(seconds=30))
    near.enrolments(20)
    assert Process().enrolments(20) == 0


def test_a_clock_that_steps_back_does_not_close_the_bucket_for_long() -> None:
    process = Process()
    process.enrolments(20)
    process.now -= timedelta(hours=1)
    assert process.enrolments(20) == 6


def test_what_a_process_remembers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(governor, "_MAX_REMEMBERED", 3)
    process = Process()
    for app in "abcdef":
        process.enrolments(7, app)
        assert len(process.governor._closed) <= 3


def test_asking_is_one_update_by_the_primary_key(database: Database) -> None:
    process = Process()
    process.enrolments(1)
    with explained(database.alias) as plans:
        process.enrolments(1)
    (plan,) = plans
    assert plan.startswith("UPDATE")
    assert "SCAN" not in plan
    assert "Seq Scan" not in plan
