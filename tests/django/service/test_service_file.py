"""`service.toml` has a closed set of keys, and no slip in it starts a service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.django import conf
from bonafide.django.service import service_file
from bonafide.django.service.service_file import SHARED_KEYS, Listener, own_keys, parse
from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons

NOT_HERE = {
    "ROUTES": "there is no API in this process",
    "BEHIND_GATE": "likewise",
    "BINDING": "likewise",
    "SPOOL_MEMORY": "likewise",
    "PROCESSES": "follows from workers",
}


def refused(toml: str) -> str:
    with pytest.raises(ConfigurationError) as refusal:
        parse(toml)
    assert refusal.value.reason is reasons.SETTING_MALFORMED
    return refusal.value.detail


def test_an_empty_file_is_the_defaults() -> None:
    says = parse("")
    assert (str(says.listen), str(says.console_listen)) == ("http://127.0.0.1:8600", "http://127.0.0.1:8602")
    assert (says.prefix, says.workers, says.threads, says.stop_within) == ("/bonafide/v1", 2, 4, 30)
    assert says.database is None
    assert says.shared == {}


def test_every_key_of_the_dict_is_taken_or_left_out_for_a_reason() -> None:
    assert {name.upper() for name in SHARED_KEYS} | set(NOT_HERE) == {key.name for key in conf.keys()}  # noqa: SIM118 - a function


def test_every_key_of_its_own_is_documented() -> None:
    assert [key.name for key in own_keys()] == [
        "listen",
        "console_listen",
        "console_origins",
        "prefix",
        "workers",
        "threads",
        "stop_within",
        "database",
    ]
    assert all(key.form and key.default and key.about for key in own_keys())


def test_shared_keys_are_handed_on_as_they_are_written() -> None:
    assert parse('origins = ["https://a"]\nnetwork_limits = { gate = 1 }').shared == {
        "origins": ["https://a"],
        "network_limits": {"gate": 1},
    }


@pytest.mark.parametrize("key", ["unheard_of", "routes", "processes", "Listen", "shared", "debug"])
def test_an_unknown_key_does_not_start(key: str) -> None:
    assert refused(f"{key} = 1") == f"service.toml has no key {key}"


def test_what_is_no_toml_does_not_start_and_is_not_shown() -> None:
    assert refused("a-secret = = 1") == "service.toml is no TOML"


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("listen = 8600", "listen"),
        ('listen = "8600"', "listen"),
        ('listen = "localhost:8600"', "listen"),
        ('listen = "127.0.0.1"', "listen"),
        ('listen = "127.0.0.1:0"', "listen"),
        ('listen = "127.0.0.1:65536"', "listen"),
        ('listen = "127.0.0.1:+80"', "listen"),
        ('listen = "127.0.0.1:٨٠"', "listen"),
        ('listen = "unix:service.sock"', "listen"),
        ('listen = "unix:"', "listen"),
        ('console_listen = "0"', "console_listen"),
        ('console_origins = "https://a"', "console_origins"),
        ('prefix = "bonafide"', "prefix"),
        ('prefix = "/"', "prefix"),
        ('prefix = "/a/"', "prefix"),
        ('prefix = "/a//b"', "prefix"),
        ('prefix = "/a/../b"', "prefix"),
        ('prefix = "/<path:x>"', "prefix"),
        ('prefix = "/ä"', "prefix"),
        ("workers = 0", "workers"),
        ("workers = true", "workers"),
        ("workers = 257", "workers"),
        ("threads = 0", "threads"),
        ("stop_within = 0", "stop_within"),
        ('database = "postgres"', "database"),
        ('database = "mysql://a/b"', "database"),
        ('database = "postgresql://host"', "database"),
        ('database = "postgresql://host/"', "database"),
        ('database = "postgresql://host/name#x"', "database"),
        ('database = "postgresql://host/name?sslmode"', "database"),
        ('database = "postgresql://host:port/name"', "database"),
        ("database = 1", "database"),
    ],
)
def test_a_value_of_a_wrong_form_does_not_start_and_is_not_shown(line: str, key: str) -> None:
    forms = {each.name: each.form for each in own_keys()}
    assert refused(line) == f"service.toml: {key} is {forms[key]}"


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ("127.0.0.1:1", True),
        ("127.9.9.9:1", True),
        ("[::1]:1", True),
        ("unix:/run/a.sock", True),
        ("0.0.0.0:1", False),
        ("10.0.0.1:1", False),
        ("[::]:1", False),
    ],
)
def test_a_listener_knows_whether_others_can_reach_it(text: str, loopback: bool) -> None:
    listener = service_file.listener.read(text)
    assert listener.loopback is loopback
    assert str(listener).removeprefix("http://") == text


def test_a_unix_socket_has_no_authority() -> None:
    assert Listener(socket=Path("/run/a.sock")).authority == ""


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql:///bonafide", {"NAME": "bonafide", "HOST": "", "PORT": "", "USER": "", "PASSWORD": ""}),
        (
            "postgres://ann:a%2Fb@db.example.com:5433/bona%20fide",
            {"NAME": "bona fide", "HOST": "db.example.com", "PORT": "5433", "USER": "ann", "PASSWORD": "a/b"},
        ),
        (
            "postgresql://ann@/name?host=/run/postgresql&passfile=/etc/pgpass&sslmode=verify-full",
            {
                "HOST": "/run/postgresql",
                "USER": "ann",
                "OPTIONS": {"passfile": "/etc/pgpass", "sslmode": "verify-full"},
            },
        ),
    ],
)
def test_an_address_of_postgresql_is_django_s_dict(url: str, expected: dict[str, Any]) -> None:
    database = parse(f'database = "{url}"').database
    assert database is not None
    assert {key: database[key] for key in expected} == expected
    assert database["ENGINE"] == "django.db.backends.postgresql"


def test_sqlite_is_spelled_out() -> None:
    assert parse('database = "sqlite"').database is None


@settings(parent=settings.get_profile("bonafide"))
@given(st.text(max_size=60))
def test_no_text_makes_a_listener_or_a_database_but_those_in_form(text: str) -> None:
    for form in (service_file.listener, service_file._database, service_file._prefix):
        try:
            form.read(text)
        except (TypeError, ValueError):
            continue
