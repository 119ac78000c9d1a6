"""The words of operators' commands mean one thing."""

from __future__ import annotations

import argparse
import getpass
from datetime import timedelta
from typing import NoReturn

import pytest

from bonafide.django.command_words import bind_values, duration, operator


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("12h", timedelta(hours=12)),
        ("7d", timedelta(days=7)),
    ],
)
def test_a_length_is_a_number_and_a_unit(text: str, length: timedelta) -> None:
    assert duration(text) == length


@pytest.mark.parametrize("text", ["", "30", "m", "0m", "-5m", "1.5h", "30 m", "30M", "1w", "30m\n", "٣m", "1000000s"])
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        duration(text)


def test_ids_that_begin_with_a_hyphen_are_values() -> None:
    words = ["--instance", "-AbC", "--because", "-x", "--jkt"]
    assert bind_values(words, frozenset(["--instance", "--jkt"])) == ["--instance=-AbC", "--because", "-x", "--jkt"]


def test_a_user_without_a_name_is_named_by_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> NoReturn:
        raise KeyError

    monkeypatch.setattr(getpass, "getuser", lambda: "anna")
    assert operator() == "anna"
    monkeypatch.setattr(getpass, "getuser", nobody)
    assert operator() == "manage.py"
