"""What an app knows of the time: its own clock, corrected by what the service says (PROTOCOL section 2)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_SHIFT_S: Final = 300
"""How far an HTTP `Date`, which any proxy can write, may move the clock."""


class LearnedClock:
    """The phone's clock and a correction.

    `Date` headers are believed within 5 minutes, and only until a session brought the service's signed
    time; from then on nothing else moves the clock.
    """

    def __init__(self, read: Callable[[], float]) -> None:
        """Take the phone's own clock: seconds since the epoch, perhaps wrong."""
        self._read = read
        self._shift = 0.0
        self._trusted = False

    @property
    def trusted(self) -> bool:
        """Whether a session has set the clock."""
        return self._trusted

    def now(self) -> float:
        """Return the corrected time in seconds since the epoch."""
        return self._read() + self._shift

    def learn(self, date: str | None) -> None:
        """Take the `Date` header of an answer as a hint. What is not an HTTP date is ignored."""
        if self._trusted or date is None:
            return
        try:
            told = parsedate_to_datetime(date)
        except (ValueError, OverflowError):
            return
        if told.tzinfo is None:  # "-0000": a date that does not say where it holds
            told = told.replace(tzinfo=UTC)
        shift = told.timestamp() - self._read()
        self._shift = max(-MAX_SHIFT_S, min(MAX_SHIFT_S, shift))

    def trust(self, issued_at: datetime) -> None:
        """Set the clock by the `iat` of a session whose signature and challenge held.

        The time under way makes the result late by as much, never early: a proof may be old, but not
        from the future.
        """
        self._shift = issued_at.timestamp() - self._read()
        self._trusted = True
