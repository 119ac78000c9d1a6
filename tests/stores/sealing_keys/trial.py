"""What every sealing key promises (`bonafide.ports.SealingKey`), wherever it lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons

if TYPE_CHECKING:
    from collections.abc import Callable

    from bonafide.ports import SealingKey

SECRET = b"thirty-two octets of some secret"


def unsealable(look: Callable[[], object]) -> str:
    """Expect what does not open, and return the detail, in which nothing of it stands."""
    with pytest.raises(ConfigurationError) as refusal:
        look()
    assert refusal.value.reason is reasons.SECRET_UNSEALABLE
    assert SECRET.decode() not in refusal.value.detail
    return refusal.value.detail


class SealingKeyTrial:
    """One sealing key under trial: a subclass has the fixtures `key` and `stranger`."""

    @pytest.mark.parametrize("secret", [b"", b"x", SECRET, bytes(256) * 1024])
    def test_what_was_sealed_opens_in_its_place(self, key: SealingKey, secret: bytes) -> None:
        assert key.open(key.seal(secret, context=b"test/shop"), context=b"test/shop") == secret

    def test_two_sealings_differ_and_show_nothing(self, key: SealingKey) -> None:
        one, two = (key.seal(SECRET, context=b"test/shop") for _ in range(2))
        assert one != two
        assert SECRET not in one

    @pytest.mark.parametrize("context", [b"", b"test/bank", b"test/shop2", b"staging/shop"])
    def test_what_was_sealed_for_one_place_does_not_open_in_another(self, key: SealingKey, context: bytes) -> None:
        sealed = key.seal(SECRET, context=b"test/shop")
        assert key.name in unsealable(lambda: key.open(sealed, context=context))

    def test_every_octet_counts(self, key: SealingKey) -> None:
        sealed = key.seal(b"x", context=b"here")
        for place in range(len(sealed)):
            changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
            unsealable(lambda changed=changed: key.open(changed, context=b"here"))  # type: ignore[misc]  # a default in a lambda has no type

    def test_what_was_cut_short_or_added_to_does_not_open(self, key: SealingKey) -> None:
        sealed = key.seal(SECRET, context=b"here")
        assert unsealable(lambda: key.open(b"", context=b"here")) == "cut short"
        assert unsealable(lambda: key.open(sealed[:28], context=b"here")) == "cut short"
        for changed in (sealed[:29], sealed[:-1], sealed + b"x", sealed[1:]):
            unsealable(lambda changed=changed: key.open(changed, context=b"here"))  # type: ignore[misc]  # a default in a lambda has no type

    def test_another_key_opens_nothing(self, key: SealingKey, stranger: SealingKey) -> None:
        sealed = key.seal(SECRET, context=b"here")
        unsealable(lambda: stranger.open(sealed, context=b"here"))
        assert key.name != stranger.name

    def test_a_name_fits_its_column(self, key: SealingKey) -> None:
        assert 0 < len(key.name) <= 255
        assert key.name.isascii()
