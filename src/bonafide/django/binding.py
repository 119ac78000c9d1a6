"""Credentials bound to the key of the phone they were issued to (PROTOCOL section 8).

    def login(request):
        require_login_proof(request)                  # before any password is looked at
        user = authenticate(request, ...)
        token = new_token(user)
        bind_credential(request, token, user=user)    # the route has proof = "hardware"

    def authenticated(request):
        require_bound(request, token)                 # wherever the token is believed

Proven by `require_bound`: the key that signed this request is one under which the credential was bound. Not proven:
that the credential is valid, which stays the framework's business. Where one token serves all devices of a
user, the claim is "one of this user's enrolled devices".

Rules of this file: nothing guesses what a login is. Nothing is bound and nothing refused where the route does not
enforce whole (`mode = "enforce"`): a credential made in a rehearsal counts as one from before. Only digests are
kept. A lookup is one probe by primary key, and a second one by its first column where the first found nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum, unique
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from asgiref.sync import sync_to_async
from django.db import IntegrityError, router, transaction

from bonafide.admission import Admitted, Exempt
from bonafide.django import conf, refusals, signals
from bonafide.django.models import CredentialBinding
from bonafide.errors import Misuse, VerificationFailed
from bonafide.reasons import credential as reasons
from bonafide.reasons import misuse as misuse_reasons
from bonafide.terms import ProofKind

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

BEARER: Final = "bearer"
"""The kind of credentials that an API makes itself and takes from Authorization."""

PROLONG_AFTER: Final = timedelta(days=1)
"""How much later a credential must end than its binding for the binding to be prolonged: no write per request."""


@unique
class Outcome(StrEnum):
    """What became of a credential. Only `BOUND` says that it is held to a key."""

    BOUND = "bound"
    OBSERVED = "observed"
    """The route does not enforce, or not for everybody: nothing was bound, and nothing is refused."""
    LEGACY = "legacy"
    """An old app version without a proof, let in by the route's `legacy`: its credential is bound to nothing."""


def require_login_proof(request: HttpRequest) -> Outcome:
    """Refuse a login that could not be bound, before any password is looked at.

    Returns what `bind_credential` will. Raises `Misuse` (`misuse.not_admitted`) on a browser or open route,
    or without the middleware, and `VerificationFailed` (`credential.hardware_proof_required`).
    """
    standing = _standing(request)
    return Outcome.BOUND if isinstance(standing, Admitted) else standing


def bind_credential(
    request: HttpRequest,
    credential: bytes | str,
    *,
    kind: str = BEARER,
    user: object = None,
    expires_at: datetime | None = None,
) -> Outcome:
    """Bind a credential that was just made to the key that signed this login.

    `kind` is the project's name for such credentials. `user` (a model instance, or its key) lets `release_user`
    find them. `expires_at` is when the credential itself ends, never earlier: an ended binding refuses.
    Runs in the caller's transaction. Raises as `require_login_proof`, and `Misuse` (`misuse.time_naive`).
    """
    standing = _standing(request)
    if not isinstance(standing, Admitted):
        return standing
    _write(standing, _digest(credential), kind=kind, user=user, expires_at=expires_at, first_use=False)
    return Outcome.BOUND


def require_bound(
    request: HttpRequest,
    credential: bytes | str,
    *,
    kind: str = BEARER,
    user: object = None,
    expires_at: datetime | None = None,
    hardware: bool = False,
) -> Outcome:
    """Refuse a credential that is not bound to the key that signed this request.

    `hardware` demands a proof by the `sign` key itself, as a refresh and a change of password must. `user` and
    `expires_at` are written where a credential from before is bound on first use; a later `expires_at` prolongs.

    Raises `VerificationFailed`: `credential.proof_missing` on a browser or open route, and for a bound credential
    that an old app version presents; `credential.hardware_proof_required`,
    `credential.bound_to_another_key`, `credential.not_bound`. Raises `Misuse` (`misuse.view_unguarded`).
    """
    verdict = refusals.verdict_of(request)
    if verdict is None:
        return Outcome.OBSERVED
    whole = verdict.route.enforced_share >= 1
    digest = _digest(credential)
    try:
        if isinstance(verdict, Exempt):
            raise VerificationFailed(reasons.PROOF_MISSING)
        if not isinstance(verdict, Admitted):
            _require_unbound(digest)
            return Outcome.LEGACY
        if hardware:
            _require_hardware(verdict)
        found = _find(verdict, digest, kind=kind)
        if found is None:
            _require_claimable(digest)
    except VerificationFailed as refusal:
        refusals.name_credential(request, kind=kind, user=_text(user))
        if whole:
            raise
        refusals.rehearse(request, refusal)
        return Outcome.OBSERVED
    if not whole:
        return Outcome.OBSERVED
    if found is None:
        _claim(verdict, digest, kind=kind, user=user, expires_at=expires_at)
    else:
        _prolong(found, expires_at=expires_at, hardware=hardware)
    return Outcome.BOUND


