"""Attacks on renewal: each differs from the renewal that works in one respect, and meets its own reason."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from bonafide.appraisal import Identity, IdentityPolicy
from bonafide.challenge import Purpose
from bonafide.codec import base64url, json
from bonafide.enrolment.renewal import _REFUSALS, begin_renewal
from bonafide.errors import BonafideError, Misuse
from bonafide.evidence.debug import DebugSecret, UnsafeDebugEvidence, issue_debug_evidence
from bonafide.ports import RenewalOutcome
from bonafide.reasons import app_assertion, debug
from bonafide.reasons import appraisal as appraisal_reasons
from bonafide.reasons import challenge as challenge_reasons
from bonafide.reasons import enrolment as reasons
from bonafide.reasons import proof as proof_reasons
from bonafide.terms import Environment, EvidenceEnvironment, Tier
from bonafide.testing.apple import derive_key
from bonafide.testing.device import PendingMessage, enrolment_message
from bonafide.testing.killing_store import KillingStore
from bonafide.testing.memory_enrolment_store import MemoryEnrolmentStore
from tests.enrolment.world import CLIP, OTHER_AUDIENCE, World, app, changed, refusal, under, with_evidence

if TYPE_CHECKING:
    from bonafide.enrolment import Enrolled
    from bonafide.ports import InstanceRecord

THIEF = derive_key(b"thief", "sign", ec.SECP256R1())
MADE_UP = "A" * 22


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def enrolled(world: World) -> Enrolled:
    """Enrol, and let most of the client attestation's life pass."""
    enrolled = world.enrolled()
    world.clock.advance(minutes=4)
    return enrolled


def _memory(world: World) -> MemoryEnrolmentStore:
    assert isinstance(world.store, MemoryEnrolmentStore)
    return world.store


# What works ------------------------------------------------------------------------------------------


def test_a_phone_renews_and_the_row_says_so(world: World, enrolled: Enrolled) -> None:
    before = world.record(enrolled.instance)
    message = world.renewal(enrolled, app_version="2.4.0", os_version="27.1", sdk_version="0.2")
    assert world.renew(message, enrolled.instance).instance == enrolled.instance
    assert world.record(enrolled.instance) == replace(
        before, counter=1, asserted_at=world.now, app_version="2.4.0", os_version="27.1", sdk_version="0.2"
    )


def test_a_renewal_needs_no_assertion_while_the_last_one_is_young(world: World, enrolled: Enrolled) -> None:
    world.renew(world.renewal(enrolled, asserted=False), enrolled.instance)
    record = world.record(enrolled.instance)
    assert (record.counter, record.asserted_at) == (0, world.now - timedelta(minutes=4))


def test_renewals_follow_each_other(world: World, enrolled: Enrolled) -> None:
    for counter in range(1, 6):
        world.clock.advance(minutes=4)
        enrolled = world.renew(world.renewal(enrolled), enrolled.instance)
        assert world.record(enrolled.instance).counter == counter


# Challenge and form ----------------------------------------------------------------------------------


def test_a_challenge_for_enrolments_does_not_renew(world: World, enrolled: Enrolled) -> None:
    message = world.renewal(enrolled, challenge=world.challenge(Purpose.ENROL))
    assert refusal(world.renew, message, enrolled.instance) is challenge_reasons.MAC_MISMATCH


def test_a_challenge_of_another_app_does_not_renew(world: World, enrolled: Enrolled) -> None:
    message = world.renewal(enrolled, challenge=world.challenge(Purpose.RENEW, app="other"))
    assert refusal(world.renew, message, enrolled.instance) is challenge_reasons.MAC_MISMATCH


def test_the_next_challenge_lives_until_ten_minutes_after_the_client_attestation(world: World) -> None:
    enrolled = world.enrolled()
    message = world.renewal(enrolled)
    world.clock.advance(minutes=15)
    assert refusal(world.renew, message, enrolled.instance) is challenge_reasons.EXPIRED
    world.clock.advance(microseconds=-1)
    world.renew(message, enrolled.instance)


def test_an_unknown_app_does_not_renew(world: World, enrolled: Enrolled) -> None:
    message = world.renewal(enrolled, app="nobody")
    assert refusal(world.renew, message, enrolled.instance) is reasons.APP_UNKNOWN


