"""Private files keep the promises of a storage of keys, and say in our words what a file system refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bonafide.reasons import configuration as reasons
from bonafide.stores import private_files
from bonafide.stores.key_storage import StorageSilent
from bonafide.stores.key_storage_files import PrivateFileStorage
from bonafide.terms import Environment
from tests.stores.key_storage_trial import KeyStorageTrial

if TYPE_CHECKING:
    from pathlib import Path


class TestPrivateFileStorage(KeyStorageTrial):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> PrivateFileStorage:
        return PrivateFileStorage(tmp_path / "keys", Environment.TEST)

    def test_the_documents_are_named_without_locks_and_what_was_left_behind(self, storage: PrivateFileStorage) -> None:
        assert storage.names() == []
        for name in ("shop/gate.json", "challenge.key", "service.json"):
            storage.change(name, lambda _: b"x")
        (storage._home / "shop" / ".gate.json.1.unfinished").touch()
        (storage._home / "shop" / ".old.json").touch()
        (storage._home / "notes.txt").touch()
        assert storage.names() == ["challenge.key", "service.json", "shop/gate.json"]

    def test_a_file_system_that_refuses_is_silent_and_says_why(self, storage: PrivateFileStorage) -> None:
        storage.put("service.json", b"x")
        path = storage._home / "service.json"
        path.unlink()
        path.symlink_to(storage._home / "elsewhere")
        with pytest.raises(StorageSilent) as silent:
            storage.read("service.json")
        assert silent.value.where == str(path)
        assert silent.value.refusal.reason is reasons.KEYS_UNSAFE
        assert silent.value.cause in silent.value.refusal.detail
        assert str(silent.value) == f"{path}: {silent.value.cause}"

    def test_of_a_first_document_that_another_made_meanwhile_theirs_stays(
        self, storage: PrivateFileStorage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As on a file system whose locks do nothing."""

        def plan(held: bytes | None) -> bytes:
            assert held is None
            private_files.create(storage._home / "service.json", b"theirs")
            return b"ours"

        assert storage.change("service.json", plan) == b"theirs"
        assert storage.read("service.json") == b"theirs"

    def test_what_is_put_removes_what_a_writer_that_died_left(self, storage: PrivateFileStorage) -> None:
        storage.put("service.json", b"x")
        leftover = storage._home / ".service.json.1.unfinished"
        leftover.touch()
        storage.put("service.json", b"y")
        assert not leftover.exists()
