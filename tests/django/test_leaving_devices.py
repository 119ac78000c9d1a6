"""Of several devices of one credential each leaves by itself, also at once, and the last one is told that it is."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connections, transaction
from django.test import RequestFactory

from bonafide.admission import Admitted, Exempt
from bonafide.django import binding
from bonafide.django.models import CredentialBinding
from bonafide.routes import Route
from bonafide.terms import ProofKind
from tests import gate_world

if TYPE_CHECKING:
    from django.http import HttpRequest

    from tests.django.databases import Database

TOKEN = "a token"
ROUTE = Route(match="/api/**")


def of(jkt: str) -> HttpRequest:
    """Return what a view gets of a request that this key signed."""
    request = RequestFactory().get("/api/logout")
    vars(request)["bonafide"] = Admitted(gate_world.claims(), jkt, ROUTE, ProofKind.HARDWARE, "", 0.0)
    return request


def bind(*jkts: str, app: str = "", credential: str = TOKEN) -> None:
    for jkt in jkts:
        key = binding._key(vars(of(jkt))["bonafide"], binding._digest(credential))
        now = datetime.now(UTC)
        CredentialBinding.objects.create(**key | ({"app": app} if app else {}), kind="k", bound_at=now, proven_at=now)


def left() -> list[str]:
    return sorted(CredentialBinding.objects.values_list("jkt", flat=True))


def test_device_leaves_and_the_others_stay(database: Database) -> None:
    bind("a", "b", "c")
    assert binding.release_device(of("b"), TOKEN)
    assert left() == ["a", "c"]


def test_last_device_is_told_and_keeps_its_row(database: Database) -> None:
    bind("a")
    bind("b", credential="another")
    assert not binding.release_device(of("a"), TOKEN)
    assert left() == ["a", "b"]


def test_device_that_has_left_ends_nothing_for_the_others(database: Database) -> None:
    bind("a")
    assert binding.release_device(of("b"), TOKEN)
    assert left() == ["a"]


def test_device_in_another_app_of_the_service_is_another_device(database: Database) -> None:
    bind("a")
    bind("a", app="partner")
    assert binding.release_device(of("a"), TOKEN)
    assert CredentialBinding.objects.get().app == "partner"


def test_claim_of_a_first_use_is_no_device(database: Database) -> None:
    bind("", "a")
    assert not binding.release_device(of("a"), TOKEN)
    assert left() == ["", "a"]


@pytest.mark.parametrize("verdict", [None, Exempt(ROUTE)])
def test_request_that_names_no_instance_forgets_nothing(database: Database, verdict: Any) -> None:
    bind("a", "b")
    request = of("a")
    vars(request)["bonafide"] = verdict
    assert not binding.release_device(request, TOKEN)
    assert left() == ["a", "b"]


def test_of_two_devices_that_leave_at_once_one_is_the_last(database: Database) -> None:
    bind("a", "b")
    answers: list[bool] = []

    def leave() -> None:
        try:
            answers.append(binding.release_device(of("b"), TOKEN))
        finally:
            connections[database.alias].close()

    other = threading.Thread(target=leave)
    with transaction.atomic(using=database.alias):
        assert binding.release_device(of("a"), TOKEN)
        other.start()
        other.join(1)  # as long as it would take, were it not made to wait
    other.join()
    assert answers == [False]
    assert left() == ["b"]
