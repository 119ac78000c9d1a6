"""Secrets, configuration and pins reach the instance that they are for, sealed for its question, and nobody else."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.core.signals import got_request_exception
from django.db import OperationalError
from django.utils import timezone
from django.views.debug import ExceptionReporter

from bonafide.codec import nested_jwt
from bonafide.django import runtime
from bonafide.django.documents import deliveries, values
from bonafide.django.models import App, AppValue, Delivery, Identity, Instance, ObservedRoute, PublishedPins, ValueKind
from bonafide.reasons import document as reasons
from bonafide.reasons import store as store_reasons
from bonafide.terms import ProofKind, Tier
from bonafide.testing.hints import Refused
from tests import canaries
from tests.django import locked_api
from tests.django.given_world import (
    CONFIGURATION,
    FLAG,
    OTHER_IDENTITY,
    PATHS,
    PINS,
    SECRET,
    SECRETS,
    asked,
    client,
    give,
    publish,
    refused,
)
from tests.django.locked_api import configure, reason

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from bonafide.testing.client import AppClient

__all__ = ["client"]

pytestmark = pytest.mark.usefixtures("locked")


# What is given -----------------------------------------------------------------------------------


def test_an_instance_is_given_its_secrets_configuration_and_pins(client: AppClient) -> None:
    secrets = client.secrets()
    assert secrets.secrets == {"maps": SECRET}
    configuration = client.configuration()
    assert configuration.public.values == {"colour": "blue"}
    assert configuration.sealed is not None
    assert configuration.sealed.values == {"flag": FLAG}
    assert configuration.sealed.validity == configuration.public.validity
    assert client.pins().pins.keys() == {"api.example.com"}


def test_each_ends_when_the_settings_say(client: AppClient, settings: Any) -> None:
    configure(settings, SECRETS_LIFETIME=90, CONFIGURATION_LIFETIME=3600)
    for validity, seconds in ((client.secrets().validity, 90), (client.configuration().public.validity, 3600)):
        assert validity.expires_at - validity.issued_at == timedelta(seconds=seconds)


def test_an_app_without_values_is_given_none(bonafide_client: AppClient) -> None:
    assert (bonafide_client.secrets().secrets, bonafide_client.secrets().validity.version) == ({}, 0)
    configuration = bonafide_client.configuration()
    assert (configuration.public.values, configuration.public.validity.version) == ({}, 0)
    assert configuration.sealed is not None
    assert configuration.sealed.values == {}


def test_answers_are_kept_by_nobody_between(client: AppClient, send: Callable[[httpx.Request], httpx.Response]) -> None:
    for path in PATHS:
        answer = send(asked(client, path))
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        assert answer.headers["content-type"] == "application/json"
        assert SECRET not in answer.text
        assert FLAG not in answer.text


def test_a_change_is_a_new_version_and_takes_effect_with_the_next_question(client: AppClient) -> None:
    first = client.secrets()
    give(value="another-maps-key-of-the-next-version")
    second = client.secrets()
    assert second.secrets == {"maps": "another-maps-key-of-the-next-version"}
    assert second.validity.version == first.validity.version + 1
    values.remove(App.objects.get(), ValueKind.SECRET, "maps", by="anna", now=timezone.now())
    third = client.secrets()
    assert (third.secrets, third.validity.version) == ({}, second.validity.version + 1)


def test_a_session_proof_is_enough_for_configuration_and_pins(client: AppClient) -> None:
    for path in (CONFIGURATION, PINS):
        assert locked_api.send(asked(client, path, ProofKind.SESSION)).status_code == 200


def test_deliveries_are_counted_by_instance_and_version_without_values(client: AppClient) -> None:
    client.secrets()
    client.secrets()
    client.configuration()
    client.pins()
    enrolled = client.device.keychain.enrolled
    assert enrolled is not None
    rows = Delivery.objects.order_by("document").values_list("instance", "document", "version", "count")
    assert list(rows) == [(enrolled.instance, "configuration", 2, 1), (enrolled.instance, "secrets", 1, 2)]


def test_admitted_requests_are_counted_as_those_of_routes_are(client: AppClient) -> None:
    client.secrets()
    runtime.current().records.flush()
    row = ObservedRoute.objects.get(route="bonafide:app_secrets", reason="")
    assert (row.app, row.count, row.enforced) == ("app-under-test", 1, True)


# For whom ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ValueKind.SECRET, ValueKind.SEALED])
def test_a_value_of_a_higher_tier_is_not_given(client: AppClient, kind: ValueKind) -> None:
    give("low", "for-the-tier-warning", kind, tier=Tier.WARNING)
    give("lowest", "for-the-tier-none", kind, tier=Tier.NONE)
    demand_newer_system()
    client.renew()
    given = sealed_values(client) if kind is ValueKind.SEALED else client.secrets().secrets
    assert given == {"low": "for-the-tier-warning", "lowest": "for-the-tier-none"}


def demand_newer_system() -> None:
    """Have the policy find the system of this instance old, which makes its tier `warning`."""
    row = Identity.objects.get()
    row.minimum_os_version = "99"
    row.save()


def sealed_values(client: AppClient) -> Any:
    sealed = client.configuration().sealed
    assert sealed is not None
    return sealed.values


def test_a_value_of_another_identity_is_not_given(client: AppClient) -> None:
    app = App.objects.get()
    Identity.objects.create(app=app, name=OTHER_IDENTITY)
    give("clip", "for-the-other-identity", identity=OTHER_IDENTITY)
    assert client.secrets().secrets == {"maps": SECRET}
    give("clip", "for-this-identity", identity=client.device.build.identity)
    assert client.secrets().secrets == {"maps": SECRET, "clip": "for-this-identity"}


def test_what_is_for_one_identity_stands_in_for_what_is_for_all(client: AppClient) -> None:
    give(value="for-this-identity-alone", identity=client.device.build.identity)
    assert client.secrets().secrets == {"maps": "for-this-identity-alone"}


def test_what_is_for_one_identity_and_too_high_does_not_fall_back(client: AppClient) -> None:
    give("low", "for-all", tier=Tier.NONE)
    give("low", "for-this-identity-alone", identity=client.device.build.identity, tier=Tier.AFFIRMING)
    demand_newer_system()
    client.renew()
    assert client.secrets().secrets == {}


def test_a_value_of_another_app_or_environment_is_not_given(client: AppClient) -> None:
    row = AppValue.objects.get(name="maps")
    for change in ({"app": "another"}, {"environment": "staging"}):
        AppValue.objects.filter(pk=row.pk).update(**change)
        assert client.secrets().secrets == {}
        AppValue.objects.filter(pk=row.pk).update(app=row.app, environment=row.environment)


def test_an_instance_without_an_agree_key_gets_no_secrets_and_public_configuration_alone(
    client: AppClient,
) -> None:
    client.device.keychain.agree_key = None
    Instance.objects.update(agree_jwk=None)
    refused(asked(client), reasons.AGREE_KEY_MISSING)
    configuration = client.configuration()
    assert (configuration.public.values, configuration.sealed) == ({"colour": "blue"}, None)
    assert not Delivery.objects.exists()


# What stands in the way ---------------------------------------------------------------------------


def test_what_cannot_be_written_down_is_not_handed_out(client: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(deliveries, "count", fail)
    refused(asked(client), store_reasons.DATABASE_UNAVAILABLE)
    refused(asked(client, CONFIGURATION), store_reasons.DATABASE_UNAVAILABLE)


def test_a_value_that_does_not_open_refuses_instead_of_giving_less(client: AppClient) -> None:
    give("other", "another-secret-that-opens")
    AppValue.objects.filter(name="maps").update(tier="none")  # whoever can write to the table makes it cheaper to get
    answer = locked_api.send(asked(client))
    assert (answer.status_code, reason(answer)) == (500, "configuration.secret_unsealable")
    assert SECRET not in answer.text


@pytest.mark.parametrize("path", [SECRETS, CONFIGURATION])
def test_a_report_of_an_error_shows_no_value(client: AppClient, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """A mistake that nobody foresaw, at the last moment, with every variable of every frame in the report."""

    def fail(*_: Any, **__: Any) -> None:
        raise LookupError

    reports = []

    def look(sender: object, request: Any, **_: Any) -> None:
        del sender
        reporter = ExceptionReporter(request, *sys.exc_info())
        reports.append(reporter.get_traceback_html() + reporter.get_traceback_text())

    monkeypatch.setattr(nested_jwt, "seal", fail)
    got_request_exception.connect(look)
    try:
        with pytest.raises(LookupError):
            locked_api.send(asked(client, path))
    finally:
        got_request_exception.disconnect(look)
    assert "issue_sealed" in reports[0]
    assert not canaries.told(reports[0])


# Pins --------------------------------------------------------------------------------------------


def test_without_published_pins_there_is_nothing_to_take(bonafide_client: AppClient) -> None:
    bonafide_client.make_ready()
    refused(asked(bonafide_client, PINS), reasons.PINS_MISSING)
    with pytest.raises(Refused):
        bonafide_client.pins()


def test_pins_that_have_ended_are_not_handed_out(client: AppClient) -> None:
    PublishedPins.objects.update(expires_at=timezone.now())
    refused(asked(client, PINS), reasons.PINS_MISSING)


def test_the_newest_pins_are_handed_out(client: AppClient) -> None:
    first = client.pins()
    publish()
    assert client.pins().version == first.version + 1
