"""Glass is broken by the service key alone, for a day at most, here, and says why."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide import opening
from bonafide.codec import jose, json, pinned_jws
from bonafide.errors import BonafideError, MalformedEvidence, VerificationFailed
from bonafide.keys import ServiceKey
from bonafide.opening import Opening
from bonafide.reasons import opening as reasons
from bonafide.terms import Environment
from tests.gate_world import NOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from bonafide.reasons import Reason

KEY = ServiceKey.of(ec.derive_private_key(7, ec.SECP256R1()))
FOREIGN = ServiceKey.of(ec.derive_private_key(8, ec.SECP256R1()))
OPENED = Opening(
    id="b3BlbmluZy0wMDAwMDAwMQ",
    issuer="https://api.example.com/bonafide/v1",
    environment=Environment.PRODUCTION,
    route="/api/config",
    because="the new release signs wrongly",
    by="operator",
    opened_at=NOW,
    until=NOW + timedelta(minutes=30),
)


def verified(token: str, **how: Any) -> Opening:
    return opening.verify(
        token,
        issuer=how.get("issuer", OPENED.issuer),
        environment=how.get("environment", Environment.PRODUCTION),
        pinned=[KEY.kid],
    )


def refused(token: str, reason: Reason, **how: Any) -> None:
    with pytest.raises(BonafideError) as refusal:
        verified(token, **how)
    assert refusal.value.reason is reason


def signed(change: Callable[[dict[str, Any]], object]) -> str:
    body = json.parse_object(jose.parse_jws(opening.issue(OPENED, service_key=KEY)).payload)
    change(body)
    return pinned_jws.sign(json.dump(body), typ=opening.TYPE, key=KEY.private_key)


def test_what_was_opened_is_read_as_it_was_signed() -> None:
    assert verified(opening.issue(OPENED, service_key=KEY)) == OPENED


@pytest.mark.parametrize(
    ("route", "seconds", "stands"),
    [
        ("/api/config", 0, True),
        ("/api/config", 1799, True),
        ("/api/config", 1800, False),
        ("/api/config", -1, False),
        ("/api/other", 0, False),
        ("/api/config/", 0, False),
    ],
)
def test_an_opening_stands_for_its_route_and_its_time(route: str, seconds: int, stands: bool) -> None:
    assert OPENED.covers(route, NOW + timedelta(seconds=seconds)) is stands


def test_an_opening_of_every_route_stands_for_each() -> None:
    assert replace(OPENED, route="*").covers("/api/other", NOW)


def test_another_key_opens_nothing() -> None:
    refused(opening.issue(OPENED, service_key=FOREIGN), reasons.SIGNATURE_INVALID)


def test_another_token_of_the_service_key_opens_nothing() -> None:
    body = jose.parse_jws(opening.issue(OPENED, service_key=KEY)).payload
    token = pinned_jws.sign(body, typ="bonafide-session+jwt", key=KEY.private_key)
    refused(token, reasons.SIGNATURE_INVALID)


def test_an_opening_of_another_service_or_environment_opens_nothing_here() -> None:
    token = opening.issue(OPENED, service_key=KEY)
    refused(token, reasons.ELSEWHERE, issuer="https://api.example.com/bonafide/v2")
    refused(token, reasons.ELSEWHERE, environment=Environment.STAGING)


@pytest.mark.parametrize("length", [timedelta(hours=24, seconds=1), timedelta(0), timedelta(seconds=-1)])
def test_an_opening_for_longer_than_a_day_or_for_no_time_is_neither_signed_nor_taken(length: timedelta) -> None:
    with pytest.raises(BonafideError) as refusal:
        opening.issue(replace(OPENED, until=NOW + length), service_key=KEY)
    assert refusal.value.reason is reasons.TOO_LONG
    until = int((NOW + length).timestamp())
    refused(signed(lambda body: body.update(exp=until)), reasons.TOO_LONG)


def test_a_whole_day_is_signed_and_taken() -> None:
    day = replace(OPENED, until=NOW + timedelta(hours=24))
    assert verified(opening.issue(day, service_key=KEY)) == day


@pytest.mark.parametrize(
    "opened",
    [replace(OPENED, because=" "), replace(OPENED, by=""), replace(OPENED, route="")],
    ids=["because", "by", "route"],
)
def test_an_opening_without_a_cause_is_not_signed(opened: Opening) -> None:
    with pytest.raises(BonafideError) as refusal:
        opening.issue(opened, service_key=KEY)
    assert refusal.value.reason is reasons.WITHOUT_CAUSE


SPOILED: dict[str, Callable[[dict[str, Any]], object]] = {
    "member more": lambda body: body.update(more="x"),
    "member less": lambda body: body.pop("because"),
    "no end": lambda body: body.pop("exp"),
    "begin a text": lambda body: body.update(iat="1"),
    "end a truth": lambda body: body.update(exp=True),
    "end beyond all": lambda body: body.update(exp=2**52),
    "route a list": lambda body: body.update(route=["*"]),
    "environment unknown": lambda body: body.update(env="moon"),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED.keys())
def test_members_of_another_form_are_refused(spoil: Callable[[dict[str, Any]], object]) -> None:
    refused(signed(spoil), reasons.MALFORMED)


@settings(max_examples=10_000, derandomize=True, deadline=None, database=None)
@given(st.text(max_size=200))
def test_whatever_a_row_holds_only_our_refusals_come_out(token: str) -> None:
    with pytest.raises((MalformedEvidence, VerificationFailed)):
        verified(token)
