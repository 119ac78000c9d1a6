"""How an app takes an answer: in clear, sealed into memory, or sealed into a file.

A hearing lasts for one request, with as many answers as it takes. What it makes of the last one is the outcome.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from bonafide.reasons import sealed as reasons
from bonafide.testing.sealed_answers import (
    AnswerNotSealed,
    SealRefused,
    hints_of,
    is_sealed,
    open_answer,
    open_into,
)

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from bonafide.sealing import AnswerKey


class Hearing(Protocol):
    """What one caller wants of the answers to one request."""

    @property
    def needs_key(self) -> bool:
        """Whether answers are to be opened, so that the request needs a session."""
        ...

    def hear(self, response: httpx.Response, key: AnswerKey | None) -> httpx.Response:
        """Return what counts of an answer: its status, fields and body, or hints alone. Raises `SealRefused`."""
        ...

    def conclude(self, response: httpx.Response) -> None:
        """Take what was heard last as the outcome. Raises `AnswerNotSealed`."""
        ...


class _Clear:
    """Answers as they come. One that is sealed is of no use to who did not ask for it."""

    needs_key: Final = False

    def hear(self, response: httpx.Response, key: AnswerKey | None) -> httpx.Response:
        del key
        if is_sealed(response):
            raise SealRefused(reasons.UNEXPECTED.code)
        return response

    def conclude(self, response: httpx.Response) -> None:
        del response


CLEAR: Final[Hearing] = _Clear()


class Sealed:
    """Sealed answers, opened: into memory, or their bodies into the file at `path`."""

    needs_key: Final = True

    def __init__(self, path: Path | None = None) -> None:
        """Nothing is written to `path` but what verified whole."""
        self.path: Final = path
        self.outcome: httpx.Response | None = None
        """What was opened last; None where the last answer was in clear."""

    def hear(self, response: httpx.Response, key: AnswerKey | None) -> httpx.Response:
        """Open a sealed answer; take hints of another one. Raises `SealRefused`."""
        self.outcome = None
        if key is None or not is_sealed(response):
            return hints_of(response)
        if self.path is None or response.is_error:
            self.outcome = open_answer(response, key)
        else:
            self.outcome = open_into(response, key, self.path)
        return self.outcome

    def conclude(self, response: httpx.Response) -> None:
        """Raise `AnswerNotSealed` where the last answer was in clear."""
        if self.outcome is None:
            raise AnswerNotSealed(response)