def refuse_bound(request: HttpRequest, credential: bytes | str, *, kind: str = BEARER, user: object = None) -> None:
    """Refuse a bound credential on a request that names no instance; leave one that nothing binds alone.

    For credentials that browsers have too, on browser and open routes: a browser's own is bound to nothing.
    Raises `VerificationFailed` (`credential.proof_missing`).
    """
    verdict = refusals.verdict_of(request)
    if verdict is not None and verdict.route.enforced_share >= 1:
        try:
            _require_unbound(_digest(credential))
        except VerificationFailed:
            refusals.name_credential(request, kind=kind, user=_text(user))
            raise


def release_credential(credential: bytes | str) -> None:
    """Forget a credential, e.g. at logout. End the credential itself first: one that lives on counts as from before."""
    _rows().filter(credential=_digest(credential)).delete()


def release_device(request: HttpRequest, credential: bytes | str) -> bool:
    """Forget a credential under the key that signed this request, e.g. at the logout of one device of several.

    Answers False, and forgets nothing, where no other key has it or nothing is bound on this request: then the
    credential itself is to be ended, for one that no key has counts as from before.
    """
    verdict = refusals.verdict_of(request)
    if not isinstance(verdict, Admitted):
        return False
    digest, using = _digest(credential), _using()
    own = _key(verdict, digest)
    with transaction.atomic(using=using):
        held = _rows().filter(credential=digest).exclude(jkt="").order_by("app", "environment", "jkt")
        # Of two devices that leave at once, the second one waits here, and finds itself alone.
        keys = [(row.app, row.environment, row.jkt) for row in held.select_for_update()]
        if all(key == (own["app"], own["environment"], own["jkt"]) for key in keys):
            return False
        _rows().filter(**own).delete()
    return True


def release_user(user: object) -> None:
    """Forget all credentials of a user, e.g. at a change of password. End the credentials themselves first."""
    name = _text(user)
    if name is not None:
        _rows().filter(user=name).delete()


abind_credential: Final = sync_to_async(bind_credential)
arequire_bound: Final = sync_to_async(require_bound)
arelease_credential: Final = sync_to_async(release_credential)
arelease_device: Final = sync_to_async(release_device)
arelease_user: Final = sync_to_async(release_user)


def _standing(request: HttpRequest) -> Admitted | Outcome:
    """Return the admitted login, or why nothing will be bound."""
    try:
        verdict = refusals.verdict_of(request)
    except Misuse as mistake:
        raise Misuse(misuse_reasons.NOT_ADMITTED, mistake.detail) from None
    if isinstance(verdict, Exempt):
        raise Misuse(misuse_reasons.NOT_ADMITTED, f"{verdict.route.match} asks for no proof")
    if verdict is None or verdict.route.enforced_share < 1:
        return Outcome.OBSERVED
    if not isinstance(verdict, Admitted):
        return Outcome.LEGACY
    _require_hardware(verdict)
    return verdict


def _require_hardware(admitted: Admitted) -> None:
    if admitted.proof is not ProofKind.HARDWARE:
        raise VerificationFailed(reasons.HARDWARE_PROOF_REQUIRED)


def _require_unbound(digest: bytes) -> None:
    if _rows().filter(credential=digest).exists():
        raise VerificationFailed(reasons.PROOF_MISSING)


