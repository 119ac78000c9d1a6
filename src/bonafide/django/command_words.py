"""Words of the operators' commands: how long something lasts, and who the audit says it was."""

from __future__ import annotations

import argparse
import getpass
import re
from datetime import timedelta
from typing import Final

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATION: Final = re.compile(r"([1-9][0-9]{0,5})([smhd])")


def duration(text: str) -> timedelta:
    """Read `90s`, `30m`, `12h` or `7d`, for argparse."""
    found = _DURATION.fullmatch(text)
    if found is None:
        message = "a number and s, m, h or d: 30m"
        raise argparse.ArgumentTypeError(message)
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def operator() -> str:
    """Return who the audit names: the account of this machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return "manage.py"


def bind_values(words: list[str], options: frozenset[str]) -> list[str]:
    """Write `--jkt -AbC` as `--jkt=-AbC`: argparse would take base64url that begins with `-` for an option."""
    rest, bound = iter(words), []
    for word in rest:
        value = next(rest, None) if word in options else None
        bound.append(word if value is None else f"{word}={value}")
    return bound
