"""The commands that an operator types: what they print, what they change, and what they refuse."""

from __future__ import annotations

import json
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import OperationalError

from bonafide.django import conf
from bonafide.django.key_sources import KeySources
from bonafide.django.models import (
    App,
    AuditEvent,
    AuditKind,
    DebugSecret,
    Identity,
    SealedSecret,
    SpentChallenge,
)
from bonafide.django.sealed_secrets import SealedSecrets
from bonafide.routes import parse_toml

if TYPE_CHECKING:
    from pathlib import Path

    from tests.django.databases import Database

IDENTITY = "ABCDE12345.com.example.shop"


@pytest.fixture
def project(settings: Any, tmp_path: Path) -> Any:
    """Make the project the API of `api_urls`, with keys of its own and two rules."""
    settings.ROOT_URLCONF = "tests.django.api_urls"
    settings.BONAFIDE = settings.BONAFIDE | {
        "KEYS_DIR": str(tmp_path / "keys"),
        "ROUTES": [{"match": "/api/echo"}, {"match": "/api/**", "methods": ["GET"], "mode": "10%"}],
    }
    return settings


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def refusal(*arguments: str) -> CommandError:
    with pytest.raises(CommandError) as refused:
        run(*arguments)
    return refused.value


# bonafide_routes ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("project")
class TestRoutes:
    def test_every_url_is_shown_with_its_rule(self) -> None:
        lines = run("bonafide_routes").splitlines()
        assert "api/echo  /api/echo  *  app  enforce" in lines
        assert "api/upload  /api/**  GET  app  10%" in lines
        assert "open/health  -  -  -  refused" in lines

    def test_json_has_one_object_a_line(self) -> None:
        lines = [json.loads(line) for line in run("bonafide_routes", "--json").splitlines()]
        assert {"url": "open/health", "rule": "-", "methods": "-", "client": "-", "mode": "refused"} in lines

    def test_a_url_without_a_rule_is_named_and_ends_with_1(self) -> None:
        out = StringIO()
        with pytest.raises(CommandError) as refused:
            call_command("bonafide_routes", "--missing", stdout=out)
        assert refused.value.returncode == 1
        assert "open/health" in out.getvalue().splitlines()

    def test_missing_urls_as_json_carry_the_rules_to_write(self) -> None:
        out = StringIO()
        with pytest.raises(CommandError):
            call_command("bonafide_routes", "--missing", "--json", stdout=out)
        lines = [json.loads(line) for line in out.getvalue().splitlines()]
        assert {"url": "open/health", "rules": ["/open/health"]} in lines

    def test_a_whole_table_misses_nothing(self, project: Any) -> None:
        project.BONAFIDE = project.BONAFIDE | {"ROUTES": [{"match": "/**", "mode": "observe"}]}
        assert run("bonafide_routes", "--missing") == ""

    def test_a_first_table_loads_observes_and_misses_nothing(self, project: Any, tmp_path: Path) -> None:
        file = tmp_path / "routes.toml"
        file.write_text(run("bonafide_routes", "--init"))
        assert not parse_toml(file.read_text()).enforces
        project.BONAFIDE = project.BONAFIDE | {"ROUTES": str(file)}
        assert run("bonafide_routes", "--missing") == ""

    def test_a_first_table_is_written_to_a_file_and_never_over_one(self, tmp_path: Path) -> None:
        file = tmp_path / "routes.toml"
        run("bonafide_routes", "--init", str(file))
        written = file.read_text()
        assert parse_toml(written)
        assert "File exists" in str(refusal("bonafide_routes", "--init", str(file)))
        assert file.read_text() == written

    def test_a_first_table_can_be_written_before_the_one_that_is_named_exists(
        self, project: Any, tmp_path: Path
    ) -> None:
        file = tmp_path / "routes.toml"
        project.BONAFIDE = project.BONAFIDE | {"ROUTES": str(file)}
        run("bonafide_routes", "--init", str(file))
        assert "bonafide_routes" not in run("bonafide_routes")

    def test_a_table_that_cannot_be_read_is_refused_in_words(self, project: Any, tmp_path: Path) -> None:
        project.BONAFIDE = project.BONAFIDE | {"ROUTES": str(tmp_path / "absent.toml")}
        assert "absent.toml cannot be read" in str(refusal("bonafide_routes"))


