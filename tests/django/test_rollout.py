"""Enforcement by degrees: a client sees one behaviour, and unproven requests keep to their share."""

from __future__ import annotations

import threading
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from bonafide.django.rollout import is_enforced
from bonafide.reasons import route as reasons
from bonafide.routes import Legacy, Route
from bonafide.stores.legacy_meter import LEGACY_BURST, MAX_CREDIT, LegacyMeter
from tests.django.locked_api import content, reason, rule, send, signed, unsigned

if TYPE_CHECKING:
    from bonafide.testing.client import AppClient

LONG = date(2999, 1, 1)


def route(share: float) -> Route:
    return Route(match="/api/**", enforced_share=share)


def legacy(share: float) -> Route:
    return Route(match="/api/**", legacy=Legacy(until=LONG, max_share=share))


@pytest.mark.parametrize(("share", "expected"), [(0.0, False), (1.0, True)])
def test_none_and_all_are_exact(share: float, expected: bool) -> None:
    assert all(is_enforced(route(share), instance=str(n), network="") is expected for n in range(500))


def test_share_of_instances_is_the_share_that_is_enforced() -> None:
    met = sum(is_enforced(route(0.25), instance=f"instance-{n}", network="") for n in range(4000))
    assert 850 < met < 1150


def test_one_client_sees_one_behaviour() -> None:
    for n in range(50):
        assert len({is_enforced(route(0.5), instance=f"i{n}", network=str(net)) for net in range(20)}) == 1
        assert len({is_enforced(route(0.5), instance=None, network=f"net{n}") for _ in range(20)}) == 1


def test_raising_the_share_frees_nobody_who_was_enforced() -> None:
    for n in range(300):
        shares = [is_enforced(route(share), instance=f"i{n}", network="") for share in (0.01, 0.1, 0.5, 0.9)]
        assert shares == sorted(shares)


def test_bucket_is_keyed_so_that_nobody_can_choose_theirs(settings: Any) -> None:
    before = [is_enforced(route(0.5), instance=f"i{n}", network="") for n in range(200)]
    settings.SECRET_KEY = "another"
    assert before != [is_enforced(route(0.5), instance=f"i{n}", network="") for n in range(200)]


def test_instance_and_network_of_one_name_are_two_buckets() -> None:
    both = [
        (is_enforced(route(0.5), instance=f"x{n}", network=""), is_enforced(route(0.5), instance=None, network=f"x{n}"))
        for n in range(200)
    ]
    assert any(one != other for one, other in both)


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
    meter.proven(route(1.0))
    assert not meter.admits(route(1.0))


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


@pytest.mark.usefixtures("locked")
def test_old_apps_pass_until_their_share_is_used_up(settings: Any, bonafide_client: AppClient) -> None:
    rule(settings, legacy={"until": LONG, "max_share": 0.5})
    answers = [send(unsigned()) for _ in range(int(LEGACY_BURST) + 1)]
    assert [content(answer)["verdict"] for answer in answers[:-1]] == ["Unproven"] * int(LEGACY_BURST)
    assert reason(answers[-1]) == reasons.LEGACY_SHARE_EXCEEDED.code
    assert (answers[-1].status_code, answers[-1].headers["bonafide-action"]) == (401, "update_app")
    assert content(send(signed(bonafide_client)))["verdict"] == "Admitted"
    assert content(send(unsigned()))["verdict"] == "Unproven"


@pytest.mark.usefixtures("locked", "bonafide_client")
def test_legacy_ends_on_its_day(settings: Any) -> None:
    rule(settings, legacy={"until": date(2020, 1, 1), "max_share": 1.0})
    assert reason(send(unsigned())) == reasons.LEGACY_ENDED.code


@pytest.mark.usefixtures("locked", "bonafide_client")
def test_half_a_proof_is_no_old_app(settings: Any) -> None:
    rule(settings, legacy={"until": LONG, "max_share": 1.0})
    for name in ("signature", "signature-input"):
        assert reason(send(unsigned(headers={name: "x"}))) == "client_attestation.missing"
