"""Keys of many hosts in one database: sealed, in their place, one ring for all, and nothing lost in a race."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from django.db import OperationalError, connections, transaction
from django.db.models import F

from bonafide.django import sealed_secrets
from bonafide.django.models import SealedSecret
from bonafide.django.sealed_secrets import SealedSecrets
from bonafide.errors import ConfigurationError, VerificationFailed
from bonafide.reasons import configuration as reasons
from bonafide.reasons import store as store_reasons
from bonafide.stores.key_rings import AppKeys, ServiceKeys
from bonafide.stores.key_storage import StorageSilent
from bonafide.stores.sealing_keys.key_file import FileSealingKey
from bonafide.terms import Environment
from tests.conftest import ROOT
from tests.django.key_maker import AUDIENCE, DAYS, NOON, fingerprint
from tests.stores.key_storage_trial import KeyStorageTrial
from tests.stores.sealing_keys.soft_hsm import soft_hsm
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.django.databases import Database
    from tests.stores.sealing_keys.soft_hsm import SoftHsm

__all__ = ["soft_hsm"]

MAKERS: Final = 4
ENVIRONMENT: Final = Environment.STAGING


@pytest.fixture
def key(tmp_path: Path) -> FileSealingKey:
    return made(tmp_path / "sealing.key")


@pytest.fixture
def storage(database: Database, key: FileSealingKey) -> SealedSecrets:
    del database
    return SealedSecrets(ENVIRONMENT, key)


def made(path: Path) -> FileSealingKey:
    key = FileSealingKey(path)
    key.make()
    return key


def unsealable(look: Callable[[], object]) -> str:
    with pytest.raises(ConfigurationError) as refusal:
        look()
    assert refusal.value.reason is reasons.SECRET_UNSEALABLE
    assert "secret text" not in refusal.value.detail
    return refusal.value.detail


class TestSealedSecrets(KeyStorageTrial):
    """The promises of the port."""


# Sealed, and in their place -----------------------------------------------------------------------


def test_the_database_holds_nothing_that_can_be_read(storage: SealedSecrets, key: FileSealingKey) -> None:
    storage.put("shop/gate.json", b"secret text")
    row = SealedSecret.objects.get()
    assert b"secret" not in bytes(row.sealed)
    assert (row.environment, row.name, row.version, row.sealing_key) == (ENVIRONMENT, "shop/gate.json", 1, key.name)


def test_a_row_that_is_copied_over_another_does_not_open(storage: SealedSecrets) -> None:
    storage.put("shop/gate.json", b"secret text")
    storage.put("bank/gate.json", b"secret text of the bank")
    sealed = SealedSecret.objects.get(name="shop/gate.json").sealed
    SealedSecret.objects.filter(name="bank/gate.json").update(sealed=sealed)
    assert f"{ENVIRONMENT}/bank/gate.json" in unsealable(lambda: storage.read("bank/gate.json"))
    assert storage.read("shop/gate.json") == b"secret text"


def test_a_row_of_another_environment_does_not_open(storage: SealedSecrets, key: FileSealingKey) -> None:
    storage.put("shop/gate.json", b"secret text")
    assert SealedSecrets(Environment.PRODUCTION, key).read("shop/gate.json") is None
    SealedSecret.objects.update(environment="production")
    unsealable(lambda: SealedSecrets(Environment.PRODUCTION, key).read("shop/gate.json"))


@pytest.mark.parametrize("change", [b"", b"\x01", b"\x02" + b"x" * 60, b"x" * 60])
def test_a_row_that_was_changed_does_not_open_and_is_not_made_anew(storage: SealedSecrets, change: bytes) -> None:
    storage.put("shop/gate.json", b"secret text")
    SealedSecret.objects.update(sealed=change)
    unsealable(lambda: storage.read("shop/gate.json"))
    unsealable(lambda: storage.change("shop/gate.json", lambda _: b"new"))
    assert bytes(SealedSecret.objects.get().sealed) == change
    storage.put("shop/gate.json", b"new")  # what is replaced on purpose need not open
    assert storage.read("shop/gate.json") == b"new"


def test_a_host_with_another_key_opens_nothing_and_changes_nothing(storage: SealedSecrets, tmp_path: Path) -> None:
    storage.put("service.json", b"secret text")
    other = SealedSecrets(ENVIRONMENT, made(tmp_path / "other.key"))
    assert "sealed by a key that this process does not have" in unsealable(lambda: other.read("service.json"))
    unsealable(lambda: ServiceKeys(other).current())
    SealedSecret.objects.update(sealing_key=other._key.name)  # a row's word is not taken for it
    unsealable(lambda: other.read("service.json"))


def test_a_sealing_key_that_is_gone_is_told_from_a_row_that_was_changed(storage: SealedSecrets, tmp_path: Path) -> None:
    storage.put("service.json", b"secret text")
    (tmp_path / "sealing.key").unlink()
    with pytest.raises(ConfigurationError) as refusal:
        SealedSecrets(ENVIRONMENT, FileSealingKey(tmp_path / "sealing.key")).read("service.json")
    assert refusal.value.reason is reasons.SEALING_KEY_UNUSABLE


def test_a_token_that_refuses_us_is_told_from_a_row_that_was_changed(database: Database, soft_hsm: SoftHsm) -> None:
    soft_hsm.key().make()
    SealedSecrets(ENVIRONMENT, soft_hsm.key()).put("service.json", b"secret text")
    soft_hsm.pin_file.unlink()
    with pytest.raises(ConfigurationError) as refusal:
        SealedSecrets(ENVIRONMENT, soft_hsm.key()).read("service.json")
    assert refusal.value.reason is reasons.SEALING_KEY_UNUSABLE


# Races --------------------------------------------------------------------------------------------


def test_a_change_that_lost_is_planned_again_from_the_winners(storage: SealedSecrets) -> None:
    storage.put("service.json", b"a")
    seen: list[bytes | None] = []

    def plan(held: bytes | None) -> bytes:
        seen.append(held)
        if len(seen) == 1:
            storage.put("service.json", b"b")
        return (held or b"") + b"!"

    assert storage.change("service.json", plan) == b"b!"
    assert seen == [b"a", b"b"]
    assert SealedSecret.objects.get().version == 3


def test_who_loses_the_first_run_plans_again(storage: SealedSecrets) -> None:
    seen: list[bytes | None] = []

    def plan(held: bytes | None) -> bytes | None:
        seen.append(held)
        if len(seen) == 1:
            storage.put("service.json", b"theirs")
        return held if held is not None else b"ours"

    assert storage.change("service.json", plan) == b"theirs"
    assert seen == [None, b"theirs"]


def count_up(storage: SealedSecrets) -> None:
    """Let four threads count in one document, ten times each: none of the forty is lost."""
    errors: list[BaseException] = []

    def count() -> None:
        try:
            for _ in range(10):
                storage.change("service.json", lambda held: b"%d" % (int(held or b"0") + 1))
        except BaseException as error:  # noqa: BLE001 - a thread's errors are the test's
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert storage.read("service.json") == b"40"


def test_of_changes_at_once_none_is_lost(storage: SealedSecrets) -> None:
    count_up(storage)


def test_of_changes_at_once_none_is_lost_under_serializable_isolation(
    migrated_postgresql: str, django_db_blocker: Any, key: FileSealingKey
) -> None:
    from psycopg import IsolationLevel

    alias = "serializable"
    connections.databases[alias] = connections.databases["postgresql"] | {
        "OPTIONS": {"isolation_level": IsolationLevel.SERIALIZABLE}
    }
    with django_db_blocker.unblock():
        try:
            count_up(SealedSecrets(ENVIRONMENT, key, using=alias))
            SealedSecret.objects.using(alias).all().delete()
        finally:
            connections[alias].close()
            del connections[alias]
            del connections.databases[alias]


def test_another_error_of_the_database_is_no_lost_race(storage: SealedSecrets, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bool:
        raise OperationalError

    monkeypatch.setattr(sealed_secrets, "_first", fail)
    with pytest.raises(StorageSilent):
        storage.put("service.json", b"x")


def test_a_version_that_is_overtaken_each_time_gives_up_and_says_so(storage: SealedSecrets) -> None:
    storage.put("service.json", b"a")

    def plan(held: bytes | None) -> bytes:
        SealedSecret.objects.update(version=F("version") + 1)
        return b"mine"

    with pytest.raises(StorageSilent) as silent:
        storage.change("service.json", plan)
    assert silent.value.refusal.reason is store_reasons.DATABASE_UNAVAILABLE
    assert storage.read("service.json") == b"a"


def test_a_key_that_was_replaced_does_not_come_back_with_a_writer_who_knew_it(storage: SealedSecrets) -> None:
    keys = AppKeys(storage, app="shop", audiences=[AUDIENCE])
    old = keys.current(NOON).gate[0]
    row = storage._row("shop/gate.json")
    assert row is not None
    fresh = AppKeys(storage, app="shop", audiences=[AUDIENCE]).replace(NOON)
    assert not storage._write("shop/gate.json", b"a plan from the old keys", over=row)
    assert keys.find(fresh.signing_key(NOON).kid, NOON) is None  # not before it looks again
    assert AppKeys(storage, app="shop", audiences=[AUDIENCE]).secret(old.kid, NOON) is None


def test_processes_at_once_make_and_rotate_one_ring(database: Database, key: FileSealingKey, tmp_path: Path) -> None:
    """Four processes begin with an empty table and live through seventy days, all asking at the same time."""
    environ = os.environ | database.environ
    environ |= {
        "DJANGO_SETTINGS_MODULE": "tests.django.settings",
        "BONAFIDE_TEST_SEALING_KEY": str(tmp_path / "sealing.key"),
    }
    environ |= {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    command = [sys.executable, "-W", "error", "-m", "tests.django.key_maker"]
    makers = [
        subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True, env=environ, cwd=ROOT)
        for _ in range(MAKERS)
    ]
    days = []
    try:
        for _ in DAYS:
            for maker in makers:
                assert maker.stdout is not None
                assert maker.stdout.readline() == "ready\n", maker.communicate()[1]
            for maker in makers:
                assert maker.stdin is not None
                maker.stdin.write("go\n")
                maker.stdin.flush()
            days.append([json.loads(maker.stdout.readline()) for maker in makers if maker.stdout is not None])
        assert [maker.communicate(timeout=60)[1] for maker in makers] == [""] * MAKERS
    finally:
        for maker in makers:
            maker.kill()
            maker.wait()
    assert [len({told["fingerprint"] for told in day}) for day in days] == [1] * len(days)
    assert len({tuple(told["service"]) for day in days for told in day}) == 1
    assert len({day[0]["signer"] for day in days}) == 3
    for before, after in pairwise(days):
        assert after[0]["signer"] in before[0]["published"]
    ours = AppKeys(SealedSecrets(Environment.TEST, key), app="shop", audiences=[AUDIENCE]).current(NOON + DAYS[-1])
    assert fingerprint(ours) == days[-1][0]["fingerprint"]


# Failures -----------------------------------------------------------------------------------------


def test_nothing_is_written_inside_somebody_elses_transaction(storage: SealedSecrets, database: Database) -> None:
    with transaction.atomic(using=database.alias), pytest.raises(RuntimeError, match="durable"):
        storage.put("service.json", b"x")
    assert not SealedSecret.objects.exists()


def test_keys_at_hand_serve_while_the_database_is_silent_and_no_others_are_made(
    storage: SealedSecrets, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keys = AppKeys(storage, app="shop", audiences=[AUDIENCE])
    ring = keys.current(NOON)

    def down(*_: object) -> Any:
        text = "a text of the database"
        raise OperationalError(text)

    monkeypatch.setattr(storage, "_row", down)
    assert fingerprint(keys.current(NOON + timedelta(days=1))) == fingerprint(ring)
    assert keys.secret("unknown", NOON) is None
    assert "the sealed secret staging/shop/signing.json: OperationalError" in caplog.text
    assert "a text of the database" not in caplog.text
    for without in (
        AppKeys(storage, app="shop", audiences=[AUDIENCE]).current,
        lambda _: ServiceKeys(storage).current(),
    ):
        with pytest.raises(VerificationFailed) as refusal:
            without(NOON)
        assert refusal.value.reason is store_reasons.DATABASE_UNAVAILABLE


def test_a_silent_token_refuses_those_who_have_no_keys_yet(database: Database, soft_hsm: SoftHsm) -> None:
    key = soft_hsm.key()
    key.make()
    storage = SealedSecrets(ENVIRONMENT, key)
    keys = AppKeys(storage, app="shop", audiences=[AUDIENCE])
    ring = keys.current(NOON)
    away = SealedSecrets(ENVIRONMENT, soft_hsm.key(token="away"), others=[key])
    with pytest.raises(VerificationFailed) as refusal:
        AppKeys(away, app="bank", audiences=[AUDIENCE]).current(NOON)
    assert refusal.value.reason is store_reasons.SEALING_KEY_UNAVAILABLE
    assert fingerprint(AppKeys(away, app="shop", audiences=[AUDIENCE]).current(NOON)) == fingerprint(ring)


def test_keys_are_read_from_an_event_loop_too(storage: SealedSecrets) -> None:
    keys = AppKeys(storage, app="shop", audiences=[AUDIENCE])

    async def story() -> str:
        return fingerprint(keys.current(NOON))

    assert asyncio.run(story()) == fingerprint(AppKeys(storage, app="shop", audiences=[AUDIENCE]).current(NOON))


# The exchange -------------------------------------------------------------------------------------


def test_all_rows_move_to_a_new_key_while_both_kinds_of_hosts_read_them(
    storage: SealedSecrets, key: FileSealingKey, soft_hsm: SoftHsm
) -> None:
    token = soft_hsm.key()
    token.make()
    for name in ("service.json", "shop/gate.json"):
        storage.put(name, name.encode())
    before = SealedSecrets(ENVIRONMENT, key, others=[token])  # the host that has not changed over
    after = SealedSecrets(ENVIRONMENT, token, others=[key])
    assert after.names() == ["service.json", "shop/gate.json"]
    assert after.reseal("service.json")
    for host in (before, after):  # half way, as after a crash
        assert [host.read(name) for name in host.names()] == [b"service.json", b"shop/gate.json"]
    assert [after.reseal(name) for name in after.names()] == [False, True]
    assert [before.read(name) for name in before.names()] == [b"service.json", b"shop/gate.json"]
    assert set(SealedSecret.objects.values_list("sealing_key", flat=True)) == {token.name}
    alone = SealedSecrets(ENVIRONMENT, token)
    assert [alone.read(name) for name in alone.names()] == [b"service.json", b"shop/gate.json"]
    assert not after.reseal("absent")


def test_an_exchange_that_races_a_rotation_loses_nothing(
    storage: SealedSecrets, key: FileSealingKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.put("service.json", b"old")
    after = SealedSecrets(ENVIRONMENT, made(tmp_path / "new.key"), others=[key])
    opened = after._open

    def interrupted(row: SealedSecret) -> bytes:
        data = opened(row)
        if data == b"old":
            storage.put("service.json", b"rotated")
        return data

    monkeypatch.setattr(after, "_open", interrupted)
    assert after.reseal("service.json")
    assert after.read("service.json") == b"rotated"


def test_an_exchange_that_is_overtaken_each_time_gives_up(
    storage: SealedSecrets, key: FileSealingKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.put("service.json", b"old")
    after = SealedSecrets(ENVIRONMENT, made(tmp_path / "new.key"), others=[key])
    monkeypatch.setattr(after, "_write", lambda *_, **__: False)
    with pytest.raises(StorageSilent) as silent:
        after.reseal("service.json")
    assert silent.value.refusal.reason is store_reasons.DATABASE_UNAVAILABLE


def test_a_thread_beside_an_event_loop_gives_its_connection_back(storage: SealedSecrets, database: Database) -> None:
    before = _connections(database)

    async def story() -> None:
        for _ in range(5):
            storage.read("service.json")

    asyncio.run(story())
    eventually(lambda: _connections(database) <= before, "the end of every connection of a thread")


def _connections(database: Database) -> set[str]:
    """Name what is open. A server of PostgreSQL ends a moment after its client has left."""
    if database.vendor == "sqlite":
        return {link.name for link in Path("/proc/self/fd").iterdir() if link.exists() and _is_database(link)}
    with connections[database.alias].cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'")
        return {str(pid) for (pid,) in cursor.fetchall()}


def _is_database(link: Path) -> bool:
    return link.resolve().suffix == ".sqlite3"
