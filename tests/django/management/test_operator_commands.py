"""Commands by which operators ban, break the glass, register gates and let each other in."""

from __future__ import annotations

import io
import json
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.contrib.auth import authenticate, get_user_model
from django.core.management import call_command, load_command_class
from django.core.management.base import CommandError

from bonafide.codec import jwk
from bonafide.django import gates
from bonafide.django.command_words import operator
from bonafide.django.enrolment_store import DjangoEnrolmentStore
from bonafide.django.models import App, AuditEvent, AuditKind, Ban, BanScope, Instance, Opening, RegisteredGate
from bonafide.ports import InstanceRecord
from bonafide.terms import Environment
from bonafide.testing.enrolment_trial import APP, NOW, digest, registration

if TYPE_CHECKING:
    from pathlib import Path

    from tests.django.databases import Database

PUBLIC = json.dumps(jwk.from_public(ec.generate_private_key(ec.SECP256R1()).public_key()))


@pytest.fixture(autouse=True)
def project(database: Database, settings: Any, tmp_path: Path) -> Any:
    settings.BONAFIDE = settings.BONAFIDE | {"KEYS_DIR": str(tmp_path / "keys")}
    App.objects.create(name=APP, environment=Environment.TEST)
    return settings


def run(*arguments: str) -> str:
    out, err = io.StringIO(), io.StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    return out.getvalue() + err.getvalue()


def refused(*arguments: str) -> CommandError:
    with pytest.raises(CommandError) as refusal:
        run(*arguments)
    return refusal.value


def enrolled() -> InstanceRecord:
    store, new = DjangoEnrolmentStore(), registration("a", environment=Environment.TEST)
    store.spend_challenge(new.challenge_digest, body_digest=digest("body"), expires_at=NOW)
    record = store.register(new)
    assert isinstance(record, InstanceRecord)
    return record


# bonafide_gates -----------------------------------------------------------------------------------------


def test_a_gate_is_registered_for_the_services_audience_and_listed() -> None:
    assert "gate-1 may ask for https://api.example.com" in run("bonafide_gates", "add", "gate-1", "--jwk", PUBLIC)
    row = RegisteredGate.objects.get()
    assert (row.audience, row.registered_by) == ("https://api.example.com", operator())
    assert run("bonafide_gates", "list").endswith(f"{jwk.thumbprint(json.loads(PUBLIC))}  has not asked yet\n")
    RegisteredGate.objects.update(last_asked_at=NOW)
    assert f"asked {NOW:%Y-%m-%d %H:%M:%S}" in run("bonafide_gates", "list")


def test_a_gate_of_another_audience_says_so() -> None:
    run("bonafide_gates", "add", "gate-1", "--jwk", PUBLIC, "--audience", "https://partners.example.com")
    assert RegisteredGate.objects.get().audience == "https://partners.example.com"


def test_a_gate_is_retired() -> None:
    run("bonafide_gates", "add", "gate-1", "--jwk", PUBLIC)
    run("bonafide_gates", "retire", "gate-1")
    assert "retired" in run("bonafide_gates", "list")
    assert "gate-1" in str(refused("bonafide_gates", "retire", "gate-1"))


@pytest.mark.parametrize("key", ["", "{", "[]", json.dumps({**json.loads(PUBLIC), "d": "the private half"})])
def test_what_is_no_public_key_is_refused_and_not_repeated(key: str) -> None:
    assert "private half" not in str(refused("bonafide_gates", "add", "gate-1", f"--jwk={key}"))
    assert not RegisteredGate.objects.exists()


def test_gates_of_another_environment_are_not_listed() -> None:
    gates.register(
        "staged", json.loads(PUBLIC), audience="https://a", environment=Environment.STAGING, by="anna", now=NOW
    )
    assert run("bonafide_gates", "list") == ""


# bonafide_open ------------------------------------------------------------------------------------------


