"""A refusal as Django answers it; what is in it follows from `bonafide.problem`."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from django.http import HttpResponse

from bonafide.problem import CONTENT_TYPE, RETRY_SPREAD_S, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from bonafide.reasons import Action, Reason


def refuse(
    reason: Reason, record: str, *, retry_after: timedelta | None = None, added: Mapping[str, str] | None = None
) -> HttpResponse:
    """Return the answer to a refused request. `retry_after` is what a limit asks for; others get some seconds.

    `added` is what `dpop_answer` says on routes that take DPoP.
    """
    response = respond(reason.status, reason.action, record, retry_after=retry_after)
    for name, value in (added or {}).items():
        response.headers[name] = value
    return response


def respond(status: int, action: Action, record: str, *, retry_after: timedelta | None = None) -> HttpResponse:
    """Return a problem document (PROTOCOL section 2), with its headers for whoever loses bodies."""
    jitter = secrets.randbelow(RETRY_SPREAD_S)
    problem = Problem(status=status, action=action, record=record, retry_after=retry_after, jitter=jitter)
    return HttpResponse(problem.document(), status=status, content_type=CONTENT_TYPE, headers=problem.fields())
