"""What is past its date is erased without anybody asking, and broken glass is told every minute."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from bonafide.django import conf, openings
from bonafide.django.documents import pins
from bonafide.django.documents.pins import PinnedHost
from bonafide.django.key_sources import KeySources
from bonafide.django.models import App, Ban, BanScope, Opening
from bonafide.django.service.caretaker import EVERY_S, Caretaker
from bonafide.terms import Environment

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def keys(settings: Any, tmp_path: Path) -> KeySources:
    settings.BONAFIDE = settings.BONAFIDE | {"KEYS_DIR": str(tmp_path / "keys")}
    return KeySources(conf.current())


def outdated() -> None:
    past = timezone.now() - timedelta(hours=1)
    Ban.objects.create(
        app="shop",
        environment=Environment.TEST,
        scope=BanScope.JKT,
        subject="j" * 43,
        reason="sold",
        banned_by="anna",
        banned_at=past,
        until=past,
    )


def test_a_purge_comes_first_and_then_every_hour() -> None:
    moments = [0.0]
    caretaker = Caretaker(clock=lambda: moments[-1])
    outdated()
    caretaker.round()
    assert not Ban.objects.exists()
    outdated()
    moments.append(3599.0)
    caretaker.round()
    assert Ban.objects.exists()
    moments.append(3600.0)
    caretaker.round()
    assert not Ban.objects.exists()


def test_a_purge_that_fails_is_told_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    def gone(*_: Any) -> Any:
        raise OperationalError

    caretaker = Caretaker(clock=lambda: 0.0)
    outdated()
    with connection.execute_wrapper(gone):
        caretaker.round()
    assert "what is due was not erased: OperationalError" in caplog.text
    assert "whether glass is broken is unknown: OperationalError" in caplog.text
    caretaker.round()
    assert not Ban.objects.exists()


def break_glass(keys: KeySources) -> None:
    now = timezone.now()
    openings.break_glass(
        "/api/**",
        length=timedelta(minutes=30),
        because="Apple is away",
        by="anna",
        settings=conf.current(),
        service_key=keys.service_key(now),
        now=now,
    )


def test_broken_glass_is_told_every_minute(keys: KeySources, caplog: pytest.LogCaptureFixture) -> None:
    moments = [0.0]
    caretaker = Caretaker(clock=lambda: moments[-1])
    caretaker.round()
    assert "glass" not in caplog.text
    break_glass(keys)
    caplog.clear()
    for moment, told in ((0.0, 1), (59.0, 1), (60.0, 2)):
        moments.append(moment)
        caretaker.round()
        assert caplog.text.count("glass is broken: /api/**") == told


def test_a_round_that_comes_a_moment_early_does_not_keep_the_alarm_silent_for_two_minutes(
    keys: KeySources, caplog: pytest.LogCaptureFixture
) -> None:
    break_glass(keys)
    moments, told = [0.0], []
    caretaker = Caretaker(clock=lambda: moments[-1])
    while moments[-1] < 600:
        caplog.clear()
        caretaker.round()
        if "glass is broken" in caplog.text:
            told.append(moments[-1])
        moments.append(moments[-1] + EVERY_S - 0.001)
    gaps = [later - earlier for earlier, later in pairwise(told)]
    assert gaps
    assert openings.ALARM_EVERY_S <= min(gaps) <= max(gaps) <= openings.ALARM_EVERY_S + EVERY_S


def test_a_row_that_nobody_signed_is_told_as_what_it_is(keys: KeySources, caplog: pytest.LogCaptureFixture) -> None:
    break_glass(keys)
    Opening.objects.update(token="open sesame")
    caplog.clear()
    Caretaker().round()
    assert "a row of the table of openings is none" in caplog.text
    assert "glass is broken" not in caplog.text


def test_keys_that_cannot_be_read_do_not_end_the_rounds(
    keys: KeySources, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    break_glass(keys)
    (tmp_path / "keys").chmod(0o755)
    outdated()
    Caretaker().round()
    assert "whether glass is broken is unknown: ConfigurationError" in caplog.text
    assert not Ban.objects.exists()


def test_pins_that_end_soon_are_told_once_a_day(caplog: pytest.LogCaptureFixture) -> None:
    moments = [0.0]
    caretaker = Caretaker(clock=lambda: moments[-1])
    now = timezone.now()
    host = PinnedHost(port=443, served="A" * 43 + "=", subject="CN=x", ends=0, spares=("B" * 42 + "A=",))
    app = App.objects.create(name="shop", environment="test")
    pins.publish(app, {"api.example.com": host}, over=0, by="anna", now=now, expires_at=now + timedelta(days=29))
    for moment, told in ((0.0, 1), (86_399.0, 1), (86_400.0, 2)):
        moments.append(moment)
        caretaker.round()
        assert caplog.text.count("The published document of pins (shop) ends on") == told


def test_a_database_that_does_not_answer_is_asked_about_pins_again(caplog: pytest.LogCaptureFixture) -> None:
    def gone(*_: Any) -> Any:
        raise OperationalError

    caretaker = Caretaker(clock=lambda: 0.0)
    with connection.execute_wrapper(gone):
        caretaker.round()
        caretaker.round()
    assert caplog.text.count("whether pins end is unknown: OperationalError") == 2
