"""A missing program fails a test and says what to type; only BONAFIDE_SKIP turns that into a counted skip."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import RequireProgram

NOWHERE = "a-program-that-no-machine-has"


def test_missing_program_fails_with_the_line_to_type(
    require_program: RequireProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BONAFIDE_SKIP", "another,")
    with pytest.raises(pytest.fail.Exception, match="apt-get install --yes --no-install-recommends its-package"):
        require_program(NOWHERE, apt="its-package")


def test_missing_program_that_is_named_is_skipped(
    require_program: RequireProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BONAFIDE_SKIP", f"another, {NOWHERE}")
    with pytest.raises(pytest.skip.Exception, match=f"{NOWHERE} is missing"):
        require_program(NOWHERE, apt="its-package")


def test_program_that_is_there_is_found_even_where_it_is_named(
    require_program: RequireProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BONAFIDE_SKIP", "git")
    assert require_program("git", apt="git").name == "git"


def test_no_swift_toolchain_is_a_skip_of_what_needs_it(tmp_path: Path, root: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_terminal_summary, swift\n")
    (tmp_path / "test_one.py").write_text("def test_one(swift): raise AssertionError\n")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:django", "-p", "no:bonafide", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env=os.environ | {"SWIFT": NOWHERE, "PYTHONPATH": f"{root}:{root / 'src'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 x no Swift toolchain here" in run.stdout.splitlines(), run.stdout + run.stderr
    assert run.returncode == 0


def test_what_is_skipped_is_counted_by_its_reason(tmp_path: Path, root: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_terminal_summary, require_program\n")
    (tmp_path / "test_two.py").write_text(
        f"def test_one(require_program): require_program({NOWHERE!r}, apt='x')\n"
        f"def test_two(require_program): require_program({NOWHERE!r}, apt='x')\n"
    )
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:django", "-p", "no:bonafide", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env=os.environ | {"BONAFIDE_SKIP": NOWHERE, "PYTHONPATH": f"{root}:{root / 'src'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = run.stdout.splitlines()
    assert any(" skipped: 2 " in line for line in lines), run.stdout + run.stderr
    assert f"2 x {NOWHERE} is missing, and BONAFIDE_SKIP names it" in lines
    assert "2 skipped in" in lines[-1]
