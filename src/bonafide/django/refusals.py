"""Refusals from behind the middleware: by a binding, a decorator or a permission, once the route has let a request in.

Rules of this file: a refusal here is recorded and answered as the middleware's own are, so that no client can tell
who refused. Where the route does not enforce, a refusal is written down and takes no effect, as everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils import timezone

from bonafide import dpop_answer
from bonafide.admission import Admitted, Exempt, Unproven
from bonafide.django import adapters, problems, rollout, runtime
from bonafide.django.records import Seen
from bonafide.errors import Misuse
from bonafide.reasons import misuse as misuse_reasons
from bonafide.routes.ramp import network_of

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from bonafide.errors import VerificationFailed

    Verdict = Admitted | Exempt | Unproven | None

_MISSING: Final = object()
_CREDENTIAL: Final = "bonafide_credential"


def verdict_of(request: HttpRequest) -> Verdict:
    """Return what the middleware left on the request: None where it would have refused and the route observes.

    Raises `Misuse` (`misuse.view_unguarded`) where no middleware has judged the request.
    """
    verdict = getattr(request, "bonafide", _MISSING)
    if verdict is None or isinstance(verdict, Admitted | Exempt | Unproven):
        return verdict
    raise Misuse(misuse_reasons.VIEW_UNGUARDED, "no verdict of the middleware on this request")


def is_enforced(request: HttpRequest) -> bool:
    """Tell whether a refusal takes effect on this request, in the same share as the middleware's own."""
    verdict = verdict_of(request)
    if verdict is None or runtime.current().is_open(verdict.route, timezone.now()):
        return False
    if isinstance(verdict, Admitted):
        return rollout.is_enforced(verdict.route, instance=verdict.attestation.instance, network="")
    address = adapters.client_address(request.META, runtime.current().settings.trusted_proxies)
    return rollout.is_enforced(verdict.route, instance=None, network=network_of(address))


def name_credential(request: HttpRequest, *, kind: str, user: str | None) -> None:
    """Say whose credential the refusal is about that is raised or rehearsed next."""
    vars(request)[_CREDENTIAL] = (kind, user)


def rehearse(request: HttpRequest, refusal: VerificationFailed) -> None:
    """Write down a refusal that takes no effect."""
    _record(request, refusal, enforced=False)


def answer(request: HttpRequest, refusal: VerificationFailed) -> HttpResponse:
    """Write down a refusal that takes effect, and return its answer."""
    verdict = getattr(request, "bonafide", None)
    route = verdict.route if isinstance(verdict, Admitted | Exempt | Unproven) else None
    added = dpop_answer.challenge(refusal.reason, route)
    return problems.refuse(refusal.reason, _record(request, refusal, enforced=True), added=added)


def _record(request: HttpRequest, refusal: VerificationFailed, *, enforced: bool) -> str:
    found = getattr(request, "bonafide", None)
    verdict = found if isinstance(found, Admitted | Exempt | Unproven) else None
    attestation = verdict.attestation if isinstance(verdict, Admitted) else None
    kind, user = vars(request).pop(_CREDENTIAL, ("", None))  # for this refusal alone: a rehearsal goes on to others
    seen = Seen(
        method=adapters.raw_method(request),
        route="" if verdict is None else verdict.route.match,
        enforced=enforced,
        app="" if attestation is None else attestation.app,
        app_version="" if attestation is None else attestation.app_version,
        instance=None if attestation is None else attestation.instance,
        credential=kind,
        user=user,
    )
    return runtime.current().records.refused(seen, refusal.reason, refusal.detail)