def _require_claimable(digest: bytes) -> None:
    """Refuse what is bound elsewhere, be it under another app or environment, and what may not be bound now."""
    if _rows().filter(credential=digest).exists():
        raise VerificationFailed(reasons.BOUND_TO_ANOTHER_KEY)
    until = conf.current().bind_existing_until
    if until is None or datetime.now(UTC).date() >= until:
        raise VerificationFailed(reasons.NOT_BOUND)


def _find(admitted: Admitted, digest: bytes, *, kind: str) -> CredentialBinding | None:
    """Find the binding to this key; refuse where it is of another kind, or over."""
    row = _rows().filter(**_key(admitted, digest)).first()
    if row is None:
        return None
    if row.kind != kind:
        raise VerificationFailed(reasons.NOT_BOUND, f"bound as {row.kind}, not as {kind}")
    if row.expires_at is not None and row.expires_at <= datetime.now(UTC):
        raise VerificationFailed(reasons.NOT_BOUND, "the binding is over")
    return row


def _prolong(row: CredentialBinding, *, expires_at: datetime | None, hardware: bool) -> None:
    """Write down a hardware proof, and a credential that now ends much later than its binding."""
    changes: dict[str, datetime] = {"proven_at": datetime.now(UTC)} if hardware else {}
    if expires_at is not None and row.expires_at is not None and expires_at - row.expires_at > PROLONG_AFTER:
        changes["expires_at"] = expires_at
    if changes:
        _rows().filter(pk=row.pk).update(**changes)


def _claim(admitted: Admitted, digest: bytes, *, kind: str, user: object, expires_at: datetime | None) -> None:
    """Bind a credential from before. Of several keys that come at once, the database lets one have it.

    The row without a key is the claim: its primary key is the same for all of them, in every app.
    """
    now = datetime.now(UTC)
    claim = {"credential": digest, "app": "", "environment": "", "jkt": ""}
    try:
        with transaction.atomic(using=_using()):
            _rows().create(
                **claim,
                kind=kind,
                user=_text(user),
                first_use=True,
                bound_at=now,
                proven_at=now,
                expires_at=expires_at,
            )
            _write(admitted, digest, kind=kind, user=user, expires_at=expires_at, first_use=True)
    except IntegrityError:
        # Another request was first. It was this phone's own where its row is there now.
        if _find(admitted, digest, kind=kind) is None:
            raise VerificationFailed(reasons.BOUND_TO_ANOTHER_KEY) from None


def _write(
    admitted: Admitted, digest: bytes, *, kind: str, user: object, expires_at: datetime | None, first_use: bool
) -> None:
    if expires_at is not None and expires_at.tzinfo is None:
        raise Misuse(misuse_reasons.TIME_NAIVE, "expires_at")
    now = datetime.now(UTC)
    _rows().update_or_create(
        **_key(admitted, digest),
        defaults={
            "kind": kind,
            "instance": admitted.attestation.instance,
            "user": _text(user),
            "first_use": first_use,
            "bound_at": now,
            "proven_at": now,
            "expires_at": expires_at,
        },
    )
    signals.send_after_commit(
        signals.credential_bound,
        using=_using(),
        app=admitted.attestation.app,
        environment=str(conf.current().environment),
        instance=admitted.attestation.instance,
        kind=kind,
        user=_text(user),
        first_use=first_use,
    )


def _key(admitted: Admitted, digest: bytes) -> dict[str, Any]:
    return {
        "credential": digest,
        "app": admitted.attestation.app,
        "environment": conf.current().environment,
        "jkt": admitted.jkt,
    }


def _digest(credential: bytes | str) -> bytes:
    octets = credential.encode("utf-8", "surrogatepass") if isinstance(credential, str) else credential
    return sha256(octets).digest()


def _text(user: object) -> str | None:
    return None if user is None else str(getattr(user, "pk", user))


def _using() -> str:
    """Return the database that is written, for reading too: a replica that lags has not heard of the login yet."""
    return router.db_for_write(CredentialBinding)


def _rows() -> QuerySet[CredentialBinding]:
    return CredentialBinding.objects.using(_using())
