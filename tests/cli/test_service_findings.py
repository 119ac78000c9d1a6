"""`bonafide check` of a home: what differs from a good one in one respect has exactly the finding for it."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.db import OperationalError, connection, connections

from bonafide.cli import findings, service_findings
from bonafide.codec import json, jwk
from bonafide.django import conf, gates, openings
from bonafide.django.documents import pins
from bonafide.django.documents.pins import PinnedHost
from bonafide.django.key_sources import KeySources
from bonafide.django.models import App, DebugSecret, Identity, Opening, RegisteredGate
from bonafide.django.service import health, home
from bonafide.django.service.home import Draft, Home
from bonafide.terms import Environment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.django.databases import Database

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "_ROOT", -1)
    monkeypatch.setattr(health, "probe", dict)


@pytest.fixture
def place(settings: Any, tmp_path: Path) -> Home:
    """Return a good home, in whose settings the tests' own database stands for its own."""
    made, _ = home.make(tmp_path / "home", Draft(environment="test", origins=["https://api.example.com"]))
    settings.BONAFIDE = made.bonafide() | {"ENVIRONMENT": "test"}
    settings.SILENCED_SYSTEM_CHECKS = ["bonafide.E001", "bonafide.W001"]
    sources = KeySources(conf.current())
    sources.challenge_key()
    take_spare_offline(made)
    return made


def take_spare_offline(made: Home) -> None:
    KeySources(conf.current()).service_ring()
    document = made.path / "keys" / "test" / "service.json"
    body = json.parse_object(document.read_bytes())
    del body["spare_private"]
    document.write_bytes(json.dump(body))


def say(place: Home, *lines: str) -> Home:
    file = place.path / "service.toml"
    file.write_text("\n".join([*lines, ""]) + 'environment = "test"\norigins = ["https://api.example.com"]\n')
    return home.read(place.path)


def codes(place: Home) -> list[str]:
    return [found.code for found in service_findings.judge(place, conf.current())]


def test_a_good_home_has_no_finding(place: Home) -> None:
    assert codes(place) == []


@pytest.mark.parametrize(
    "name", ["", "service.toml", "secret.key", "keys/test/service.json", "keys/test", "db.sqlite3"]
)
def test_what_others_may_touch_has_its_finding(place: Home, name: str) -> None:
    path = place.path / name
    if not path.exists():
        path.write_text("")
    path.chmod(0o755 if path.is_dir() else 0o644)
    found = codes(place)
    assert found[0] == "service.files_open"
    assert set(found) <= {"service.files_open"}


def test_a_passfile_that_others_may_read_has_its_finding(place: Home, tmp_path: Path) -> None:
    file = tmp_path / "pgpass"
    file.write_text("*:*:*:*:secret")
    file.chmod(0o600)
    said = say(place, f'database = "postgresql://ann@localhost/bonafide?passfile={file}"')
    assert codes(said) == []
    file.chmod(0o640)
    (found,) = service_findings.judge(said, conf.current())
    assert found.code == "service.files_open"
    assert str(file) in found.what
    assert "secret" not in found.text()


@pytest.mark.parametrize("name", ["SEALING_KEY", "OTHER_SEALING_KEYS"])
@pytest.mark.parametrize("kind", ["file", "pin_file"])
def test_a_sealing_key_or_pin_that_others_may_read_has_its_finding(
    place: Home, tmp_path: Path, name: str, kind: str
) -> None:
    file, other = tmp_path / "sealing", tmp_path / "other"
    for each in (file, other):
        each.write_bytes(b"k" * 32)
        each.chmod(0o600)
    token = {"module": "/hsm.so", "token": "t", "label": "l", "pin_file": str(file)}
    address: dict[str, Any] = {"file": str(file)} if kind == "file" else {"pkcs11": token}
    keys: dict[str, Any] = {"SEALING_KEY": {"file": str(other)}, "OTHER_SEALING_KEYS": []}
    keys[name] = address if name == "SEALING_KEY" else [address]
    settings = conf.parse(
        place.bonafide() | {"ENVIRONMENT": "test", "KEY_STORAGE": "database"} | keys, base_dir=place.path
    )

    def open_files() -> list[str]:
        return [found.what for found in findings.private_paths("service", service_findings._private(place, settings))]

    assert open_files() == []
    file.chmod(0o644)
    assert open_files() == [f"{file} is open to its group or to others."]


