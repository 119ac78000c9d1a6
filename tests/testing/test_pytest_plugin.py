"""The plugin lets a project's own tests call its locked API, and only where its settings are a test's."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Project = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(tmp_path: Path, root: Path) -> Project:
    """Return what runs pytest on tests of the example project, in a process of its own."""
    example = root / "examples" / "django_api"

    def run(tests: str | None, settings: str = "settings_ci", *arguments: str) -> subprocess.CompletedProcess[str]:
        place = example / "shop" / "tests"
        if tests is not None:
            place = tmp_path / "test_project.py"
            place.write_text(tests)
        command = [sys.executable, "-m", "pytest", str(place), "-c", os.devnull, "--rootdir", str(tmp_path)]
        plugins = ["-p", "pytest_django.plugin", "-p", "bonafide.testing.pytest_plugin", "-p", "no:cacheprovider"]
        options = [*plugins, "--ds", settings, *arguments]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(example), str(root / "src"), str(tmp_path)]),
            "SHOP_STATE": str(tmp_path),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }
        environment.pop("PYTEST_ADDOPTS", None)
        return subprocess.run(
            [*command, *options], env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
        )

    return run


def test_tests_of_the_example_project_pass(project: Project) -> None:
    run = project(None)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "8 passed" in run.stdout


@pytest.mark.parametrize("settings", ["settings_locked"])
def test_production_settings_are_refused(project: Project, settings: str) -> None:
    run = project("def test_it(bonafide_client): bonafide_client.get('/api/config')", settings)
    assert run.returncode == 1
    assert "configuration.test_trust" in run.stdout


def test_settings_are_as_before_after_the_test(project: Project) -> None:
    run = project(
        """
from bonafide.django import conf

def test_a(bonafide_client):
    assert conf.current().unsafe_test_anchors

def test_b():
    assert not conf.current().unsafe_test_anchors
"""
    )
    assert run.returncode == 0, run.stdout


def test_what_the_fixture_trusts_is_not_what_another_fake_apple_signs(project: Project) -> None:
    run = project(
        """
import time, pytest
from bonafide.testing.apple import FakeApple
from bonafide.testing.client import Refused
from bonafide.testing.iphone import IPhone

def test_it(bonafide_connect, bonafide_iphone):
    other = IPhone(bonafide_iphone.build, apple=FakeApple(seed=b"another"), clock=time.time)
    with pytest.raises(Refused):
        bonafide_connect(device=other).get("/api/config")
"""
    )
    assert run.returncode == 0, run.stdout


def test_view_that_breaks_breaks_the_test(project: Project) -> None:
    run = project(
        """
import pytest
from shop.models import ViewRun

def test_it(bonafide_client, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError
    monkeypatch.setattr(ViewRun.objects, "get_or_create", fail)
    with pytest.raises(ZeroDivisionError):
        bonafide_client.get("/api/config")
"""
    )
    assert run.returncode == 0, run.stdout


def test_a_run_that_uses_no_fixture_imports_neither_django_nor_httpx(tmp_path: Path, root: Path) -> None:
    (tmp_path / "test_nothing.py").write_text(
        "import sys\n"
        "def test_it():\n"
        "    assert not {'django', 'httpx', 'cryptography', 'bonafide.testing.client'} & set(sys.modules)\n"
    )
    command = [sys.executable, "-m", "pytest", str(tmp_path), "-c", os.devnull, "-p", "no:django", "-p", "no:anyio"]
    run = subprocess.run(
        [*command, "-p", "bonafide.testing.pytest_plugin", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)],
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(root / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
