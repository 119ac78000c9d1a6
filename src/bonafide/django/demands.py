"""What a view may demand beyond its route: an admitted app, a hardware proof, fresh evidence, a tier.

Rule of this file: a demand only tightens. On a route that asks for no proof it is a mistake of the project
and fails closed (`misuse.view_unguarded`); where the route only observes it is written down and takes no effect,
unless it is `strict`. For decorators see `decorators`, for permission classes `contrib.rest_framework`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bonafide.admission import Admitted, Exempt
from bonafide.client_attestation import verify_fresh
from bonafide.django import refusals
from bonafide.errors import Misuse, VerificationFailed
from bonafide.reasons import client_attestation as attestation_reasons
from bonafide.reasons import misuse as misuse_reasons
from bonafide.reasons import route as route_reasons
from bonafide.routes.table import MAX_FRESH_S
from bonafide.terms import ProofKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

    from bonafide.terms import Tier

    Demand = Callable[[Admitted], None]


def admitted_only(admitted: Admitted) -> None:
    """Demand nothing more than a request that was admitted."""
    del admitted


def hardware_proof(admitted: Admitted) -> None:
    """Demand a proof by the `sign` key itself. Raises `VerificationFailed` (`route.proof_kind_too_weak`)."""
    if admitted.proof is not ProofKind.HARDWARE:
        raise VerificationFailed(route_reasons.PROOF_KIND_TOO_WEAK)


def fresh_evidence(seconds: int) -> Demand:
    """Demand a hardware proof, and evidence given at most `seconds` (1 to 3600) before the request was judged.

    The demand raises `VerificationFailed` (`route.not_fresh`, `route.proof_kind_too_weak`).
    Raises `Misuse` (`misuse.fresh_malformed`).
    """
    if type(seconds) is not int or not 0 < seconds <= MAX_FRESH_S:  # True is no number of seconds
        raise Misuse(misuse_reasons.FRESH_MALFORMED, repr(seconds))

    def demand(admitted: Admitted) -> None:
        # First, since whoever comes back with an assertion comes back with a hardware proof as well.
        verify_fresh(admitted.attestation, within=seconds, moment=admitted.judged_at)
        hardware_proof(admitted)

    return demand


def minimum_tier(tier: Tier) -> Demand:
    """Demand at least this tier. The demand raises `VerificationFailed` (`route.tier_too_low`)."""

    def demand(admitted: Admitted) -> None:
        found = admitted.attestation.tier
        if found.rank < tier.rank:
            raise VerificationFailed(route_reasons.TIER_TOO_LOW, f"{found} < {tier}")

    return demand


def require(request: HttpRequest, demand: Demand, *, strict: bool = False) -> None:
    """Refuse a request that does not meet a demand.

    `strict` refuses under `observe` as well. Raises `VerificationFailed` with the demand's reason, or
    `client_attestation.missing` for an old app version that the route's `legacy` let in; `Misuse`
    (`misuse.view_unguarded`) on a browser or open route, or without the middleware.
    """
    verdict = refusals.verdict_of(request)
    if isinstance(verdict, Exempt):
        raise Misuse(misuse_reasons.VIEW_UNGUARDED, f"{verdict.route.match} asks for no proof")
    try:
        if not isinstance(verdict, Admitted):
            raise VerificationFailed(attestation_reasons.MISSING)
        demand(verdict)
    except VerificationFailed as refusal:
        if strict or refusals.is_enforced(request):
            raise
        if verdict is not None:  # else the middleware has written its own refusal down
            refusals.rehearse(request, refusal)