def test_a_renewal_of_one_instance_posted_to_another_is_refused(world: World, enrolled: Enrolled) -> None:
    assert refusal(world.renew, world.renewal(enrolled), MADE_UP) is reasons.INSTANCE_MISMATCH


# One answer outside ----------------------------------------------------------------------------------


def test_four_refusals_are_one_answer_outside() -> None:
    assert len({(reason.status, reason.action) for reason in reasons.RENEWAL_REFUSED}) == 1


def test_an_unknown_instance_does_not_renew(world: World, enrolled: Enrolled) -> None:
    message = world.renewal(enrolled, instance=MADE_UP)
    assert refusal(world.renew, message, MADE_UP) is reasons.INSTANCE_UNKNOWN


def test_an_instance_of_another_app_or_environment_is_unknown(world: World, enrolled: Enrolled) -> None:
    elsewhere = world.renewal(enrolled, app="other", challenge=world.challenge(Purpose.RENEW, app="other"))
    assert refusal(world.renew, elsewhere, enrolled.instance) is reasons.INSTANCE_UNKNOWN
    world.configure(environment=Environment.STAGING)
    staging = world.renewal(enrolled, challenge=world.challenge(Purpose.RENEW))
    assert refusal(world.renew, staging, enrolled.instance) is reasons.INSTANCE_UNKNOWN


def test_a_renewal_signed_by_another_key_is_refused(world: World, enrolled: Enrolled) -> None:
    message = world.renewal(enrolled)
    assert refusal(world.renew, message, enrolled.instance, by=THIEF) is reasons.KEY_MISMATCH


def test_a_renewal_by_another_phones_own_key_is_refused(world: World, enrolled: Enrolled) -> None:
    message = world.renewal(enrolled)
    world.phone = world.new_phone("thief")
    own = replace(message, client_data=changed(message.client_data, {"jkt": world.phone.keychain.jkt}))
    assert refusal(world.renew, own, enrolled.instance) is reasons.KEY_MISMATCH


def test_nobodys_key_opens_nothing(world: World, enrolled: Enrolled) -> None:
    """The key against which requests for nobody are verified has a private half that everybody knows."""
    nobody = ec.derive_private_key(1, ec.SECP256R1())
    unknown = world.renewal(enrolled, instance=MADE_UP)
    assert refusal(world.renew, unknown, MADE_UP, by=nobody) is reasons.INSTANCE_UNKNOWN
    foreign = world.renewal(enrolled, jkt="A" * 43)
    assert refusal(world.renew, foreign, enrolled.instance, by=nobody, jkt="A" * 43) is reasons.KEY_MISMATCH
    assert refusal(world.renew, world.renewal(enrolled), enrolled.instance, by=nobody) is reasons.KEY_MISMATCH


@pytest.mark.parametrize(
    ("request_changes", "reason"),
    [
        ({"created": 0}, proof_reasons.CREATED_TOO_OLD),
        ({"created": 2**33}, proof_reasons.CREATED_IN_FUTURE),
        ({"jkt": "B" * 42 + "A"}, proof_reasons.KEY_MISMATCH),
    ],
)
def test_a_stale_proof_is_refused_alike_whether_or_not_the_instance_exists(
    world: World, enrolled: Enrolled, request_changes: dict[str, Any], reason: object
) -> None:
    known, unknown = world.renewal(enrolled), world.renewal(enrolled, instance=MADE_UP)
    assert refusal(world.renew, known, enrolled.instance, **request_changes) is reason
    assert refusal(world.renew, unknown, MADE_UP, **request_changes) is reason
    _memory(world).ban(enrolled.instance)
    assert refusal(world.renew, known, enrolled.instance, **request_changes) is reason


def test_a_body_that_is_not_the_signed_one_does_not_renew(world: World, enrolled: Enrolled) -> None:
    body = world.renewal(enrolled).body()
    request = world.request(f"/instances/{enrolled.instance}/renewals", body)
    lookup = begin_renewal(request, body + b" ", instance=enrolled.instance, service=world.service, now=world.now)
    refused = refusal(lookup.settle, world.record(enrolled.instance), now=world.now)
    assert refused is proof_reasons.DIGEST_MISMATCH


def test_a_banned_instance_does_not_renew(world: World, enrolled: Enrolled) -> None:
    _memory(world).ban(enrolled.instance)
    assert refusal(world.renew, world.renewal(enrolled), enrolled.instance) is reasons.INSTANCE_BANNED
    assert refusal(world.renew, world.renewal(enrolled), enrolled.instance, by=THIEF) is reasons.KEY_MISMATCH


