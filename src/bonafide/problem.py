"""What a refused client is told: a problem document (RFC 9457) and the same in headers, and nothing more.

Rule of this file: the answer follows from the reason's status and action alone. Two reasons with the same
status and action are answered alike, to the octet but for the record id.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bonafide.codec import json
from bonafide.reasons import Action

if TYPE_CHECKING:
    from datetime import timedelta

CONTENT_TYPE: Final = "application/problem+json"

RETRY_SPREAD_S: Final = 8
"""Over how many seconds those who are told to back off are spread."""

_RETRY_AFTER_S: Final = 2
_BUSY: Final = frozenset([429, 503])
_UNAUTHORIZED: Final = 401
_CHALLENGES: Final = {
    Action.RETRY_WITH_CHALLENGE: "use_attestation_challenge",
    Action.RENEW: "use_fresh_attestation",
    Action.RENEW_WITH_ASSERTION: "use_fresh_attestation",
}
_TITLES: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    421: "Misdirected Request",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One refusal as the client sees it.

    `record` is the id under which the operator finds the precise reason. `retry_after` is what a limit asks for;
    where it is None and waiting helps, `jitter` (whole seconds, random below `RETRY_SPREAD_S`) spreads clients.
    """

    status: int
    action: Action
    record: str
    retry_after: timedelta | None = None
    jitter: int = 0

    @property
    def title(self) -> str:
        """The status in words (RFC 9110 section 15)."""
        return _TITLES[self.status]

    def document(self) -> bytes:
        """Return the body, of type `CONTENT_TYPE` (PROTOCOL section 2)."""
        return json.dump(
            {
                "type": "about:blank",
                "title": self.title,
                "status": self.status,
                "action": self.action,
                "record": self.record,
            }
        )

    def fields(self) -> dict[str, str]:
        """Return the header fields but Content-Type and Content-Length, for whoever loses bodies."""
        fields = {
            "Bonafide-Action": self.action.value,  # an exact str: wsgiref asserts it
            "Bonafide-Record": self.record,
            "Cache-Control": "no-store",
        }
        if self.retry_after is not None:
            fields["Retry-After"] = str(math.ceil(self.retry_after.total_seconds()))
        elif self.status in _BUSY or self.action is Action.BACK_OFF:
            fields["Retry-After"] = str(_RETRY_AFTER_S + self.jitter)
        if self.status == _UNAUTHORIZED:
            error = _CHALLENGES.get(self.action, "invalid_client_attestation")
            fields["WWW-Authenticate"] = f'ClientAttestation error="{error}"'
        return fields
