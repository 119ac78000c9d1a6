"""The key between a gate and an API is in a file that its owner alone may read, whole and in one form."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bonafide.codec import base64url
from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons
from bonafide.stores.admission_keys import MAX_KEYS, create_admission_key, read_admission_key, read_admission_keys

if TYPE_CHECKING:
    from pathlib import Path


def written(directory: Path, content: bytes, name: str = "a.key") -> Path:
    path = directory / name
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def refused(*paths: Path) -> bool:
    with pytest.raises(ConfigurationError) as caught:
        read_admission_keys(paths)
    return caught.value.reason is reasons.KEYS_UNSAFE


def test_key_that_was_created_is_read_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    assert create_admission_key(path, random=os.urandom)
    key = read_admission_key(path)
    assert len(key) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert not create_admission_key(path, random=os.urandom)
    assert read_admission_key(path) == key


def test_line_end_is_allowed_and_not_demanded(tmp_path: Path) -> None:
    text = base64url.encode(bytes(range(32))).encode()
    assert read_admission_key(written(tmp_path, text)) == bytes(range(32))
    assert read_admission_key(written(tmp_path, text + b"\n")) == bytes(range(32))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        base64url.encode(bytes(31)).encode(),
        base64url.encode(bytes(33)).encode(),
        base64url.encode(bytes(32)).encode() + b"\n\n",
        base64url.encode(bytes(32)).encode() + b"=",
        b" " + base64url.encode(bytes(32)).encode(),
        bytes(range(224, 256)),
    ],
)
def test_other_content_is_refused(tmp_path: Path, content: bytes) -> None:
    assert refused(written(tmp_path, content))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.key"
    create_admission_key(path, random=os.urandom)
    path.chmod(mode)
    assert refused(path)


def test_absent_file_link_and_directory_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    create_admission_key(path, random=os.urandom)
    link = tmp_path / "link.key"
    link.symlink_to(path)
    for wrong in (tmp_path / "absent", link, tmp_path):
        assert refused(wrong)


def test_two_files_while_one_is_replaced_and_not_the_same_twice(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.key" for number in range(MAX_KEYS + 1)]
    for path in paths:
        create_admission_key(path, random=os.urandom)
    assert read_admission_keys(paths[:2]) == (read_admission_key(paths[0]), read_admission_key(paths[1]))
    assert len(read_admission_keys(paths[:MAX_KEYS])) == MAX_KEYS
    assert refused(*paths)
    assert refused(paths[0], paths[0])
    assert refused()
