"""The tests that the how-tos show pass, on the example project."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.docs.pages import page

if TYPE_CHECKING:
    from pathlib import Path


def test_tests_shown_for_ones_own_project_pass(tmp_path: Path, root: Path) -> None:
    blocks = [block.text for block in page("docs/how-to/test-your-project.md").blocks if block.language == "python"]
    tests = [text for text in blocks if "def test_" in text]
    (tmp_path / "test_shown.py").write_text("\n".join(tests))
    options = ["-p", "pytest_django.plugin", "-p", "bonafide.testing.pytest_plugin", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            *options,
            "-c",
            os.devnull,
            "--rootdir",
            ".",
            "--ds",
            "settings_ci",
            ".",
        ],
        cwd=tmp_path,
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join(map(str, [root / "examples/django_api", root / "src"])),
            "SHOP_STATE": str(tmp_path),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_ADDOPTS": "",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{sum(text.count('def test_') for text in tests)} passed" in run.stdout
