"""What a refused client is told: a problem document (RFC 9457) and the same in headers, and nothing more.

Rule of this file: the answer follows from the reason's status and action alone. Two reasons with the same
status and action are answered alike, to the octet but for the record id.
"""

from __future__ import annotations

import math
import secrets
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from django.http import HttpResponse

from bonafide.codec import json
from bonafide.reasons import Action

if TYPE_CHECKING:
    from datetime import timedelta

    from bonafide.reasons import Reason

CONTENT_TYPE: Final = "application/problem+json"

_RETRY_AFTER_S: Final = 2
_RETRY_SPREAD_S: Final = 8
_BUSY: Final = frozenset([429, 503])
_CHALLENGES: Final = {
    Action.RETRY_WITH_CHALLENGE: "use_attestation_challenge",
    Action.RENEW: "use_fresh_attestation",
}


def refuse(reason: Reason, record: str, *, retry_after: timedelta | None = None) -> HttpResponse:
    """Return the answer to a refused request. `retry_after` is what a limit asks for; others get some seconds."""
    return respond(reason.status, reason.action, record, retry_after=retry_after)


def respond(status: int, action: Action, record: str, *, retry_after: timedelta | None = None) -> HttpResponse:
    """Return a problem document (PROTOCOL section 2), with its headers for whoever loses bodies."""
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "action": action, "record": record}
    response = HttpResponse(json.dump(body), status=status, content_type=CONTENT_TYPE)
    response["Bonafide-Action"] = action.value  # an exact str: wsgiref asserts it
    response["Bonafide-Record"] = record
    response["Cache-Control"] = "no-store"
    if retry_after is not None:
        response["Retry-After"] = str(math.ceil(retry_after.total_seconds()))
    elif status in _BUSY or action is Action.BACK_OFF:
        response["Retry-After"] = str(_RETRY_AFTER_S + secrets.randbelow(_RETRY_SPREAD_S))
    if status == HTTPStatus.UNAUTHORIZED:
        error = _CHALLENGES.get(action, "invalid_client_attestation")
        response["WWW-Authenticate"] = f'ClientAttestation error="{error}"'
    return response
