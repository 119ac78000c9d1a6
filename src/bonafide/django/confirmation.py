"""Access tokens that name the key they were issued to: `cnf` with `jkt` (RFC 9449 section 6.1; RFC 7800).

    claims = verify_my_jwt(token)                # signature, issuer, audience, expiry: whoever issued it
    require_confirmed(request, claims)           # and it came from the phone that it was issued to

For tokens of somebody else's authorization server, which were bound by their DPoP proof at its token endpoint, and for
those that the project issues itself (`confirmation`). Nothing is stored: the token carries its binding.

Proven by `require_confirmed`: the key that proved this request, by whichever kind of proof, is the one that the token
names. Not proven: that the token is valid, which stays the business of whoever verified it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from bonafide.admission import Admitted, Exempt
from bonafide.django import refusals
from bonafide.django.binding import Outcome
from bonafide.errors import VerificationFailed
from bonafide.reasons import credential as reasons

if TYPE_CHECKING:
    from django.http import HttpRequest

CLAIM: Final = "cnf"
_MEMBER: Final = "jkt"


def confirmation(request: HttpRequest) -> dict[str, str] | None:
    """Return the `cnf` of a token that is issued on this request; None where no key proved it, or none takes effect.

    Raises `Misuse` (`misuse.view_unguarded`) where no middleware has judged the request.
    """
    verdict = refusals.verdict_of(request)
    if not isinstance(verdict, Admitted) or verdict.route.enforced_share < 1:
        return None
    return {_MEMBER: verdict.jkt}


def require_confirmed(request: HttpRequest, claims: Mapping[str, Any], *, optional: bool = False) -> Outcome:
    """Refuse a token whose `cnf` does not name the key that proved this request.

    `claims` are those of a token that the caller has verified. `optional` lets a token without `cnf` pass: for tokens
    that are bound in another way as well. A token that names a key and comes with no proof is refused, also on a
    browser or open route and from an old app version: it is no bearer token (RFC 9449 section 7.2).

    Raises `VerificationFailed`: `credential.confirmation_missing`, `credential.proof_missing`,
    `credential.bound_to_another_key`. Raises `Misuse` (`misuse.view_unguarded`).
    """
    verdict = refusals.verdict_of(request)
    if verdict is None:
        return Outcome.OBSERVED
    try:
        outcome = _compare(verdict.jkt if isinstance(verdict, Admitted) else None, claims, optional=optional)
    except VerificationFailed as refusal:
        if isinstance(verdict, Exempt) or verdict.route.enforced_share >= 1:
            raise
        refusals.rehearse(request, refusal)
        return Outcome.OBSERVED
    return outcome if verdict.route.enforced_share >= 1 else Outcome.OBSERVED


def _compare(proven: str | None, claims: Mapping[str, Any], *, optional: bool) -> Outcome:
    if CLAIM not in claims and optional:
        return Outcome.BOUND if proven is not None else Outcome.LEGACY
    named = claims.get(CLAIM)
    if not isinstance(named, Mapping) or not isinstance(named.get(_MEMBER), str):
        raise VerificationFailed(reasons.CONFIRMATION_MISSING)
    if proven is None:
        raise VerificationFailed(reasons.PROOF_MISSING)
    if named[_MEMBER] != proven:
        raise VerificationFailed(reasons.BOUND_TO_ANOTHER_KEY, "the token's cnf names another key")
    return Outcome.BOUND
