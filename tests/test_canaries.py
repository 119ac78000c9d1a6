"""The watch over planted secrets is awake: it finds each spelling, and a run that tells one is red."""

from __future__ import annotations

import base64
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests import canaries

if TYPE_CHECKING:
    from pathlib import Path

SECRET = bytes(range(200, 232))
BEARER = "canary-bearer-for-the-test-of-the-watch"
canaries.plant("watched octets", SECRET)
canaries.plant("watched text", BEARER)


@pytest.mark.parametrize(
    "text",
    [
        SECRET.hex(),
        SECRET.hex().upper(),
        f"key={base64.b64encode(SECRET).decode()}",
        f"key={base64.urlsafe_b64encode(SECRET).decode().rstrip('=')};",
        repr({"key": SECRET}),
    ],
)
def test_octets_are_found_in_every_spelling(text: str) -> None:
    assert any(found.startswith("watched octets") for found in canaries.told(text))


def test_text_is_found_as_it_is_and_encoded() -> None:
    for text in (f"Authorization: {BEARER}!", base64.b64encode(BEARER.encode()).decode(), BEARER.encode().hex()):
        assert any(found.startswith("watched text") for found in canaries.told(text))


def test_innocent_text_tells_nothing() -> None:
    assert canaries.told("proof.signature_invalid: 12 s old") == []


def test_canary_too_short_to_mean_anything_is_refused() -> None:
    with pytest.raises(ValueError, match="by chance"):
        canaries.plant("short", b"1234567")


TELLING = """
import logging
from tests import canaries
SECRET = "canary-of-a-test-that-tells-it"
canaries.plant("bearer", SECRET)
def test_silent():
    logging.getLogger("bonafide.x").debug("nothing")
def test_logs_it():
    logging.getLogger("bonafide.x").debug("token %s", SECRET)
def test_prints_it():
    print(SECRET.encode().hex())
def test_raises_it():
    raise ValueError(SECRET)
"""


def test_run_that_tells_a_canary_is_red(tmp_path: Path, root: Path) -> None:
    (tmp_path / "test_telling.py").write_text(TELLING)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.canaries", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=root,
        env={"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "3 failed, 1 passed" in run.stdout
    assert run.stdout.count("tells bearer") >= 3
    assert "canary-of-a-test-that-tells-it" not in run.stdout