# bonafide_apps --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("database")
class TestApps:
    def test_an_app_is_added_with_its_identities(self) -> None:
        run("bonafide_apps", "add", "shop", "--identity", IDENTITY, "--identity", f"{IDENTITY}.Clip")
        app = App.objects.get()
        assert (app.name, app.environment) == ("shop", "test")
        assert {row.name: row.environments for row in app.identities.all()} == {
            IDENTITY: ["production"],
            f"{IDENTITY}.Clip": ["production"],
        }

    def test_adding_again_changes_what_is_named_and_nothing_else(self) -> None:
        run("bonafide_apps", "add", "shop", "--identity", IDENTITY)
        Identity.objects.update(minimum_app_version="2.0")
        run("bonafide_apps", "add", "shop", "--identity", IDENTITY, "--evidence", "debug", "--evidence", "production")
        identity = Identity.objects.get()
        assert (identity.environments, identity.minimum_app_version) == (["debug", "production"], "2.0")

    def test_an_identity_that_is_named_again_keeps_its_evidence_and_platform(self) -> None:
        team, _, bundle = IDENTITY.partition(".")
        words = ["bonafide_apps", "identity", "add", "shop", "--team", team, "--bundle", bundle]
        run("bonafide_apps", "add", "shop")
        run(*words, "--platform", "macos", "--evidence", "development")
        run(*words)
        run("bonafide_apps", "add", "shop", "--identity", IDENTITY)
        identity = Identity.objects.get()
        assert (identity.platform, identity.environments) == ("macos", ["development"])
        run(*words, "--platform", "ios")
        run(*words, "--evidence", "production")
        identity = Identity.objects.get()
        assert (identity.platform, identity.environments) == ("ios", ["production"])

    def test_the_list_names_every_identity(self) -> None:
        run("bonafide_apps", "add", "shop", "--identity", IDENTITY, "--platform", "macos")
        assert run("bonafide_apps", "list") == f"shop  {IDENTITY}  macos  production\n"

    def test_another_environments_apps_are_not_listed(self) -> None:
        app = App.objects.create(name="other", environment="staging")
        Identity.objects.create(app=app, name=IDENTITY)
        assert run("bonafide_apps", "list") == ""

    @pytest.mark.parametrize("name", ["a shop", "sh\u00f6p", ""])
    def test_a_name_that_the_core_refuses_adds_nothing(self, name: str) -> None:
        refusal("bonafide_apps", "add", name, "--identity", IDENTITY)
        assert not App.objects.exists()

    def test_an_identity_that_the_core_refuses_adds_no_app_either(self) -> None:
        refusal("bonafide_apps", "add", "shop", "--identity", "no team")
        assert not App.objects.exists()

    def test_production_takes_no_debug_evidence(self, settings: Any) -> None:
        settings.BONAFIDE = settings.BONAFIDE | {"ENVIRONMENT": "production"}
        refusal("bonafide_apps", "add", "shop", "--identity", IDENTITY, "--evidence", "debug")
        assert not App.objects.exists()


# bonafide_debug_secret ------------------------------------------------------------------------------


class TestDebugSecret:
    @pytest.fixture(autouse=True)
    def _app(self, database: Database) -> None:
        del database
        run("bonafide_apps", "add", "shop", "--identity", IDENTITY, "--evidence", "debug")

    def test_a_new_secret_is_the_whole_output(self) -> None:
        secret = run("bonafide_debug_secret", "create", "shop", "ci")
        assert len(secret.strip()) == 43
        assert secret.count("\n") == 1
        assert secret.strip() not in run("bonafide_debug_secret", "list")

    def test_a_secret_lives_as_long_as_was_asked_and_90_days_at_most(self) -> None:
        run("bonafide_debug_secret", "create", "shop", "ci", "--days", "2")
        row = DebugSecret.objects.get()
        assert (row.expires_at - row.created_at).days == 2
        refusal("bonafide_debug_secret", "create", "shop", "too-long", "--days", "91")

    def test_a_name_is_taken_for_good(self) -> None:
        run("bonafide_debug_secret", "create", "shop", "ci")
        run("bonafide_debug_secret", "revoke", "shop", "ci")
        assert "revoked" in run("bonafide_debug_secret", "list")
        assert "taken" in str(refusal("bonafide_debug_secret", "create", "shop", "ci"))

    def test_an_unknown_app_or_secret_is_refused(self) -> None:
        assert "no app" in str(refusal("bonafide_debug_secret", "create", "nobody", "ci"))
        assert "no secret" in str(refusal("bonafide_debug_secret", "revoke", "shop", "ci"))

    def test_production_makes_none(self, settings: Any) -> None:
        settings.BONAFIDE = settings.BONAFIDE | {"ENVIRONMENT": "production"}
        App.objects.create(name="shop", environment="production")
        refusal("bonafide_debug_secret", "create", "shop", "ci")


