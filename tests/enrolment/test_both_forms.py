"""The functions over the synchronous and the asynchronous port ask the same questions, and say the same words."""

from __future__ import annotations

import pytest

from bonafide.codec import base64url
from bonafide.errors import MalformedEvidence
from bonafide.reasons import app_attest
from bonafide.testing.killing_store import KillingStore
from tests.enrolment.reception import Reception
from tests.enrolment.world import World, refusal, with_evidence


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def reception(request: pytest.FixtureRequest) -> Reception:
    return Reception(World(), asynchronous=request.param)


def _asked(store: KillingStore) -> list[str]:
    return [point.method for point in store.passed[::2]]


def test_an_enrolment_asks_twice_and_a_renewal_twice(reception: Reception) -> None:
    world = reception.world
    world.store = watched = KillingStore(world.store)
    text = world.enrolment().body()
    enrolled = reception._enrol(world.request("/instances", text), text)
    renewal = world.renewal(enrolled).body()
    path = f"/instances/{enrolled.instance}/renewals"
    assert reception._renew(world.request(path, renewal), renewal, enrolled.instance).instance == enrolled.instance
    assert _asked(watched) == ["spend_challenge", "register", "instance", "renew"]


def test_a_failure_for_good_is_recorded_and_leaves_as_it_was(reception: Reception) -> None:
    world = reception.world
    world.store = watched = KillingStore(world.store)
    spoilt = with_evidence(world.enrolment(), attestation=base64url.encode(b"\xa0")).body()
    request = world.request("/instances", spoilt)
    with pytest.raises(MalformedEvidence) as refused:
        reception._enrol(request, spoilt)
    assert refused.value.reason is app_attest.OBJECT_MALFORMED
    assert _asked(watched) == ["spend_challenge", "fail_challenge"]
    assert refusal(reception._enrol, request, spoilt) is app_attest.OBJECT_MALFORMED
    assert _asked(watched)[2:] == ["spend_challenge"]


def test_a_failure_that_may_pass_is_not_recorded(reception: Reception) -> None:
    world = reception.world
    world.store = watched = KillingStore(world.store)
    text = world.enrolment().body()
    world.places.free = 0
    assert refusal(reception._enrol, world.request("/instances", text), text).code == "enrolment.pool_full"
    assert _asked(watched) == ["spend_challenge"]
