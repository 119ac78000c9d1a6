"""Reasons of the area `misuse`."""

from __future__ import annotations

from typing import Final

from bonafide.reasons._reason import Reason


def _misuse(code: str, meaning: str, remedy: str, spec: str) -> Reason:
    return Reason(
        code=f"misuse.{code}",
        meaning=meaning,
        honest_cause="A mistake in the program that calls Bonafide.",
        likely_attack="None: no input of a client can cause this.",
        remedy=remedy,
        spec=spec,
        status=500,
    )


TIME_NAIVE: Final = _misuse(
    "time_naive",
    "A time was given without a time zone.",
    "Pass datetime.now(UTC).",
    "ARCHITECTURE, Style",
)
CLIENT_DATA_HASH_EMPTY: Final = _misuse(
    "client_data_hash_empty",
    "The client data hash has no octets, so the evidence would not be bound to any request.",
    "Pass SHA-256 of the client data as it was sent.",
    "Apple, Validating apps that connect to your server",
)
INSTANCE_UNKNOWN: Final = _misuse(
    "instance_unknown",
    "An operator's act names an instance that does not exist.",
    "Take the id from the console or from a refusal's record.",
    "PROTOCOL section 2",
)
BAN_WITHOUT_REASON: Final = _misuse(
    "ban_without_reason",
    "A ban was put or lifted without saying who did it, and why.",
    "Pass both: somebody will have to answer for it.",
    "PROTOCOL section 2",
)
BAN_ALREADY_OVER: Final = _misuse(
    "ban_already_over",
    "A ban ends before it begins.",
    "Pass an `until` that lies ahead, or None for good.",
    "PROTOCOL section 2",
)
DEBUG_SECRET_REFUSED: Final = _misuse(
    "debug_secret_refused",
    "A debug secret was asked for in production, or for longer than 90 days.",
    "Use a staging, development or test environment, and a shorter life.",
    "ARCHITECTURE, prohibition 8",
)
BODY_READ_EARLY: Final = _misuse(
    "body_read_early",
    "A middleware before Bonafide's read the request's body, so that its digest can no longer be compared.",
    "Put bonafide.django.middleware.BonafideMiddleware first in MIDDLEWARE (bonafide.E001).",
    "PROTOCOL section 4, Body",
)
NOT_ADMITTED: Final = _misuse(
    "not_admitted",
    "A credential was to be bound on a request that was not admitted on an enforced route with a hardware proof.",
    'Give the login\'s route `proof = "hardware"` and `mode = "enforce"`.',
    "PROTOCOL section 8",
)
VIEW_UNGUARDED: Final = _misuse(
    "view_unguarded",
    "A view that demands a proof was reached on a route that asks for none, or without the middleware.",
    "Give the view's URL an app route, and put the middleware into MIDDLEWARE.",
    "PROTOCOL section 6",
)
SCOPE_UNKNOWN: Final = _misuse(
    "scope_unknown",
    "An ASGI server speaks a protocol to the application that the middleware cannot judge.",
    "Serve HTTP and WebSockets only.",
    "PROTOCOL section 7",
)
GATE_REFUSED: Final = _misuse(
    "gate_refused",
    "A gate cannot be registered: its name or its key is not in form, or a gate of that name asks already.",
    "The detail says which. Retire the gate first where its key is to change.",
    "docs/adr/0011",
)
GATE_NOT_REGISTERED: Final = _misuse(
    "gate_not_registered",
    "An operator's act names a gate that is not registered, or was retired.",
    "`bonafide gates list` names them.",
    "docs/adr/0011",
)
FRESH_MALFORMED: Final = _misuse(
    "fresh_malformed",
    "A view demands fresh evidence of an age that is not 1 to 3600 whole seconds.",
    "Pass whole seconds to `require_fresh` or `Fresh.of`.",
    "PROTOCOL section 4",
)
