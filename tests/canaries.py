"""Secrets planted in the whole test run, looked for in all that the run writes.

The worlds of the tests `plant` what nobody may ever read: tokens, MAC keys, bearers, challenge keys. After each
phase of each test, everything it logged (from DEBUG on) and printed, and its traceback, is searched for them: as
they are, in hex and in base64. A test that tells a canary fails, whatever it was about.
"""

from __future__ import annotations

import base64
import logging
from functools import cache
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

MOST: Final = 400
"""How many secrets of one kind are watched; a property test makes thousands, and the first tell as much as all."""

SHORTEST: Final = 8
"""Octets below which a secret would be found by chance."""

_planted: Final[dict[str, set[bytes]]] = {}


def plant(kind: str, secret: bytes | str) -> None:
    """Watch for a secret from now on."""
    octets = secret.encode() if isinstance(secret, str) else secret
    if len(octets) < SHORTEST:
        message = f"a canary of {len(octets)} octets is found by chance"
        raise ValueError(message)
    kept = _planted.setdefault(kind, set())
    if len(kept) < MOST:
        kept.add(octets)


def told(text: str) -> list[str]:
    """Return the kinds of canaries that a text tells, with the spelling it uses."""
    return [
        f"{kind} ({name})"
        for kind, secrets in _planted.items()
        for secret in secrets
        for name, spelling in spellings(secret).items()
        if spelling in text
    ]


@cache
def spellings(secret: bytes) -> dict[str, str]:
    """Return the ways in which a secret may slip into a text. Base64 without its end, so that padding hides nothing."""
    plain = {"hex": secret.hex(), "HEX": secret.hex().upper(), "repr": repr(secret)[2:-1]}
    whole = len(secret) // 3 * 3
    if secret.isascii():
        plain["raw"] = secret.decode("ascii")
    return {
        **plain,
        "base64": base64.b64encode(secret[:whole]).decode(),
        "base64url": base64.urlsafe_b64encode(secret[:whole]).decode(),
    }


def pytest_configure() -> None:
    """Have every logger speak: what is not logged today may be tomorrow."""
    logging.getLogger("bonafide").setLevel(logging.DEBUG)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a phase of a test that told a canary."""
    report = yield
    written = "\n".join([*(content for _, content in report.sections), str(report.longrepr or "")])
    found = told(written) if written.strip() else []
    if found:
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} tells {', '.join(sorted(set(found)))}"
        report.sections.clear()
    return report
