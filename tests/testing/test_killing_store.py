"""The wrapper kills at each point once, on the side of the call that it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import pytest

from bonafide.ports import InstanceRecord
from bonafide.testing.enrolment_trial import NOW, registration, renewal
from bonafide.testing.killing_store import KillingStore, KillPoint, Moment, ProcessDeath, kill_points
from bonafide.testing.memory_enrolment_store import MemoryEnrolmentStore

if TYPE_CHECKING:
    from bonafide.ports import EnrolmentStore


def _story(store: EnrolmentStore) -> None:
    """Call every method of the port once or more."""
    new = registration("a")
    store.spend_challenge(new.challenge_digest, body_digest=b"body", expires_at=NOW)
    record = store.register(new)
    assert isinstance(record, InstanceRecord)
    store.instance(record.instance, app=record.app, environment=record.environment)
    store.renew(renewal(record, 1))
    store.fail_challenge(registration("b").challenge_digest, reason="app_attest.nonce_mismatch")


def test_every_call_has_a_point_before_and_one_after() -> None:
    points = kill_points(_story, MemoryEnrolmentStore())
    assert [point.method for point in points[::2]] == [
        "spend_challenge",
        "register",
        "instance",
        "renew",
        "fail_challenge",
    ]
    assert [str(point) for point in points[:2]] == ["before call 1, spend_challenge", "after call 1, spend_challenge"]
    assert len(points) == 10


def test_a_death_before_a_call_leaves_the_store_unasked_and_one_after_it_does_not() -> None:
    for moment, instances in ((Moment.BEFORE, 0), (Moment.AFTER, 1)):
        inner = MemoryEnrolmentStore()
        with pytest.raises(ProcessDeath):
            _story(KillingStore(inner, at=KillPoint(2, "register", moment)))
        assert len(inner) == instances


def test_whoever_died_once_is_not_killed_again() -> None:
    for point in kill_points(_story, MemoryEnrolmentStore()):
        store = KillingStore(MemoryEnrolmentStore(), at=point)
        with pytest.raises(ProcessDeath):
            _story(store)
        assert store.passed[-1] == point
        _story(store)


def test_death_is_no_error_that_somebody_could_answer() -> None:
    assert not issubclass(ProcessDeath, Exception)


def test_another_way_to_die_may_be_given() -> None:
    class Gone(BaseException):
        pass

    def die() -> NoReturn:
        raise Gone

    with pytest.raises(Gone):
        _story(KillingStore(MemoryEnrolmentStore(), at=KillPoint(1, "spend_challenge", Moment.BEFORE), die=die))
