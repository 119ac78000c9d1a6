"""The `bonafide` command as a whole: help, and what is no command."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bonafide.cli import COMMANDS, main, managed


def test_help_names_every_command_and_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    modules = [name for name in COMMANDS if name != "managed"]
    assert all(name in out for name in [*modules, *managed.COMMANDS, managed.MANAGE])


@pytest.mark.parametrize("words", [[], ["unheard-of"], ["verify"], ["verify", "unheard-of"], ["--unheard-of"]])
def test_what_is_no_command_is_misuse(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "usage: bonafide" in capsys.readouterr().err


def test_it_runs_as_a_program_with_the_words_it_was_given() -> None:
    program = "import sys; from bonafide.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "verify", "app-assertion", "--help"]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0
    assert "--last-counter N" in process.stdout
