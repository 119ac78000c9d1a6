"""What the stores' suite is made of: names that stand for values, and races that are races."""

from __future__ import annotations

from functools import partial
from threading import Barrier

import pytest

from bonafide.ports import RegistrationRefusal
from bonafide.testing.enrolment_trial import RACERS, Trial, registration, reinstalled, renewal
from bonafide.testing.memory_enrolment_store import MemoryEnrolmentStore


class _Trial(Trial):
    def ban(self, store: MemoryEnrolmentStore, instance: str) -> None:
        store.ban(instance)


def test_one_name_stands_for_one_registration_and_two_share_nothing() -> None:
    one, two = registration("a"), registration("b")
    assert one == registration("a")
    for name in ("instance", "challenge_digest", "jkt", "key_id", "attest_key"):
        assert getattr(one, name) != getattr(two, name)


def test_a_reinstalled_app_keeps_its_sign_key_and_nothing_else() -> None:
    assert reinstalled("a").jkt == registration("a").jkt
    assert reinstalled("a").key_id != registration("a").key_id
    assert reinstalled("a").challenge_digest != registration("a").challenge_digest


def test_all_calls_of_a_race_run_at_once_and_answer_in_order() -> None:
    meeting = Barrier(RACERS, timeout=60)  # broken unless all are there together

    def meet(number: int) -> int:
        meeting.wait()
        return number

    assert _Trial().race([partial(meet, number) for number in range(RACERS)]) == list(range(RACERS))


def test_a_trial_says_what_stood_in_the_way() -> None:
    trial, store = _Trial(), MemoryEnrolmentStore()
    record = trial.enrolled(store)
    assert trial.found(store, record.instance) == record
    with pytest.raises(AssertionError, match=RegistrationRefusal.KEY_ID_TAKEN):
        trial.enrolled(store, "b", key_id=record.key_id)
    with pytest.raises(AssertionError, match="is not there"):
        trial.found(store, "nobody")


def test_a_later_renewal_has_a_later_challenge_and_a_higher_counter() -> None:
    record = _Trial().enrolled(MemoryEnrolmentStore())
    first, second = renewal(record, 1), renewal(record, 2)
    assert first.counter is not None
    assert second.counter is not None
    assert first.challenge_order < second.challenge_order
    assert first.counter < second.counter