def test_a_ban_between_lookup_and_update_holds(world: World, enrolled: Enrolled) -> None:
    class BannedMeanwhile(KillingStore):
        def instance(self, instance: str, **where: Any) -> InstanceRecord | None:
            found = super().instance(instance, **where)
            memory.ban(instance)
            return found

    memory = _memory(world)
    world.store = BannedMeanwhile(memory)
    assert refusal(world.renew, world.renewal(enrolled), enrolled.instance) is reasons.INSTANCE_BANNED


# Assertions ------------------------------------------------------------------------------------------


def test_an_assertion_is_due_after_a_day(world: World, enrolled: Enrolled) -> None:
    world.clock.advance(hours=24, minutes=-4, microseconds=-1)
    fresh = replace(enrolled, next_challenge=world.challenge(Purpose.RENEW))
    world.renew(world.renewal(fresh, asserted=False), enrolled.instance)
    world.clock.advance(microseconds=1)
    fresh = replace(enrolled, next_challenge=world.challenge(Purpose.RENEW))
    bare = world.renewal(fresh, asserted=False)
    assert refusal(world.renew, bare, enrolled.instance) is reasons.ASSERTION_MISSING
    world.renew(world.renewal(fresh), enrolled.instance)
    world.clock.advance(hours=23)
    fresh = replace(enrolled, next_challenge=world.challenge(Purpose.RENEW))
    world.renew(world.renewal(fresh, asserted=False), enrolled.instance)


def test_an_age_of_zero_demands_an_assertion_every_time(world: World, enrolled: Enrolled) -> None:
    world.configure(apps=(under(reattest_after=timedelta()),))
    bare = world.renewal(enrolled, asserted=False)
    assert refusal(world.renew, bare, enrolled.instance) is reasons.ASSERTION_MISSING


def test_an_assertion_for_other_client_data_does_not_renew(world: World, enrolled: Enrolled) -> None:
    message = world.renewal(enrolled)
    message.client_data = changed(message.client_data, {"app_version": "9.9"})
    assert refusal(world.renew, message, enrolled.instance) is app_assertion.SIGNATURE_INVALID


def test_an_assertion_by_another_phone_does_not_renew(world: World, enrolled: Enrolled) -> None:
    message = world.renewal(enrolled)
    other = world.new_phone("other")
    key = other.new_key()
    other.enclave.attest_key(key, b"x", now=world.now)
    message.evidence = other.make_assertion(replace(message, key=key))
    assert refusal(world.renew, message, enrolled.instance) is app_assertion.SIGNATURE_INVALID


def test_an_assertion_of_another_app_does_not_renew(world: World, enrolled: Enrolled) -> None:
    world.phone.enclave.app_id = CLIP
    assert refusal(world.renew, world.renewal(enrolled), enrolled.instance) is app_assertion.APP_ID_MISMATCH


def test_an_assertion_that_does_not_parse_does_not_renew(world: World, enrolled: Enrolled) -> None:
    message = with_evidence(world.renewal(enrolled), assertion=base64url.encode(b"\xa0"))
    assert refusal(world.renew, message, enrolled.instance) is app_assertion.OBJECT_MALFORMED


def _asserted_as(world: World, enrolled: Enrolled, counter: int) -> PendingMessage:
    """Return a renewal whose assertion, otherwise genuine, carries this counter."""
    world.phone.enclave._keys[str(world.phone.keychain.attest_key)].counter = counter - 1
    return world.renewal(enrolled)


def test_an_assertion_with_an_old_counter_does_not_renew(world: World, enrolled: Enrolled) -> None:
    enrolled = world.renew(_asserted_as(world, enrolled, 5), enrolled.instance)
    for counter in (5, 4, 1):
        stale = _asserted_as(world, enrolled, counter)
        assert refusal(world.renew, stale, enrolled.instance) is reasons.COUNTER_NOT_INCREASED
    world.renew(_asserted_as(world, enrolled, 6), enrolled.instance)


def test_a_counter_of_zero_asserts_nothing(world: World, enrolled: Enrolled) -> None:
    stale = _asserted_as(world, enrolled, 0)
    assert refusal(world.renew, stale, enrolled.instance) is app_assertion.COUNTER_NOT_INCREASED


