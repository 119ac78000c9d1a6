"""The gates of this service: which are registered, and what they are told (docs/adr/0011).

Rules of this file: an ask is answered from one look at the revisions' numbers, in the database that is written to
and not in a replica; whatever they stand for is read again when one of them rose. So a ban is in the very
next answer, and an ask that changes nothing costs one query.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db import Error as DatabaseError
from django.db import router, transaction
from django.db.models import Q

from bonafide import provision
from bonafide.codec import jwk
from bonafide.django import bans, directory, openings, revisions
from bonafide.django.models import AuditEvent, AuditKind, RegisteredGate, Revision
from bonafide.errors import MalformedEvidence, Misuse, VerificationFailed
from bonafide.keys import PublishedKey
from bonafide.reasons import misuse as misuse_reasons
from bonafide.reasons import provision as reasons

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric import ec

    from bonafide.django.conf import Settings
    from bonafide.django.key_sources import KeySources
    from bonafide.keys import GateKey
    from bonafide.provision import Ask, SerialisedState
    from bonafide.terms import Environment

logger: Final = logging.getLogger("bonafide.gates")

CONTACT_EVERY_S: Final = 15.0
"""A gate asks every few seconds; that it did is written down at most this often by each process."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def register(
    name: str, key: Mapping[str, object], *, audience: str, environment: Environment, by: str, now: datetime
) -> RegisteredGate:
    """Let a gate ask; `key` is its public JWK. A retired gate of that name begins anew.

    Raises `Misuse` (`misuse.gate_refused`) for a name or a key that is not in form, and where a gate of
    that name asks already: its key would be replaced in silence.
    """
    if not _NAME.fullmatch(name):
        raise Misuse(misuse_reasons.GATE_REFUSED, "a name is up to 64 letters, digits, . _ -")
    try:
        public = jwk.from_public(jwk.parse_public(key))
    except (MalformedEvidence, VerificationFailed):
        raise Misuse(misuse_reasons.GATE_REFUSED, "not a public P-256 JWK of exactly kty, crv, x, y") from None
    using = router.db_for_write(RegisteredGate)
    with transaction.atomic(using=using):
        rows = RegisteredGate.objects.using(using).select_for_update().filter(environment=environment, name=name)
        found = rows.first()
        if found is not None and found.retired_at is None:
            raise Misuse(misuse_reasons.GATE_REFUSED, f"{name} is registered")
        row = found or RegisteredGate(environment=environment, name=name)
        row.audience, row.jwk, row.registered_at, row.registered_by = audience, public, now, by
        row.retired_at = row.last_asked_at = None
        row.save(using=using)
        detail = {"audience": audience, "key": jwk.thumbprint(public)}
        _tell(AuditKind.GATE_REGISTERED, row, by, now, using, detail)
    return row


def retire(name: str, *, environment: Environment, by: str, now: datetime) -> None:
    """Tell a gate nothing more. What it knows serves it until `max_stale` of its file.

    Raises `Misuse` (`misuse.gate_not_registered`).
    """
    using = router.db_for_write(RegisteredGate)
    with transaction.atomic(using=using):
        rows = RegisteredGate.objects.using(using).filter(environment=environment, name=name, retired_at__isnull=True)
        if not rows.update(retired_at=now):
            raise Misuse(misuse_reasons.GATE_NOT_REGISTERED, name)
        row = RegisteredGate.objects.using(using).get(environment=environment, name=name)
        _tell(AuditKind.GATE_RETIRED, row, by, now, using, {})


def _tell(kind: AuditKind, row: RegisteredGate, by: str, now: datetime, using: str, detail: dict[str, str]) -> None:
    AuditEvent.objects.using(using).create(
        at=now, environment=row.environment, kind=kind, subject=row.name, actor=by, detail=detail
    )
    revisions.raise_revision(revisions.GATES, environment=row.environment, using=using)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gate:
    """A gate that may ask."""

    pk: int
    audience: str
    key: ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Known:
    """What the database said under these numbers. `ends_at` is when it must be read again though nobody acts."""

    numbers: Mapping[str, int]
    gates: Mapping[str, _Gate]
    audiences: Mapping[str, str]
    revocations: bans.Revocations
    openings: tuple[str, ...]
    ends_at: datetime | None


