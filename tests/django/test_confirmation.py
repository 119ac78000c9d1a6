"""A token that names its key opens for a request that this key proved, and for no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.test import RequestFactory

from bonafide.admission import Admitted, Exempt, Unproven, admit
from bonafide.django import refusals
from bonafide.django.binding import Outcome
from bonafide.django.confirmation import confirmation, require_confirmed
from bonafide.errors import Misuse, VerificationFailed
from bonafide.ports import FirstUse
from bonafide.reasons import Reason
from bonafide.reasons import credential as reasons
from bonafide.reasons import misuse as misuse_reasons
from bonafide.routes import parse_rules
from tests import dpop_world, gate_world
from tests.gate_world import JKT, NOW, gate

if TYPE_CHECKING:
    from django.http import HttpRequest

OURS = {"cnf": {"jkt": JKT}}
ANOTHERS = {"cnf": {"jkt": "x" * 43}}
FORMS: list[dict[str, Any]] = [{}, {"cnf": None}, {"cnf": "x"}, {"cnf": {}}, {"cnf": {"jkt": None}}, {"cnf": [JKT]}]


def judged(verdict: object) -> HttpRequest:
    """Return a request with what the middleware left on it."""
    request = RequestFactory().get("/api/config")
    request.bonafide = verdict  # type: ignore[attr-defined]  # what views read
    return request


def admitted(kind: str, **rule: Any) -> Admitted:
    """Return an admission by this kind of proof."""
    asked = dpop_world.request() if kind == "dpop" else gate_world.request()
    decision = admit(asked, gate=gate({"match": "/api/**", "proof": kind, **rule}), now=NOW)
    settled = decision.settle(FirstUse.FIRST)  # type: ignore[union-attr]  # it held
    assert isinstance(settled, Admitted)
    return settled


def route(**rule: Any) -> Any:
    (found,) = parse_rules([{"match": "/api/**", **rule}])
    return found


def refused(request: HttpRequest, claims: dict[str, Any], reason: Reason, **how: Any) -> None:
    with pytest.raises(VerificationFailed) as refusal:
        require_confirmed(request, claims, **how)
    assert refusal.value.reason is reason


@pytest.mark.parametrize("kind", ["session", "dpop"])
def test_token_opens_for_its_own_key_by_either_kind_of_proof(kind: str) -> None:
    request = judged(admitted(kind))
    assert confirmation(request) == {"jkt": JKT}
    assert require_confirmed(request, OURS) is Outcome.BOUND
    refused(request, ANOTHERS, reasons.BOUND_TO_ANOTHER_KEY)


@pytest.mark.parametrize("claims", FORMS, ids=str)
def test_token_that_names_no_key_is_refused(claims: dict[str, Any]) -> None:
    refused(judged(admitted("session")), claims, reasons.CONFIRMATION_MISSING)


def test_absence_alone_is_optional() -> None:
    request = judged(admitted("session"))
    assert require_confirmed(request, {}, optional=True) is Outcome.BOUND
    refused(request, {"cnf": {}}, reasons.CONFIRMATION_MISSING, optional=True)
    refused(request, ANOTHERS, reasons.BOUND_TO_ANOTHER_KEY, optional=True)


@pytest.mark.parametrize("optional", [True, False])
def test_token_that_names_a_key_is_no_bearer_token(*, optional: bool) -> None:
    open_route = route(client="open", because="anybody asks")
    old = route(legacy={"until": "2027-03-01", "max_share": 0.2})
    for verdict in (Exempt(open_route), Unproven(old)):
        refused(judged(verdict), OURS, reasons.PROOF_MISSING, optional=optional)
    assert confirmation(judged(Exempt(open_route))) is None
    assert require_confirmed(judged(Exempt(open_route)), {}, optional=True) is Outcome.LEGACY


@pytest.mark.parametrize("mode", ["observe", "50%"])
def test_rehearsal_refuses_nothing_and_names_no_key(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Reason] = []
    monkeypatch.setattr(refusals, "rehearse", lambda _request, refusal: written.append(refusal.reason))
    request = judged(admitted("session", mode=mode))
    assert confirmation(request) is None
    assert require_confirmed(request, OURS) is Outcome.OBSERVED
    assert require_confirmed(request, ANOTHERS) is Outcome.OBSERVED
    assert written == [reasons.BOUND_TO_ANOTHER_KEY]
    assert require_confirmed(judged(None), ANOTHERS) is Outcome.OBSERVED


def test_without_the_middleware_nothing_is_believed() -> None:
    with pytest.raises(Misuse) as mistake:
        require_confirmed(RequestFactory().get("/"), OURS)
    assert mistake.value.reason is misuse_reasons.VIEW_UNGUARDED
