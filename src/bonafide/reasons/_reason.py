"""What a refusal is called, and what it means to the people who meet it.

Rule of this package: codes are append-only. A code that has been released keeps its spelling and
its meaning for ever; dashboards, vectors and SDKs name it. `tests/reasons/` holds the snapshot.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique


@unique
class Action(StrEnum):
    """The bounded hint a refused client gets (PROTOCOL section 2). It never names the reason."""

    RETRY_WITH_CHALLENGE = "retry_with_challenge"
    RENEW = "renew"
    RENEW_WITH_ASSERTION = "renew_with_assertion"
    SIGN_AGAIN = "sign_again"
    ENROL_AGAIN = "enrol_again"
    FIX_CLOCK = "fix_clock"
    BACK_OFF = "back_off"
    UPDATE_APP = "update_app"
    GIVE_UP = "give_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One way in which evidence, a proof or a request fails.

    `code` is dotted and stable. `status` and `action` are what the refused client is told;
    everything else is for the operator and never leaves the server.
    """

    code: str
    meaning: str
    honest_cause: str
    likely_attack: str
    remedy: str
    spec: str
    status: int = 401
    action: Action = Action.GIVE_UP

    def __str__(self) -> str:
        return self.code