def test_root_has_its_finding(place: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "_ROOT", os.geteuid())
    assert codes(place) == ["service.as_root"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('listen = "0.0.0.0:8600"', "service.listens_abroad"),
        ('console_listen = "10.0.0.1:8602"', "service.console_abroad"),
        ('console_origins = ["http://console.example.com"]', "service.console_plain"),
        ('database = "postgresql://ann@db.example.com/bonafide"', "service.database_plain"),
        ('database = "postgresql://ann@db.example.com/bonafide?sslmode=require"', "service.database_plain"),
        ('database = "postgresql://ann@/bonafide?hostaddr=10.0.0.5"', "service.database_plain"),
        ('database = "postgresql://ann@localhost/bonafide?hostaddr=10.0.0.5"', "service.database_plain"),
        ('database = "postgresql://ann@/bonafide?host=/run/postgresql,db.example.com"', "service.database_plain"),
        ('database = "postgresql://ann@/bonafide?host=localhost,10.0.0.5"', "service.database_plain"),
        ('database = "postgresql:///bonafide?service=elsewhere"', "service.database_plain"),
        ('database = "postgresql://ann:secret@localhost/bonafide"', "service.database_password"),
        ('database = "postgresql://ann@localhost/bonafide?password=secret"', "service.database_password"),
    ],
)
def test_each_weakness_of_the_file_has_its_finding(place: Home, line: str, code: str) -> None:
    assert codes(say(place, line)) == [code]


@pytest.mark.parametrize(
    "line",
    [
        'listen = "unix:/run/bonafide/service.sock"',
        'console_listen = "[::1]:8602"',
        'console_origins = ["https://console.example.com"]',
        'database = "postgresql:///bonafide"',
        'database = "postgresql://ann@/bonafide?host=/run/postgresql"',
        'database = "postgresql://ann@db.example.com/bonafide?sslmode=verify-full"',
        'database = "postgresql://ann@db.example.com/bonafide?hostaddr=10.0.0.5&sslmode=verify-full"',
        'database = "postgresql://ann@db.example.com/bonafide?hostaddr=127.0.0.1"',
        'database = "postgresql://ann@/bonafide?host=/run/postgresql,localhost,@abstract"',
    ],
)
def test_what_is_no_weakness_has_none(place: Home, line: str) -> None:
    assert codes(say(place, line)) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"CLIENT_ATTESTATION_LIFETIME": 901}, "service.attestations_long"),
        ({"NETWORK_LIMITS": {"gate": None}}, "service.unlimited"),
        ({"NETWORK_LIMITS": {"console": None}}, "service.unlimited"),
        ({"TRUSTED_PROXIES": ["10.0.0.0/8"]}, "service.proxies_wide"),
        ({"TRUSTED_PROXIES": ["::/0"]}, "service.proxies_wide"),
        ({"UNSAFE_DEBUG_EVIDENCE": True}, "bonafide.W007"),
    ],
)
def test_each_weakness_of_the_settings_has_its_finding(
    place: Home, settings: Any, changes: dict[str, Any], code: str
) -> None:
    settings.BONAFIDE = settings.BONAFIDE | changes
    assert codes(place) == [code]


@pytest.mark.parametrize(
    "changes", [{"CLIENT_ATTESTATION_LIFETIME": 900}, {"TRUSTED_PROXIES": ["10.0.0.0/16", "127.0.0.1/32"]}]
)
def test_what_is_within_bounds_has_none(place: Home, settings: Any, changes: dict[str, Any]) -> None:
    settings.BONAFIDE = settings.BONAFIDE | changes
    assert codes(place) == []


@pytest.mark.parametrize(("environment", "found"), [("production", ["service.development_evidence"]), ("test", [])])
def test_development_evidence_in_production_has_its_finding(
    place: Home, settings: Any, environment: str, found: list[str]
) -> None:
    settings.BONAFIDE = settings.BONAFIDE | {
        "ENVIRONMENT": environment,
        "EVIDENCE_ENVIRONMENTS": ["production", "development"],
    }
    said = codes(place)
    assert [code for code in said if code == "service.development_evidence"] == found


def test_what_django_finds_is_told_in_the_same_words(place: Home, settings: Any) -> None:
    settings.BONAFIDE = settings.BONAFIDE | {"UNSAFE_DEBUG_EVIDENCE": True}
    (found,) = service_findings.judge(place, conf.current())
    assert found.attacker == "Whoever holds their keys enrols as a genuine app."
    assert found.remedy == "Keep it away from production's data."


