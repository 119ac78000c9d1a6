"""A decorated view demands more than its route, and never less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bonafide.errors import Misuse
from bonafide.terms import ProofKind
from tests.django import bound_api
from tests.django.locked_api import content, reason, rule, send, send_to_event_loop, signed, unsigned
from tests.django.locked_api import would_have_refused as rehearsed

if TYPE_CHECKING:
    from bonafide.testing.client import AppClient

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("bound")]

PASSED = {"outcome": "passed"}


@pytest.fixture
def bound(settings: Any) -> None:
    bound_api.lock(settings)


@pytest.fixture
def app(bound: None, bonafide_client: AppClient) -> AppClient:
    return bonafide_client


@pytest.mark.parametrize("name", sorted(bound_api.VIEWS))
def test_view_on_an_open_route_fails_closed(name: str) -> None:
    with pytest.raises(Misuse, match=r"misuse\.view_unguarded"):
        send(unsigned(path=f"/open/{name}"))


def test_admitted_app_passes(app: AppClient) -> None:
    assert content(send(signed(app, path="/api/admitted"))) == PASSED


def test_hardware_proof_is_demanded(app: AppClient) -> None:
    assert reason(send(signed(app, path="/api/hardware"))) == "route.proof_kind_too_weak"
    assert content(send(signed(app, path="/api/hardware", proof=ProofKind.HARDWARE))) == PASSED


def test_asynchronous_view_demands_it_too(app: AppClient) -> None:
    assert reason(send_to_event_loop(signed(app, path="/api/hardware-later"))) == "route.proof_kind_too_weak"
    assert content(send_to_event_loop(signed(app, path="/api/hardware-later", proof=ProofKind.HARDWARE))) == PASSED


def test_old_app_version_is_shut_out(settings: Any, app: AppClient) -> None:
    rule(settings, legacy={"until": "2999-01-01", "max_share": 1.0})
    assert reason(send(unsigned(path="/api/admitted"))) == "client_attestation.missing"


def test_rehearsal_lets_through_and_writes_down(settings: Any, app: AppClient) -> None:
    rule(settings, mode="observe")
    assert content(send(signed(app, path="/api/hardware"))) == PASSED
    last = rehearsed()[-1]
    assert (last.reason, last.enforced) == ("route.proof_kind_too_weak", False)
    assert content(send(unsigned(path="/api/admitted"))) == PASSED
    assert [row.reason for row in rehearsed()[1:]] == ["client_attestation.missing"]


@pytest.mark.parametrize("name", ["admitted-strict", "hardware-strict", "affirming-strict"])
def test_strict_view_refuses_in_a_rehearsal_too(settings: Any, app: AppClient, name: str) -> None:
    rule(settings, mode="observe")
    assert reason(send(unsigned(path=f"/api/{name}"))) == "client_attestation.missing"