# bonafide_keys --------------------------------------------------------------------------------------


class TestKeys:
    @pytest.fixture(autouse=True)
    def _app(self, database: Database, project: Any) -> None:
        del database, project
        run("bonafide_apps", "add", "shop", "--identity", IDENTITY)

    def test_the_list_gives_ids_dates_and_thumbprints_and_no_secret(self) -> None:
        listed = run("bonafide_keys", "list")
        key, spare = KeySources(conf.current()).service_ring().thumbprints
        assert key in listed
        assert spare in listed
        assert listed.count("signs") == 1
        assert listed.count("begins") == 1
        assert listed.count("shop  gate") == 2
        files = conf.current().keys_dir.rglob("*.json")
        secrets = [secret for file in files for secret in _secrets(json.loads(file.read_text()))]
        assert len(secrets) == 6  # service key and spare, two signing keys, two gate keys
        assert not [secret for secret in secrets if secret in listed]

    def test_rotation_before_anything_is_due_changes_nothing(self) -> None:
        before = run("bonafide_keys", "list")
        run("bonafide_keys", "rotate")
        assert run("bonafide_keys", "list") == before

    def test_compromised_keys_are_replaced_and_the_audit_says_so(self) -> None:
        before = run("bonafide_keys", "rotate", "shop")
        assert run("bonafide_keys", "rotate", "shop", "--compromised") != before
        event = AuditEvent.objects.get()
        assert (event.kind, event.subject, event.environment) == (AuditKind.KEYS_ROTATED, "shop", "test")

    def test_only_a_named_app_loses_its_keys(self) -> None:
        refusal("bonafide_keys", "rotate", "--compromised")
        refusal("bonafide_keys", "rotate", "nobody", "--compromised")
        assert not AuditEvent.objects.exists()

    def test_files_open_to_others_are_refused_in_words(self) -> None:
        run("bonafide_keys", "list")
        (conf.current().keys_dir / "test" / "service.json").chmod(0o644)
        assert "service.json" in str(refusal("bonafide_keys", "list"))


