"""Make an HTTP API answer to the genuine app and to nothing else.

The names below are the public API; everything else may move. Most users need none of them: the Django half is
`bonafide.django`, for tests there is `bonafide.testing`, for shells the command `bonafide`.

    admit(request, gate=…, now=…)                 one request: the data plane
    enrol(…), renew(…)                            one instance: the control plane
    verify_attestation(…), verify_assertion(…)    Apple's evidence alone

Compatibility promise. Within one major version these names keep their meaning; functions gain optional keyword
arguments only. Reason codes, the wire (docs/reference/protocol.md) and the schema are append-only for ever. A fix of a
hole may refuse what was accepted before, and the changelog then says so first. Before 1.0, minor versions
may break what is written here, and say so.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bonafide.admission import Admitted, Denied, Exempt, Gate, PendingAdmission, Unproven, admit
    from bonafide.appraisal import App, Identity, IdentityPolicy
    from bonafide.client_attestation import ClientAttestation
    from bonafide.enrolment import Enrolled, Service, enrol, enrol_async, renew, renew_async
    from bonafide.errors import BonafideError, ConfigurationError, MalformedEvidence, Misuse, VerificationFailed
    from bonafide.evidence.app_attest import (
        AppAttestClaims,
        AssertionClaims,
        KnownIntermediates,
        verify_assertion,
        verify_attestation,
    )
    from bonafide.http import HttpRequest, Origin, Origins
    from bonafide.routes import Route, RouteTable
    from bonafide.terms import Tier

__all__ = [
    "Admitted",
    "App",
    "AppAttestClaims",
    "AssertionClaims",
    "AttestationMemory",
    "BonafideError",
    "ClientAttestation",
    "ConfigurationError",
    "Denied",
    "Enrolled",
    "Exempt",
    "Gate",
    "HttpRequest",
    "Identity",
    "IdentityPolicy",
    "KnownIntermediates",
    "MalformedEvidence",
    "Misuse",
    "Origin",
    "Origins",
    "PendingAdmission",
    "Route",
    "RouteTable",
    "Service",
    "Tier",
    "Unproven",
    "VerificationFailed",
    "admit",
    "enrol",
    "enrol_async",
    "renew",
    "renew_async",
    "verify_assertion",
    "verify_attestation",
]

# Found on first use: whoever imports `bonafide` for its pytest plugin pays for no cryptography.
_ROOMS: Final = {
    "admission": "Admitted AttestationMemory Denied Exempt Gate PendingAdmission Unproven admit",
    "appraisal": "App Identity IdentityPolicy",
    "client_attestation": "ClientAttestation",
    "enrolment": "Enrolled Service enrol enrol_async renew renew_async",
    "errors": "BonafideError ConfigurationError MalformedEvidence Misuse VerificationFailed",
    "evidence.app_attest": "AppAttestClaims AssertionClaims KnownIntermediates verify_assertion verify_attestation",
    "http": "HttpRequest Origin Origins",
    "routes": "Route RouteTable",
    "terms": "Tier",
}
_HOMES: Final = {name: room for room, names in _ROOMS.items() for name in names.split()}


if not TYPE_CHECKING:  # to a type checker, a name that is not imported above is no attribute

    def __getattr__(name: str) -> object:
        """Import a public name from the room where it lives (PEP 562)."""
        room = _HOMES.get(name)
        if room is None:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        value: object = getattr(import_module(f"{__name__}.{room}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