def test_a_spare_that_lies_beside_the_key_has_its_finding(place: Home) -> None:
    (place.path / "keys" / "test" / "service.json").unlink()
    KeySources(conf.current()).service_ring()
    assert codes(place) == ["service.spare_online"]


def test_a_broken_glass_has_its_finding(place: Home) -> None:
    now = datetime.now(UTC)
    openings.break_glass(
        "/api/**",
        length=HOUR,
        because="Apple is away",
        by="anna",
        settings=conf.current(),
        service_key=KeySources(conf.current()).service_key(now),
        now=now,
    )
    (found,) = service_findings.judge(place, conf.current())
    assert found.code == "service.glass_broken"
    assert "by anna: Apple is away" in found.what
    Opening.objects.update(token="a row that somebody wrote")
    assert codes(place) == ["service.opening_forged"]
    Opening.objects.update(closed_at=now)
    assert codes(place) == []


def test_a_gate_that_fell_silent_has_its_finding(place: Home) -> None:
    now = datetime.now(UTC)
    public = jwk.from_public(ec.generate_private_key(ec.SECP256R1()).public_key())
    gates.register("gate-1", public, audience="https://a", environment=Environment.TEST, by="anna", now=now - HOUR)
    assert codes(place) == ["service.gate_silent"]
    RegisteredGate.objects.update(last_asked_at=now)
    assert codes(place) == []
    RegisteredGate.objects.update(last_asked_at=now - HOUR)
    assert codes(place) == ["service.gate_silent"]
    RegisteredGate.objects.update(retired_at=now)
    assert codes(place) == []


def test_pins_that_end_soon_have_their_finding(place: Home) -> None:
    now = datetime.now(UTC)
    app = App.objects.create(name="shop", environment="test")
    host = PinnedHost(
        port=443,
        served="A" * 43 + "=",
        subject="CN=x",
        ends=int((now + timedelta(days=31)).timestamp()),
        spares=("B" * 42 + "A=",),
    )
    pins.publish(app, {"a.example": host}, over=0, by="anna", now=now, expires_at=now + timedelta(days=90))
    assert codes(place) == []
    for over, ends in ((1, now + timedelta(days=29)), (2, now - timedelta(days=1))):
        soon = replace(host, ends=int(ends.timestamp()))
        pins.publish(app, {"a.example": soon}, over=over, by="anna", now=now, expires_at=now + timedelta(days=90))
        assert codes(place) == ["service.pins_end"]


def test_devices_that_cannot_attest_and_debug_secrets_have_their_findings(place: Home) -> None:
    app = App.objects.create(name="shop", environment=Environment.TEST)
    identity = Identity.objects.create(app=app, name="ABCDE12345.com.example.shop")
    assert codes(place) == []
    Identity.objects.filter(pk=identity.pk).update(unattested=True)
    assert codes(place) == ["service.unattested"]
    Identity.objects.filter(pk=identity.pk).update(unattested=False)
    now = datetime.now(UTC)
    DebugSecret.objects.create(app=app, name="ci", **secret_columns(now))
    assert codes(place) == ["service.debug_secrets"]
    DebugSecret.objects.update(revoked_at=now)
    assert codes(place) == []


def secret_columns(now: datetime) -> dict[str, Any]:
    given = {"expires_at": now + HOUR, "created_at": now, "created_by": "anna"}
    names = {field.name for field in DebugSecret._meta.get_fields()}
    return {name: value for name, value in given.items() if name in names}


def test_parts_that_are_not_ready_have_their_findings(place: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "probe", lambda: {"database": "OperationalError", "keys": health.READY})
    (found,) = service_findings.judge(place, conf.current())
    assert (found.code, found.what) == ("service.not_ready", "database: OperationalError.")


def test_a_database_that_goes_away_meanwhile_has_its_finding(place: Home) -> None:
    def gone(*_: Any) -> Any:
        raise OperationalError

    with connection.execute_wrapper(gone):
        assert codes(place) == ["service.not_ready"]


def test_clocks_that_are_apart_have_their_finding(database: Database) -> None:
    now, there = datetime.now(UTC), connections[database.alias]
    apart = [found.code for found in service_findings._clock(now - timedelta(minutes=1), there)]
    assert apart == (["service.clocks_apart"] if database.vendor == "postgresql" else [])
    assert list(service_findings._clock(now, there)) == []
