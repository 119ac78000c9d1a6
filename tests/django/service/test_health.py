"""Readiness names the part that is not ready, asks at most once a second, and never waits for who asks already."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from django.db import OperationalError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from bonafide.django.service import health
from tests.stores.sealing_keys.soft_hsm import PIN, pins_tried, soft_hsm

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stores.sealing_keys.soft_hsm import SoftHsm

__all__ = ["pins_tried", "soft_hsm"]

READY = {"database": "ready", "migrations": "ready", "keys": "ready"}


@pytest.fixture(autouse=True)
def afresh(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> None:
    monkeypatch.setattr(health, "_MIGRATIONS", health._Migrations())
    settings.BONAFIDE = settings.BONAFIDE | {"KEYS_DIR": str(tmp_path / "keys")}


@pytest.mark.django_db
def test_all_parts_are_ready() -> None:
    assert health.probe() == READY
    assert health.probe() == READY


@pytest.mark.django_db
def test_a_missing_migration_is_not_ready() -> None:
    (last,) = MigrationLoader(connection).graph.leaf_nodes("bonafide")
    MigrationRecorder(connection).record_unapplied(*last)
    assert health.probe() == READY | {"migrations": "NotMigrated"}


@pytest.mark.django_db
def test_a_database_that_fails_is_not_ready() -> None:
    def gone(*_: Any) -> Any:
        raise OperationalError

    with connection.execute_wrapper(gone):
        found = health.probe()
    assert found["database"] == found["migrations"] == "OperationalError"


@pytest.mark.django_db
def test_keys_that_others_may_read_are_not_ready(tmp_path: Path) -> None:
    assert health.probe()["keys"] == "ready"
    (tmp_path / "keys").chmod(0o755)
    assert health.probe() == READY | {"keys": "configuration.keys_unsafe"}


@pytest.mark.django_db
def test_a_refused_pin_is_tried_once_however_often_readiness_is_asked(
    settings: Any, soft_hsm: SoftHsm, pins_tried: list[str]
) -> None:
    soft_hsm.pin_file.write_text("0000")
    settings.BONAFIDE = settings.BONAFIDE | {"KEY_STORAGE": "database", "SEALING_KEY": soft_hsm.setting()}
    found = [health.probe()["keys"] for _ in range(10)]
    assert set(found) == {"configuration.sealing_key_unusable"}
    assert pins_tried == ["0000"]


@pytest.mark.django_db(transaction=True)
def test_readiness_leaves_no_session_at_the_token(settings: Any, soft_hsm: SoftHsm, pins_tried: list[str]) -> None:
    soft_hsm.key().make()
    settings.BONAFIDE = settings.BONAFIDE | {"KEY_STORAGE": "database", "SEALING_KEY": soft_hsm.setting()}
    assert health.probe() == READY
    before = soft_hsm.sessions()
    for _ in range(50):
        assert health.probe()["keys"] == "ready"
    assert soft_hsm.sessions() == before == 1
    assert pins_tried == [PIN]


def test_parts_are_asked_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def probe() -> dict[str, str]:
        asked.append(1)
        return READY

    monkeypatch.setattr(health, "probe", probe)
    moments = [100.0]
    readiness = health._Readiness(clock=lambda: moments[-1])
    assert readiness.parts() == READY
    moments.append(100.9)
    assert readiness.parts() == READY
    assert len(asked) == 1
    moments.append(101.0)
    readiness.parts()
    assert len(asked) == 2


def test_nobody_waits_for_a_database_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    asking, answer = threading.Event(), threading.Event()

    def silent() -> dict[str, str]:
        asking.set()
        answer.wait()
        return READY

    monkeypatch.setattr(health, "probe", silent)
    moments = [100.0]
    readiness = health._Readiness(clock=lambda: moments[-1])
    first = threading.Thread(target=readiness.parts)
    first.start()
    asking.wait()
    assert readiness.parts() == {"database": "not asked yet"}
    moments.append(105.0)
    assert readiness.parts() == {"database": "silent"}
    answer.set()
    first.join()
    assert readiness.parts() == READY
