"""A sealing key in a private file: made once, never replaced, refused where others could have read it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons
from bonafide.stores.sealing_keys.key_file import FileSealingKey
from tests.stores.sealing_keys.trial import SECRET, SealingKeyTrial, unsealable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def made(path: Path) -> FileSealingKey:
    key = FileSealingKey(path)
    assert key.make()
    return key


def unusable(look: Callable[[], object]) -> str:
    with pytest.raises(ConfigurationError) as refusal:
        look()
    assert refusal.value.reason is reasons.SEALING_KEY_UNUSABLE
    return refusal.value.detail


class TestFileSealingKey(SealingKeyTrial):
    @pytest.fixture
    def key(self, tmp_path: Path) -> FileSealingKey:
        return made(tmp_path / "sealing.key")

    @pytest.fixture
    def stranger(self, tmp_path: Path) -> FileSealingKey:
        return made(tmp_path / "other.key")


def test_the_key_is_32_octets_for_its_owner_alone_and_is_not_made_twice(tmp_path: Path) -> None:
    path = tmp_path / "sealing.key"
    key = made(path)
    octets = path.read_bytes()
    assert len(octets) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert not FileSealingKey(path).make()
    assert path.read_bytes() == octets
    assert FileSealingKey(path).name == key.name


def test_a_copy_on_another_host_is_the_same_key(tmp_path: Path) -> None:
    sealed = made(tmp_path / "sealing.key").seal(SECRET, context=b"here")
    copy = tmp_path / "copy.key"
    copy.write_bytes((tmp_path / "sealing.key").read_bytes())
    copy.chmod(0o600)
    assert FileSealingKey(copy).open(sealed, context=b"here") == SECRET


def test_the_octets_are_those_that_the_form_says(tmp_path: Path) -> None:
    """A second opinion, from AES-256-GCM itself: nobody has to keep our program to open what it sealed."""
    path = tmp_path / "sealing.key"
    sealed = made(path).seal(SECRET, context=b"here")
    assert sealed[0] == 1
    opened = AESGCM(path.read_bytes()).decrypt(sealed[1:13], sealed[13:], b"\x01bonafide sealed secret\x00here")
    assert opened == SECRET


def test_a_nonce_is_drawn_for_each_sealing(tmp_path: Path) -> None:
    drawn: list[int] = []

    def random(count: int) -> bytes:
        drawn.append(count)
        return os.urandom(count)

    key = FileSealingKey(tmp_path / "sealing.key", random=random)
    key.make()
    for _ in range(3):
        key.seal(SECRET, context=b"")
    assert drawn == [32, 12, 12, 12]


def test_a_file_that_is_missing_or_of_another_size_is_no_key(tmp_path: Path) -> None:
    path = tmp_path / "sealing.key"
    assert "there is no such file" in unusable(lambda: FileSealingKey(path).seal(SECRET, context=b""))
    for octets in (b"", b"x" * 31, b"x" * 33):
        path.write_bytes(octets)
        path.chmod(0o600)
        assert "not 32 octets" in unusable(lambda: FileSealingKey(path).name)


def test_a_file_that_others_may_read_is_no_key(tmp_path: Path) -> None:
    path = tmp_path / "sealing.key"
    made(path)
    path.chmod(0o640)
    with pytest.raises(ConfigurationError) as refusal:
        FileSealingKey(path).seal(SECRET, context=b"")
    assert refusal.value.reason is reasons.KEYS_UNSAFE


def test_what_the_system_refuses_is_said_without_a_trace(tmp_path: Path) -> None:
    assert "No such file" in unusable(FileSealingKey(tmp_path / "absent" / "sealing.key").make)
    link = tmp_path / "link.key"
    link.symlink_to(tmp_path / "elsewhere")
    unusable(lambda: FileSealingKey(link).name)


def test_a_name_tells_nothing_of_the_key(tmp_path: Path) -> None:
    path = tmp_path / "sealing.key"
    name = made(path).name
    assert name.startswith("file:")
    assert path.read_bytes().hex()[:8] not in name


@given(st.binary(max_size=128))
@settings(max_examples=10_000, derandomize=True, deadline=None, database=None)
def test_octets_that_nobody_sealed_never_open(octets: bytes) -> None:
    unsealable(lambda: _KEY.open(octets, context=b"here"))


class _Held(FileSealingKey):
    def __init__(self) -> None:
        self._read = os.urandom(32)


_KEY = _Held()
