"""Claims about challenges: each of version, MAC, expiry, purpose, app, environment and service is compared."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide import challenge
from bonafide.challenge import Challenge, ChallengeKey, ChallengeScope, Purpose
from bonafide.codec import base64url
from bonafide.errors import ConfigurationError, MalformedEvidence, VerificationFailed
from bonafide.reasons import challenge as reasons
from bonafide.reasons import configuration
from bonafide.terms import Environment

if TYPE_CHECKING:
    from bonafide.reasons import Reason

NOW = datetime(2026, 11, 1, 12, 0, 0, 123456, tzinfo=UTC)
KEY = ChallengeKey(secret=bytes(range(32)))
SCOPE = ChallengeScope(
    service="https://api.example.com", environment=Environment.PRODUCTION, app="shop", purpose=Purpose.ENROL
)


def _random(count: int) -> bytes:
    return b"\x5a" * count


def _issue(lifetime: timedelta = challenge.ENROLMENT_LIFETIME) -> Challenge:
    return challenge.issue(KEY, scope=SCOPE, expires_at=NOW + lifetime, random=_random)


def _refusal(text: str, *, key: ChallengeKey = KEY, scope: ChallengeScope = SCOPE, now: datetime = NOW) -> Reason:
    with pytest.raises((MalformedEvidence, VerificationFailed)) as refused:
        challenge.verify(text, key, scope=scope, now=now)
    return refused.value.reason


def _edited(text: str, position: int) -> str:
    raw = bytearray(base64url.decode(text))
    raw[position] ^= 1
    return base64url.encode(bytes(raw))


def test_an_issued_challenge_verifies_to_itself() -> None:
    issued = _issue()
    assert challenge.verify(issued.text, KEY, scope=SCOPE, now=NOW) == issued
    assert issued.expires_at == NOW + timedelta(hours=24)
    assert issued.digest == hashlib.sha256(issued.text.encode()).digest()


def test_a_challenge_has_the_wire_form_of_the_protocol_page() -> None:
    issued = _issue()
    raw = base64url.decode(issued.text)
    assert len(issued.text) == 76
    assert raw[:17] == b"\x01" + b"\x5a" * 16
    assert int.from_bytes(raw[17:25], "big") == issued.order
    message = b"bonafide challenge\x00" + raw[:25]
    for part in (b"https://api.example.com", b"production", b"shop", b"enrol"):
        message += len(part).to_bytes(4, "big") + part
    assert raw[25:] == hmac.digest(KEY.secret, message, "sha256")


def test_the_random_part_comes_from_the_source_that_was_given() -> None:
    drawn = iter([b"\x01" * 16, b"\x02" * 16])
    texts = {
        challenge.issue(KEY, scope=SCOPE, expires_at=NOW, random=lambda _count: next(drawn)).text for _ in range(2)
    }
    assert len(texts) == 2


def test_a_challenge_of_an_unknown_version_is_refused() -> None:
    assert _refusal(_edited(_issue().text, 0)) is reasons.VERSION_UNKNOWN


@pytest.mark.parametrize("position", [1, 16, 17, 24, 25, 56])
def test_a_challenge_with_one_changed_bit_is_refused(position: int) -> None:
    assert _refusal(_edited(_issue().text, position)) is reasons.MAC_MISMATCH


def test_a_challenge_under_another_key_is_refused() -> None:
    assert _refusal(_issue().text, key=ChallengeKey(secret=b"\x01" * 32)) is reasons.MAC_MISMATCH


@pytest.mark.parametrize(
    "scope",
    [
        replace(SCOPE, service="https://api.example.org"),
        replace(SCOPE, environment=Environment.STAGING),
        replace(SCOPE, app="shop2"),
        replace(SCOPE, purpose=Purpose.RENEW),
    ],
    ids=["service", "environment", "app", "purpose"],
)
def test_a_challenge_for_another_scope_is_refused(scope: ChallengeScope) -> None:
    assert _refusal(_issue().text, scope=scope) is reasons.MAC_MISMATCH


def test_two_scopes_with_the_same_characters_cut_elsewhere_are_two_scopes() -> None:
    one = replace(SCOPE, service="https://h", environment=Environment.STAGING, app="productionshop")
    two = replace(SCOPE, service="https://hstaging", environment=Environment.PRODUCTION, app="shop")
    issued = challenge.issue(KEY, scope=one, expires_at=NOW + challenge.RENEWAL_GRACE, random=_random)
    assert _refusal(issued.text, scope=two) is reasons.MAC_MISMATCH


def test_a_challenge_ends_at_the_very_microsecond_of_its_expiry() -> None:
    issued = _issue()
    last = issued.expires_at - timedelta(microseconds=1)
    assert challenge.verify(issued.text, KEY, scope=SCOPE, now=last) == issued
    assert _refusal(issued.text, now=issued.expires_at) is reasons.EXPIRED


def test_an_expired_challenge_of_another_scope_does_not_say_that_it_expired() -> None:
    issued = _issue()
    assert _refusal(issued.text, now=issued.expires_at, scope=replace(SCOPE, app="x")) is reasons.MAC_MISMATCH


@pytest.mark.parametrize(
    "text",
    ["", "A" * 75, "A" * 77, "A" * 80, "=" * 76, "é" * 76, "A" * 75 + "+", "A" * 75 + "\n", "A" * 8192],
)
def test_what_is_not_a_challenge_in_form_is_malformed(text: str) -> None:
    assert _refusal(text) is reasons.MALFORMED


def test_every_truncation_and_extension_of_a_challenge_is_refused() -> None:
    raw = base64url.decode(_issue().text)
    for cut in [*range(len(raw)), -1]:
        other = raw + b"\x00" if cut == -1 else raw[:cut]
        assert _refusal(base64url.encode(other)) is reasons.MALFORMED


def test_later_expiries_have_greater_orders_to_the_microsecond() -> None:
    assert challenge.order_of(NOW + timedelta(microseconds=1)) == challenge.order_of(NOW) + 1
    assert _issue(timedelta(minutes=5)).order < _issue(timedelta(minutes=5, microseconds=1)).order


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_challenge_key_of_another_length_does_not_start(length: int) -> None:
    with pytest.raises(ConfigurationError) as refused:
        ChallengeKey(secret=b"\x01" * length)
    assert refused.value.reason is configuration.KEYS_UNSAFE


def test_a_challenge_key_does_not_show_itself() -> None:
    shown = repr(ChallengeKey(secret=b"canary-canary-canary-canary-cana"))
    assert "canary" not in shown


@settings(parent=settings.get_profile("bonafide"))
@given(st.one_of(st.text(max_size=100), st.binary(min_size=57, max_size=57).map(base64url.encode)))
def test_no_text_that_was_not_issued_verifies_and_only_our_exceptions_leave(text: str) -> None:
    assert _refusal(text) in {reasons.MALFORMED, reasons.VERSION_UNKNOWN, reasons.MAC_MISMATCH}


@settings(parent=settings.get_profile("bonafide"))
@given(
    st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 31)),  # noqa: DTZ001 -- hypothesis wants naive bounds
    st.sampled_from(Purpose),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
def test_every_expiry_survives_the_round_trip_exactly(expiry: datetime, purpose: Purpose, app: str) -> None:
    expires_at = expiry.replace(tzinfo=UTC)
    scope = replace(SCOPE, purpose=purpose, app=app)
    issued = challenge.issue(KEY, scope=scope, expires_at=expires_at, random=_random)
    before = datetime(1969, 12, 31, tzinfo=UTC)
    assert challenge.verify(issued.text, KEY, scope=scope, now=before).expires_at == expires_at
