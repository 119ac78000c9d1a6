"""Waiting for what other processes do in their own time."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 30.0

_T = TypeVar("_T")


def eventually(
    look: Callable[[], _T],
    what: str = "what was looked for",
    *,
    patience_s: float = PATIENCE_S,
    despite: tuple[type[Exception], ...] = (),
) -> _T:
    """Look until something is there and return it; fail with `what` where it never comes.

    `despite` are errors that mean "not yet".
    """
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        with suppress(*despite):
            found = look()
            if found:
                return found
        time.sleep(0.02)
    message = f"in {patience_s} s never came: {what}"
    raise AssertionError(message)
