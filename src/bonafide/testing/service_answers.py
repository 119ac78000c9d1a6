"""The members of the service's answers, as an app reads them: absent and of another type are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bonafide.codec import json
from bonafide.errors import BonafideError
from bonafide.testing.hints import AnswerRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx


def read_object(response: httpx.Response) -> Mapping[str, object]:
    """Return the members of an answer. Raises `AnswerRefused`."""
    try:
        return json.parse_object(response.content)
    except BonafideError as error:
        raise AnswerRefused(error.reason.code) from None


def read_text(answer: Mapping[str, object], name: str) -> str:
    """Return a member that is a text. Raises `AnswerRefused`."""
    value = answer.get(name)
    if not isinstance(value, str):
        message = f"{name} is missing"
        raise AnswerRefused(message)
    return value


def read_seconds(answer: Mapping[str, object], name: str) -> float:
    """Return a member that is a whole number of seconds. Raises `AnswerRefused`."""
    value = answer.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        message = f"{name} is missing"
        raise AnswerRefused(message)
    return float(value)