def test_of_two_assertions_read_before_either_was_written_one_renews(world: World, enrolled: Enrolled) -> None:
    """Both requests looked at the row before either wrote it: only the UPDATE can tell them apart."""
    record = world.record(enrolled.instance)
    pending = []
    for _ in range(2):
        message = replace(_asserted_as(world, enrolled, 1))
        world.clock.advance(seconds=1)
        enrolled = replace(enrolled, next_challenge=world.challenge(Purpose.RENEW))
        body = message.body()
        request = world.request(f"/instances/{enrolled.instance}/renewals", body)
        lookup = begin_renewal(request, body, instance=enrolled.instance, service=world.service, now=world.now)
        pending.append(lookup.settle(record, now=world.now))
    outcomes = [world.store.renew(one.renewal) for one in pending]
    assert outcomes == [RenewalOutcome.DONE, RenewalOutcome.COUNTER_NOT_INCREASED]
    assert refusal(pending[1].settle, outcomes[1]) is reasons.COUNTER_NOT_INCREASED


def test_an_assertion_of_a_superseded_key_does_not_renew(world: World, enrolled: Enrolled) -> None:
    late = world.renewal(enrolled)
    world.phone.reinstall()
    world.enrol(world.enrolment())
    assert refusal(world.renew, late, enrolled.instance) is app_assertion.SIGNATURE_INVALID


def test_an_instance_without_a_key_takes_no_assertion(world: World) -> None:
    world.configure(apps=(under(unattested=True),))
    message = enrolment_message(world.phone, world.challenge(), None)
    enrolled = world.enrol(replace(message, evidence=[]))
    world.clock.advance(days=400)
    fresh = replace(enrolled, next_challenge=world.challenge(Purpose.RENEW))
    world.renew(world.renewal(fresh, asserted=False), enrolled.instance)
    assert world.record(enrolled.instance).tier is Tier.NONE
    key = world.phone.new_key()
    world.phone.enclave.attest_key(key, b"x", now=world.now)
    world.phone.keychain.attest_key = key
    assert refusal(world.renew, world.renewal(fresh), enrolled.instance) is reasons.FORMAT_UNFIT


# Appraisal of today ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ({"environments": frozenset({EvidenceEnvironment.DEVELOPMENT})}, appraisal_reasons.ENVIRONMENT_REFUSED),
        ({"validation_categories": frozenset()}, appraisal_reasons.VALIDATION_CATEGORY_REFUSED),
        ({"minimum_app_version": "2.3.1"}, appraisal_reasons.APP_VERSION_TOO_OLD),
        ({"minimum_sdk_version": "1"}, appraisal_reasons.SDK_VERSION_TOO_OLD),
        ({"evidence_max_age": timedelta(minutes=4)}, appraisal_reasons.EVIDENCE_TOO_OLD),
    ],
)
def test_a_renewal_is_judged_by_the_policy_of_today(
    world: World, enrolled: Enrolled, policy: dict[str, Any], reason: object
) -> None:
    message, loose = world.renewal(enrolled), world.service.apps
    world.configure(apps=(under(**policy),))
    assert refusal(world.renew, message, enrolled.instance) is reason
    world.configure(apps=loose)
    world.renew(message, enrolled.instance)


def test_a_new_minimum_of_the_system_lowers_the_tier_at_the_next_renewal(world: World, enrolled: Enrolled) -> None:
    world.configure(apps=(under(minimum_os_version="28"),))
    world.renew(world.renewal(enrolled), enrolled.instance)
    record = world.record(enrolled.instance)
    assert (record.tier, record.warnings) == (Tier.WARNING, ("os_version_too_old",))


def test_evidence_of_a_year_ago_is_not_renewed(world: World, enrolled: Enrolled) -> None:
    world.clock.advance(days=365, minutes=-4)
    fresh = replace(enrolled, next_challenge=world.challenge(Purpose.RENEW))
    refused = refusal(world.renew, world.renewal(fresh), enrolled.instance)
    assert refused is appraisal_reasons.EVIDENCE_TOO_OLD
    assert refused.action == "enrol_again"


def test_an_identity_that_was_removed_does_not_renew(world: World, enrolled: Enrolled) -> None:
    world.configure(apps=(app(identities=(Identity(name=CLIP),)),))
    assert refusal(world.renew, world.renewal(enrolled), enrolled.instance) is reasons.IDENTITY_UNKNOWN


