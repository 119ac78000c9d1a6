"""Attacks on enrolment: each differs from the enrolment that works in one respect, and meets its own reason."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from bonafide.appraisal import Identity
from bonafide.challenge import ChallengeKey, Purpose
from bonafide.codec import base64url, json
from bonafide.enrolment import begin_enrolment, fails_for_good
from bonafide.enrolment.new_instance import _REFUSALS
from bonafide.errors import BonafideError, Misuse, VerificationFailed
from bonafide.evidence.debug import DebugSecret, UnsafeDebugEvidence, issue_debug_evidence
from bonafide.ports import InstanceRecord, RegistrationRefusal, SpentChallenge
from bonafide.reasons import app_attest, by_code, debug
from bonafide.reasons import appraisal as appraisal_reasons
from bonafide.reasons import challenge as challenge_reasons
from bonafide.reasons import enrolment as reasons
from bonafide.reasons import proof as proof_reasons
from bonafide.terms import Environment, EvidenceEnvironment, Platform, Tier
from bonafide.testing.apple import FakeApple, derive_key
from bonafide.testing.device import PendingMessage, enrolment_message
from bonafide.testing.killing_store import KillingStore
from bonafide.testing.memory_enrolment_store import MemoryEnrolmentStore
from bonafide.testing.secure_enclave import attestation_object
from tests.enrolment.world import CLIP, Places, World, app, apple, changed, refusal, under, with_evidence

if TYPE_CHECKING:
    from bonafide.ports import Registration


@pytest.fixture
def world() -> World:
    return World()


def _octets(message: PendingMessage) -> bytes:
    return base64url.decode(str((message.evidence or [{}])[0]["attestation"]))


# What works ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ios", ["14.0", "18.5", "26.4", "27.0"])
def test_a_phone_enrols_and_is_stored_as_what_it_proved(world: World, ios: str) -> None:
    world.phone = world.new_phone(os_version=ios)
    message = world.enrolment()
    record = world.record(world.enrol(message).instance)
    assert (record.identity, record.platform, record.jkt) == (
        "ABCDE12345.com.example.shop",
        Platform.IOS,
        world.phone.keychain.jkt,
    )
    assert (record.key_id, record.counter, record.format) == (message.key, 0, "apple-app-attest")
    assert record.attest_key == world.phone.enclave.public_key(str(message.key))
    assert (record.tier, record.warnings) == (Tier.AFFIRMING, ())
    assert record.evidence_environment is EvidenceEnvironment.PRODUCTION
    assert record.claims["validation_category"] == (4 if ios == "27.0" else None)
    assert (record.app_version, record.os_version, record.sdk_version) == ("2.3.0", ios, "0.1")
    assert record.verified_at == record.asserted_at == world.now
    assert json.parse_object(json.dump(record.claims)) == record.claims


def test_another_identity_of_the_app_enrols_as_itself(world: World) -> None:
    world.phone = world.new_phone(identity=CLIP)
    assert world.record(world.enrolled().instance).identity == CLIP


def test_evidence_is_kept_with_its_retention_or_as_digests_only(world: World) -> None:
    kept: list[Registration] = []

    class Watched(MemoryEnrolmentStore):
        def register(self, registration: Registration) -> InstanceRecord | RegistrationRefusal:
            kept.append(registration)
            return super().register(registration)

    for retention in (timedelta(days=90), timedelta(days=1), None):
        world.configure(evidence_retention=retention)
        world.store = Watched()
        message = world.enrolment()
        world.enrol(message)
        assert kept[-1].evidence == (None if retention is None else _octets(message))
        assert kept[-1].retain_until == (None if retention is None else world.now + retention)
        assert kept[-1].client_data == message.client_data
    assert len({new.evidence_digest for new in kept}) == len({new.instance for new in kept}) == 3


# Challenge -------------------------------------------------------------------------------------------


def _under_challenge(world: World, challenge: str) -> PendingMessage:
    return world.enrolment(challenge=challenge)


def test_a_challenge_for_renewals_does_not_enrol(world: World) -> None:
    message = _under_challenge(world, world.challenge(Purpose.RENEW))
    assert refusal(world.enrol, message) is challenge_reasons.MAC_MISMATCH


def test_a_challenge_of_another_app_does_not_enrol(world: World) -> None:
    message = _under_challenge(world, world.challenge(app="other"))
    assert refusal(world.enrol, message) is challenge_reasons.MAC_MISMATCH


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://api.example.org/bonafide/v1"},
        {"environment": Environment.STAGING},
        {"challenge_key": ChallengeKey(secret=b"\x07" * 32)},
    ],
)
def test_a_challenge_of_another_service_environment_or_key_does_not_enrol(world: World, change: dict[str, Any]) -> None:
    message = world.enrolment()
    world.configure(**change)
    assert refusal(world.enrol, message) is challenge_reasons.MAC_MISMATCH


def test_a_made_up_challenge_does_not_enrol(world: World) -> None:
    assert refusal(world.enrol, _under_challenge(world, "A" * 76)) is challenge_reasons.VERSION_UNKNOWN
    assert refusal(world.enrol, _under_challenge(world, "A" * 75)) is challenge_reasons.MALFORMED


def test_an_enrolment_challenge_lives_a_day(world: World) -> None:
    message = world.enrolment()
    world.clock.advance(hours=24)
    assert refusal(world.enrol, message) is challenge_reasons.EXPIRED
    world.clock.advance(microseconds=-1)
    world.enrol(message)


def test_a_challenge_spent_by_another_key_is_spent(world: World) -> None:
    first = world.enrolment()
    world.enrol(first)
    second = enrolment_message(world.phone, first.challenge, world.phone.new_key())
    second.evidence = world.phone.attest(second)
    assert refusal(world.enrol, second) is challenge_reasons.SPENT


def test_a_challenge_spent_by_a_body_that_failed_is_spent_all_the_same(world: World) -> None:
    good = world.enrolment()
    refusal(world.enrol, with_evidence(good, key_id=base64.b64encode(bytes(32)).decode()))
    assert refusal(world.enrol, good) is challenge_reasons.SPENT


# Proof -----------------------------------------------------------------------------------------------


def test_a_request_signed_by_another_key_does_not_enrol(world: World) -> None:
    other = derive_key(b"thief", "sign", ec.SECP256R1())
    assert refusal(world.enrol, world.enrolment(), by=other) is proof_reasons.SIGNATURE_INVALID


def test_a_request_that_names_another_key_does_not_enrol(world: World) -> None:
    assert refusal(world.enrol, world.enrolment(), jkt="A" * 43) is proof_reasons.KEY_MISMATCH


def test_a_request_signed_long_ago_does_not_enrol(world: World) -> None:
    signed = int(world.now.timestamp())
    assert refusal(world.enrol, world.enrolment(), created=signed - 61) is proof_reasons.CREATED_TOO_OLD
    assert refusal(world.enrol, world.enrolment(), created=signed + 6) is proof_reasons.CREATED_IN_FUTURE


def test_a_body_that_is_not_the_signed_one_does_not_enrol(world: World) -> None:
    message = world.enrolment()
    request = world.request("/instances", message.body())
    longer = message.body() + b" "
    begin_enrolment(request, message.body(), service=world.service, now=world.now)
    refused = refusal(begin_enrolment, request, longer, service=world.service, now=world.now)
    assert refused is proof_reasons.DIGEST_MISMATCH


def test_a_refused_proof_spends_nothing(world: World) -> None:
    message = world.enrolment()
    refusal(world.enrol, message, by=derive_key(b"thief", "sign", ec.SECP256R1()))
    world.enrol(message)


# App and identity ------------------------------------------------------------------------------------


def test_an_unknown_app_does_not_enrol(world: World) -> None:
    assert refusal(world.enrol, world.enrolment(app="nobody")) is reasons.APP_UNKNOWN


def test_an_identity_of_nobody_or_of_another_app_does_not_enrol(world: World) -> None:
    assert refusal(world.enrol, world.enrolment(identity="ABCDE12345.com.example.fake")) is reasons.IDENTITY_UNKNOWN
    elsewhere = app(name="other", identities=(Identity(name="ABCDE12345.com.example.other"),))
    world.configure(apps=(app(), elsewhere))
    assert refusal(world.enrol, world.enrolment(identity="ABCDE12345.com.example.other")) is reasons.IDENTITY_UNKNOWN


def test_evidence_of_another_platform_than_the_identitys_is_refused(world: World) -> None:
    android = Identity(name="ABCDE12345.com.example.shop")
    object.__setattr__(android, "platform", Platform.ANDROID)  # an identity of which no service can be made yet
    world.configure(apps=(app(identities=(android,)),))
    assert refusal(world.enrol, world.enrolment()) is reasons.FORMAT_UNFIT


# Evidence --------------------------------------------------------------------------------------------


def test_another_apps_genuine_attestation_does_not_enrol(world: World) -> None:
    world.phone = world.new_phone(identity="ZZZZZ99999.com.example.evil")
    assert refusal(world.enrol, world.enrolment(identity=CLIP)) is app_attest.APP_ID_MISMATCH


def test_a_clips_attestation_does_not_enrol_as_the_main_app(world: World) -> None:
    world.phone = world.new_phone(identity=CLIP)
    assert refusal(world.enrol, world.enrolment(identity="ABCDE12345.com.example.shop")) is app_attest.APP_ID_MISMATCH


def test_an_attestation_under_a_look_alike_root_does_not_enrol(world: World) -> None:
    world.phone = world.new_phone(apple=FakeApple(b"look-alike"))
    assert refusal(world.enrol, world.enrolment()) is app_attest.INTERMEDIATE_SIGNATURE_INVALID


def test_an_attestation_for_other_client_data_does_not_enrol(world: World) -> None:
    message = world.enrolment()
    message.client_data = changed(message.client_data, {"app_version": "9.9.9"})
    assert refusal(world.enrol, message) is app_attest.NONCE_MISMATCH


def test_an_attestation_by_another_hash_of_the_client_data_does_not_enrol(world: World) -> None:
    message = world.enrolment()
    message.client_data += b" "
    assert refusal(world.enrol, message) is app_attest.NONCE_MISMATCH


def test_another_key_id_than_the_attested_one_does_not_enrol(world: World) -> None:
    message = with_evidence(world.enrolment(), key_id=base64.b64encode(bytes(32)).decode())
    assert refusal(world.enrol, message) is app_attest.KEY_ID_MISMATCH


def test_a_development_attestation_does_not_enrol_in_a_production_policy(world: World) -> None:
    world.phone = world.new_phone(environment=EvidenceEnvironment.DEVELOPMENT)
    assert refusal(world.enrol, world.enrolment()) is app_attest.ENVIRONMENT_REFUSED


def test_an_attestation_of_an_expired_certificate_does_not_enrol(world: World) -> None:
    world.phone = world.new_phone(apple_time=lambda: world.now - timedelta(days=2, seconds=1))
    assert refusal(world.enrol, world.enrolment()) is app_attest.CERTIFICATE_EXPIRED


def _with_same_evidence_under_a_new_challenge(world: World, old: PendingMessage) -> PendingMessage:
    message = enrolment_message(world.phone, world.challenge(), old.key)
    return replace(message, evidence=old.evidence)


def test_a_recorded_attestation_under_a_new_challenge_does_not_enrol(world: World) -> None:
    old = world.enrolment()
    world.enrol(old)
    replayed = _with_same_evidence_under_a_new_challenge(world, old)
    assert refusal(world.enrol, replayed) is app_attest.NONCE_MISMATCH


@pytest.mark.parametrize("which", [0, 1, 2, 3], ids=["leaf issuer", "leaf subject", "intermediate issuer", "subject"])
def test_a_certificate_with_a_name_of_no_text_is_refused_like_any_other(world: World, which: int) -> None:
    """X.509 libraries know no string of such a name, and some say so in exceptions that nobody expects."""
    message = world.enrolment()
    octets, name = _octets(message), b"\x0c\x0aCalifornia"  # UTF8String; 0x03 makes it a BIT STRING
    parts = octets.split(name)
    assert len(parts) == 5
    spoilt = name.join(parts[: which + 1]) + b"\x03\x0aCalifornia" + name.join(parts[which + 1 :])
    refused = refusal(world.enrol, with_evidence(message, attestation=base64url.encode(spoilt)))
    assert refused.code.startswith("app_attest.")


# Appraisal -------------------------------------------------------------------------------------------


def test_a_build_installed_past_the_store_does_not_enrol(world: World) -> None:
    world.phone = world.new_phone(validation_category=5)
    assert refusal(world.enrol, world.enrolment()) is appraisal_reasons.VALIDATION_CATEGORY_REFUSED


def test_an_old_app_does_not_enrol_and_the_operator_sees_all_findings(world: World) -> None:
    world.configure(apps=(under(minimum_app_version="2.3.1", minimum_sdk_version="1", minimum_os_version="28"),))
    with pytest.raises(VerificationFailed) as refused:
        world.enrolled()
    assert refused.value.reason is appraisal_reasons.APP_VERSION_TOO_OLD
    assert refused.value.detail == (
        "appraisal.app_version_too_old, appraisal.sdk_version_too_old, appraisal.os_version_too_old"
    )


def test_an_old_system_enrols_with_a_warning(world: World) -> None:
    world.configure(apps=(under(minimum_os_version="28"),))
    record = world.record(world.enrolled().instance)
    assert (record.tier, record.warnings) == (Tier.WARNING, ("os_version_too_old",))


def test_a_refused_appraisal_registers_nothing_and_may_pass_under_another_policy(world: World) -> None:
    message = world.enrolment()
    strict, loose = under(minimum_app_version="3"), under()
    world.configure(apps=(strict,))
    assert refusal(world.enrol, message) is appraisal_reasons.APP_VERSION_TOO_OLD
    assert isinstance(world.store, MemoryEnrolmentStore)
    assert len(world.store) == 0
    world.configure(apps=(loose,))
    world.enrol(message)


# Devices without evidence ----------------------------------------------------------------------------


def _unattested(world: World, **changes: Any) -> PendingMessage:
    message = enrolment_message(world.phone, world.challenge(), None)
    return replace(message, client_data=changed(message.client_data, changes), evidence=[])


def test_a_device_without_evidence_does_not_enrol_by_default(world: World) -> None:
    assert refusal(world.enrol, _unattested(world)) is appraisal_reasons.NOT_ATTESTED


def test_a_device_without_evidence_gets_the_tier_none_where_the_policy_admits_it(world: World) -> None:
    world.configure(apps=(under(unattested=True),))
    record = world.record(world.enrol(_unattested(world)).instance)
    assert (record.tier, record.format, record.key_id, record.attest_key) == (Tier.NONE, "none", None, None)
    assert record.claims == {}


def test_stripped_evidence_costs_an_attested_phone_its_tier(world: World) -> None:
    world.configure(apps=(under(unattested=True),))
    instance = world.enrolled().instance
    assert world.enrol(_unattested(world)).instance == instance
    assert world.record(instance).tier is Tier.NONE


def test_a_device_without_evidence_takes_no_place_of_the_pool(world: World) -> None:
    world.configure(apps=(under(unattested=True),))
    world.places = Places(free=0)
    world.enrol(_unattested(world))


# Debug evidence --------------------------------------------------------------------------------------

SECRET = DebugSecret(app="shop", name="ci", secret=b"\x01" * 16)
ACCEPTED = UnsafeDebugEvidence(environment=Environment.TEST, secrets=(SECRET,))
DEBUG_POLICY = {"environments": frozenset({EvidenceEnvironment.DEBUG})}


def _debug(world: World, secret: DebugSecret = SECRET) -> PendingMessage:
    message = enrolment_message(world.phone, world.challenge(), None)
    digest = hashlib.sha256(message.client_data).digest()
    return replace(message, evidence=[issue_debug_evidence(secret, client_data_hash=digest, now=world.now)])


def test_debug_evidence_enrols_where_it_is_accepted_and_is_marked(world: World) -> None:
    world.configure(debug=ACCEPTED, apps=(under(**DEBUG_POLICY),))
    world.places = Places(free=0)  # a MAC costs nothing, so it takes no place
    record = world.record(world.enrol(_debug(world)).instance)
    assert (record.format, record.evidence_environment, record.tier) == (
        "debug",
        EvidenceEnvironment.DEBUG,
        Tier.AFFIRMING,
    )
    assert (record.key_id, record.attest_key) == (None, None)
    assert record.claims["name"] == "ci"


def test_debug_evidence_is_refused_without_the_decision_for_it(world: World) -> None:
    world.configure(apps=(under(**DEBUG_POLICY),))
    assert refusal(world.enrol, _debug(world)) is debug.NOT_ACCEPTED


def test_debug_evidence_is_refused_by_a_policy_that_does_not_admit_it(world: World) -> None:
    world.configure(debug=ACCEPTED)
    assert refusal(world.enrol, _debug(world)) is appraisal_reasons.ENVIRONMENT_REFUSED


def test_debug_evidence_by_another_apps_secret_is_refused(world: World) -> None:
    other = DebugSecret(app="other", name="ci", secret=b"\x02" * 16)
    both = replace(ACCEPTED, secrets=(SECRET, other))
    world.configure(debug=both, apps=(under(**DEBUG_POLICY),))
    assert refusal(world.enrol, _debug(world, other)) is debug.MAC_INVALID


def test_debug_evidence_for_other_client_data_is_refused(world: World) -> None:
    world.configure(debug=ACCEPTED, apps=(under(**DEBUG_POLICY),))
    message = _debug(world)
    message.client_data += b" "
    assert refusal(world.enrol, message) is debug.MAC_INVALID


# The same pair again ---------------------------------------------------------------------------------


def test_the_same_pair_freshly_signed_is_answered_with_the_same_instance(world: World) -> None:
    message = world.enrolment()
    first = world.enrol(message)
    world.clock.advance(hours=23)
    second = world.enrol(message)
    assert second.instance == first.instance
    assert second.client_attestation != first.client_attestation
    assert world.phone.enclave.attest_calls == 1


def test_a_repeated_enrolment_does_not_set_the_counter_back(world: World) -> None:
    message = world.enrolment()
    enrolled = world.enrol(message)
    world.renew(world.renewal(enrolled), enrolled.instance)
    world.enrol(message)
    assert world.record(enrolled.instance).counter == 1


def test_a_new_key_of_a_reinstalled_app_supersedes_the_old_one(world: World) -> None:
    old = world.enrolment()
    instance = world.enrol(old).instance
    world.phone.reinstall()
    new = world.enrolment()
    assert world.enrol(new).instance == instance
    assert world.record(instance).key_id == new.key
    assert refusal(world.enrol, old) is reasons.SUPERSEDED


def test_the_same_pair_signed_by_another_key_is_refused(world: World) -> None:
    message = world.enrolment()
    world.enrol(message)
    thief = derive_key(b"thief", "sign", ec.SECP256R1())
    assert refusal(world.enrol, message, by=thief) is proof_reasons.SIGNATURE_INVALID


# Failures that stay ----------------------------------------------------------------------------------


def test_a_failure_of_the_octets_stays_and_is_not_verified_again(world: World) -> None:
    message = with_evidence(world.enrolment(), key_id=base64.b64encode(bytes(32)).decode())
    assert refusal(world.enrol, message) is app_attest.KEY_ID_MISMATCH
    entered = world.places.entered
    with pytest.raises(VerificationFailed) as refused:
        world.enrol(message)
    assert refused.value.reason is app_attest.KEY_ID_MISMATCH
    assert "when it was first presented" in refused.value.detail
    assert world.places.entered == entered


def test_evidence_that_does_not_parse_stays_refused(world: World) -> None:
    message = with_evidence(world.enrolment(), attestation=base64url.encode(b"\xa0"))
    first = refusal(world.enrol, message)
    assert first is app_attest.OBJECT_MALFORMED
    with pytest.raises(VerificationFailed) as refused:
        world.enrol(message)
    assert refused.value.reason is first


def test_trailing_octets_stay_refused(world: World) -> None:
    good = world.enrolment()
    message = with_evidence(good, attestation=base64url.encode(_octets(good) + b"\x00"))
    assert refusal(world.enrol, message).code == "cbor.trailing_data"
    with pytest.raises(VerificationFailed) as refused:
        world.enrol(message)
    assert refused.value.reason.code == "cbor.trailing_data"


def test_a_failure_that_this_release_does_not_know_stays_a_failure(world: World) -> None:
    message = world.enrolment()
    pending = begin_enrolment(
        world.request("/instances", message.body()), message.body(), service=world.service, now=world.now
    )
    known = SpentChallenge(body_digest=pending.body_digest, failure="app_attest.of_tomorrow", instance=None)
    with pytest.raises(VerificationFailed, match=r"app_attest\.of_tomorrow") as refused:
        pending.settle(known)
    assert refused.value.reason is reasons.FAILED_BEFORE


def test_a_failure_of_trust_does_not_stay(world: World) -> None:
    message = world.enrolment()
    world.configure(anchors=FakeApple(b"another").anchors, known_intermediates=None)
    assert refusal(world.enrol, message) is app_attest.INTERMEDIATE_SIGNATURE_INVALID
    world.configure(anchors=apple().anchors)
    world.enrol(message)


def test_a_failure_of_the_clock_does_not_stay(world: World) -> None:
    world.phone = world.new_phone(apple_time=lambda: world.now + timedelta(days=1, hours=12))
    message = world.enrolment()
    assert refusal(world.enrol, message) is app_attest.CERTIFICATE_NOT_YET_VALID
    world.clock.advance(hours=13)
    world.enrol(message)


def test_a_failure_of_policy_does_not_stay(world: World) -> None:
    world.phone = world.new_phone(environment=EvidenceEnvironment.DEVELOPMENT)
    message = world.enrolment()
    assert refusal(world.enrol, message) is app_attest.ENVIRONMENT_REFUSED
    world.configure(apps=(under(environments=frozenset({EvidenceEnvironment.DEVELOPMENT})),))
    world.enrol(message)


def test_a_full_pool_is_no_failure_and_costs_no_attest_key(world: World) -> None:
    message = world.enrolment()
    world.places.free = 0
    assert refusal(world.enrol, message) is reasons.POOL_FULL
    assert (reasons.POOL_FULL.status, reasons.POOL_FULL.action) == (503, "back_off")
    world.places.free = 1
    world.enrol(message)
    assert world.phone.enclave.attest_calls == 1


def test_a_place_is_given_back_whether_or_not_the_evidence_holds(world: World) -> None:
    good = world.phone
    world.phone = world.new_phone(apple=FakeApple(b"look-alike"))
    refusal(world.enrol, world.enrolment())
    world.phone = good
    world.enrolled()
    assert (world.places.entered, world.places.taken) == (2, 0)


FOR_GOOD = {
    "app_attest.object_malformed",
    "app_attest.format_mismatch",
    "app_attest.chain_length",
    "app_attest.auth_data_malformed",
    "app_attest.cose_key_malformed",
    "app_attest.nonce_missing",
    "app_attest.nonce_mismatch",
    "app_attest.key_id_mismatch",
    "app_attest.app_id_mismatch",
    "app_attest.counter_not_zero",
    "app_attest.aaguid_unknown",
    "app_attest.credential_id_mismatch",
    "app_attest.cose_key_mismatch",
    "app_attest.issuer_mismatch",
    "app_attest.leaf_signature_invalid",
}


def test_exactly_the_failures_that_nothing_mends_stay() -> None:
    stay = {code for code, reason in by_code().items() if fails_for_good(VerificationFailed(reason))}
    octets = {code for code in by_code() if code.startswith(("cbor.", "der."))}
    assert octets
    assert stay == FOR_GOOD | octets


# Rows that were there first --------------------------------------------------------------------------


def test_one_attested_key_does_not_enrol_two_sign_keys(world: World) -> None:
    """Apple would not attest one key twice; a farm that patched its phones may find a way."""
    first = world.enrolment()
    world.enrol(first)
    enclave = world.phone.enclave
    twin = world.new_phone("twin")
    world.phone = twin
    message = enrolment_message(twin, world.challenge(), first.key)
    key = enclave._keys[str(first.key)]
    form = enclave.apple.leaf_form(
        key_id=base64.b64decode(str(first.key)),
        nonce=_nonce(enclave.attested_data(str(first.key)), message.client_data),
        app_id=enclave.app_id,
        ios=enclave.ios,
        now=world.now,
    )
    leaf = enclave.apple.issue_leaf(form, key.private_key.public_key())
    octets = attestation_object(leaf, enclave.apple.intermediate_der, enclave.attested_data(str(first.key)))
    message.evidence = [{"format": "apple-app-attest", "key_id": first.key, "attestation": base64url.encode(octets)}]
    assert refusal(world.enrol, message) is reasons.KEY_ID_TAKEN


def _nonce(auth_data: bytes, client_data: bytes) -> bytes:
    return hashlib.sha256(auth_data + hashlib.sha256(client_data).digest()).digest()


def test_a_banned_phone_does_not_enrol_again(world: World) -> None:
    instance = world.enrolled().instance
    assert isinstance(world.store, MemoryEnrolmentStore)
    world.store.ban(instance)
    world.phone.reinstall()
    assert refusal(world.enrol, world.enrolment()) is reasons.BANNED


def test_every_refusal_of_a_store_has_its_reason() -> None:
    assert set(_REFUSALS) == set(RegistrationRefusal)


def test_a_store_that_answers_with_another_keys_instance_is_a_mistake_of_ours(world: World) -> None:
    class Confused(MemoryEnrolmentStore):
        def register(self, registration: Registration) -> InstanceRecord | RegistrationRefusal:
            record = super().register(registration)
            assert isinstance(record, InstanceRecord)
            return replace(record, jkt="A" * 43)

    world.store = Confused()
    message = world.enrolment()
    with pytest.raises(Misuse) as refused:
        world.enrol(message)
    assert refused.value.reason is reasons.STORE_CONTRADICTS


# The order of work -----------------------------------------------------------------------------------


def _calls(world: World, message: PendingMessage, **request: Any) -> list[str]:
    """Return what a refused enrolment asked of the store."""
    watched = KillingStore(world.store)
    world.store = watched
    with pytest.raises(BonafideError):
        world.enrol(message, **request)
    return [point.method for point in watched.passed[::2]]


def test_nothing_is_asked_of_the_store_before_challenge_and_proof_hold(world: World) -> None:
    assert _calls(world, world.enrolment(challenge=world.challenge(Purpose.RENEW))) == []
    assert _calls(world, world.enrolment(), created=0) == []


def test_evidence_is_not_looked_at_before_the_challenge_is_spent(world: World) -> None:
    spoilt = with_evidence(world.enrolment(), attestation=base64url.encode(b"\xa0"))
    assert _calls(world, spoilt) == ["spend_challenge", "fail_challenge"]


def test_evidence_that_hashing_refuses_costs_no_place_of_the_pool(world: World) -> None:
    message = world.enrolment()
    message.client_data += b" "
    assert refusal(world.enrol, message) is app_attest.NONCE_MISMATCH
    assert world.places.entered == 0


def test_a_spent_challenge_costs_no_place_of_the_pool(world: World) -> None:
    first = world.enrolment()
    world.enrol(first)
    entered = world.places.entered
    other = enrolment_message(world.phone, first.challenge, world.phone.new_key())
    other.evidence = world.phone.attest(other)
    assert _calls(world, other) == ["spend_challenge"]
    assert world.places.entered == entered


def test_policy_is_judged_before_the_store_is_asked_to_register(world: World) -> None:
    world.configure(apps=(under(minimum_app_version="9"),))
    assert _calls(world, world.enrolment()) == ["spend_challenge"]
