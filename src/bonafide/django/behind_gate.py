"""Judgement where a gate has judged already: its word is compared with the request in hand (PROTOCOL section 7).

Rules of this file: a request without a statement about it came past the gate, and is refused whatever its route
says. What a statement says is turned into the same verdicts that `admission.admit` gives, so that decorators,
permissions and `bind_credential` cannot tell who judged. Rules are this project's own: a gate that went by another
rule is not believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from django.core.handlers.asgi import ASGIRequest

from bonafide import client_attestation, statement
from bonafide import server_interfaces as interfaces
from bonafide.admission import Admitted, Exempt, Unproven
from bonafide.codec.jwk import thumbprint
from bonafide.errors import MalformedEvidence, VerificationFailed
from bonafide.http import split_target
from bonafide.proof.http_signature import CLIENT_ATTESTATION
from bonafide.reasons import statement as reasons
from bonafide.routes import Client

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from django.http import HttpRequest as DjangoRequest

    from bonafide.client_attestation import ClientAttestation
    from bonafide.http import HttpRequest
    from bonafide.routes import Route, RouteTable
    from bonafide.statement import Sender, Statement

MAX_ATTESTATIONS: Final = 4096
"""How many client attestations one process keeps parsed (about 6 KiB each)."""

_OLD_APPS_SEND_NONE_OF: Final = (CLIENT_ATTESTATION, "signature", "signature-input")


@dataclass(frozen=True, slots=True)
class Observed:
    """A request that the gate would have refused and let through, because its route observes: it wrote that down."""

    route: Route | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a gate said, and what it means here."""

    statement: Statement
    verdict: Admitted | Exempt | Unproven | Observed


def read_token(request: DjangoRequest) -> str:
    """Return the one statement that came with the request.

    Raises `VerificationFailed` (`statement.missing`) where there is none or more than one: nothing else that is odd
    about such a request is worth telling.
    """
    if isinstance(request, ASGIRequest):
        token = interfaces.single_field_of_scope(request.scope["headers"], statement.HEADER)
    else:
        token = interfaces.single_field_of_environ(request.META, statement.HEADER)
    if token is None:
        raise VerificationFailed(reasons.MISSING)
    return token


def judge(token: str, sent: HttpRequest, *, keys: Collection[bytes], routes: RouteTable, now: datetime) -> Judged:
    """Verify the gate's word about `sent`, and find the verdict that it means.

    Proves what `bonafide.statement.verify` proves, that the gate's rule has the pattern of this project's, and that
    the statement and the client attestation that it vouches for name the same instance. The verdict has the answer's
    key where the gate handed one on, be it that only the gate's rule says `seal`.

    Raises `MalformedEvidence` and `VerificationFailed` (`statement.*`).
    """
    said = statement.verify(token, keys=keys, request=sent, now=now)
    route = _find(sent, routes)
    ours = ("", Client.APP.value) if route is None else (route.match, route.client.value)
    if (said.route, said.client) != ours:
        raise VerificationFailed(reasons.ROUTE_MISMATCH, f"the gate went by {said.route!r}")
    if said.sender is not None:
        return Judged(statement=said, verdict=_admitted(said, said.sender, sent, route))
    if route is None:
        return Judged(statement=said, verdict=Observed(None))
    if route.client is not Client.APP:
        return Judged(statement=said, verdict=Exempt(route))
    return Judged(statement=said, verdict=Unproven(route) if _is_old(sent, route, now) else Observed(route))


def _find(sent: HttpRequest, routes: RouteTable) -> Route | None:
    """Return the rule for a request; None where it has none, or a target in which no rule is looked up."""
    try:
        path, _ = split_target(sent.target)
    except MalformedEvidence:
        return None
    return routes.match(sent.method, path)


def _is_old(sent: HttpRequest, route: Route, now: datetime) -> bool:
    """Tell an old app version that `legacy` lets in from what a rehearsal let in: as `admit` does."""
    if route.legacy is None or now.date() >= route.legacy.until:
        return False
    return not any(name in sent.headers for name in _OLD_APPS_SEND_NONE_OF)


def _admitted(said: Statement, sender: Sender, sent: HttpRequest, route: Route | None) -> Admitted:
    if route is None or route.client is not Client.APP:
        raise VerificationFailed(reasons.ROUTE_MISMATCH, "somebody is admitted where this project admits nobody")
    if sender.proof not in route.proof.satisfied_by:
        raise VerificationFailed(reasons.ROUTE_MISMATCH, f"the gate took a {sender.proof} proof")
    if sender.tier.rank < route.tier.rank:
        raise VerificationFailed(reasons.ROUTE_MISMATCH, "the gate took a lower tier than is due")
    if route.seal and said.answer_key is None:
        raise VerificationFailed(reasons.ROUTE_MISMATCH, "the gate hands no key on where the answer is to be sealed")
    claims, jkt = _parse(sent.headers.get(CLIENT_ATTESTATION, ""))
    if _named(sender) != (jkt, *_names(claims)):
        raise VerificationFailed(reasons.ATTESTATION_MISMATCH, "statement and attestation name different senders")
    judged_at = said.issued_at.timestamp()
    if route.fresh is not None:
        _require_fresh(claims, route.fresh, judged_at)
    return Admitted(claims, jkt, route, sender.proof, sender.digest, judged_at, said.answer_key)


def _require_fresh(claims: ClientAttestation, within: int, judged_at: float) -> None:
    """Compare as of when the gate judged: its word may reach this project seconds later."""
    try:
        client_attestation.verify_fresh(claims, within=within, moment=judged_at)
    except VerificationFailed as stale:
        raise VerificationFailed(reasons.ROUTE_MISMATCH, f"the gate took stale evidence: {stale.detail}") from None


def _named(sender: Sender) -> tuple[object, ...]:
    who = (sender.jkt, sender.instance, sender.app, sender.identity)
    return (*who, sender.environment, sender.tier, sender.app_version, sender.warnings)


def _names(claims: ClientAttestation) -> tuple[object, ...]:
    who = (claims.instance, claims.app, claims.identity)
    return (*who, claims.environment, claims.tier, claims.app_version, claims.warnings)


@lru_cache(maxsize=MAX_ATTESTATIONS)
def _parse(token: str) -> tuple[ClientAttestation, str]:
    """Return the claims, and the thumbprint of the key, of a text that a gate vouches for: no other gets here."""
    claims = client_attestation.parse(token)
    return claims, thumbprint(claims.sign_jwk)
