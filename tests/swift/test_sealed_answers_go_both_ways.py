"""What Swift seals Python opens, and the other way round: bodies from none to 64 MiB, and one octet off each."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
from typing import TYPE_CHECKING, Any, Final

import pytest

from bonafide.errors import VerificationFailed
from bonafide.sealing import AnswerKey, Opener, Sealer, answer_key
from bonafide.session import seal_response_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bonafide.sealing import Fields

BUILD_S: Final = 900
RUN_S: Final = 120
PIECE: Final = 1 << 20
ROOM: Final = 65519
SID: Final = bytes(range(16))
SESSION_KEY: Final = bytes(range(32))
BASE: Final = '"@method": GET\n"@signature-params": ("@method")'
FIELDS: Final = (("content-type", "text/plain"), ("set-cookie", "a=1"), ("set-cookie", "b=2"), ("x-note", "café\t€"))
PREFACE: Final = 4 + len(json.dumps({"fields": FIELDS}, ensure_ascii=False, separators=(",", ":")).encode())
SIZES: Final = (
    *(0, 1, 1000, ROOM - 1, ROOM, ROOM + 1),
    *(records * ROOM - PREFACE + more for records in (1, 2) for more in (-1, 0, 1)),
    *(2**20, 2**26),
)


@pytest.fixture(scope="module")
def writer(root: Path, swift: Path) -> Path:
    """The program, built where `make test-swift` builds, or where `SWIFT_SCRATCH` says."""
    scratch = os.environ.get("SWIFT_SCRATCH", "build/swift")
    options = ["--quiet", "--scratch-path", scratch, "-Xswiftc", "-warnings-as-errors", "--product", "vector-writer"]
    done = subprocess.run([str(swift), "build", *options], cwd=root, capture_output=True, timeout=BUILD_S, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return root / scratch / "debug" / "vector-writer"


def key() -> AnswerKey:
    return answer_key(seal_response_key(SESSION_KEY), sid=SID, base=BASE.encode())


def said(size: int, status: int = 200) -> str:
    return json.dumps(
        {
            "session_key": base64.b64encode(SESSION_KEY).decode(),
            "sid": base64.b64encode(SID).decode(),
            "base": BASE,
            "status": status,
            "fields": FIELDS,
            "body_size": size,
        }
    )


def pieces(size: int) -> Iterator[bytes]:
    """Give a body in pieces: the octet at i is i mod 251."""
    cycle = bytes(range(251)) * (PIECE // 251 + 2)
    for begin in range(0, size, PIECE):
        first = begin % 251
        yield cycle[first : first + min(PIECE, size - begin)]


def digest_of(size: int) -> str:
    digest = hashlib.sha256()
    for piece in pieces(size):
        digest.update(piece)
    return digest.hexdigest()


@pytest.mark.parametrize("size", SIZES)
def test_python_opens_what_swift_seals(writer: Path, tmp_path: Path, size: int) -> None:
    path = tmp_path / "sealed"
    with path.open("wb") as file:
        subprocess.run([str(writer), "seal", said(size)], stdout=file, timeout=RUN_S, check=True)
    assert opened_by_python(path, status=200) == (FIELDS, digest_of(size))
    assert path.stat().st_size == Sealer(key(), status=200, fields=FIELDS, salt=bytes(16)).size(size)
    with pytest.raises(VerificationFailed):
        opened_by_python(path, status=201)


@pytest.mark.parametrize("size", SIZES)
def test_swift_opens_what_python_seals(writer: Path, tmp_path: Path, size: int) -> None:
    path = tmp_path / "sealed"
    sealer = Sealer(key(), status=200, fields=FIELDS, salt=os.urandom(16))
    with path.open("wb") as file:
        file.write(sealer.head())
        for piece in pieces(size):
            file.writelines(sealer.write(piece))
        file.write(sealer.finish())
    opened = run_open(writer, path, said(size))
    assert opened["size"] == size
    assert base64.b64decode(opened["sha256"]).hex() == digest_of(size)
    assert tuple(map(tuple, opened["fields"])) == FIELDS
    assert run_open(writer, path, said(size, status=201)) == {"refused": "sealed.record_invalid"}
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    assert run_open(writer, path, said(size)) == {"refused": "sealed.record_invalid"}


def opened_by_python(path: Path, *, status: int) -> tuple[Fields, str]:
    opener, digest = Opener(key(), status=status), hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            for part in opener.write(piece):
                digest.update(part)
    digest.update(opener.finish())
    return opener.fields, digest.hexdigest()


def run_open(writer: Path, path: Path, answer: str) -> dict[str, Any]:
    with path.open("rb") as file:
        done = subprocess.run([str(writer), "open", answer], stdin=file, capture_output=True, timeout=RUN_S, check=True)
    opened: dict[str, Any] = json.loads(done.stdout)
    return opened
