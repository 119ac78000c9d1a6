"""One line in INSTALLED_APPS is enough, and a server does not start with settings that are malformed or unsafe."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.apps import apps

from tests.conftest import ROOT

PROGRAM = """
from django.conf import settings
settings.configure(INSTALLED_APPS=["bonafide.django"], USE_TZ=True, **{})
import django
django.setup()
from bonafide.django.models import Instance
"""


def start(settings: str) -> str:
    environ = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    environ.pop("DJANGO_SETTINGS_MODULE", None)
    command = [sys.executable, "-W", "error", "-c", PROGRAM.format(settings)]
    return subprocess.run(command, env=environ, timeout=60, capture_output=True, check=False).stderr.decode()


def test_the_app_is_called_bonafide() -> None:
    config = apps.get_app_config("bonafide")
    assert (config.name, config.label) == ("bonafide.django", "bonafide")


@pytest.mark.parametrize("settings", ["{}", "{'BONAFIDE': {'ORIGINS': ['https://a.example'], 'KEYS_DIR': '/keys'}}"])
def test_a_project_starts_without_settings_and_with_the_least(settings: str) -> None:
    assert start(settings) == ""


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ("{'ORIGINS': ['https://a.example'], 'KEYS_DIR': '/keys', 'TYPO': 1}", "configuration.setting_malformed"),
        (
            "{'ORIGINS': ['https://a.example'], 'KEYS_DIR': '/k', 'UNSAFE_DEBUG_EVIDENCE': True}",
            "configuration.test_trust",
        ),
        ("{}", "configuration.origins_empty"),
    ],
)
def test_a_project_does_not_start_with_settings_that_are_malformed_or_unsafe(settings: str, code: str) -> None:
    assert f"ConfigurationError: {code}" in start(f"{{'BONAFIDE': {settings}}}")


def test_naming_the_app_imports_no_model() -> None:
    program = "import bonafide.django, sys; sys.exit('django' in sys.modules)"
    environ = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    assert subprocess.run([sys.executable, "-c", program], env=environ, timeout=60, check=False).returncode == 0