def test_what_the_running_app_asserts_of_itself_is_judged(world: World, enrolled: Enrolled) -> None:
    world.phone.enclave.validation_category = 3
    message = world.renewal(enrolled)
    assert refusal(world.renew, message, enrolled.instance) is appraisal_reasons.VALIDATION_CATEGORY_REFUSED


def test_an_assertion_that_says_nothing_leaves_the_attested_category(world: World, enrolled: Enrolled) -> None:
    world.configure(apps=(under(validation_category_required=True),))
    world.phone.enclave.ios = "26.0"
    world.renew(world.renewal(enrolled), enrolled.instance)


@pytest.mark.parametrize("category", ["4", True, 4.0, [4]])
def test_stored_claims_that_are_none_are_a_mistake_of_ours(world: World, enrolled: Enrolled, category: object) -> None:
    class Edited(KillingStore):
        def instance(self, instance: str, **where: Any) -> InstanceRecord | None:
            found = super().instance(instance, **where)
            return found and replace(found, claims={**found.claims, "validation_category": category})

    world.store = Edited(world.store)
    with pytest.raises(Misuse) as refused:
        world.renew(world.renewal(enrolled), enrolled.instance)
    assert refused.value.reason is reasons.STORE_CONTRADICTS


@pytest.mark.parametrize("change", [{"instance": MADE_UP}, {"app": "other"}, {"environment": Environment.PRODUCTION}])
def test_a_store_that_answers_with_another_instance_is_a_mistake_of_ours(
    world: World, enrolled: Enrolled, change: dict[str, Any]
) -> None:
    class Confused(KillingStore):
        def instance(self, instance: str, **where: Any) -> InstanceRecord | None:
            found = super().instance(instance, **where)
            return found and replace(found, **change)

    world.store = Confused(world.store)
    with pytest.raises(Misuse) as refused:
        world.renew(world.renewal(enrolled), enrolled.instance)
    assert refused.value.reason is reasons.STORE_CONTRADICTS


# Debug instances -------------------------------------------------------------------------------------

SECRET = DebugSecret(app="shop", name="ci", secret=b"\x01" * 16)
ACCEPTED = UnsafeDebugEvidence(environment=Environment.TEST, secrets=(SECRET,))


def _debug_instance(world: World) -> Enrolled:
    world.configure(debug=ACCEPTED, apps=(under(environments=frozenset({EvidenceEnvironment.DEBUG})),))
    message = enrolment_message(world.phone, world.challenge(), None)
    digest = hashlib.sha256(message.client_data).digest()
    message.evidence = [issue_debug_evidence(SECRET, client_data_hash=digest, now=world.now)]
    return world.enrol(message)


def test_a_debug_instance_renews_while_its_secret_stands(world: World) -> None:
    enrolled = _debug_instance(world)
    message = world.renewal(enrolled, asserted=False)
    world.configure(debug=replace(ACCEPTED, secrets=()))
    assert refusal(world.renew, message, enrolled.instance) is debug.NAME_UNKNOWN
    world.configure(debug=None)
    assert refusal(world.renew, message, enrolled.instance) is debug.NOT_ACCEPTED
    world.configure(debug=ACCEPTED)
    world.renew(message, enrolled.instance)


def test_another_apps_secret_of_that_name_does_not_renew(world: World) -> None:
    enrolled = _debug_instance(world)
    world.configure(debug=replace(ACCEPTED, secrets=(replace(SECRET, app="other"),)))
    message = world.renewal(enrolled, asserted=False)
    assert refusal(world.renew, message, enrolled.instance) is debug.NAME_UNKNOWN


# Again, and out of order -----------------------------------------------------------------------------


def test_the_same_renewal_freshly_signed_is_answered_again(world: World, enrolled: Enrolled) -> None:
    message = world.renewal(enrolled)
    first = world.renew(message, enrolled.instance)
    row = world.record(enrolled.instance)
    world.clock.advance(minutes=2)
    second = world.renew(message, enrolled.instance)
    assert second.client_attestation != first.client_attestation
    assert world.record(enrolled.instance) == row


def test_a_challenge_that_renewed_does_not_renew_with_another_body(world: World, enrolled: Enrolled) -> None:
    world.renew(world.renewal(enrolled), enrolled.instance)
    again = world.renewal(enrolled, app_version="2.4.0")
    assert refusal(world.renew, again, enrolled.instance) is challenge_reasons.OVERTAKEN


