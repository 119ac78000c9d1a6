"""Broken glass is signed, audited and loud, opens only what it names, admits nobody, and ends by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import router
from django.utils import timezone

from bonafide.django import conf, openings, runtime
from bonafide.django.key_sources import KeySources
from bonafide.django.models import AuditEvent, AuditKind
from bonafide.django.models import Opening as OpeningRow
from bonafide.errors import Misuse, VerificationFailed
from bonafide.reasons import opening as reasons
from bonafide.reasons import proof
from bonafide.terms import Environment
from bonafide.testing.enrolment_trial import NOW
from tests.django import locked_api
from tests.django.api_urls import RUNS

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    import httpx

    from bonafide.django.openings import Openings
    from tests.django.databases import Database

HALF_AN_HOUR = timedelta(minutes=30)


@pytest.fixture
def keys(settings: Any, tmp_path: Path) -> KeySources:
    settings.BONAFIDE = settings.BONAFIDE | {"KEYS_DIR": str(tmp_path / "keys")}
    return KeySources(conf.current())


def break_glass(keys: KeySources, route: str = "/api/**", *, now: datetime = NOW, **changes: Any) -> OpeningRow:
    said: dict[str, Any] = {"length": HALF_AN_HOUR, "because": "Apple is away", "by": "anna"} | changes
    return openings.break_glass(route, settings=conf.current(), service_key=keys.service_key(now), now=now, **said)


def read(keys: KeySources, now: datetime = NOW) -> Openings:
    return openings.watch(conf.current(), keys, clock=lambda: now).current()


# What stands ------------------------------------------------------------------------------------------


def test_an_opening_stands_for_its_route_and_its_time(database: Database, keys: KeySources) -> None:
    break_glass(keys)
    held = read(keys)
    begins = NOW.replace(microsecond=0)
    assert held.covering("/api/**", NOW) is not None
    assert held.covering("/api/*", NOW) is None
    assert held.covering("/api/**", begins + HALF_AN_HOUR) is None
    assert held.standing(NOW)
    assert not held.standing(begins + HALF_AN_HOUR)


def test_every_route_is_opened_by_a_star(database: Database, keys: KeySources) -> None:
    break_glass(keys, "*")
    assert read(keys).covering("/any", NOW) is not None


def test_a_copy_learns_of_an_opening_and_of_its_end(database: Database, keys: KeySources, settings: Any) -> None:
    settings.BONAFIDE = settings.BONAFIDE | {"REVOCATIONS_EVERY": 0}
    moments = [NOW]
    copy = openings.watch(conf.current(), keys, clock=lambda: moments[-1])
    assert not copy.current().verified
    break_glass(keys)
    assert copy.current().verified
    openings.close("/api/**", by="anna", environment=Environment.TEST, now=NOW)
    assert not copy.current().verified
    break_glass(keys)
    assert copy.current().verified
    moments.append(NOW + HALF_AN_HOUR)
    assert not copy.current().verified


def test_closing_ends_what_is_named_and_no_other(database: Database, keys: KeySources) -> None:
    break_glass(keys)
    break_glass(keys, "/shop/*")
    ended = openings.close("/api/**", by="berta", environment=Environment.TEST, now=NOW)
    assert [row.route for row in ended] == ["/api/**"]
    assert [opening.route for opening in read(keys).verified] == ["/shop/*"]
    assert [row.route for row in openings.close(None, by="berta", environment=Environment.TEST, now=NOW)] == ["/shop/*"]
    assert openings.close(None, by="berta", environment=Environment.TEST, now=NOW) == []


def test_openings_of_another_environment_are_neither_read_nor_closed(database: Database, keys: KeySources) -> None:
    break_glass(keys)
    OpeningRow.objects.update(environment=Environment.STAGING)
    assert not read(keys).verified
    assert not openings.close(None, by="anna", environment=Environment.TEST, now=NOW)


def test_both_acts_are_audited(database: Database, keys: KeySources, caplog: pytest.LogCaptureFixture) -> None:
    break_glass(keys)
    openings.close(None, by="berta", environment=Environment.TEST, now=NOW)
    events = AuditEvent.objects.order_by("pk")
    assert [(event.kind, event.subject, event.actor) for event in events] == [
        (AuditKind.GLASS_BROKEN, "/api/**", "anna"),
        (AuditKind.GLASS_CLOSED, "/api/**", "berta"),
    ]
    assert events[0].detail["because"] == "Apple is away"
    assert [record.levelname for record in caplog.records if record.name == "bonafide.openings"] == ["CRITICAL"] * 2


# What opens nothing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes", [{"length": timedelta(hours=24, seconds=1)}, {"length": timedelta(0)}, {"length": -HALF_AN_HOUR}]
)
def test_nobody_opens_for_longer_than_a_day(database: Database, keys: KeySources, changes: dict[str, Any]) -> None:
    assert misused(lambda: break_glass(keys, **changes)) is reasons.TOO_LONG
    assert not OpeningRow.objects.exists()


@pytest.mark.parametrize("changes", [{"because": " "}, {"by": ""}])
def test_nobody_opens_without_saying_who_and_why(database: Database, keys: KeySources, changes: dict[str, Any]) -> None:
    assert misused(lambda: break_glass(keys, **changes)) is reasons.WITHOUT_CAUSE


def misused(call: Callable[[], object]) -> Any:
    with pytest.raises(Misuse) as refusal:
        call()
    return refusal.value.reason


def test_a_row_that_the_service_key_did_not_sign_opens_nothing_and_is_told(
    database: Database, keys: KeySources, tmp_path: Path, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.BONAFIDE = settings.BONAFIDE | {"KEYS_DIR": str(tmp_path / "stolen")}
    break_glass(KeySources(conf.current()))
    caplog.clear()
    assert not read(keys).verified
    assert reasons.SIGNATURE_INVALID.code in caplog.text


def test_a_row_that_is_no_statement_opens_nothing(database: Database, keys: KeySources) -> None:
    row = break_glass(keys)
    OpeningRow.objects.filter(pk=row.pk).update(token="open sesame")
    assert not read(keys).verified


def test_a_row_whose_columns_were_edited_stands_no_longer_than_what_was_signed(
    database: Database, keys: KeySources
) -> None:
    row = break_glass(keys)
    OpeningRow.objects.filter(pk=row.pk).update(until=NOW + timedelta(days=900), route="*")
    held = read(keys)
    assert held.covering("/other", NOW) is None
    assert held.covering("/api/**", NOW + HALF_AN_HOUR) is None


def test_keys_that_cannot_be_read_open_nothing(
    database: Database, keys: KeySources, settings: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    break_glass(keys)
    (tmp_path / "open").mkdir(mode=0o755)
    settings.BONAFIDE = settings.BONAFIDE | {"KEYS_DIR": str(tmp_path / "open")}
    assert not read(KeySources(conf.current())).verified
    assert "openings cannot be verified: configuration.keys_unsafe" in caplog.text


# The alarm ----------------------------------------------------------------------------------------------


def test_the_alarm_sounds_at_once_and_once_a_minute(
    database: Database, keys: KeySources, caplog: pytest.LogCaptureFixture
) -> None:
    break_glass(keys)
    held, moments = read(keys), [0.0]
    alarm = openings.Alarm(monotonic=lambda: moments[-1])
    caplog.clear()

    def told() -> int:
        alarm.tell(held, NOW)
        return len(caplog.records)

    assert told() == 1
    moments.append(59.9)
    assert told() == 1
    moments.append(60.0)
    assert told() == 2
    assert {record.levelname for record in caplog.records} == {"CRITICAL"}


def test_the_alarm_is_silent_over_what_has_ended(
    database: Database, keys: KeySources, caplog: pytest.LogCaptureFixture
) -> None:
    break_glass(keys)
    caplog.clear()
    openings.Alarm().tell(read(keys), NOW + HALF_AN_HOUR)
    assert not caplog.records


# In front of views --------------------------------------------------------------------------------------


@pytest.fixture
def open_api(locked: None, bonafide_client: Any, settings: Any) -> Callable[..., None]:
    """Return what breaks the glass of the locked API, whose clock is the system's."""

    def act(route: str = "/api/**") -> None:
        break_glass(KeySources(conf.current()), route, now=timezone.now())

    return act


