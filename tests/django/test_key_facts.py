"""What is seen of keys follows from their times, and looking changes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from bonafide.django import conf, key_facts
from bonafide.django.key_facts import KeyState
from bonafide.django.key_sources import KeySources
from bonafide.keys import SIGNING_PERIOD
from bonafide.testing.enrolment_trial import NOW as EXACTLY

if TYPE_CHECKING:
    from pathlib import Path

    from bonafide.django.conf import Settings

NOW = EXACTLY.replace(microsecond=0)  # as documents of keys have it
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
ALLOWED = timedelta(minutes=65)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(conf.current(), keys_dir=tmp_path / "keys")


def test_before_the_first_run_there_is_nothing_and_looking_makes_nothing(settings: Settings) -> None:
    assert key_facts.of_service(settings) is None
    facts = key_facts.of_app(settings, "shop", NOW)
    assert (facts.signing, facts.gate) == ((), ())
    assert [path for path in settings.keys_dir.rglob("*") if path.is_file()] == []


def test_service_key_and_spare_are_those_that_an_app_is_built_with(settings: Settings) -> None:
    assert KeySources(settings).service_ring().thumbprints == key_facts.of_service(settings)


def test_signing_key_is_published_signs_retires_and_is_over(settings: Settings) -> None:
    ring = KeySources(settings).ring("shop", NOW)
    begins = ring.signing[1].signs_from

    def states(now: datetime) -> list[KeyState]:
        return [each.state for each in key_facts.of_app(settings, "shop", now).signing]

    assert states(NOW) == [KeyState.SIGNS, KeyState.PUBLISHED]
    assert states(begins - MINUTE) == [KeyState.SIGNS, KeyState.PUBLISHED]
    assert states(begins) == [KeyState.RETIRED, KeyState.SIGNS]
    assert states(begins + ALLOWED - MINUTE) == [KeyState.RETIRED, KeyState.SIGNS]
    assert states(begins + ALLOWED) == [KeyState.OVER, KeyState.SIGNS]
    first, second = key_facts.of_app(settings, "shop", NOW).signing
    assert [first.kid, second.kid] == [each.key.kid for each in ring.signing]
    assert (first.begins, first.retires, first.erased) == (NOW, begins, begins + ALLOWED)
    assert (second.begins, second.retires, second.erased) == (begins, None, None)
    assert begins == NOW + SIGNING_PERIOD


def test_state_says_who_signs_and_who_is_taken_as_the_ring_does(settings: Settings) -> None:
    ring = KeySources(settings).ring("shop", NOW)
    for now in (NOW, NOW + SIGNING_PERIOD, NOW + SIGNING_PERIOD + ALLOWED - MINUTE, NOW + SIGNING_PERIOD + ALLOWED):
        facts = key_facts.of_app(settings, "shop", now).signing
        assert [each.kid for each in facts if each.state is KeyState.SIGNS] == [ring.signing_key(now).kid]
        taken = {each.kid for each in facts if each.state is not KeyState.OVER}
        assert taken == {each.kid for each in ring.verification_keys(now)}


def test_gate_keys_are_one_for_each_day_and_audience_until_nothing_names_them(settings: Settings) -> None:
    KeySources(settings).ring("shop", NOW)
    today, tomorrow = key_facts.of_app(settings, "shop", NOW).gate
    assert (today.audience, today.state, tomorrow.state) == (settings.audience, KeyState.SIGNS, KeyState.PUBLISHED)
    midnight = datetime(NOW.year, NOW.month, NOW.day, tzinfo=UTC)
    assert (today.begins, today.retires, today.erased) == (midnight, midnight + DAY, midnight + DAY + ALLOWED)
    for now, expected in (
        (midnight + DAY, [KeyState.RETIRED, KeyState.SIGNS]),
        (midnight + DAY + ALLOWED, [KeyState.OVER, KeyState.SIGNS]),
    ):
        assert [each.state for each in key_facts.of_app(settings, "shop", now).gate] == expected


def test_looking_long_after_rotates_and_erases_nothing(settings: Settings) -> None:
    KeySources(settings).ring("shop", NOW)
    before = {path: path.read_bytes() for path in settings.keys_dir.rglob("*.json")}
    key_facts.of_app(settings, "shop", NOW + 90 * DAY)
    assert {path: path.read_bytes() for path in settings.keys_dir.rglob("*.json")} == before
