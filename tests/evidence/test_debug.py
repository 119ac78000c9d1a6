"""Debug evidence: a named secret, for minutes, never in production."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.errors import ConfigurationError, Misuse, VerificationFailed
from bonafide.evidence.debug import (
    DebugClaims,
    DebugSecret,
    UnsafeDebugEvidence,
    issue_debug_evidence,
    verify_debug_evidence,
)
from bonafide.reasons import configuration, misuse
from bonafide.reasons import debug as reasons
from bonafide.terms import Environment, EvidenceEnvironment
from bonafide.testing.vectors import ACCEPT
from tests.vectors.judges import assert_verdict, attempt, name, vectors

if TYPE_CHECKING:
    from bonafide.testing.vectors import Vector

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
CI = DebugSecret(app="shop", name="ci", secret=bytes(range(32)))
SIMULATOR = DebugSecret(app="shop", name="simulator.of-anna", secret=bytes(range(32, 64)))
POLICY = UnsafeDebugEvidence(environment=Environment.STAGING, secrets=(CI, SIMULATOR))
SEARCH = settings(parent=settings.get_profile("bonafide"))


def verify(evidence: dict[str, object], *, policy: UnsafeDebugEvidence | None = POLICY) -> DebugClaims:
    return verify_debug_evidence(evidence, client_data_hash=b"hash", app="shop", policy=policy, now=NOW)


@pytest.mark.parametrize("vector", vectors("debug"), ids=name)
def test_every_vector_gets_its_verdict(vector: Vector) -> None:
    assert_verdict(vector)


@pytest.mark.parametrize("secret", [CI, SIMULATOR])
def test_each_name_has_its_secret_and_is_marked_debug(secret: DebugSecret) -> None:
    claims = verify(issue_debug_evidence(secret, client_data_hash=b"hash", now=NOW))
    assert claims == DebugClaims(app="shop", name=secret.name, issued_at=NOW)
    assert claims.environment is EvidenceEnvironment.DEBUG


def test_a_secret_of_one_name_does_not_speak_for_another() -> None:
    evidence = issue_debug_evidence(CI, client_data_hash=b"hash", now=NOW) | {"name": SIMULATOR.name}
    with pytest.raises(VerificationFailed) as refused:
        verify(evidence)
    assert refused.value.reason is reasons.MAC_INVALID


def test_one_secret_is_revoked_and_the_others_stay() -> None:
    policy = replace(POLICY, secrets=(SIMULATOR,))
    with pytest.raises(VerificationFailed) as refused:
        verify(issue_debug_evidence(CI, client_data_hash=b"hash", now=NOW), policy=policy)
    assert refused.value.reason is reasons.NAME_UNKNOWN
    assert (
        verify(issue_debug_evidence(SIMULATOR, client_data_hash=b"hash", now=NOW), policy=policy).name == SIMULATOR.name
    )


def test_the_same_secret_of_two_apps_is_two_secrets() -> None:
    both = replace(POLICY, secrets=(CI, replace(CI, app="bank")))
    evidence = issue_debug_evidence(replace(CI, app="bank"), client_data_hash=b"hash", now=NOW)
    with pytest.raises(VerificationFailed) as refused:
        verify(evidence, policy=both)
    assert refused.value.reason is reasons.MAC_INVALID


def test_production_cannot_hold_the_policy_at_all() -> None:
    with pytest.raises(ConfigurationError) as refused:
        UnsafeDebugEvidence(environment=Environment.PRODUCTION, secrets=())
    assert refused.value.reason is configuration.TEST_TRUST
    for environment in set(Environment) - {Environment.PRODUCTION}:
        assert UnsafeDebugEvidence(environment=environment, secrets=()).environment is environment


def test_without_a_policy_nothing_is_accepted() -> None:
    with pytest.raises(VerificationFailed) as refused:
        verify(issue_debug_evidence(CI, client_data_hash=b"hash", now=NOW), policy=None)
    assert refused.value.reason is reasons.NOT_ACCEPTED


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"secret": bytes(15)}, "fewer than 16 octets"),
        ({"name": ""}, "the name"),
        ({"name": "a" * 65}, "the name"),
        ({"name": "a b"}, "the name"),
        ({"name": "a\n"}, "the name"),
    ],
)
def test_a_weak_secret_or_an_odd_name_does_not_start(change: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as refused:
        replace(CI, **change)  # type: ignore[arg-type]  # named fields, of the wrong value on purpose
    assert refused.value.reason is configuration.SETTING_MALFORMED


def test_two_secrets_of_one_name_do_not_start() -> None:
    with pytest.raises(ConfigurationError, match="share a name") as refused:
        replace(POLICY, secrets=(CI, replace(SIMULATOR, name="ci")))
    assert refused.value.reason is configuration.SETTING_MALFORMED


@pytest.mark.parametrize("age", [timedelta(0), timedelta(seconds=-1)])
def test_an_age_that_admits_nothing_does_not_start(age: timedelta) -> None:
    with pytest.raises(ConfigurationError, match="the age") as refused:
        replace(POLICY, max_age=age)
    assert refused.value.reason is configuration.SETTING_MALFORMED


def test_no_text_of_a_secret_or_a_policy_shows_the_secret() -> None:
    secret = replace(CI, secret=b"an unmistakable canary")
    assert "canary" not in f"{secret!r} {secret} {replace(POLICY, secrets=(secret,))!r}"


def test_a_time_without_a_zone_is_misuse() -> None:
    evidence = issue_debug_evidence(CI, client_data_hash=b"hash", now=NOW)
    with pytest.raises(Misuse) as refused:
        verify_debug_evidence(
            evidence, client_data_hash=b"hash", app="shop", policy=POLICY, now=NOW.replace(tzinfo=None)
        )
    assert refused.value.reason is misuse.TIME_NAIVE


def test_an_empty_client_data_hash_is_misuse() -> None:
    evidence = issue_debug_evidence(CI, client_data_hash=b"", now=NOW)
    with pytest.raises(Misuse) as refused:
        verify_debug_evidence(evidence, client_data_hash=b"", app="shop", policy=POLICY, now=NOW)
    assert refused.value.reason is misuse.CLIENT_DATA_HASH_EMPTY


JSON = st.none() | st.booleans() | st.integers() | st.text(max_size=45) | st.lists(st.integers(), max_size=2)
GOOD = issue_debug_evidence(CI, client_data_hash=b"hash", now=NOW)


@SEARCH
@given(st.dictionaries(st.sampled_from([*GOOD, "x"]), JSON), st.sets(st.sampled_from([*GOOD])))
def test_nothing_but_a_refusal_comes_of_any_other_object(changes: dict[str, object], kept: set[str]) -> None:
    evidence = changes | {member: GOOD[member] for member in kept}
    _, verdict = attempt(lambda: verify(evidence))
    assert verdict.startswith(("debug.", "jose.")) or (verdict == ACCEPT and evidence == GOOD)
