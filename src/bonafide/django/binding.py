"""Binding the user's credential to the key that logged in (PROTOCOL section 8).

One explicit call, `bind_credential`, when a login has succeeded; one, `require_bound`, whenever the credential is
presented. A credential lifted by a proxy is then worthless elsewhere, even in a genuine app on another phone.

Rules of this file: only digests are stored; a row is added by a hardware proof on a route that enforces, and by
nothing else, but for `bind_on_first_use`, which lets one key win; where the route observes, nothing is
bound, and what would have been refused is written down.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from asgiref.sync import sync_to_async
from django.db import router, transaction
from django.utils import timezone

from bonafide.admission import Admitted, Unproven
from bonafide.django import runtime
from bonafide.django.models import CredentialBinding
from bonafide.django.refusing import admitted, is_observed, require, verdict_on
from bonafide.reasons import credential as reasons
from bonafide.terms import ProofKind

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest

    from bonafide.reasons import Reason

BEARER: Final = "bearer"
"""The kind of credentials that an API makes itself and sends in Authorization."""

_LABEL: Final = b"bonafide credential\0"
_CLAIMED: Final = ""  # the row of this `jkt` says which instance used a credential from before first


def digest_of(credential: str, *, kind: str) -> bytes:
    """Return what is stored of a credential: SHA-256 over its kind and itself."""
    return hashlib.sha256(_LABEL + kind.encode() + b"\0" + credential.encode("utf-8", "surrogatepass")).digest()


def presented_credential(request: HttpRequest) -> str | None:
    """Return the credential of the Authorization header, without its scheme; None where there is none."""
    _, _, credential = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return credential.strip() or None


def require_login_proof(request: HttpRequest) -> None:
    """Refuse a login, refresh or change of password that carries no hardware proof. Call it before any password.

    Raises `RequestRefused` (`credential.hardware_proof_required`, `credential.proof_missing`); nothing where
    the route observes, and nothing for an old app that its route's `legacy` lets pass.
    """
    verdict = verdict_on(request)
    if isinstance(verdict, Admitted):
        if verdict.proof is not ProofKind.HARDWARE:
            require(request, reasons.HARDWARE_PROOF_REQUIRED)
    elif not isinstance(verdict, Unproven) and not is_observed(request):
        require(request, reasons.PROOF_MISSING)


def bind_credential(
    request: HttpRequest,
    credential: str,
    *,
    kind: str = BEARER,
    user: object = None,
    expires_at: datetime | None = None,
) -> bool:
    """Bind a credential that this request's login has just made to the key that signed the request.

    Several devices are several rows, each by its own login. `user` is stored as text, so that all of a
    user's bindings can be ended; `expires_at` is when the row may be erased. Returns False where nothing is
    bound: the route observes, or is on the way to enforcing, or its `legacy` let an old app pass.

    Proves nothing of the user. Raises `RequestRefused` as `require_login_proof`.
    """
    require_login_proof(request)
    admission = admitted(request)
    if admission is None or not _may_bind(admission):
        return False
    row = _row(admission, digest_of(credential, kind=kind), kind)
    row.user, row.expires_at = None if user is None else str(getattr(user, "pk", user)), expires_at
    using = router.db_for_write(CredentialBinding)
    CredentialBinding.objects.using(using).bulk_create(
        [row],
        update_conflicts=True,
        unique_fields=["credential", "app", "environment", "jkt"],
        update_fields=["user", "expires_at", "proven_at", "instance", "first_use"],
    )
    return True


def require_bound(request: HttpRequest, credential: str, *, kind: str = BEARER) -> None:
    """Refuse a credential that is bound to another key than the one that signed this request.

    Raises `RequestRefused`: `credential.bound_to_another_key`; `credential.not_bound` for one from before
    there were bindings, unless BINDING lets its first use bind it (then `credential.hardware_proof_required` asks
    for the proof that may); `credential.proof_missing` for a bound one on a request that proves nothing. A
    credential that is not bound passes on open and browser routes: it is none of the app's.
    """
    digest = digest_of(credential, kind=kind)
    require(request, _reason_against(request, digest, kind))


def require_bound_login_proof(request: HttpRequest, credential: str, *, kind: str = BEARER) -> None:
    """Refuse a refresh or a change of password without a hardware proof by the key that `credential` is bound to.

    Raises `RequestRefused` as `require_login_proof` and `require_bound`.
    """
    require_login_proof(request)
    require_bound(request, credential, kind=kind)


def unbind_credential(credential: str, *, kind: str = BEARER) -> None:
    """Forget a credential that has ended, e.g. at logout."""
    rows = CredentialBinding.objects.using(router.db_for_write(CredentialBinding))
    rows.filter(credential=digest_of(credential, kind=kind), environment=_environment()).delete()


def unbind_user(user: object) -> None:
    """Forget all bindings of a user, whose credentials must end with them: they would count as never bound."""
    rows = CredentialBinding.objects.using(router.db_for_write(CredentialBinding))
    rows.filter(user=str(getattr(user, "pk", user)), environment=_environment()).delete()


abind_credential = sync_to_async(bind_credential)
arequire_bound = sync_to_async(require_bound)
arequire_login_proof = sync_to_async(require_login_proof)


def _reason_against(request: HttpRequest, digest: bytes, kind: str) -> Reason | None:
    rows = CredentialBinding.objects.using(router.db_for_read(CredentialBinding))
    of_credential = rows.filter(credential=digest, environment=_environment()).exclude(jkt=_CLAIMED)
    bound = set(of_credential.values_list("app", "jkt"))
    verdict = verdict_on(request)
    if not isinstance(verdict, Admitted):
        return reasons.PROOF_MISSING if bound else None
    if bound:
        mine = (verdict.attestation.app, verdict.jkt)
        return None if mine in bound else reasons.BOUND_TO_ANOTHER_KEY
    return _bind_first_use(verdict, digest, kind)


def _bind_first_use(admission: Admitted, digest: bytes, kind: str) -> Reason | None:
    until = runtime.current().settings.bind_existing_until
    if until is None or timezone.now().date() >= until:
        return reasons.NOT_BOUND
    if not _may_bind(admission):
        return None
    if admission.proof is not ProofKind.HARDWARE:
        return reasons.HARDWARE_PROOF_REQUIRED
    using = router.db_for_write(CredentialBinding)
    rows = CredentialBinding.objects.using(using)
    with transaction.atomic(using=using):
        # Two phones at once: the first to write the claim wins, and the other reads who did.
        claim, row = _row(admission, digest, kind), _row(admission, digest, kind)
        claim.jkt, claim.first_use, row.first_use = _CLAIMED, True, True
        rows.bulk_create([claim], ignore_conflicts=True)
        claimed = rows.get(credential=digest, app=row.app, environment=row.environment, jkt=_CLAIMED)
        if claimed.instance != row.instance:
            return reasons.BOUND_TO_ANOTHER_KEY
        rows.bulk_create([row], ignore_conflicts=True)
    return None


def _may_bind(admission: Admitted) -> bool:
    """Tell whether the route enforces in full. A share is a rehearsal, and counts as observing."""
    return admission.route.enforced_share >= 1


def _row(admission: Admitted, digest: bytes, kind: str) -> CredentialBinding:
    now = timezone.now()
    return CredentialBinding(
        credential=digest,
        app=admission.attestation.app,
        environment=_environment(),
        jkt=admission.jkt,
        kind=kind,
        instance=admission.attestation.instance,
        bound_at=now,
        proven_at=now,
    )


def _environment() -> str:
    return str(runtime.current().settings.environment)
