"""What answers may ask of an app, as values: hints, waits, and how a conversation can end.

Nothing here is believed: a hint comes in a header that any proxy can write. What bounds it stands in
`conversation`.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

import httpx

from bonafide.reasons import Action

MAX_WAIT_S: Final = 60.0

_SECONDS: Final = re.compile(r"[0-9]{1,6}")


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait this many seconds before going on."""

    seconds: float


Steps = Generator["httpx.Request | Pause", httpx.Response, None]
"""What is sent, or how long to wait; given answers in turn."""


class Refused(Exception):
    """The service refused an enrolment or a renewal. `action` and `record` are all that it said."""

    def __init__(self, doing: str, response: httpx.Response) -> None:
        """Keep what the answer's headers say."""
        self.status = response.status_code
        self.action = action_of(response)
        self.record = response.headers.get("bonafide-record")
        super().__init__(f"{doing}: {self.status}, action {self.action}, record {self.record}")


class OutcomeUnknown(Exception):
    """The answer asks to repeat a request that may have had its effect already; only the caller can decide.

    Send an Idempotency-Key with requests that may be repeated.
    """

    def __init__(self, request: httpx.Request, response: httpx.Response) -> None:
        """Keep the answer that asked for it."""
        self.response = response
        self.action = action_of(response)
        super().__init__(f"{request.method} {request.url.path}: {response.status_code}, action {self.action}")


class AnswerRefused(Exception):
    """An answer is not what the service would send: malformed, or a session that is not for this device."""


class Stopped(Exception):
    """The service said `give_up` or `update_app` before: nothing more is asked of it until the next start."""


def action_of(response: httpx.Response) -> Action | None:
    """Return the hint of a refusal, or None where there is none, or an unknown one."""
    try:
        return Action(response.headers.get("bonafide-action", ""))
    except ValueError:
        return None


def following(steps: Steps, response: httpx.Response) -> httpx.Request | Pause | None:
    """Give an answer in, and return the next step; None at the end."""
    try:
        return steps.send(response)
    except StopIteration:
        return None


def retry_after(response: httpx.Response) -> float:
    """Return the wait that the answer asks for, in seconds, at least 1 and at most `MAX_WAIT_S`."""
    text = response.headers.get("retry-after", "")
    seconds = float(text) if _SECONDS.fullmatch(text) else 1.0
    return min(max(seconds, 1.0), MAX_WAIT_S)
