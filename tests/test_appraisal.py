"""Claims about appraisal: every finding, alone, and all of them together."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.appraisal import (
    App,
    Identity,
    IdentityPolicy,
    InstanceClaims,
    ValidationCategory,
    appraise,
)
from bonafide.errors import ConfigurationError
from bonafide.reasons import appraisal as reasons
from bonafide.reasons import configuration
from bonafide.terms import EvidenceEnvironment, Platform, Tier

if TYPE_CHECKING:
    from bonafide.reasons import Reason

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
CLAIMS = InstanceClaims(
    attested=True,
    environment=EvidenceEnvironment.PRODUCTION,
    validation_category=4,
    verified_at=NOW,
    app_version="2.3.0",
    os_version="27.0",
    sdk_version="1.0.0",
)
MINIMA = IdentityPolicy(minimum_app_version="2.3", minimum_os_version="27", minimum_sdk_version="1.0")


def test_the_released_app_is_affirming_by_default() -> None:
    appraisal = appraise(CLAIMS, policy=IdentityPolicy(), now=NOW)
    assert (appraisal.tier, appraisal.reasons) == (Tier.AFFIRMING, ())


def test_claims_exactly_at_every_minimum_are_affirming() -> None:
    assert appraise(CLAIMS, policy=MINIMA, now=NOW).tier is Tier.AFFIRMING


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"environment": EvidenceEnvironment.DEVELOPMENT}, reasons.ENVIRONMENT_REFUSED),
        ({"environment": EvidenceEnvironment.DEBUG}, reasons.ENVIRONMENT_REFUSED),
        *(({"validation_category": number}, reasons.VALIDATION_CATEGORY_REFUSED) for number in (0, 1, 3, 5, 6, 7, 10)),
        ({"attested": False}, reasons.NOT_ATTESTED),
        ({"verified_at": NOW - timedelta(days=365)}, reasons.EVIDENCE_TOO_OLD),
        ({"app_version": "2.2.9"}, reasons.APP_VERSION_TOO_OLD),
        ({"sdk_version": "0.9.99"}, reasons.SDK_VERSION_TOO_OLD),
    ],
)
def test_each_refusing_finding_alone_is_contraindicated(change: dict[str, Any], reason: Reason) -> None:
    appraisal = appraise(replace(CLAIMS, **change), policy=MINIMA, now=NOW)
    assert (appraisal.tier, appraisal.refusals, appraisal.warnings) == (Tier.CONTRAINDICATED, (reason,), ())


def test_an_old_system_only_warns() -> None:
    appraisal = appraise(replace(CLAIMS, os_version="26.9"), policy=MINIMA, now=NOW)
    assert (appraisal.tier, appraisal.refusals, appraisal.warnings) == (
        Tier.WARNING,
        (),
        (reasons.OS_VERSION_TOO_OLD,),
    )


def test_all_findings_are_returned_in_one_order() -> None:
    bad = replace(
        CLAIMS,
        environment=EvidenceEnvironment.DEVELOPMENT,
        validation_category=3,
        verified_at=NOW - timedelta(days=400),
        app_version="1",
        os_version="1",
        sdk_version="0",
    )
    appraisal = appraise(bad, policy=MINIMA, now=NOW)
    assert appraisal.reasons == (
        reasons.ENVIRONMENT_REFUSED,
        reasons.VALIDATION_CATEGORY_REFUSED,
        reasons.APP_VERSION_TOO_OLD,
        reasons.SDK_VERSION_TOO_OLD,
        reasons.EVIDENCE_TOO_OLD,
        reasons.OS_VERSION_TOO_OLD,
    )


def test_an_app_that_can_be_updated_is_not_sent_to_enrol_again_first() -> None:
    old = replace(CLAIMS, app_version="1", verified_at=NOW - timedelta(days=400))
    assert appraise(old, policy=MINIMA, now=NOW).refusals == (reasons.APP_VERSION_TOO_OLD, reasons.EVIDENCE_TOO_OLD)


def test_evidence_without_a_category_is_admitted_unless_the_policy_demands_one() -> None:
    silent = replace(CLAIMS, validation_category=None)
    assert appraise(silent, policy=IdentityPolicy(), now=NOW).tier is Tier.AFFIRMING
    strict = IdentityPolicy(validation_category_required=True)
    assert appraise(silent, policy=strict, now=NOW).refusals == (reasons.VALIDATION_CATEGORY_MISSING,)
    assert appraise(CLAIMS, policy=strict, now=NOW).tier is Tier.AFFIRMING


def test_a_policy_without_categories_admits_only_evidence_that_names_none() -> None:
    policy = IdentityPolicy(validation_categories=frozenset())
    assert appraise(replace(CLAIMS, validation_category=None), policy=policy, now=NOW).tier is Tier.AFFIRMING
    assert appraise(CLAIMS, policy=policy, now=NOW).refusals == (reasons.VALIDATION_CATEGORY_REFUSED,)


def test_a_staging_policy_admits_what_it_names_and_nothing_else() -> None:
    policy = IdentityPolicy(
        environments=frozenset({EvidenceEnvironment.DEVELOPMENT}),
        validation_categories=frozenset({ValidationCategory.DEVELOPMENT}),
    )
    built = replace(CLAIMS, environment=EvidenceEnvironment.DEVELOPMENT, validation_category=3)
    assert appraise(built, policy=policy, now=NOW).tier is Tier.AFFIRMING
    assert appraise(CLAIMS, policy=policy, now=NOW).refusals == (
        reasons.ENVIRONMENT_REFUSED,
        reasons.VALIDATION_CATEGORY_REFUSED,
    )


def test_a_device_that_cannot_attest_gets_none_where_the_policy_says_so_and_never_more() -> None:
    bare = replace(CLAIMS, attested=False, environment=EvidenceEnvironment.DEVELOPMENT, validation_category=3)
    assert appraise(bare, policy=replace(MINIMA, unattested=True), now=NOW).tier is Tier.NONE
    older = replace(bare, os_version="1")
    assert appraise(older, policy=replace(MINIMA, unattested=True), now=NOW).tier is Tier.NONE


def test_a_device_that_cannot_attest_must_still_be_up_to_date() -> None:
    bare = replace(CLAIMS, attested=False, app_version="1")
    assert appraise(bare, policy=replace(MINIMA, unattested=True), now=NOW).refusals == (reasons.APP_VERSION_TOO_OLD,)


def test_what_was_never_attested_does_not_grow_too_old() -> None:
    bare = replace(CLAIMS, attested=False, verified_at=NOW - timedelta(days=4000))
    assert appraise(bare, policy=IdentityPolicy(unattested=True), now=NOW).tier is Tier.NONE


def test_evidence_is_too_old_at_the_very_age_and_not_before() -> None:
    policy = IdentityPolicy(evidence_max_age=timedelta(days=30))
    young = replace(CLAIMS, verified_at=NOW - timedelta(days=30) + timedelta(microseconds=1))
    assert appraise(young, policy=policy, now=NOW).tier is Tier.AFFIRMING
    assert appraise(replace(CLAIMS, verified_at=NOW - timedelta(days=30)), policy=policy, now=NOW).refusals == (
        reasons.EVIDENCE_TOO_OLD,
    )


@pytest.mark.parametrize(
    "text",
    ["", "2", "2.2.9999", "2.03-beta", "v2.3", "2.3.", ".2.3", "2..3", "-3", "2,3", "9" * 10, "٣.٣", "3\n", " 3"],
)
def test_a_malformed_or_lower_version_is_too_old(text: str) -> None:
    appraisal = appraise(replace(CLAIMS, app_version=text), policy=MINIMA, now=NOW)
    assert appraisal.refusals == (reasons.APP_VERSION_TOO_OLD,)


@pytest.mark.parametrize("text", ["2.3", "2.3.0.0", "02.3", "2.3.1", "2.10", "3", "10"])
def test_an_equal_or_higher_version_is_new_enough(text: str) -> None:
    assert appraise(replace(CLAIMS, app_version=text), policy=MINIMA, now=NOW).tier is Tier.AFFIRMING


def test_without_a_minimum_no_version_is_too_old() -> None:
    odd = replace(CLAIMS, app_version="", os_version="?", sdk_version="x")
    assert appraise(odd, policy=IdentityPolicy(), now=NOW).tier is Tier.AFFIRMING


def test_an_assertion_is_due_at_the_age_that_the_policy_names() -> None:
    policy = IdentityPolicy(reattest_after=timedelta(hours=24))
    assert not policy.assertion_due(NOW - timedelta(hours=24) + timedelta(microseconds=1), NOW)
    assert policy.assertion_due(NOW - timedelta(hours=24), NOW)


def test_an_age_of_zero_demands_an_assertion_every_time() -> None:
    assert IdentityPolicy(reattest_after=timedelta()).assertion_due(NOW, NOW)


@pytest.mark.parametrize(
    "setting",
    [
        {"environments": frozenset()},
        {"environments": frozenset({"moon"})},
        {"validation_categories": frozenset({4})},
        {"validation_categories": frozenset({7})},
        {"validation_categories": frozenset(), "validation_category_required": True},
        {"evidence_max_age": timedelta()},
        {"evidence_max_age": timedelta(days=-1)},
        {"reattest_after": timedelta(microseconds=-1)},
        {"minimum_app_version": "2.x"},
        {"minimum_os_version": "latest"},
        {"minimum_sdk_version": "1.2.3.4.5.6.7"},
    ],
)
def test_a_policy_that_makes_no_sense_does_not_start(setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        IdentityPolicy(**setting)
    assert refused.value.reason is configuration.SETTING_MALFORMED
    assert next(iter(setting)).split("_")[0] in refused.value.detail


def test_a_policy_for_devices_that_cannot_attest_needs_no_environment() -> None:
    assert not IdentityPolicy(environments=frozenset(), unattested=True).environments


@pytest.mark.parametrize(
    "name",
    [
        "",
        "com.example.app",
        "1234567890",
        "1234567890.",
        "12345678901.com.example",
        "123456789a.com.example",
        "1234567890.com..example",
        "1234567890.com.example\n",
        "1234567890.com.exämple",
        "1234567890." + "a" * 200,
    ],
)
def test_an_identity_that_is_no_app_id_does_not_start(name: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Identity(name=name)
    assert refused.value.reason is configuration.SETTING_MALFORMED


def test_an_android_identity_says_that_it_is_not_built_yet() -> None:
    with pytest.raises(ConfigurationError, match="not built yet"):
        Identity(name="1234567890.com.example", platform=Platform.ANDROID)


IDENTITY = Identity(name="1234567890.com.example.shop")


@pytest.mark.parametrize(
    "setting",
    [
        {"name": ""},
        {"name": "shop app"},
        {"name": "-shop"},
        {"name": "a" * 65},
        {"name": "shöp"},
        {"identities": ()},
        {"identities": (IDENTITY, replace(IDENTITY, policy=MINIMA))},
        {"audience": ""},
        {"audience": "a b"},
        {"audience": "a" * 256},
        {"other_audiences": frozenset({""})},
        {"other_audiences": frozenset({"https://api.example.com"})},
    ],
)
def test_an_app_that_makes_no_sense_does_not_start(setting: dict[str, Any]) -> None:
    good: dict[str, Any] = {"name": "shop", "identities": (IDENTITY,), "audience": "https://api.example.com"}
    assert App(**good).name == "shop"
    with pytest.raises(ConfigurationError) as refused:
        App(**good | setting)
    assert refused.value.reason is configuration.SETTING_MALFORMED


def test_an_app_finds_its_identities_and_no_others() -> None:
    clip = Identity(name="1234567890.com.example.shop.Clip")
    app = App(name="shop", identities=(IDENTITY, clip), audience="https://api.example.com")
    assert app.identity("1234567890.com.example.shop.Clip") is clip
    assert app.identity("1234567890.com.example.other") is None
    assert app.identity("") is None


_VERSIONS = st.one_of(st.text(max_size=12), st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}", fullmatch=True))


@settings(parent=settings.get_profile("bonafide"), max_examples=1_000)
@given(
    st.booleans(),
    st.sampled_from(EvidenceEnvironment),
    st.none() | st.integers(),
    st.timedeltas(min_value=timedelta(days=-800), max_value=timedelta(days=800)),
    st.tuples(_VERSIONS, _VERSIONS, _VERSIONS),
    st.booleans(),
)
def test_appraisal_is_total_deterministic_and_its_tier_follows_from_its_reasons(
    attested: bool,
    environment: EvidenceEnvironment,
    category: int | None,
    age: timedelta,
    versions: tuple[str, str, str],
    unattested: bool,
) -> None:
    claims = InstanceClaims(
        attested=attested,
        environment=environment,
        validation_category=category,
        verified_at=NOW - age,
        app_version=versions[0],
        os_version=versions[1],
        sdk_version=versions[2],
    )
    policy = replace(MINIMA, unattested=unattested)
    appraisal = appraise(claims, policy=policy, now=NOW)
    assert appraisal == appraise(claims, policy=policy, now=NOW)
    assert len(set(appraisal.reasons)) == len(appraisal.reasons)
    expected = Tier.WARNING if appraisal.warnings else Tier.AFFIRMING
    if not attested:
        expected = Tier.NONE
    if appraisal.refusals:
        expected = Tier.CONTRAINDICATED
    assert appraisal.tier is expected