def test_the_glass_is_broken_listed_and_closed(project: Any) -> None:
    project.BONAFIDE = project.BONAFIDE | {"ROUTES": [{"match": "/api/**"}]}
    said = run("bonafide_open", "--route", "/api/**", "--for", "30m", "--because", "Apple is away")
    assert "/api/** only observes until" in said
    assert "Unverified" not in said
    row = Opening.objects.get()
    assert row.until - row.opened_at == timedelta(minutes=30)
    assert row.opened_by == operator()
    assert refused("bonafide_open", "--list").returncode == 1
    assert "/api/** is enforced again" in run("bonafide_open", "--close", "--route", "/api/**")
    assert run("bonafide_open", "--list") == ""
    assert "/api/** is not open" in str(refused("bonafide_open", "--close", "--route", "/api/**"))
    assert "nothing is open" in str(refused("bonafide_open", "--close"))


@pytest.mark.parametrize("left_out", ["--route", "--for", "--because"])
def test_route_length_and_cause_are_all_said(left_out: str) -> None:
    words = {"--route": "/api/**", "--for": "30m", "--because": "why"}
    given = [word for name, value in words.items() if name != left_out for word in (name, value)]
    assert refused("bonafide_open", *given).returncode == 2
    assert not Opening.objects.exists()


def test_more_than_a_day_is_refused() -> None:
    assert "24 h" in str(refused("bonafide_open", "--route", "*", "--for", "25h", "--because", "why"))


def test_a_pattern_that_no_rule_has_would_open_nothing_and_is_refused(project: Any) -> None:
    project.BONAFIDE = project.BONAFIDE | {"ROUTES": [{"match": "/api/**"}]}
    assert "no rule" in str(refused("bonafide_open", "--route", "/api/*", "--for", "5m", "--because", "why"))
    run("bonafide_open", "--route", "/api/**", "--for", "5m", "--because", "why")
    run("bonafide_open", "--route", "*", "--for", "5m", "--because", "why")
    assert Opening.objects.count() == 2


def test_where_no_table_is_known_nobody_is_told_that_a_route_only_observes() -> None:
    """A pattern that no gate has opens nothing, and the operator must not believe otherwise."""
    said = run("bonafide_open", "--route", "/apl/**", "--for", "5m", "--because", "why")
    assert "only observes" not in said
    assert "Unverified" in said
    assert "no gate has confirmed a rule of exactly this pattern" in said
    assert "* only observes until" in run("bonafide_open", "--route", "*", "--for", "5m", "--because", "why")


# bonafide_ban, bonafide_unban ---------------------------------------------------------------------------


def test_an_instance_is_banned_with_its_keys_and_the_ban_is_lifted() -> None:
    record = enrolled()
    assert "is banned" in run("bonafide_ban", f"--instance={record.instance}", "--because", "sold")
    assert set(Ban.objects.values_list("scope", flat=True)) == {"instance", "jkt", "key_id"}
    run("bonafide_unban", f"--instance={record.instance}", "--because", "a mistake")
    assert not Ban.objects.exists()
    events = AuditEvent.objects.order_by("pk").values_list("kind", "actor")
    assert list(events)[-2:] == [(AuditKind.BANNED, operator()), (AuditKind.UNBANNED, operator())]


def test_a_ban_may_end_by_itself() -> None:
    run("bonafide_ban", "--jkt", "j" * 43, "--app", APP, "--because", "a test", "--for", "7d")
    row = Ban.objects.get()
    assert row.until == row.banned_at + timedelta(days=7)


@pytest.mark.parametrize(("option", "scope"), [("--jkt", BanScope.JKT), ("--key-id", BanScope.KEY_ID)])
def test_a_key_is_banned_by_itself_in_its_app(option: str, scope: BanScope) -> None:
    run("bonafide_ban", option, "k" * 43, "--app", APP, "--because", "stolen")
    assert [(row.scope, row.subject, row.app) for row in Ban.objects.all()] == [(scope, "k" * 43, APP)]
    run("bonafide_unban", option, "k" * 43, "--app", APP, "--because", "found")
    assert not Ban.objects.exists()


