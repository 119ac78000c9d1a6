"""The service's keys as values, and when each begins, is published, retires and is erased (PROTOCOL section 1).

Nothing here reads a clock, a file or a source of randomness. A plan is a function of the keys, the time
and random octets; it is idempotent, so that any number of processes may carry it out one after another.
All of them agree on who signs from the time alone: nobody has to be told when a key takes over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Self

from cryptography.hazmat.primitives.asymmetric import ec

from bonafide.codec import base64url, jwk
from bonafide.errors import Misuse
from bonafide.reasons import jose as jose_reasons
from bonafide.reasons import session as reasons

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

MAX_TOKEN_LIFETIME: Final = timedelta(minutes=60)
"""The ceiling of `exp` - `iat` of any token that names a key (PROTOCOL section 3)."""

CLOCK_ALLOWANCE: Final = timedelta(minutes=5)
"""How far apart the clocks of hosts that share keys may be before a key is missed."""

SIGNING_PERIOD: Final = timedelta(days=30)
"""How long one signing key signs."""

PUBLISHED_AHEAD: Final = timedelta(hours=24)
"""The least time between a key's publication and its first signature; longer than any JWKS cache of ours."""

GATE_KEY_OCTETS: Final = 32
PRIVATE_KEY_OCTETS: Final = 48
"""Random octets that make one private key: 128 bits more than its order, so that no bias is left."""

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_DAY: Final = timedelta(days=1)
_GATE_KEY_ID_OCTETS: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """A published key, and its id: the RFC 7638 thumbprint."""

    kid: str
    public_key: ec.EllipticCurvePublicKey

    @classmethod
    def of(cls, public_key: ec.EllipticCurvePublicKey) -> Self:
        """Return the key under its thumbprint."""
        return cls(kid=jwk.thumbprint(jwk.from_public(public_key)), public_key=public_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedKey:
    """A published key, and the app whose client attestations it may sign; it signs for no other."""

    app: str
    key: VerificationKey


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A key that signs client attestations of one app and environment."""

    kid: str
    private_key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def of(cls, private_key: ec.EllipticCurvePrivateKey) -> Self:
        """Return the key under its thumbprint."""
        return cls(kid=VerificationKey.of(private_key.public_key()).kid, private_key=private_key)

    @property
    def public(self) -> VerificationKey:
        """What is published of it."""
        return VerificationKey(kid=self.kid, public_key=self.private_key.public_key())


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceKey:
    """A key that signs sessions, secrets and pins. A type of its own: it never signs a client attestation."""

    kid: str
    private_key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def of(cls, private_key: ec.EllipticCurvePrivateKey) -> Self:
        """Return the key under its thumbprint."""
        return cls(kid=VerificationKey.of(private_key.public_key()).kid, private_key=private_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRing:
    """The service key in use, and the thumbprint of a spare that is kept offline."""

    key: ServiceKey
    spare: str

    @property
    def thumbprints(self) -> tuple[str, str]:
        """What an app is built with: the key's thumbprint, then the spare's."""
        return self.key.kid, self.spare


@dataclass(frozen=True, slots=True, kw_only=True)
class GateKey:
    """The secret from which session keys of one audience and one UTC day derive.

    `secret` is 32 octets. Client attestations issued from `not_before` on, for one day, name it; at
    `erase_after` the last of them has expired.
    """

    kid: str
    secret: bytes = field(repr=False)
    audience: str
    not_before: datetime
    erase_after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledKey:
    """A signing key, and when it begins to sign. It signs until the next one begins."""

    key: SigningKey
    signs_from: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """All keys of one app and environment. `signing` is in the order of `signs_from`."""

    signing: tuple[ScheduledKey, ...]
    gate: tuple[GateKey, ...]

    def signing_key(self, now: datetime) -> SigningKey:
        """Return the key that signs at `now`: the last that has begun, or the first before any has.

        Raises `Misuse` (`session.key_missing`) for a ring without signing keys.
        """
        if not self.signing:
            raise Misuse(reasons.KEY_MISSING, "no signing key")
        begun = [scheduled.key for scheduled in self.signing if scheduled.signs_from <= now]
        return begun[-1] if begun else self.signing[0].key

    def gate_key(self, audience: str, now: datetime) -> GateKey:
        """Return the gate key that tokens issued at `now` for `audience` name.

        Raises `Misuse` (`session.key_missing`) where none was planned.
        """
        today = _midnight(now)
        for key in self.gate:
            if key.audience == audience and key.not_before == today:
                return key
        raise Misuse(reasons.KEY_MISSING, "no gate key for this audience today")

    def serves(self, audiences: Iterable[str], now: datetime) -> bool:
        """Tell whether tokens for all `audiences` can be issued at `now`."""
        present = {(key.audience, key.not_before) for key in self.gate}
        return bool(self.signing) and all((audience, _midnight(now)) in present for audience in audiences)

    def find(self, kid: str, now: datetime) -> VerificationKey | None:
        """Return the published signing key of this id, or None. The next one is published already."""
        for scheduled in _unretired(self.signing, now):
            if scheduled.key.kid == kid:
                return scheduled.key.public
        return None

    def secret(self, kid: str, now: datetime) -> bytes | None:
        """Return the gate key of this id while tokens may name it, else None."""
        for key in self.gate:
            if key.kid == kid and now < key.erase_after:
                return key.secret
        return None

    def verification_keys(self, now: datetime) -> tuple[VerificationKey, ...]:
        """Return what is published at `now`: retired keys some token may name, the one that signs, the next."""
        return tuple(scheduled.key.public for scheduled in _unretired(self.signing, now))


def jwks(keys: Iterable[VerificationKey]) -> dict[str, list[dict[str, str]]]:
    """Return the JWKS document of `keys` (RFC 7517 section 5): public members, `kid`, `alg` and `use` only."""
    return {
        "keys": [{**jwk.from_public(key.public_key), "kid": key.kid, "alg": "ES256", "use": "sig"} for key in keys],
    }


def private_key_from(octets: bytes) -> ec.EllipticCurvePrivateKey:
    """Return the P-256 private key that 48 random `octets` determine (FIPS 186-5 appendix A.2.1).

    The scalar is `octets` mod (n - 1) + 1: never zero, and with 128 bits to spare no bias that could be
    measured. Raises `Misuse` (`jose.key_unfit`) for another number of octets.
    """
    if len(octets) != PRIVATE_KEY_OCTETS:
        raise Misuse(jose_reasons.KEY_UNFIT, f"a private key is made of {PRIVATE_KEY_OCTETS} octets")
    return ec.derive_private_key(int.from_bytes(octets, "big") % (_ORDER - 1) + 1, ec.SECP256R1())


def plan_signing_keys(
    keys: tuple[ScheduledKey, ...], *, now: datetime, random: Callable[[int], bytes]
) -> tuple[ScheduledKey, ...]:
    """Return the signing keys as they should stand at `now`.

    There is always one key more than those that have begun: it is published now and begins
    `SIGNING_PERIOD` after the one before it, `PUBLISHED_AHEAD` from now at the earliest. A key that another
    has followed stays published until the last token naming it has expired, and is dropped then. The
    answer is `keys` itself where nothing is due; the plan of a plan is that plan.
    """
    if not signing_keys_due(keys, now=now):
        return keys
    planned = keys or (ScheduledKey(key=_new_signing_key(random), signs_from=now),)
    last = planned[-1]
    if last.signs_from <= now:
        begins = max(last.signs_from + SIGNING_PERIOD, now + PUBLISHED_AHEAD)
        planned = (*planned, ScheduledKey(key=_new_signing_key(random), signs_from=begins))
    return _unretired(planned, now)


def signing_keys_due(keys: tuple[ScheduledKey, ...], *, now: datetime) -> bool:
    """Tell whether `plan_signing_keys` would change anything."""
    return not keys or keys[-1].signs_from <= now or len(_unretired(keys, now)) < len(keys)


def plan_gate_keys(
    keys: tuple[GateKey, ...], *, audiences: Collection[str], now: datetime, random: Callable[[int], bytes]
) -> tuple[GateKey, ...]:
    """Return the gate keys as they should stand at `now`.

    Every audience has a key for today and for tomorrow (UTC), so that midnight needs nobody. A key goes
    when the last token naming it has expired, also one of an audience that is no longer listed. The answer is
    `keys` itself where nothing is due; the plan of a plan is that plan.
    """
    if not gate_keys_due(keys, audiences=audiences, now=now):
        return keys
    kept = tuple(key for key in keys if now < key.erase_after)
    return (*kept, *(_new_gate_key(audience, day, random) for audience, day in _missing(kept, audiences, now)))


def gate_keys_due(keys: tuple[GateKey, ...], *, audiences: Collection[str], now: datetime) -> bool:
    """Tell whether `plan_gate_keys` would change anything."""
    return any(key.erase_after <= now for key in keys) or bool(_missing(keys, audiences, now))


def _new_signing_key(random: Callable[[int], bytes]) -> SigningKey:
    return SigningKey.of(private_key_from(random(PRIVATE_KEY_OCTETS)))


def _new_gate_key(audience: str, day: datetime, random: Callable[[int], bytes]) -> GateKey:
    return GateKey(
        kid=f"{day:%Y%m%d}-{base64url.encode(random(_GATE_KEY_ID_OCTETS))}",
        secret=random(GATE_KEY_OCTETS),
        audience=audience,
        not_before=day,
        erase_after=day + _DAY + MAX_TOKEN_LIFETIME + CLOCK_ALLOWANCE,
    )


def _missing(keys: Collection[GateKey], audiences: Collection[str], now: datetime) -> list[tuple[str, datetime]]:
    present = {(key.audience, key.not_before) for key in keys}
    today = _midnight(now)
    wanted = [(audience, day) for audience in sorted(set(audiences)) for day in (today, today + _DAY)]
    return [pair for pair in wanted if pair not in present]


def _unretired(keys: tuple[ScheduledKey, ...], now: datetime) -> tuple[ScheduledKey, ...]:
    kept = [
        scheduled
        for scheduled, successor in pairwise(keys)
        if now < successor.signs_from + MAX_TOKEN_LIFETIME + CLOCK_ALLOWANCE
    ]
    return (*kept, *keys[-1:])


def _midnight(now: datetime) -> datetime:
    return datetime.combine(now.astimezone(UTC).date(), time(), UTC)
