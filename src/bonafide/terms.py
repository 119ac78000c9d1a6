"""The closed vocabularies that every layer speaks (RFC 9334 words, AR4SI tiers)."""

from __future__ import annotations

from enum import StrEnum, unique


@unique
class Environment(StrEnum):
    """Which deployment this is. It is `production` unless set otherwise; never derived from DEBUG."""

    PRODUCTION = "production"
    STAGING = "staging"
    DEVELOPMENT = "development"
    TEST = "test"


@unique
class EvidenceEnvironment(StrEnum):
    """Where evidence came from: Apple's production service, Apple's development service, or nowhere real."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"
    DEBUG = "debug"


@unique
class Platform(StrEnum):
    """The platform that an identity names."""

    IOS = "ios"
    MACOS = "macos"
    ANDROID = "android"


@unique
class ProofKind(StrEnum):
    """What signed a request: the hardware key itself, a session key derived for it, or that key as DPoP has it.

    A DPoP proof is by the hardware key too, and covers less: neither body, query nor other header fields.
    """

    HARDWARE = "hardware"
    SESSION = "session"
    DPOP = "dpop"

    @property
    def satisfied_by(self) -> frozenset[ProofKind]:
        """The kinds that a route which demands this one takes."""
        return _SATISFIED_BY[self]

    @property
    def covers_body(self) -> bool:
        """Whether such a proof covers the body's digest, and with it query and header fields."""
        return self is not ProofKind.DPOP


_SATISFIED_BY = {
    ProofKind.HARDWARE: frozenset([ProofKind.HARDWARE]),
    ProofKind.SESSION: frozenset([ProofKind.HARDWARE, ProofKind.SESSION]),
    ProofKind.DPOP: frozenset(ProofKind),
}


@unique
class Tier(StrEnum):
    """What appraisal made of an instance, from worst to best: contraindicated, none, warning, affirming."""

    CONTRAINDICATED = "contraindicated"
    NONE = "none"
    WARNING = "warning"
    AFFIRMING = "affirming"

    @property
    def rank(self) -> int:
        """Order for `at least` comparisons; contraindicated is below everything, also below `none`."""
        return _RANK[self]


_RANK = {tier: rank for rank, tier in enumerate(Tier)}
