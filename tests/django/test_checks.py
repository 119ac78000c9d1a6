"""Every dangerous configuration is named, and a sound one is not."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.core.checks import run_checks
from django.db import connections

from bonafide.django import checks
from bonafide.django.middleware import BonafideMiddleware
from bonafide.stores.admission_keys import create_admission_key
from bonafide.trust.apple import BUNDLED

if TYPE_CHECKING:
    from pathlib import Path

MIDDLEWARE = [checks.MIDDLEWARE]
SOUND = [{"match": "/api/**"}, {"match": "/open/**", "client": "open", "because": "x"}]
SOUND += [{"match": "/console/**", "client": "browser"}]


class Derived(BonafideMiddleware):
    """A project's own variety."""


@pytest.fixture(autouse=True)
def sound(settings: Any, tmp_path: Path) -> None:
    """Begin with a configuration that nothing is to be said about."""
    settings.ROOT_URLCONF = "tests.django.api_urls"
    settings.MIDDLEWARE = [*MIDDLEWARE, *settings.MIDDLEWARE]
    settings.BONAFIDE = {"ORIGINS": ["https://api.example.com"], "KEYS_DIR": str(tmp_path / "keys"), "ROUTES": SOUND}


def found(settings: Any, **changes: Any) -> list[str]:
    settings.BONAFIDE = settings.BONAFIDE | changes
    messages = checks.examine()
    assert all(message.hint for message in messages)
    return [str(message.id).removeprefix("bonafide.") for message in messages]


def test_sound_configuration_is_not_spoken_of(settings: Any) -> None:
    assert found(settings) == []


def test_django_runs_the_checks(settings: Any) -> None:
    settings.MIDDLEWARE = settings.MIDDLEWARE[1:]
    assert "bonafide.E001" in {message.id for message in run_checks()}


def test_project_without_the_setting_hears_nothing(settings: Any) -> None:
    del settings.BONAFIDE
    settings.MIDDLEWARE = []
    assert checks.examine() == []


@pytest.mark.parametrize("change", ["absent", "second", "twice", "wrong"])
def test_middleware_that_is_not_first_is_an_error(settings: Any, change: str) -> None:
    rest = settings.MIDDLEWARE[1:]
    settings.MIDDLEWARE = {
        "absent": rest,
        "second": [rest[0], *MIDDLEWARE, *rest[1:]],
        "twice": [*MIDDLEWARE, *rest, *MIDDLEWARE],
        "wrong": ["bonafide.django.no.Such", *rest],
    }[change]
    assert found(settings) == ["E001"]


def test_own_variety_of_the_middleware_counts(settings: Any) -> None:
    settings.MIDDLEWARE = [f"{__name__}.Derived", *settings.MIDDLEWARE[1:]]
    if __name__ == "tests.django.test_checks":
        assert found(settings) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"UNKNOWN": 1}, "configuration.setting_malformed"),
        ({"REPLAY_STORE": "memory:"}, "configuration.store_scope"),
        ({"REPLAY_STORE": "memory:", "PROCESSES": 2}, "configuration.store_scope"),
        ({"UNSAFE_DEBUG_EVIDENCE": True}, "configuration.test_trust"),
        ({"UNSAFE_TEST_ANCHORS": ["/absent.pem"]}, "configuration.test_trust"),
        ({"ROUTES": [{"match": "/api/**", "client": "open"}]}, "configuration.route_malformed"),
    ],
)
def test_configuration_that_cannot_be_run_is_an_error(settings: Any, changes: dict[str, Any], reason: str) -> None:
    assert found(settings, **changes) == ["E002"]
    assert checks.examine()[0].msg.startswith(reason)


def test_enforcing_table_without_a_rule_for_a_url_is_an_error(settings: Any) -> None:
    assert found(settings, ROUTES=SOUND[:-1]) == ["E003"]
    assert found(settings, ROUTES=[{"match": "/api/**", "mode": "observe"}]) == ["W002"]


def test_production_without_tls_is_an_error(settings: Any) -> None:
    assert found(settings, ORIGINS=["http://api.example.com"]) == ["E004"]
    assert found(settings, ENVIRONMENT="development") == []