def test_a_refusal_is_written_down_and_takes_no_effect(
    open_api: Callable[..., None], send: Callable[[httpx.Request], httpx.Response], caplog: pytest.LogCaptureFixture
) -> None:
    assert send(locked_api.unsigned()).status_code == 401
    open_api()
    RUNS.clear()
    caplog.clear()
    assert locked_api.content(send(locked_api.unsigned()))["verdict"] == "NoneType"
    assert not locked_api.would_have_refused()[-1].enforced
    assert "glass is broken" in caplog.text
    openings.close(None, by="anna", environment=conf.current().environment, now=NOW)
    assert send(locked_api.unsigned()).status_code == 401


def test_another_route_stays_enforced(
    open_api: Callable[..., None], send: Callable[[httpx.Request], httpx.Response]
) -> None:
    open_api("/console/**")
    assert send(locked_api.unsigned()).status_code == 401


def test_a_target_that_no_rule_covers_stays_refused(
    open_api: Callable[..., None], send: Callable[[httpx.Request], httpx.Response]
) -> None:
    open_api("*")
    refused = send(locked_api.unsigned(path="/nowhere"))
    assert refused.status_code in {401, 403, 404}
    assert "bonafide-record" in refused.headers


def test_where_openings_cannot_be_read_nothing_is_open(
    open_api: Callable[..., None], send: Callable[[httpx.Request], httpx.Response], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_api()
    assert send(locked_api.unsigned()).status_code == 200

    def stale() -> Any:
        raise VerificationFailed(proof.REPLAYED)

    async def stale_async() -> Any:
        raise VerificationFailed(proof.REPLAYED)

    monkeypatch.setattr(runtime.current()._openings, "current", stale)
    monkeypatch.setattr(runtime.current()._openings, "acurrent", stale_async)
    assert send(locked_api.unsigned()).status_code == 401


def test_rows_are_read_where_the_router_says(database: Database, keys: KeySources) -> None:
    break_glass(keys)
    rows = openings.unclosed(Environment.TEST, NOW, router.db_for_read(OpeningRow))
    assert [row.route for row in rows] == ["/api/**"]
