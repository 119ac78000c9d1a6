"""What every `ports.EnrolmentStore` must do: subclass `EnrolmentStoreSuite` in a test file and run pytest.

    class TestMyStore(EnrolmentStoreSuite):
        @pytest.fixture
        def store(self) -> MyStore: ...
        def ban(self, store: MyStore, instance: str) -> None: ...

Each test is one promise of the port's docstrings; races are run with threads, each of which may need a
connection of its own (override `in_a_thread`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from bonafide.ports import InstanceRecord, RegistrationRefusal, RenewalOutcome, SpentChallenge
from bonafide.terms import Environment, Tier
from bonafide.testing.enrolment_trial import (
    APP,
    ENVIRONMENT,
    NOW,
    RACERS,
    Trial,
    digest,
    instance_id,
    registration,
    reinstalled,
    renewal,
)

if TYPE_CHECKING:
    from bonafide.ports import EnrolmentStore

__all__ = ["EnrolmentStoreSuite"]


class EnrolmentStoreSuite(Trial):
    """The promises of `ports.EnrolmentStore`. Subclasses give a fixture `store`, and `ban`."""

    # Challenges ----------------------------------------------------------------------------------

    def test_the_first_body_spends_a_challenge_and_may_come_again(self, store: EnrolmentStore) -> None:
        first = SpentChallenge(body_digest=digest("one"), failure=None, instance=None)
        assert self.spend(store, registration("a"), "one") == first
        assert self.spend(store, registration("a"), "one") == first

    def test_another_body_learns_that_the_first_spent_it(self, store: EnrolmentStore) -> None:
        self.spend(store, registration("a"), "one")
        assert self.spend(store, registration("a"), "two").body_digest == digest("one")
        assert self.spend(store, registration("b"), "two").body_digest == digest("two")

    def test_of_bodies_that_race_for_a_challenge_one_spends_it(self, store: EnrolmentStore) -> None:
        new = registration("a")
        answers = self.race([partial(self.spend, store, new, f"body {n}") for n in range(RACERS)])
        assert len({answer.body_digest for answer in answers}) == 1

    def test_a_failure_stays_with_its_first_reason(self, store: EnrolmentStore) -> None:
        new = registration("a")
        self.spend(store, new)
        store.fail_challenge(new.challenge_digest, reason="app_attest.nonce_mismatch")
        store.fail_challenge(new.challenge_digest, reason="app_attest.key_id_mismatch")
        assert self.spend(store, new) == SpentChallenge(
            body_digest=digest("body"), failure="app_attest.nonce_mismatch", instance=None
        )

    def test_a_failed_or_unspent_challenge_registers_nothing(self, store: EnrolmentStore) -> None:
        new = registration("a")
        assert store.register(new) is RegistrationRefusal.SUPERSEDED
        self.spend(store, new)
        store.fail_challenge(new.challenge_digest, reason="app_attest.nonce_mismatch")
        assert store.register(new) is RegistrationRefusal.SUPERSEDED
        assert store.instance(new.instance, app=APP, environment=ENVIRONMENT) is None

    def test_what_enrolled_does_not_fail_afterwards(self, store: EnrolmentStore) -> None:
        record = self.enrolled(store)
        store.fail_challenge(registration("a").challenge_digest, reason="app_attest.nonce_mismatch")
        assert self.spend(store, registration("a")) == SpentChallenge(
            body_digest=digest("body"), failure=None, instance=record.instance
        )

    # Registration --------------------------------------------------------------------------------

    def test_an_instance_is_stored_as_it_was_registered(self, store: EnrolmentStore) -> None:
        new = registration("a", warnings=("os_version_too_old",), tier=Tier.WARNING)
        record = self.register(store, new)
        assert record == InstanceRecord(
            instance=new.instance,
            app=APP,
            environment=ENVIRONMENT,
            identity=new.identity,
            platform=new.platform,
            jkt=new.jkt,
            sign_jwk=new.sign_jwk,
            agree_jwk=new.agree_jwk,
            format=new.format,
            key_id=new.key_id,
            attest_key=new.attest_key,
            counter=0,
            evidence_environment=new.evidence_environment,
            claims=new.claims,
            tier=Tier.WARNING,
            warnings=("os_version_too_old",),
            app_version="2.3.0",
            os_version="27.0",
            sdk_version="1.0.0",
            verified_at=NOW,
            asserted_at=NOW,
            banned=False,
        )
        assert self.found(store, new.instance) == record

    def test_an_instance_is_found_only_under_its_app_and_environment(self, store: EnrolmentStore) -> None:
        record = self.enrolled(store)
        assert store.instance(record.instance, app="other", environment=ENVIRONMENT) is None
        assert store.instance(record.instance, app=APP, environment=Environment.PRODUCTION) is None
        assert store.instance(instance_id("nobody"), app=APP, environment=ENVIRONMENT) is None

    def test_apps_and_environments_do_not_share_keys(self, store: EnrolmentStore) -> None:
        here = self.enrolled(store)
        for change in ({"app": "other"}, {"environment": Environment.TEST}):
            there = registration("a", instance=instance_id(str(change)), challenge_digest=digest(str(change)), **change)
            record = self.register(store, there)
            assert isinstance(record, InstanceRecord)
            assert record.instance != here.instance

    def test_a_device_without_evidence_is_stored_without_a_key(self, store: EnrolmentStore) -> None:
        record = self.enrolled(
            store, format="none", key_id=None, attest_key=None, agree_jwk=None, claims={}, evidence=None, tier=Tier.NONE
        )
        assert (record.key_id, record.attest_key, record.agree_jwk, record.counter) == (None, None, None, 0)
        assert self.found(store, record.instance) == record

    def test_the_same_challenge_again_gives_the_same_instance_unchanged(self, store: EnrolmentStore) -> None:
        record = self.enrolled(store)
        assert store.renew(renewal(record, 5)) is RenewalOutcome.DONE
        again = self.register(store, registration("a", instance=instance_id("another proposal"), app_version="9"))
        assert again == self.found(store, record.instance)
        assert isinstance(again, InstanceRecord)
        assert (again.instance, again.counter, again.app_version) == (record.instance, 5, "2.4.0")

    def test_registrations_of_one_pair_that_race_make_one_instance(self, store: EnrolmentStore) -> None:
        self.spend(store, registration("a"))
        proposals = [registration("a", instance=instance_id(f"proposal {n}")) for n in range(RACERS)]
        answers = self.race([partial(store.register, new) for new in proposals])
        instances = {answer.instance for answer in answers if isinstance(answer, InstanceRecord)}
        assert len(instances) == 1
        assert all(isinstance(answer, InstanceRecord) for answer in answers)
        others = [new.instance for new in proposals if new.instance not in instances]
        assert all(store.instance(other, app=APP, environment=ENVIRONMENT) is None for other in others)

    # Superseding ---------------------------------------------------------------------------------

    def test_a_new_key_under_a_known_sign_key_supersedes_the_old_one(self, store: EnrolmentStore) -> None:
        first = self.enrolled(store)
        store.renew(renewal(first, 7))
        second = self.register(store, reinstalled("a"))
        assert isinstance(second, InstanceRecord)
        assert (second.instance, second.key_id, second.counter) == (first.instance, "key of b", 0)
        assert second.attest_key == registration("b").attest_key
        assert self.found(store, first.instance) == second

    def test_the_superseded_enrolment_is_not_answered_any_more(self, store: EnrolmentStore) -> None:
        first = self.enrolled(store)
        self.register(store, reinstalled("a"))
        assert self.register(store, registration("a")) is RegistrationRefusal.SUPERSEDED
        assert self.found(store, first.instance).key_id == "key of b"

    def test_a_superseded_key_does_not_come_back(self, store: EnrolmentStore) -> None:
        first = self.enrolled(store)
        self.register(store, reinstalled("a"))
        again = registration("a", challenge_digest=digest("a third challenge"))
        assert self.register(store, again) is RegistrationRefusal.SUPERSEDED
        assert self.found(store, first.instance).key_id == "key of b"

    def test_a_key_attested_again_keeps_its_counter(self, store: EnrolmentStore) -> None:
        first = self.enrolled(store)
        store.renew(renewal(first, 7))
        again = self.register(store, registration("a", challenge_digest=digest("again")))
        assert isinstance(again, InstanceRecord)
        assert (again.instance, again.counter) == (first.instance, 7)

    def test_a_device_may_lose_and_gain_the_power_to_attest(self, store: EnrolmentStore) -> None:
        first = self.enrolled(store)
        without = {"key_id": None, "attest_key": None, "format": "none", "tier": Tier.NONE}
        lost = self.register(store, registration("a", challenge_digest=digest("lost"), **without))
        assert isinstance(lost, InstanceRecord)
        assert (lost.instance, lost.key_id, lost.attest_key, lost.tier) == (first.instance, None, None, Tier.NONE)
        gained = self.register(store, reinstalled("a"))
        assert isinstance(gained, InstanceRecord)
        assert (gained.instance, gained.key_id) == (first.instance, "key of b")

    def test_enrolments_of_one_sign_key_that_race_make_one_instance(self, store: EnrolmentStore) -> None:
        jkt = registration("a").jkt
        rivals = [registration(f"rival {n}", jkt=jkt) for n in range(RACERS)]
        for rival in rivals:
            self.spend(store, rival)
        answers = self.race([partial(store.register, new) for new in rivals])
        records = [answer for answer in answers if isinstance(answer, InstanceRecord)]
        assert len(records) == RACERS
        assert len({record.instance for record in records}) == 1
        last = self.found(store, records[0].instance)
        repeated = [store.register(rival) for rival in rivals]
        assert [answer for answer in repeated if isinstance(answer, InstanceRecord)] == [last]

    # Keys that are somebody's --------------------------------------------------------------------

    def test_a_key_id_does_not_move_to_another_instance(self, store: EnrolmentStore) -> None:
        first = self.enrolled(store)
        thief = registration("b", key_id=first.key_id)
        assert self.register(store, thief) is RegistrationRefusal.KEY_ID_TAKEN
        assert store.instance(thief.instance, app=APP, environment=ENVIRONMENT) is None
        assert self.spend(store, thief).instance is None
        assert self.found(store, first.instance) == first

    def test_a_refused_registration_leaves_the_sign_key_free(self, store: EnrolmentStore) -> None:
        first = self.enrolled(store)
        self.register(store, registration("b", key_id=first.key_id))
        assert isinstance(self.register(store, registration("b", challenge_digest=digest("new"))), InstanceRecord)

    def test_a_superseded_key_id_does_not_move_either(self, store: EnrolmentStore) -> None:
        first = self.enrolled(store)
        self.register(store, reinstalled("a"))
        assert self.register(store, registration("c", key_id=first.key_id)) is RegistrationRefusal.KEY_ID_TAKEN

    def test_a_known_instance_cannot_take_over_anothers_key(self, store: EnrolmentStore) -> None:
        first, second = self.enrolled(store), self.enrolled(store, "b")
        grab = registration("b", challenge_digest=digest("grab"), key_id=first.key_id)
        assert self.register(store, grab) is RegistrationRefusal.KEY_ID_TAKEN
        assert self.found(store, second.instance) == second

    def test_of_sign_keys_that_race_for_one_key_id_one_gets_it(self, store: EnrolmentStore) -> None:
        rivals = [registration(f"rival {n}", key_id="the key") for n in range(RACERS)]
        for rival in rivals:
            self.spend(store, rival)
        answers = self.race([partial(store.register, new) for new in rivals])
        assert sum(isinstance(answer, InstanceRecord) for answer in answers) == 1
        assert answers.count(RegistrationRefusal.KEY_ID_TAKEN) == RACERS - 1

    # Bans ----------------------------------------------------------------------------------------

    def test_a_banned_instance_is_found_as_banned(self, store: EnrolmentStore) -> None:
        record = self.enrolled(store)
        self.ban(store, record.instance)
        assert self.found(store, record.instance) == replace(record, banned=True)

    def test_a_banned_sign_key_does_not_enrol_again(self, store: EnrolmentStore) -> None:
        record = self.enrolled(store)
        self.ban(store, record.instance)
        assert self.register(store, reinstalled("a")) is RegistrationRefusal.BANNED

    def test_a_banned_instances_enrolment_is_not_answered_again(self, store: EnrolmentStore) -> None:
        record = self.enrolled(store)
        self.ban(store, record.instance)
        assert self.register(store, registration("a")) is RegistrationRefusal.BANNED

    def test_every_key_that_a_banned_instance_held_stays_banned(self, store: EnrolmentStore) -> None:
        record = self.enrolled(store)
        self.register(store, reinstalled("a"))
        self.ban(store, record.instance)
        for key_id in ("key of a", "key of b"):
            new = registration(f"heir of {key_id}", key_id=key_id)
            assert self.register(store, new) is RegistrationRefusal.BANNED

    def test_a_ban_touches_nobody_else(self, store: EnrolmentStore) -> None:
        self.ban(store, self.enrolled(store).instance)
        other = self.enrolled(store, "b")
        assert not self.found(store, other.instance).banned
        assert store.renew(renewal(other, 1)) is RenewalOutcome.DONE

    # Renewal -------------------------------------------------------------------------------------

    def test_a_renewal_writes_what_it_found(self, store: EnrolmentStore) -> None:
        record = self.enrolled(store)
        assert store.renew(renewal(record, 1)) is RenewalOutcome.DONE
        assert self.found(store, record.instance) == replace(
            record,
            counter=1,
            asserted_at=NOW + timedelta(minutes=1),
            tier=Tier.WARNING,
            warnings=("os_version_too_old",),
            app_version="2.4.0",
            os_version="27.1",
            sdk_version="1.1.0",
        )

    def test_a_renewal_without_assertion_leaves_counter_and_time_of_the_last_one(self, store: EnrolmentStore) -> None:
        record = self.enrolled(store)
        store.renew(renewal(record, 1))
        assert store.renew(renewal(record, 2, key_id=None, counter=None)) is RenewalOutcome.DONE
        found = self.found(store, record.instance)
        assert (found.counter, found.asserted_at) == (1, NOW + timedelta(minutes=1))

    def test_the_same_renewal_again_is_done_and_changes_nothing(self, store: EnrolmentStore) -> None:
        record = self.enrolled(store)
        store.renew(renewal(record, 1))
        before = self.found(store, record.instance)
        assert store.renew(renewal(record, 1, renewed_at=NOW + timedelta(days=1))) is RenewalOutcome.DONE
        assert self.found(store, record.instance) == before

    def test_the_same_challenge_with_another_body_is_spent(self, store: EnrolmentStore) -> None:
        record = self.enrolled(store)
        store.renew(renewal(record, 1))
        other = renewal(record, 1, body_digest=digest("other"), counter=2)
        assert store.renew(other) is RenewalOutcome.CHALLENGE_SPENT

    def test_an_earlier_or_equally_late_challenge_is_spent(self, store: EnrolmentStore) -> None:
        record = self.enrolled(store)
        store.renew(renewal(record, 5))
        assert store.renew(renewal(record, 4, counter=6)) is RenewalOutcome.CHALLENGE_SPENT
        twin = renewal(record, 5, challenge_digest=digest("twin"), counter=6)
        assert store.renew(twin) is RenewalOutcome.CHALLENGE_SPENT
        assert self.found(store, record.instance).counter == 5

    def test_a_renewal_before_the_last_one_is_not_done_again(self, store: EnrolmentStore) -> None:
        record = self.enrolled(store)
        store.renew(renewal(record, 1))
        store.renew(renewal(record, 2))
        assert store.renew(renewal(record, 1)) is RenewalOutcome.CHALLENGE_SPENT

    def test_a_counter_that_does_not_rise_is_refused_and_leaves_the_challenge_usable(
        self, store: EnrolmentStore
    ) -> None:
        record = self.enrolled(store)
        store.renew(renewal(record, 5))
        before = self.found(store, record.instance)
        for counter in (5, 4, 0):
            stale = renewal(record, 6, counter=counter)
            assert store.renew(stale) is RenewalOutcome.COUNTER_NOT_INCREASED
        assert self.found(store, record.instance) == before
        assert store.renew(renewal(record, 6)) is RenewalOutcome.DONE

    def test_an_assertion_of_a_key_that_is_not_the_current_one_is_refused(self, store: EnrolmentStore) -> None:
        first = self.enrolled(store)
        self.register(store, reinstalled("a"))
        assert store.renew(renewal(first, 9)) is RenewalOutcome.COUNTER_NOT_INCREASED
        assert self.found(store, first.instance).counter == 0

    def test_an_unknown_instance_is_unknown(self, store: EnrolmentStore) -> None:
        record = self.enrolled(store)
        assert store.renew(renewal(record, 1, instance=instance_id("nobody"))) is RenewalOutcome.UNKNOWN

    def test_a_banned_instance_does_not_renew_not_even_again(self, store: EnrolmentStore) -> None:
        record = self.enrolled(store)
        store.renew(renewal(record, 1))
        self.ban(store, record.instance)
        assert store.renew(renewal(record, 2)) is RenewalOutcome.BANNED
        assert store.renew(renewal(record, 1)) is RenewalOutcome.BANNED

    def test_of_assertions_with_one_counter_that_race_one_renews(self, store: EnrolmentStore) -> None:
        record = self.enrolled(store)
        rivals = [renewal(record, order, counter=1) for order in range(1, RACERS + 1)]
        outcomes = self.race([partial(store.renew, new) for new in rivals])
        assert outcomes.count(RenewalOutcome.DONE) == 1
        assert self.found(store, record.instance).counter == 1

    def test_of_renewals_with_one_challenge_that_race_one_renews(self, store: EnrolmentStore) -> None:
        record = self.enrolled(store)
        rivals = [
            renewal(record, 1, body_digest=digest(f"body {n}"), counter=n, challenge_digest=digest(f"{n}"))
            for n in range(1, RACERS + 1)
        ]
        outcomes = self.race([partial(store.renew, new) for new in rivals])
        assert outcomes.count(RenewalOutcome.DONE) == 1
        assert outcomes.count(RenewalOutcome.CHALLENGE_SPENT) == RACERS - 1

    def test_copies_of_one_renewal_that_race_are_all_answered(self, store: EnrolmentStore) -> None:
        record = self.enrolled(store)
        copy = renewal(record, 1)
        outcomes = self.race([partial(store.renew, copy) for _ in range(RACERS)])
        assert outcomes == [RenewalOutcome.DONE] * RACERS

    def test_renewals_that_race_leave_the_highest_counter_that_was_done(self, store: EnrolmentStore) -> None:
        record = self.enrolled(store)
        rivals = [renewal(record, order) for order in range(1, RACERS + 1)]
        outcomes = self.race([partial(store.renew, new) for new in rivals])
        done = [new.counter for new, outcome in zip(rivals, outcomes, strict=True) if outcome is RenewalOutcome.DONE]
        assert self.found(store, record.instance).counter == max(counter for counter in done if counter is not None)
