"""What an answer carries beside its problem document on a route that takes DPoP (RFC 9449 sections 7.1, 8 and 9).

    WWW-Authenticate: DPoP algs="ES256", error="use_dpop_nonce"
    DPoP-Nonce: 20261101-….…

Rule of this file: `bonafide.problem` tells a client nothing but status and action; here one thing more is told, which
of five errors of the standards it is. On all other routes nothing is added. A nonce goes to whoever has proven all but
the nonce, and to whoever used one, so that a client in use is seldom sent back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bonafide.admission import Admitted, Denied, Exempt, Unproven
from bonafide.errors import VerificationFailed
from bonafide.proof import dpop_nonce
from bonafide.reasons import Action
from bonafide.reasons import dpop as reasons
from bonafide.terms import ProofKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from bonafide.admission import Keys
    from bonafide.client_attestation import ClientAttestation
    from bonafide.reasons import Reason
    from bonafide.routes import Route

NONCE: Final = "DPoP-Nonce"
CHALLENGE: Final = "WWW-Authenticate"

_UNAUTHORIZED: Final = 401
_WANT_A_NONCE: Final = frozenset((reasons.NONCE_MISSING, reasons.NONCE_UNKNOWN, reasons.NONCE_EXPIRED))
_ERRORS: Final = {"dpop": "invalid_dpop_proof", "proof": "invalid_dpop_proof", "credential": "invalid_token"}


def fields(
    verdict: Admitted | Exempt | Unproven | Denied, *, keys: Keys, now: datetime, random: Callable[[int], bytes]
) -> Mapping[str, str]:
    """Return the header fields that the answer to this request gets, over those of `problem`; empty on other routes.

    `keys` are those that judged the request, `random` returns that many octets of a cryptographic source.
    """
    if isinstance(verdict, Denied):
        added = dict(challenge(verdict.reason, verdict.route))
        if verdict.reason in _WANT_A_NONCE and verdict.attestation is not None:
            added |= _nonce(verdict.attestation, keys, now, random)
        return added
    if isinstance(verdict, Admitted) and verdict.proof is ProofKind.DPOP:
        return _nonce(verdict.attestation, keys, now, random)
    return {}


def challenge(reason: Reason, route: Route | None) -> Mapping[str, str]:
    """Return the challenge of a refusal with 401 on a route that takes DPoP; empty for all others."""
    if reason.status != _UNAUTHORIZED or route is None or route.proof is not ProofKind.DPOP:
        return {}
    return {CHALLENGE: f'DPoP algs="ES256", error="{_error(reason)}"'}


def _error(reason: Reason) -> str:
    if reason in _WANT_A_NONCE:
        return "use_dpop_nonce"
    if reason.action is Action.RENEW:
        return "use_fresh_attestation"
    area = reason.code.partition(".")[0]
    return _ERRORS.get(area, "invalid_client_attestation")


def _nonce(
    attestation: ClientAttestation, keys: Keys, now: datetime, random: Callable[[int], bytes]
) -> Mapping[str, str]:
    """Issue a nonce under the gate key of this client attestation; none where that key has gone meanwhile."""
    try:
        secret = keys.secret(attestation.gate_key, now)
    except VerificationFailed:  # a copy that has just become stale: the next request is refused for it
        secret = None
    if secret is None:
        return {}
    return {NONCE: dpop_nonce.issue(secret, key_id=attestation.gate_key, now=now, random=random)}
