"""Enforcement by degrees: a client sees one behaviour, and unproven requests keep to their share."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from bonafide.django.rollout import is_enforced
from bonafide.reasons import route as reasons
from bonafide.routes import Route
from bonafide.stores.legacy_meter import LEGACY_BURST
from tests.django.locked_api import content, reason, rule, send, signed, unsigned

if TYPE_CHECKING:
    from bonafide.testing.client import AppClient

LONG = date(2999, 1, 1)


def route(share: float) -> Route:
    return Route(match="/api/**", enforced_share=share)


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
