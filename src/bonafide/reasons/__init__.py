"""Append-only reason codes, one module for each area of the wire.

`by_code()` is the whole catalogue. The docs page `reference/reasons` is generated from it.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from bonafide.reasons._reason import Action, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AREAS", "Action", "Reason", "by_code"]

AREAS: Final = (
    "app_assertion",
    "app_attest",
    "appraisal",
    "cbor",
    "challenge",
    "client_attestation",
    "configuration",
    "credential",
    "debug",
    "der",
    "dpop",
    "enrolment",
    "jose",
    "misuse",
    "opening",
    "proof",
    "provision",
    "request",
    "route",
    "sealed",
    "session",
    "statement",
    "store",
)


@cache
def by_code() -> Mapping[str, Reason]:
    """Return every reason under its code. A code that two constants share is a programming error."""
    catalogue: dict[str, Reason] = {}
    for area in AREAS:
        for value in vars(import_module(f"bonafide.reasons.{area}")).values():
            if isinstance(value, Reason):
                if value.code in catalogue:
                    message = f"two reasons are called {value.code}"
                    raise RuntimeError(message)
                catalogue[value.code] = value
    return MappingProxyType(catalogue)
