"""A project is put into a world of tests for one test, and only where its settings are not production's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bonafide.django import conf
from bonafide.django.models import App, Identity
from bonafide.django.under_test import APP, IDENTITY, ProjectUnderTest
from bonafide.errors import ConfigurationError
from bonafide.terms import Environment

if TYPE_CHECKING:
    from pathlib import Path

    from bonafide.testing.device import Build

pytestmark = pytest.mark.django_db


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "bonafide"


def identity(name: str, app: str = "shop", environment: str = "test", **options: Any) -> Identity:
    row, _ = App.objects.get_or_create(name=app, environment=environment)
    return Identity.objects.create(app=row, name=name, **options)


def build(settings: Any, directory: Path, **wanted: Any) -> Build:
    with ProjectUnderTest(settings, directory, **wanted) as project:
        return project.phone().build


@pytest.mark.parametrize("environment", [None, "production"])
def test_production_settings_are_refused(settings: Any, directory: Path, environment: str | None) -> None:
    given = {name: value for name, value in settings.BONAFIDE.items() if name != "ENVIRONMENT"}
    settings.BONAFIDE = given if environment is None else given | {"ENVIRONMENT": environment}
    with pytest.raises(ConfigurationError, match=r"configuration\.test_trust"):
        ProjectUnderTest(settings, directory)
    assert not directory.exists()


@pytest.mark.parametrize("environment", ["test", "staging", "development"])
def test_other_settings_trust_one_anchor_more(settings: Any, directory: Path, environment: str) -> None:
    settings.BONAFIDE = settings.BONAFIDE | {"ENVIRONMENT": environment}
    before = conf.current()
    with ProjectUnderTest(settings, directory):
        now = conf.current()
        assert (now.environment, len(now.unsafe_test_anchors)) == (Environment(environment), 1)
        assert now.keys_dir.is_relative_to(directory)
        assert now.issuer == before.issuer
        assert set(now.origins) == {*before.origins, "https://testserver"}


def test_project_without_an_app_gets_one(settings: Any, directory: Path) -> None:
    made = build(settings, directory)
    assert (made.app, made.identity) == (APP, IDENTITY)
    assert Identity.objects.get().name == IDENTITY


def test_projects_own_app_is_used(settings: Any, directory: Path) -> None:
    identity("ABCDE12345.com.example.shop")
    made = build(settings, directory)
    assert (made.app, made.identity) == ("shop", "ABCDE12345.com.example.shop")


def test_app_of_another_environment_is_not_used(settings: Any, directory: Path) -> None:
    identity("ABCDE12345.com.example.shop", environment="production")
    assert build(settings, directory).app == APP


def test_identity_that_takes_debug_evidence_alone_is_not_used(settings: Any, directory: Path) -> None:
    identity("ABCDE12345.com.example.simulated", environments=["debug"])
    assert build(settings, directory).app == APP


def test_marker_chooses_among_several(settings: Any, directory: Path) -> None:
    identity("ABCDE12345.com.example.shop")
    identity("ABCDE12345.com.example.clip")
    identity("ABCDE12345.com.example.other", app="other")
    made = build(settings, directory, app="shop", identity="ABCDE12345.com.example.clip", app_version="9")
    assert (made.identity, made.app_version) == ("ABCDE12345.com.example.clip", "9")


def test_identity_that_is_missing_is_made_in_the_app_that_is_named(settings: Any, directory: Path) -> None:
    identity("ABCDE12345.com.example.shop")
    made = build(settings, directory, app="shop", identity="ABCDE12345.com.example.clip")
    assert (made.app, made.identity) == ("shop", "ABCDE12345.com.example.clip")
    assert App.objects.count() == 1