def test_a_recorded_renewal_is_refused_once_a_later_one_was_done(world: World, enrolled: Enrolled) -> None:
    recorded = world.renewal(enrolled, asserted=False)
    later = world.renew(recorded, enrolled.instance)
    world.clock.advance(minutes=4)
    world.renew(world.renewal(later, asserted=False), enrolled.instance)
    assert refusal(world.renew, recorded, enrolled.instance) is challenge_reasons.OVERTAKEN


def test_a_shorter_lifetime_does_not_lock_out_whoever_renewed_under_the_longer(world: World) -> None:
    world.configure(lifetime=timedelta(minutes=60))
    enrolled = world.enrolled()
    for asked in (False, True, False):
        world.clock.advance(minutes=1)
        world.configure(lifetime=timedelta(minutes=5))
        if asked:
            enrolled = replace(enrolled, next_challenge=world.challenge(Purpose.RENEW))
        enrolled = world.renew(world.renewal(enrolled), enrolled.instance)


def test_two_services_whose_clocks_differ_hand_out_challenges_in_order(world: World, enrolled: Enrolled) -> None:
    enrolled = world.renew(world.renewal(enrolled), enrolled.instance)
    world.clock.advance(seconds=-3)  # the other host's clock is behind
    enrolled = world.renew(world.renewal(enrolled), enrolled.instance)
    world.renew(world.renewal(enrolled), enrolled.instance)


# Audiences -------------------------------------------------------------------------------------------


def test_an_audience_that_the_app_does_not_name_is_refused(world: World, enrolled: Enrolled) -> None:
    message = world.renewal(enrolled, aud="https://evil.example.com")
    assert refusal(world.renew, message, enrolled.instance) is reasons.AUDIENCE_REFUSED
    message = world.renewal(enrolled, aud=OTHER_AUDIENCE)
    world.renew(message, enrolled.instance)


def test_every_outcome_of_a_store_is_a_refusal_or_done() -> None:
    assert set(_REFUSALS) == set(RenewalOutcome) - {RenewalOutcome.DONE}


# The order of work -----------------------------------------------------------------------------------


def _calls(world: World, message: PendingMessage, instance: str, **request: Any) -> list[str]:
    watched = KillingStore(world.store)
    world.store = watched
    with pytest.raises(BonafideError):
        world.renew(message, instance, **request)
    return [point.method for point in watched.passed[::2]]


def test_a_renewal_asks_the_store_only_under_a_challenge_of_ours(world: World, enrolled: Enrolled) -> None:
    forged = world.renewal(enrolled, challenge=world.challenge(Purpose.ENROL))
    assert _calls(world, forged, enrolled.instance) == []


def test_a_refused_renewal_writes_nothing(world: World, enrolled: Enrolled) -> None:
    row = world.record(enrolled.instance)
    assert _calls(world, world.renewal(enrolled), enrolled.instance, by=THIEF) == ["instance"]
    world.configure(apps=(under(minimum_app_version="9"),))
    assert _calls(world, world.renewal(enrolled), enrolled.instance) == ["instance"]
    assert world.record(enrolled.instance) == row


def test_a_banned_instance_costs_no_write(world: World, enrolled: Enrolled) -> None:
    _memory(world).ban(enrolled.instance)
    assert _calls(world, world.renewal(enrolled), enrolled.instance) == ["instance"]


def test_no_step_shows_the_request_that_it_carries(world: World, enrolled: Enrolled) -> None:
    body = world.renewal(enrolled).body()
    request = world.request(f"/instances/{enrolled.instance}/renewals", body)
    lookup = begin_renewal(request, body, instance=enrolled.instance, service=world.service, now=world.now)
    pending = lookup.settle(world.record(enrolled.instance), now=world.now)
    for shown in (repr(lookup), repr(pending), repr(lookup._case)):
        assert request.headers["signature"] not in shown
        assert body.decode() not in shown


def test_renewals_do_not_wait_for_the_verification_pool(world: World, enrolled: Enrolled) -> None:
    world.places.free = 0
    world.renew(world.renewal(enrolled), enrolled.instance)


def test_claims_survive_the_json_of_a_database(world: World, enrolled: Enrolled) -> None:
    claims = world.record(enrolled.instance).claims
    assert json.parse_object(json.dump(claims)) == claims
    assert IdentityPolicy().validation_categories >= {claims["validation_category"]}
