"""A held key opens what it sealed, in its place, and tells nothing of its octets."""

from __future__ import annotations

import pytest

from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons
from bonafide.stores.sealing_keys.held_key import HeldSealingKey
from tests import canaries

_SECRET = bytes(range(100, 132))
canaries.plant("held key", _SECRET)


def _key(secret: bytes = _SECRET) -> HeldSealingKey:
    return HeldSealingKey(secret, where="documents.key")


def test_what_was_sealed_opens_in_its_place_alone() -> None:
    sealed = _key().seal(b"value", context=b"here")
    assert _key().open(sealed, context=b"here") == b"value"
    for key, octets, context in (
        (_key(bytes(32)), sealed, b"here"),
        (_key(), sealed, b"there"),
        (_key(), sealed[:-1] + bytes([sealed[-1] ^ 1]), b"here"),
        (_key(), sealed[:20], b"here"),
        (_key(), b"\x01" + sealed[1:], b"here"),
    ):
        with pytest.raises(ConfigurationError) as refusal:
            key.open(octets, context=context)
        assert refusal.value.reason is reasons.SECRET_UNSEALABLE
        assert b"value" not in refusal.value.detail.encode()


def test_two_sealings_differ() -> None:
    assert _key().seal(b"value", context=b"") != _key().seal(b"value", context=b"")


def test_a_name_tells_keys_apart_and_nothing_of_them() -> None:
    assert _key().name == _key().name != _key(bytes(32)).name
    assert _key().name.startswith("held:")


@pytest.mark.parametrize("size", [0, 31, 33])
def test_another_number_of_octets_is_no_key(size: int) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        _key(bytes(size))
    assert refusal.value.reason is reasons.KEYS_UNSAFE