class TestSealedKeys:
    """The same keys, in the database."""

    @pytest.fixture(autouse=True)
    def _sealed(self, database: Database, project: Any, tmp_path: Path) -> None:
        del database
        sealed = {"KEY_STORAGE": "database", "SEALING_KEY": {"file": str(tmp_path / "sealing.key")}}
        project.BONAFIDE = project.BONAFIDE | sealed
        run("bonafide_apps", "add", "shop", "--identity", IDENTITY)

    def test_without_a_sealing_key_nothing_is_made(self) -> None:
        assert "sealing.key: there is no such file" in str(refusal("bonafide_keys", "list"))
        assert not SealedSecret.objects.exists()

    def test_a_sealing_key_is_made_once(self) -> None:
        told = run("bonafide_keys", "make-sealing-key")
        assert told.startswith("made file:")
        assert "there is one already" in str(refusal("bonafide_keys", "make-sealing-key"))
        assert run("bonafide_keys", "rotate") == run("bonafide_keys", "rotate", "shop")
        assert set(SealedSecret.objects.values_list("name", flat=True)) == {"shop/gate.json", "shop/signing.json"}

    def test_the_list_is_that_of_the_database_and_no_file_is_made(self) -> None:
        run("bonafide_keys", "make-sealing-key")
        listed = run("bonafide_keys", "list")
        key, spare = KeySources(conf.current()).service_ring().thumbprints
        assert key in listed
        assert spare in listed
        assert run("bonafide_keys", "list") == listed
        assert not conf.current().keys_dir.exists()

    def test_compromised_keys_are_replaced(self) -> None:
        run("bonafide_keys", "make-sealing-key")
        before = run("bonafide_keys", "rotate", "shop")
        assert run("bonafide_keys", "rotate", "shop", "--compromised") != before
        assert set(SealedSecret.objects.values_list("version", flat=True)) == {2}
        assert AuditEvent.objects.get().kind == AuditKind.KEYS_ROTATED

    def test_keys_in_files_are_adopted_before_others_are_made(self, project: Any) -> None:
        sealed = project.BONAFIDE
        project.BONAFIDE = in_files(sealed)
        listed = run("bonafide_keys", "list")
        challenge = KeySources(conf.current()).challenge_key()
        project.BONAFIDE = sealed
        run("bonafide_keys", "make-sealing-key")
        told = run("bonafide_keys", "adopt").splitlines()
        assert [line.split()[0] for line in told] == [
            "challenge.key",
            "service.json",
            "shop/gate.json",
            "shop/signing.json",
        ]
        assert run("bonafide_keys", "adopt").splitlines() == told
        assert run("bonafide_keys", "list") == listed
        assert KeySources(conf.current()).challenge_key() == challenge

    def test_adopted_keys_never_replace_what_the_database_has(self, project: Any) -> None:
        sealed = project.BONAFIDE
        run("bonafide_keys", "make-sealing-key")
        listed = run("bonafide_keys", "list")
        project.BONAFIDE = in_files(sealed)
        run("bonafide_keys", "list")
        project.BONAFIDE = sealed
        assert "the database holds another one" in str(refusal("bonafide_keys", "adopt"))
        assert run("bonafide_keys", "list") == listed

    def test_all_is_sealed_anew_and_nothing_needs_the_old_key_then(self, project: Any, tmp_path: Path) -> None:
        run("bonafide_keys", "make-sealing-key")
        listed = run("bonafide_keys", "list")
        old, new = ({"file": str(tmp_path / name)} for name in ("sealing.key", "new.key"))
        project.BONAFIDE = project.BONAFIDE | {"SEALING_KEY": new, "OTHER_SEALING_KEYS": [old]}
        run("bonafide_keys", "make-sealing-key")
        assert run("bonafide_keys", "reseal").count("sealed anew") == 3
        assert run("bonafide_keys", "reseal").count("sealed already") == 3
        project.BONAFIDE = project.BONAFIDE | {"OTHER_SEALING_KEYS": []}
        (tmp_path / "sealing.key").unlink()
        assert run("bonafide_keys", "list") == listed

    def test_a_row_that_nobody_here_sealed_is_refused_in_words(self, project: Any, tmp_path: Path) -> None:
        run("bonafide_keys", "make-sealing-key")
        run("bonafide_keys", "list")
        project.BONAFIDE = project.BONAFIDE | {"SEALING_KEY": {"file": str(tmp_path / "other.key")}}
        run("bonafide_keys", "make-sealing-key")
        for act in ("list", "reseal"):
            assert "sealed by a key that this process does not have" in str(refusal("bonafide_keys", act))

    @pytest.mark.parametrize("act", ["adopt", "reseal", "make-sealing-key"])
    def test_acts_on_the_database_want_keys_there(self, project: Any, act: str) -> None:
        project.BONAFIDE = in_files(project.BONAFIDE)
        refusal("bonafide_keys", act)

    def test_a_database_that_is_silent_is_told_in_words(self, monkeypatch: pytest.MonkeyPatch) -> None:
        run("bonafide_keys", "make-sealing-key")
        run("bonafide_keys", "list")

        def down(*_: object) -> Any:
            raise OperationalError

        monkeypatch.setattr(SealedSecrets, "_row", down)
        for act in ("list", "reseal"):
            assert "OperationalError" in str(refusal("bonafide_keys", act))


def in_files(sealed: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with the keys in files."""
    return {name: value for name, value in sealed.items() if name not in {"KEY_STORAGE", "SEALING_KEY"}}


def _secrets(value: object) -> list[str]:
    """Return the private members of a key file, wherever they stand."""
    if isinstance(value, dict):
        found = [str(member) for name, member in value.items() if name in {"private", "spare_private", "secret", "d"}]
        return found + [secret for member in value.values() for secret in _secrets(member)]
    return [secret for member in value for secret in _secrets(member)] if isinstance(value, list) else []


# bonafide_purge -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("database")
def test_the_purge_says_what_went() -> None:
    from datetime import UTC, datetime

    SpentChallenge.objects.create(
        challenge_digest=b"c" * 32, body_digest=b"b" * 32, expires_at=datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert "challenges: 1" in run("bonafide_purge").splitlines()
    assert not SpentChallenge.objects.exists()
