"""What every place for keys promises (`bonafide.stores.key_storage.KeyStorage`), whichever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bonafide.stores.key_storage import KeyStorage


class KeyStorageTrial:
    """One storage under trial: a subclass has the fixture `storage`."""

    def test_what_nobody_wrote_is_not_there(self, storage: KeyStorage) -> None:
        assert storage.read("shop/gate.json") is None

    def test_a_document_is_made_once_and_read_as_it_was_written(self, storage: KeyStorage) -> None:
        assert storage.change("shop/gate.json", lambda held: b"first" if held is None else held) == b"first"
        assert storage.change("shop/gate.json", lambda held: b"second" if held is None else held) == b"first"
        assert storage.read("shop/gate.json") == b"first"

    def test_documents_of_other_names_are_others(self, storage: KeyStorage) -> None:
        for name in ("service.json", "shop/gate.json", "shop/signing.json", "bank/gate.json"):
            storage.put(name, name.encode())
        assert storage.read("bank/gate.json") == b"bank/gate.json"
        assert storage.read("service.json") == b"service.json"

    def test_a_change_is_planned_from_what_is_there(self, storage: KeyStorage) -> None:
        for octet in (b"a", b"b", b"c"):
            storage.change("service.json", lambda held, octet=octet: (held or b"") + octet)  # type: ignore[misc]  # a default in a lambda has no type
        assert storage.read("service.json") == b"abc"

    def test_a_plan_without_a_change_writes_nothing(self, storage: KeyStorage) -> None:
        assert storage.change("service.json", lambda held: held) is None
        assert storage.read("service.json") is None

    def test_what_is_put_replaces_whatever_is_there(self, storage: KeyStorage) -> None:
        storage.put("service.json", b"first")
        storage.put("service.json", b"second")
        assert storage.read("service.json") == b"second"

    def test_a_large_document_is_kept_whole(self, storage: KeyStorage) -> None:
        large = bytes(range(256)) * 1024
        storage.put("service.json", large)
        assert storage.read("service.json") == large

    def test_a_document_is_named_for_the_operator(self, storage: KeyStorage) -> None:
        assert storage.where("shop/gate.json").endswith("/shop/gate.json")
