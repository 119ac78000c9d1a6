"""A line of the log is one JSON object, and what others hang on a record stays out of it."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from bonafide.django.service import logs
from bonafide.django.service.logs import JsonLines


def line(message: str = "a message", *arguments: object, **extra: Any) -> dict[str, Any]:
    exc_info = extra.pop("exc_info", None)
    record = logging.LogRecord("bonafide.test", logging.WARNING, "file.py", 1, message, arguments, exc_info)
    vars(record).update(extra)
    text = JsonLines().format(record)
    assert "\n" not in text
    said: dict[str, Any] = json.loads(text)
    return said


def test_a_line_says_when_who_and_what() -> None:
    said = line("hello %s", "there")
    assert said.keys() == {"time", "level", "logger", "process", "message"}
    assert (said["level"], said["logger"], said["message"]) == ("WARNING", "bonafide.test", "hello there")


def test_what_bonafide_says_besides_is_in_it() -> None:
    said = line(bonafide={"reason": "proof.replayed", "record": "abc"})
    assert (said["reason"], said["record"]) == ("proof.replayed", "abc")


def test_nothing_said_besides_replaces_what_a_line_is() -> None:
    assert line(bonafide={"message": "forged", "level": "INFO", "time": "never"})["message"] == "a message"
    assert line(bonafide="a text").keys() == {"time", "level", "logger", "process", "message"}


def test_what_others_hang_on_a_record_is_left_out() -> None:
    said = line(request="<WSGIRequest: GET '/path?token=secret'>", status_code=500, user="ann")
    assert said.keys() == {"time", "level", "logger", "process", "message"}


def test_lines_that_a_client_forges_are_one_string() -> None:
    assert line("a\nb\x1b[2J")["message"] == "a\nb\x1b[2J"


def test_a_traceback_is_kept() -> None:
    try:
        int("x")
    except ValueError:
        assert "ValueError" in line(exc_info=sys.exc_info())["exc_info"]


def test_every_logger_writes_the_same_lines() -> None:
    configuration = logs.configuration()
    assert configuration["formatters"] == {"json": {"()": JsonLines}}
    assert {name for name, logger in configuration["loggers"].items() if logger["handlers"] != ["stderr"]} == {
        "granian.access"  # it would write paths
    }
