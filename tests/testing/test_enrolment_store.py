"""The conformance suite notices: each careless store fails the promise that it breaks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bonafide.ports import InstanceRecord, RegistrationRefusal, RenewalOutcome, SpentChallenge
from bonafide.testing.enrolment_store import EnrolmentStoreSuite
from bonafide.testing.memory_enrolment_store import MemoryEnrolmentStore

if TYPE_CHECKING:
    from datetime import datetime

    from bonafide.ports import Registration, Renewal
    from bonafide.terms import Environment


class _Suite(EnrolmentStoreSuite):
    """The suite as somebody's tests would run it."""

    def ban(self, store: MemoryEnrolmentStore, instance: str) -> None:
        store.ban(instance)


class _LastBodyWins(MemoryEnrolmentStore):
    def spend_challenge(self, challenge_digest: bytes, *, body_digest: bytes, expires_at: datetime) -> SpentChallenge:
        super().spend_challenge(challenge_digest, body_digest=body_digest, expires_at=expires_at)
        return SpentChallenge(body_digest=body_digest, failure=None, instance=None)


class _ForgetsFailures(MemoryEnrolmentStore):
    def fail_challenge(self, challenge_digest: bytes, *, reason: str) -> None:
        pass


class _MovesKeys(MemoryEnrolmentStore):
    def register(self, registration: Registration) -> InstanceRecord | RegistrationRefusal:
        answer = super().register(registration)
        if answer is RegistrationRefusal.KEY_ID_TAKEN:
            return super().register(replace(registration, key_id=f"{registration.key_id}, moved"))
        return answer


class _ForgetsBans(MemoryEnrolmentStore):
    def ban(self, instance: str) -> None:
        pass


class _IgnoresEnvironments(MemoryEnrolmentStore):
    def instance(self, instance: str, *, app: str, environment: Environment) -> InstanceRecord | None:
        del app, environment
        row = self._instances.get(instance)
        return None if row is None else row.record


class _BelievesCounters(MemoryEnrolmentStore):
    def renew(self, renewal: Renewal) -> RenewalOutcome:
        found = self._instances.get(renewal.instance)
        if found is not None and renewal.counter is not None:
            found.record = replace(found.record, counter=-1)
        return super().renew(renewal)


class _ForgetsOrder(MemoryEnrolmentStore):
    def renew(self, renewal: Renewal) -> RenewalOutcome:
        found = self._instances.get(renewal.instance)
        if found is not None:
            found.order = 0
        return super().renew(renewal)


class _AnswersOnce(MemoryEnrolmentStore):
    def renew(self, renewal: Renewal) -> RenewalOutcome:
        found = self._instances.get(renewal.instance)
        if found is not None:
            found.renewal = None
        return super().renew(renewal)


@pytest.mark.parametrize(
    ("careless", "promise"),
    [
        (_LastBodyWins, "test_another_body_learns_that_the_first_spent_it"),
        (_LastBodyWins, "test_of_bodies_that_race_for_a_challenge_one_spends_it"),
        (_ForgetsFailures, "test_a_failure_stays_with_its_first_reason"),
        (_ForgetsFailures, "test_a_failed_or_unspent_challenge_registers_nothing"),
        (_MovesKeys, "test_a_key_id_does_not_move_to_another_instance"),
        (_MovesKeys, "test_of_sign_keys_that_race_for_one_key_id_one_gets_it"),
        (_ForgetsBans, "test_a_banned_sign_key_does_not_enrol_again"),
        (_ForgetsBans, "test_every_key_that_a_banned_instance_held_stays_banned"),
        (_ForgetsBans, "test_a_banned_instance_does_not_renew_not_even_again"),
        (_IgnoresEnvironments, "test_an_instance_is_found_only_under_its_app_and_environment"),
        (_BelievesCounters, "test_a_counter_that_does_not_rise_is_refused_and_leaves_the_challenge_usable"),
        (_BelievesCounters, "test_of_assertions_with_one_counter_that_race_one_renews"),
        (_ForgetsOrder, "test_an_earlier_or_equally_late_challenge_is_spent"),
        (_AnswersOnce, "test_the_same_renewal_again_is_done_and_changes_nothing"),
        (_AnswersOnce, "test_copies_of_one_renewal_that_race_are_all_answered"),
    ],
)
def test_a_careless_store_fails_the_promise_that_it_breaks(careless: type[MemoryEnrolmentStore], promise: str) -> None:
    check = getattr(_Suite(), promise)
    check(MemoryEnrolmentStore())
    with pytest.raises(AssertionError):
        check(careless())
