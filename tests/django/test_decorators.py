"""A decorated view demands more than its route, and never less."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bonafide.django.decorators import require_fresh
from bonafide.django.models import Instance
from bonafide.errors import Misuse
from bonafide.terms import ProofKind
from tests.django import bound_api
from tests.django.locked_api import content, reason, rule, send, send_to_event_loop, signed, unsigned
from tests.django.locked_api import would_have_refused as rehearsed

if TYPE_CHECKING:
    from collections.abc import Callable

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


def age(app: AppClient, seconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the phone's last evidence be so old, and renew by its key alone."""
    app.make_ready()
    Instance.objects.update(asserted_at=datetime.now(UTC) - timedelta(seconds=seconds))
    with monkeypatch.context() as patch:
        patch.setattr(app.device, "make_assertion", lambda _message: [])
        app.renew()


@pytest.mark.parametrize(("name", "deliver"), [("fresh", send), ("fresh-later", send_to_event_loop)])
def test_fresh_evidence_is_demanded_with_a_hardware_proof(
    app: AppClient, monkeypatch: pytest.MonkeyPatch, name: str, deliver: Callable[[Any], Any]
) -> None:
    assert reason(deliver(signed(app, path=f"/api/{name}"))) == "route.proof_kind_too_weak"
    assert content(deliver(signed(app, path=f"/api/{name}", proof=ProofKind.HARDWARE))) == PASSED
    age(app, 40, monkeypatch)
    refused = deliver(signed(app, path=f"/api/{name}", proof=ProofKind.HARDWARE))
    assert reason(refused) == "route.not_fresh"
    assert (refused.status_code, refused.headers["Bonafide-Action"]) == (401, "renew_with_assertion")
    assert refused.headers["WWW-Authenticate"] == 'ClientAttestation error="use_fresh_attestation"'
    assert reason(deliver(signed(app, path=f"/api/{name}"))) == "route.not_fresh"  # one hint, and not first the other
    app.renew()
    assert content(deliver(signed(app, path=f"/api/{name}", proof=ProofKind.HARDWARE))) == PASSED


@pytest.mark.parametrize("seconds", [0, 3601, -1, True, 30.0, "30"])
def test_freshness_that_means_nothing_does_not_import(seconds: Any) -> None:
    with pytest.raises(Misuse, match=r"misuse\.fresh_malformed"):
        require_fresh(seconds)


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


@pytest.mark.parametrize("name", ["admitted-strict", "fresh-strict", "hardware-strict", "affirming-strict"])
def test_strict_view_refuses_in_a_rehearsal_too(settings: Any, app: AppClient, name: str) -> None:
    rule(settings, mode="observe")
    assert reason(send(unsigned(path=f"/api/{name}"))) == "client_attestation.missing"