def test_keys_that_others_may_read_are_an_error(settings: Any, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    assert found(settings) == []
    for mode in (0o750, 0o705, 0o710, 0o701):
        keys.chmod(mode)
        assert found(settings) == ["E006"]


def test_key_shared_with_a_gate_that_is_missing_or_open_to_others_is_an_error(settings: Any, tmp_path: Path) -> None:
    path = tmp_path / "admission.key"
    behind = {"BEHIND_GATE": {"key_files": [str(path)]}}
    assert found(settings, **behind) == ["E007"]
    create_admission_key(path, random=os.urandom)
    assert found(settings, **behind) == []
    path.chmod(0o640)
    assert found(settings, **behind) == ["E007"]


def test_no_table_is_a_warning(settings: Any) -> None:
    assert found(settings, ROUTES=None) == ["W001"]


@pytest.mark.parametrize(
    ("keys", "warning"),
    [
        ({"mode": "observe"}, "W002"),
        ({"mode": "50%"}, "W003"),
        ({"legacy": {"until": "2999-01-01", "max_share": 0.1}}, "W004"),
        ({"single_use": False, "methods": ["GET"]}, "W011"),
        ({"proof": "dpop"}, "W014"),
        ({"proof": "dpop", "methods": ["GET", "POST"]}, "W014"),
    ],
)
def test_rule_that_lets_more_in_is_named(settings: Any, keys: dict[str, Any], warning: str) -> None:
    assert found(settings, ROUTES=[{"match": "/api/**"} | keys, *SOUND[1:]]) == [warning]
    assert "/api/**" in checks.examine()[0].msg


@pytest.mark.parametrize(("mode", "warning"), [("observe", "W002"), ("50%", "W003")])
def test_rule_that_seals_and_answers_some_in_clear_is_named(settings: Any, mode: str, warning: str) -> None:
    rule = {"match": "/api/**", "seal": True}
    assert found(settings, ROUTES=[rule, *SOUND[1:]]) == []
    assert found(settings, ROUTES=[rule | {"mode": mode}, *SOUND[1:]]) == [warning, "W012"]


def test_dpop_where_nothing_lies_in_a_body_is_no_warning(settings: Any) -> None:
    rule = {"match": "/api/**", "proof": "dpop", "methods": ["GET", "DELETE"]}
    assert found(settings, ROUTES=[rule, {"match": "/api/**"}, *SOUND[1:]]) == []


def test_binding_on_first_use_is_a_warning(settings: Any) -> None:
    assert found(settings, BINDING={"existing": "bind_on_first_use until 2999-01-01"}) == ["W005"]
    assert found(settings, BINDING={"existing": "refuse"}) == []


def test_anchor_within_a_year_of_its_end_is_a_warning() -> None:
    end = min(anchor.not_after for anchor in BUNDLED)
    assert [message.id for message in checks._anchors(end - timedelta(days=364))] == ["bonafide.W006"]
    assert [*checks._anchors(end - timedelta(days=366))] == []
    assert [*checks._anchors(datetime.now(UTC))] == []


def test_test_trust_outside_production_is_a_warning(settings: Any) -> None:
    assert found(settings, ENVIRONMENT="staging") == []
    assert found(settings, UNSAFE_DEBUG_EVIDENCE=True) == ["W007"]


def test_debug_in_production_is_a_warning(settings: Any) -> None:
    settings.DEBUG = True
    assert found(settings) == ["W008"]
    assert found(settings, ENVIRONMENT="development") == []


def test_memory_in_production_is_a_warning(settings: Any) -> None:
    assert found(settings, REPLAY_STORE="memory:", PROCESSES=1) == ["W009"]
    assert found(settings, ENVIRONMENT="staging") == []


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"transaction_mode": "IMMEDIATE"},
        {"transaction_mode": "DEFERRED", "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL"},
        {"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"},
        {"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA synchronous=FULL"},
    ],
)
def test_sqlite_without_its_options_is_a_warning(
    settings: Any, monkeypatch: pytest.MonkeyPatch, options: dict[str, str]
) -> None:
    database = connections.settings["default"]
    if database["ENGINE"] == "django.db.backends.sqlite3":
        monkeypatch.setitem(database, "OPTIONS", options)
        assert found(settings) == ["W010"]
        monkeypatch.setitem(database, "ENGINE", "django.db.backends.postgresql")
        assert found(settings) == []
