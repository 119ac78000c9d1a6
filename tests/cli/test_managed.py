"""Commands of a home are Django's, run under its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.django.service.running import RunningService

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> RunningService:
    made = RunningService(home=tmp_path_factory.mktemp("managed") / "home")
    made.run("serve", "--init")
    return made


def test_an_app_is_added_with_its_identity_and_listed(home: RunningService) -> None:
    home.run("apps", "add", "shop")
    assert "no device can enrol" in home.run("apps", "list")
    home.run("apps", "identity", "add", "shop", "--team", "ABCDE12345", "--bundle", "com.example.shop")
    assert "ABCDE12345.com.example.shop" in home.run("apps", "list")
    assert "there is no app nobody" in home.run(
        *("apps", "identity", "add", "nobody", "--team", "ABCDE12345", "--bundle", "com.example"), code=1
    )


def test_words_that_are_none_of_the_command_are_misuse(home: RunningService) -> None:
    assert "usage: bonafide keys" in home.run("keys", "unheard-of", code=2)
    assert "usage: bonafide keys" in home.run("keys", "--help")


def test_any_other_command_of_djangos_runs_too(home: RunningService) -> None:
    assert "No planned migration operations" in home.run("manage", "migrate", "--plan")
    assert "which command?" in home.run("manage", code=2)
    assert "which command?" in home.run("manage", "unheard-of", code=2)


def test_a_database_without_tables_is_no_trace(tmp_path: Path) -> None:
    empty = RunningService(home=tmp_path / "home")
    empty.run("serve", "--init")
    (empty.home / "db.sqlite3").unlink()
    printed = empty.run("apps", "list", code=1)
    assert "the database: OperationalError" in printed
    assert "Traceback" not in printed


def test_files_that_commands_make_are_for_their_owner_alone(home: RunningService) -> None:
    home.run("apps", "list")
    assert {path.stat().st_mode & 0o077 for path in home.home.iterdir()} == {0}
