"""What `bonafide serve` refuses before it serves. How it serves is in tests/django/service/test_server.py."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bonafide.cli import home_options, main, managed
from bonafide.cli.home_options import Stop
from tests.django.service.running import environment

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BONAFIDE_HOME", raising=False)


@pytest.mark.parametrize(
    "words", [["--environment", "prod"], ["--workers", "two"], ["--workers", "0"], ["--unheard-of"]]
)
def test_what_is_no_option_is_misuse(words: list[str]) -> None:
    assert main(["serve", *words]) == 2


@pytest.mark.parametrize("option", ["--listen", "--console-listen"])
def test_an_address_in_no_form_makes_nothing(option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--home", str(tmp_path / "home"), option, "localhost"]) == 1
    assert 'is "address:port"' in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


def test_a_home_that_others_may_enter_does_not_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "home").mkdir(mode=0o755)
    assert main(["serve", "--home", str(tmp_path / "home")]) == 1
    assert "configuration.keys_unsafe" in capsys.readouterr().err


@pytest.mark.parametrize("name", [*managed.COMMANDS, managed.MANAGE])
def test_commands_of_a_home_want_one(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name]) == 1
    assert f"bonafide {name}: configuration.setting_malformed: there is no home at" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["keys", "list"], ["serve"], ["check"]])
def test_without_the_extra_the_line_to_type_is_told(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(home_options, "_PACKAGES", ("a_package_that_is_not_there",))
    assert main(words) == 2
    assert "pip install 'bonafide[service]'" in capsys.readouterr().err


def test_the_home_is_taken_out_of_the_words_wherever_it_stands() -> None:
    for words in (
        ["--home", "x", "list", "-v", "2"],
        ["list", "--home=x", "-v", "2"],
        ["list", "-v", "2", "--home", "x"],
    ):
        assert managed._home(words) == ("x", ["list", "-v", "2"])
    assert managed._home(["list"]) == (None, ["list"])


def test_help_imports_neither_django_nor_a_server() -> None:
    program = (
        "import sys; from bonafide.cli import main; code = main(['--help']); "
        "print(sorted({'django', 'granian', 'httpx', 'lmdb', 'limits'} & set(sys.modules))); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_stop_is_told_with_the_command_that_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    assert home_options.tell("serve", Stop(7, "why")) == 7
    assert capsys.readouterr().err == "bonafide serve: why\n"
