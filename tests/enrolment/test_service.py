"""Claims about the value of a service: nonsense and test trust do not start."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bonafide.appraisal import IdentityPolicy
from bonafide.challenge import Purpose
from bonafide.enrolment import Service
from bonafide.errors import ConfigurationError
from bonafide.evidence.debug import DebugSecret, UnsafeDebugEvidence
from bonafide.reasons import configuration
from bonafide.terms import Environment, EvidenceEnvironment
from bonafide.trust.apple import BUNDLED
from tests.enrolment.world import CHALLENGE_KEY, ISSUER, Keys, app, apple, service, under

if TYPE_CHECKING:
    from bonafide.reasons import Reason

PRODUCTION: dict[str, Any] = {"environment": Environment.PRODUCTION, "anchors": BUNDLED}


def _refusal(**changes: Any) -> Reason:
    with pytest.raises(ConfigurationError) as refused:
        service(**changes)
    return refused.value.reason


def test_the_defaults_are_production_and_apples_root() -> None:
    made = Service(issuer=ISSUER, apps=(app(),), keys=Keys(), challenge_key=CHALLENGE_KEY)
    assert made.environment is Environment.PRODUCTION
    assert tuple(made.anchors) == BUNDLED
    assert made.lifetime == timedelta(minutes=5)
    assert made.evidence_retention == timedelta(days=90)
    assert made.debug is None


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": ""},
        {"issuer": "api.example.com"},
        {"issuer": "https://api.example.com/"},
        {"issuer": "https://api.example.com/v1?x"},
        {"issuer": "https://api.example.com/v1#x"},
        {"issuer": "https://user@api.example.com"},
        {"issuer": "HTTPS://api.example.com"},
        {"issuer": "https://api.example.com\n"},
        {"issuer": "https://" + "a" * 250},
        {"apps": ()},
        {"apps": (app(), app())},
        {"anchors": ()},
        {"lifetime": timedelta(seconds=29)},
        {"lifetime": timedelta()},
        {"lifetime": timedelta(minutes=60, seconds=1)},
        {"lifetime": timedelta(seconds=90, microseconds=1)},
        {"evidence_retention": timedelta()},
        {"evidence_retention": timedelta(days=-1)},
    ],
)
def test_a_service_that_makes_no_sense_does_not_start(changes: dict[str, Any]) -> None:
    assert _refusal(**changes) is configuration.SETTING_MALFORMED


@pytest.mark.parametrize(
    "changes",
    [
        {"lifetime": timedelta(seconds=30)},
        {"lifetime": timedelta(minutes=60)},
        {"evidence_retention": None},
        {"issuer": "http://127.0.0.1:8000"},
    ],
)
def test_the_bounds_themselves_are_inside(changes: dict[str, Any]) -> None:
    made = service(**changes)
    assert {name: getattr(made, name) for name in changes} == changes


def test_production_with_a_test_anchor_does_not_start() -> None:
    assert service(**PRODUCTION).environment is Environment.PRODUCTION
    assert _refusal(**PRODUCTION | {"anchors": apple().anchors}) is configuration.TEST_TRUST
    assert _refusal(**PRODUCTION | {"anchors": (*BUNDLED, *apple().anchors)}) is configuration.TEST_TRUST


def test_production_that_admits_debug_evidence_does_not_start() -> None:
    policy = under(environments=frozenset({EvidenceEnvironment.PRODUCTION, EvidenceEnvironment.DEBUG}))
    assert _refusal(**PRODUCTION | {"apps": (policy,)}) is configuration.TEST_TRUST


def test_production_looks_at_every_identity_of_every_app() -> None:
    debug = IdentityPolicy(environments=frozenset({EvidenceEnvironment.DEBUG}))
    shop = app()
    last = replace(shop, name="last", identities=(shop.identities[0], replace(shop.identities[1], policy=debug)))
    assert _refusal(**PRODUCTION | {"apps": (shop, last)}) is configuration.TEST_TRUST


def test_production_is_spoken_to_over_https() -> None:
    assert _refusal(**PRODUCTION | {"issuer": "http://api.example.com"}) is configuration.SETTING_MALFORMED


def test_a_decision_for_debug_evidence_holds_for_one_environment() -> None:
    secret = DebugSecret(app="shop", name="ci", secret=b"\x01" * 16)
    decided = UnsafeDebugEvidence(environment=Environment.STAGING, secrets=(secret,))
    assert service(environment=Environment.STAGING, debug=decided).debug is decided
    assert _refusal(debug=decided) is configuration.SETTING_MALFORMED
    assert _refusal(**PRODUCTION | {"debug": decided}) is configuration.SETTING_MALFORMED


def test_a_service_finds_its_apps_and_no_others() -> None:
    made = service()
    assert made.app("shop") == app()
    assert made.app("shop2") is None
    assert made.app("") is None


def test_a_challenges_scope_names_issuer_environment_app_and_purpose() -> None:
    scope = service().scope(app(), Purpose.RENEW)
    assert (scope.service, scope.environment, scope.app, scope.purpose) == (
        ISSUER,
        Environment.TEST,
        "shop",
        Purpose.RENEW,
    )


def test_a_service_does_not_show_its_keys() -> None:
    shown = repr(service())
    assert CHALLENGE_KEY.secret.hex() not in shown
    assert repr(CHALLENGE_KEY.secret) not in shown
    assert "Keys object" not in shown