def test_a_key_needs_its_app() -> None:
    assert "--app" in str(refused("bonafide_ban", "--jkt", "j" * 43, "--because", "why"))
    assert "nobody is no app" in str(refused("bonafide_ban", "--jkt", "j" * 43, "--app", "nobody", "--because", "why"))


def test_an_unknown_instance_and_one_of_another_environment_are_not_banned() -> None:
    assert "no instance" in str(refused("bonafide_ban", "--instance", "nobody", "--because", "why"))
    record = enrolled()
    Instance.objects.update(environment=Environment.STAGING)
    assert "no instance" in str(refused("bonafide_ban", f"--instance={record.instance}", "--because", "why"))
    assert not Ban.objects.exists()


def test_nobody_bans_or_lifts_without_a_reason() -> None:
    record = enrolled()
    refused("bonafide_ban", f"--instance={record.instance}", "--because", " ")
    run("bonafide_ban", f"--instance={record.instance}", "--because", "sold")
    refused("bonafide_unban", f"--instance={record.instance}", "--because", " ")
    assert Ban.objects.exists()


def test_the_ban_of_an_instances_key_is_lifted_with_the_instance_alone() -> None:
    record = enrolled()
    run("bonafide_ban", f"--instance={record.instance}", "--because", "sold")
    refused("bonafide_unban", f"--jkt={record.jkt}", "--app", APP, "--because", "why")
    assert Ban.objects.filter(scope=BanScope.JKT).exists()


@pytest.mark.parametrize("name", ["bonafide_ban", "bonafide_unban"])
def test_an_id_that_begins_with_a_hyphen_is_an_id(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = load_command_class("bonafide.django", name)
    with pytest.raises(SystemExit) as stopped:
        command.run_from_argv(["manage.py", name, "--skip-checks", "--instance", "-AbC", "--because", "why"])
    assert stopped.value.code == 1
    assert "-AbC" in capsys.readouterr().err


# bonafide_admin -----------------------------------------------------------------------------------------


def test_a_login_is_created_with_a_password_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("a long and quiet river\n"))
    assert run("bonafide_admin", "create", "anna", "--password-stdin") == "anna may log in\n"
    user = get_user_model().objects.get()
    assert user.is_superuser
    assert authenticate(username="anna", password="a long and quiet river") is not None
    monkeypatch.setattr(sys, "stdin", io.StringIO("a long and quiet river\n"))
    assert "there is a login anna" in str(refused("bonafide_admin", "create", "anna", "--password-stdin"))


def test_a_weak_password_is_refused(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    project.AUTH_PASSWORD_VALIDATORS = [
        {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}}
    ]
    monkeypatch.setattr(sys, "stdin", io.StringIO("short\n"))
    assert "too short" in str(refused("bonafide_admin", "create", "anna", "--password-stdin"))
    assert not get_user_model().objects.exists()


def test_no_password_is_no_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    refused("bonafide_admin", "create", "anna", "--password-stdin")
    assert "no terminal" in str(refused("bonafide_admin", "create", "anna"))
    assert not get_user_model().objects.exists()


@pytest.mark.parametrize(("typed", "made"), [(["quiet river bend", "quiet river bend"], 1), (["quiet river", "x"], 0)])
def test_a_password_is_typed_twice(monkeypatch: pytest.MonkeyPatch, typed: list[str], made: int) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    answers = iter(typed)
    monkeypatch.setattr("getpass.getpass", lambda _prompt: next(answers))
    if made:
        run("bonafide_admin", "create", "anna")
    else:
        assert "differ" in str(refused("bonafide_admin", "create", "anna"))
    assert get_user_model().objects.count() == made
