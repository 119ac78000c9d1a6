"""What every test may ask for: a fixed time, the shared vectors, a program of the machine, and how hard to search.

Two rules make a green run mean something. A missing program fails the test that needs it and names the
line to type; it is skipped only where `BONAFIDE_SKIP` (names separated by commas) says so. Every skip is
counted and printed at the end of the run. Swift's toolchain is no package of Debian's: where there is none, what
needs it is skipped, as the Makefile's targets do.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from hypothesis import settings

from tests.canaries import pytest_configure, pytest_runtest_makereport  # noqa: F401 - hooks of every run

# Named here once: a fixture that two places name is two, each with a PostgreSQL of its own under the same alias.
from tests.django.databases import database, migrated_postgresql, postgresql  # noqa: F401 - fixtures of every test

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"

# Derandomised: a run that was green is green again, and a red one is red on the next machine.
# `@settings(parent=settings.get_profile("bonafide"))` is for parsers and verifiers; all else is "quick".
settings.register_profile("bonafide", max_examples=10_000, derandomize=True, deadline=None, database=None)
settings.register_profile("quick", max_examples=200, derandomize=True, deadline=None, database=None)
settings.load_profile("quick")


# A shell that starts the run in the background makes it ignore SIGINT, and so every server that a test stops by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class RequireProgram(Protocol):
    """The type of the fixture `require_program`."""

    def __call__(self, name: str, *, apt: str) -> Path:
        """Return where `name` is, or fail with the line that installs the Debian package `apt`."""
        ...


@pytest.fixture(scope="session")
def require_program() -> RequireProgram:
    """Return what finds a program for a test: call it as `require_program("initdb", apt="postgresql")`."""
    return _require_program


def _require_program(name: str, *, apt: str) -> Path:
    # Debian keeps PostgreSQL's server programs off PATH, newest version last.
    postgres = sorted(str(path) for path in Path("/usr/lib/postgresql").glob("*/bin"))[::-1]
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", *postgres]))
    if found:
        return Path(found)
    if name in {skipped.strip() for skipped in os.environ.get("BONAFIDE_SKIP", "").split(",")}:
        pytest.skip(f"{name} is missing, and BONAFIDE_SKIP names it")
    pytest.fail(
        f"{name} is missing. Type: apt-get install --yes --no-install-recommends {apt}"
        f"  (or leave its tests out: BONAFIDE_SKIP={name})",
        pytrace=False,
    )


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the top of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the directory of shared vectors and roots that lies beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("there is no directory `shared` beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def swift() -> Path:
    """Return the driver of the Swift toolchain: what the variable `SWIFT` names, or the one on PATH."""
    found = shutil.which(os.environ.get("SWIFT") or "swift")
    if found is None:
        pytest.skip("no Swift toolchain here")
    return Path(found)


@pytest.fixture(scope="session")
def now() -> datetime:
    """Return the one time that tests live in; nothing here reads a clock."""
    return datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Count what was skipped, by reason, so that a green run does not hide it."""
    reports = terminalreporter.stats.get("skipped", [])
    reasons = Counter(str(report.longrepr[2]) for report in reports if isinstance(report.longrepr, tuple))
    if reasons:
        terminalreporter.section(f"skipped: {reasons.total()}")
    for reason, count in reasons.most_common():
        terminalreporter.line(f"{count} x {reason.removeprefix('Skipped: ')}")