class Provisions:
    """What one process tells gates of one environment."""

    def __init__(
        self,
        settings: Settings,
        keys: KeySources,
        *,
        random: Callable[[int], bytes] = secrets.token_bytes,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take where the keys are; nothing is read yet."""
        self._settings = settings
        self._keys = keys
        self._random = random
        self._monotonic = monotonic
        self._known: _Known | None = None
        self._serialised: dict[str, tuple[object, SerialisedState]] = {}
        self._contacts: dict[int, float] = {}

    def answer(self, ask: Ask, now: datetime) -> str:
        """Verify an ask, and return its answer as it is at `now`, sealed to the gate.

        Raises `VerificationFailed` (`provision.gate_unknown`, `provision.ask_*`), what the keys raise, and
        `django.db.Error`.
        """
        known = self._look(now)
        gate, settings = known.gates.get(ask.gate), self._settings
        if gate is None:
            raise VerificationFailed(reasons.GATE_UNKNOWN)
        proven = provision.verify_ask(
            ask, key=gate.key, issuer=settings.issuer, environment=settings.environment, now=now
        )
        answer = provision.issue_answer(
            proven,
            self._state(known, gate.audience, now),
            audience=gate.audience,
            service_key=self._keys.service_key(now),
            recipient=gate.key,
            now=now,
            random=self._random,
        )
        self._remember_contact(gate, now)
        return answer

    def _look(self, now: datetime) -> _Known:
        using = router.db_for_write(Revision)
        numbers = revisions.read_numbers(self._settings.environment, using=using)
        known = self._known
        if known is None or known.numbers != numbers or (known.ends_at is not None and known.ends_at <= now):
            # The numbers were read first: what changes from here on has a higher one.
            known = self._known = self._read(numbers, now, using)
        return known

    def _read(self, numbers: Mapping[str, int], now: datetime, using: str) -> _Known:
        environment = self._settings.environment
        rows = RegisteredGate.objects.using(using).filter(environment=environment, retired_at__isnull=True)
        apps = directory.read_apps(self._settings, using)
        audiences = {name: app.audience for name, app in apps.items()}
        self._keys.serve_audiences(audiences)
        revocations = bans.read(environment, now, using)
        standing = openings.read_tokens(environment, now, using)
        ends = [end for end in (revocations.ends_at, standing.ends_at) if end is not None]
        return _Known(
            numbers=numbers,
            gates={row.name: _Gate(pk=row.pk, audience=row.audience, key=jwk.parse_public(row.jwk)) for row in rows},
            audiences=audiences,
            revocations=revocations.value,
            openings=standing.value,
            ends_at=min(ends, default=None),
        )

    def _state(self, known: _Known, audience: str, now: datetime) -> SerialisedState:
        """Return the state of one audience; built again only when what is known, or a key, has changed."""
        keys, gate_keys = self._keys_of(known, audience, now)
        fingerprint = (known, tuple(key.key.kid for key in keys), tuple(key.kid for key in gate_keys))
        held = self._serialised.get(audience)
        if held is None or held[0] != fingerprint:
            state = provision.GateState(
                keys=keys,
                gate_keys=gate_keys,
                revoked_instances=known.revocations.instances,
                revoked_jkts=known.revocations.jkts,
                openings=known.openings,
                ramp_key=self._keys.ramp_key(),
            )
            held = self._serialised[audience] = (fingerprint, provision.serialise(state))
        return held[1]

    def _keys_of(
        self, known: _Known, audience: str, now: datetime
    ) -> tuple[tuple[PublishedKey, ...], tuple[GateKey, ...]]:
        """Return the keys of the apps of this audience. A gate is told no secret of another audience."""
        keys: list[PublishedKey] = []
        gate_keys: list[GateKey] = []
        for app, of in sorted(known.audiences.items()):
            if of == audience:
                ring = self._keys.ring(app, now)
                keys += [PublishedKey(app=app, key=key) for key in ring.verification_keys(now)]
                gate_keys += [key for key in ring.gate if key.audience == audience and now < key.erase_after]
        return tuple(keys), tuple(gate_keys)

    def _remember_contact(self, gate: _Gate, now: datetime) -> None:
        """Write down that the gate was answered; a ban goes out also where that cannot be written."""
        moment = self._monotonic()
        if moment - self._contacts.get(gate.pk, -CONTACT_EVERY_S) < CONTACT_EVERY_S:
            return
        self._contacts[gate.pk] = moment
        earlier = Q(last_asked_at__isnull=True) | Q(last_asked_at__lte=now - timedelta(seconds=CONTACT_EVERY_S))
        try:
            using = router.db_for_write(RegisteredGate)
            RegisteredGate.objects.using(using).filter(earlier, pk=gate.pk).update(last_asked_at=now)
        except DatabaseError as error:
            logger.warning("a gate's contact was not written down: %s", type(error).__name__)
