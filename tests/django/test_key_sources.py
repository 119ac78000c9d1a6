"""One set of files for each app and audience, a challenge key that is made once, and no trace where files break."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from bonafide.appraisal import App, Identity
from bonafide.django import conf
from bonafide.django.key_sources import GateKeys, KeySources, sealed_secrets_of, sealing_key_at
from bonafide.django.models import SealedSecret
from bonafide.django.setting_forms import KeyPlace, SealingKeyFile, SealingKeyToken
from bonafide.errors import ConfigurationError, VerificationFailed
from bonafide.keys import PublishedKey
from bonafide.reasons import configuration
from bonafide.reasons import store as reasons
from bonafide.stores.sealing_keys.key_file import FileSealingKey
from tests.stores.sealing_keys.soft_hsm import soft_hsm

if TYPE_CHECKING:
    from bonafide.django.conf import Settings
    from tests.django.databases import Database
    from tests.stores.sealing_keys.soft_hsm import SoftHsm

__all__ = ["soft_hsm"]

NOW = datetime.now(UTC)  # the files' own dates follow the clock that gates are asked by
AUDIENCE = "https://api.example.com"


def settings(directory: Path) -> Settings:
    return replace(conf.current(), keys_dir=directory / "keys")


@pytest.fixture
def sources(tmp_path: Path) -> KeySources:
    return KeySources(settings(tmp_path))


def app(name: str, audience: str) -> App:
    return App(name=name, identities=(Identity(name="ABCDE12345.com.example"),), audience=audience)


def test_nothing_is_made_before_it_is_asked_for(sources: KeySources, tmp_path: Path) -> None:
    sources.of("shop")
    assert not (tmp_path / "keys").exists()


def test_each_app_signs_with_keys_of_its_own(sources: KeySources) -> None:
    kids = {name: sources.ring(name, NOW).signing_key(NOW).kid for name in ("shop", "bank")}
    assert kids["shop"] != kids["bank"]
    assert sources.of("shop") is sources.of("shop")


def test_an_app_with_its_own_audience_has_gate_keys_for_it(sources: KeySources) -> None:
    sources.serve([app("shop", "https://other.example.com")])
    ring = sources.ring("shop", NOW)
    assert ring.gate_key("https://other.example.com", NOW).audience == "https://other.example.com"
    assert ring.gate_key(AUDIENCE, NOW).audience == AUDIENCE


def test_a_gate_finds_the_keys_of_its_apps_and_of_no_other(sources: KeySources) -> None:
    shop, bank = sources.ring("shop", NOW), sources.ring("bank", NOW)
    gate = GateKeys(sources, frozenset(["shop"]))
    mine, foreign = shop.signing_key(NOW).kid, bank.signing_key(NOW).kid
    assert gate.find(mine, NOW) == PublishedKey(app="shop", key=shop.signing_key(NOW).public)
    assert gate.find(foreign, NOW) is None
    secret = shop.gate_key(AUDIENCE, NOW)
    assert gate.secret(secret.kid, NOW) == secret.secret
    assert gate.secret(bank.gate_key(AUDIENCE, NOW).kid, NOW) is None


def test_a_gate_of_two_apps_finds_the_keys_of_both(sources: KeySources) -> None:
    gate = GateKeys(sources, frozenset(["shop", "bank"]))
    for name in ("shop", "bank"):
        ring = sources.ring(name, NOW)
        found = gate.find(ring.signing_key(NOW).kid, NOW)
        assert found is not None
        assert found.app == name
        assert gate.secret(ring.gate_key(AUDIENCE, NOW).kid, NOW) is not None


def test_key_files_that_break_while_serving_refuse_requests(sources: KeySources, tmp_path: Path) -> None:
    gate = GateKeys(sources, frozenset(["shop"]))
    home = tmp_path / "keys" / "test" / "shop"
    home.mkdir(parents=True, mode=0o755)
    home.chmod(0o755)
    for ask in (gate.find, gate.secret):
        with pytest.raises(VerificationFailed) as refusal:
            ask("kid", NOW)
        assert refusal.value.reason is reasons.COPY_STALE


def test_the_challenge_key_is_made_once_and_private(sources: KeySources, tmp_path: Path) -> None:
    key = sources.challenge_key()
    file = tmp_path / "keys" / "test" / "challenge.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_bytes() == key.secret
    assert sources.challenge_key() is key
    assert KeySources(settings(tmp_path)).challenge_key() == key


def test_the_ramp_key_is_one_on_all_hosts_and_is_no_challenge_key(sources: KeySources, tmp_path: Path) -> None:
    key = sources.ramp_key()
    assert len(key) == 32
    assert key == KeySources(settings(tmp_path)).ramp_key()
    assert key != sources.challenge_key().secret


def test_a_challenge_key_that_was_cut_short_is_refused(sources: KeySources, tmp_path: Path) -> None:
    sources.challenge_key()
    file = tmp_path / "keys" / "test" / "challenge.key"
    file.write_bytes(b"short")
    with pytest.raises(ConfigurationError) as refusal:
        KeySources(settings(tmp_path)).challenge_key()
    assert refusal.value.reason is configuration.KEYS_UNSAFE


def test_a_challenge_key_that_others_may_read_is_refused(sources: KeySources, tmp_path: Path) -> None:
    sources.challenge_key()
    (tmp_path / "keys" / "test" / "challenge.key").chmod(0o640)
    with pytest.raises(ConfigurationError) as refusal:
        KeySources(settings(tmp_path)).challenge_key()
    assert refusal.value.reason is configuration.KEYS_UNSAFE


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a file in its place")
    with pytest.raises(ConfigurationError) as refusal:
        KeySources(settings(tmp_path)).challenge_key()
    assert refusal.value.reason is configuration.KEYS_UNSAFE


def test_processes_that_begin_at_once_agree_on_the_challenge_key(tmp_path: Path) -> None:
    with get_context("fork").Pool(4) as pool:
        assert len(set(pool.map(_challenge_key, [tmp_path] * 16))) == 1


def _challenge_key(directory: Path) -> bytes:
    return KeySources(settings(directory)).challenge_key().secret


def test_service_and_gate_agree_a_day_later(sources: KeySources) -> None:
    tomorrow = NOW + timedelta(days=1)
    ring = sources.ring("shop", tomorrow)
    gate = GateKeys(sources, frozenset(["shop"]))
    assert gate.find(ring.signing_key(tomorrow).kid, tomorrow) is not None
    assert gate.secret(ring.gate_key(AUDIENCE, tomorrow).kid, tomorrow) is not None


# In the database ----------------------------------------------------------------------------------


@pytest.fixture
def sealed(database: Database, tmp_path: Path) -> Settings:
    del database
    file = SealingKeyFile(file=tmp_path / "sealing.key")
    FileSealingKey(file.file).make()
    return replace(settings(tmp_path), key_storage=KeyPlace.DATABASE, sealing_key=file)


def test_two_hosts_with_one_database_serve_the_same_keys(sealed: Settings, tmp_path: Path) -> None:
    hosts = [KeySources(sealed), KeySources(sealed)]
    for host in hosts:
        host.serve([app("shop", "https://other.example.com")])
    one, two = (host.ring("shop", NOW) for host in hosts)
    assert one.signing_key(NOW).kid == two.signing_key(NOW).kid
    assert one.gate == two.gate
    assert hosts[0].challenge_key() == hosts[1].challenge_key()
    assert hosts[0].service_ring().thumbprints == hosts[1].service_ring().thumbprints
    assert hosts[0].service_key(NOW).kid == hosts[1].service_ring().key.kid
    assert not (tmp_path / "keys").exists()


def test_a_host_looks_again_for_a_key_that_it_does_not_know_but_not_with_every_request(
    sealed: Settings, database: Database
) -> None:
    gate = GateKeys(KeySources(sealed), frozenset(["shop"]))
    assert gate.secret("unknown", NOW) is None
    fresh = KeySources(sealed).of("shop").replace(NOW)
    kid = fresh.signing_key(NOW).kid
    with CaptureQueriesContext(connections[database.alias]) as queries:
        for second in (0, 3, 6, 9):
            assert gate.find(kid, NOW + timedelta(seconds=second)) is None
    assert len(queries) == 0
    found = gate.find(kid, NOW + timedelta(seconds=10))
    assert found is not None
    assert found.app == "shop"
    with CaptureQueriesContext(connections[database.alias]) as queries:
        for second in range(60):
            assert gate.find(kid, NOW + timedelta(seconds=second)) is not None
    assert len(queries) == 0  # what is known is held


def test_a_row_that_does_not_open_refuses_requests_without_a_trace(sealed: Settings) -> None:
    sources = KeySources(sealed)
    sources.ring("shop", NOW)
    SealedSecret.objects.update(sealed=b"x" * 60)
    gate = GateKeys(KeySources(sealed), frozenset(["shop"]))
    for ask in (gate.find, gate.secret):
        with pytest.raises(VerificationFailed) as refusal:
            ask("kid", NOW)
        assert refusal.value.reason is reasons.COPY_STALE
        assert refusal.value.detail == "keys"
    with pytest.raises(ConfigurationError) as unsealable:
        KeySources(sealed).ring("shop", NOW)
    assert unsealable.value.reason is configuration.SECRET_UNSEALABLE


def test_without_its_sealing_key_a_host_has_no_keys(sealed: Settings, tmp_path: Path) -> None:
    (tmp_path / "sealing.key").unlink()
    for ask in (KeySources(sealed).challenge_key, KeySources(sealed).service_ring):
        with pytest.raises(ConfigurationError) as refusal:
            ask()
        assert refusal.value.reason is configuration.SEALING_KEY_UNUSABLE
    assert not SealedSecret.objects.exists()


def test_a_token_seals_as_a_file_does(database: Database, soft_hsm: SoftHsm, tmp_path: Path) -> None:
    del database
    token = SealingKeyToken(**soft_hsm.setting()["pkcs11"])  # type: ignore[arg-type]  # a dict of settings
    sealing_key_at(token).make()
    sealed = replace(settings(tmp_path), key_storage=KeyPlace.DATABASE, sealing_key=token)
    assert KeySources(sealed).challenge_key() == KeySources(sealed).challenge_key()
    assert SealedSecret.objects.get().sealing_key == "pkcs11:bonafide/sealing-1"


def test_a_token_without_python_pkcs11_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    monkeypatch.delitem(sys.modules, "bonafide.stores.sealing_keys.pkcs11_token", raising=False)
    token = SealingKeyToken(module=Path("/hsm.so"), token="t", label="l", pin_file=Path("/pin"))
    with pytest.raises(ConfigurationError) as refusal:
        sealing_key_at(token)
    assert refusal.value.reason is configuration.SEALING_KEY_UNUSABLE
    assert "bonafide[pkcs11]" in refusal.value.detail


def test_files_are_no_sealed_secrets(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        sealed_secrets_of(settings(tmp_path))
    assert refusal.value.reason is configuration.SETTING_MALFORMED


def test_the_key_of_documents_is_made_once_and_shared(sources: KeySources, tmp_path: Path) -> None:
    sealed = sources.document_key().seal(b"value", context=b"here")
    again = KeySources(settings(tmp_path))
    assert again.document_key().open(sealed, context=b"here") == b"value"
    path = tmp_path / "keys" / "test" / "documents.key"
    assert (len(path.read_bytes()), path.stat().st_mode & 0o777) == (32, 0o600)


def test_in_the_database_the_key_of_documents_lies_sealed_and_outlives_a_change_of_the_seal(
    database: Database, tmp_path: Path
) -> None:
    del database
    first, second = (FileSealingKey(tmp_path / name) for name in ("first.key", "second.key"))
    for key in (first, second):
        key.make()
    stored = replace(
        settings(tmp_path), key_storage=KeyPlace.DATABASE, sealing_key=SealingKeyFile(file=tmp_path / "first.key")
    )
    sealed = KeySources(stored).document_key().seal(b"value", context=b"here")
    assert SealedSecret.objects.get(name="documents.key").sealing_key == first.name
    moved = replace(
        stored,
        sealing_key=SealingKeyFile(file=tmp_path / "second.key"),
        other_sealing_keys=(SealingKeyFile(file=tmp_path / "first.key"),),
    )
    assert sealed_secrets_of(moved).reseal("documents.key")
    alone = replace(moved, other_sealing_keys=())
    assert KeySources(alone).document_key().open(sealed, context=b"here") == b"value"
