"""Dotted version numbers of apps and operating systems."""

from __future__ import annotations

import re
from typing import Final

_FORM: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,5}")


def parse(text: str) -> tuple[int, ...] | None:
    """Read up to 6 numbers of up to 9 digits; trailing zeros do not count. None for anything else.

    Tuples compare as versions do: `(2, 10) > (2, 9, 1)`.
    """
    if _FORM.fullmatch(text) is None:
        return None
    numbers = [int(number) for number in text.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def at_least(text: str, minimum: tuple[int, ...]) -> bool:
    """Tell whether `text` is a version and not below `minimum`; every version satisfies `()`."""
    return not minimum or ((version := parse(text)) is not None and version >= minimum)
