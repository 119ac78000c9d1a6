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
