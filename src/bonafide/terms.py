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
    """What signed a request: the hardware key itself, or a session key derived for it."""

    HARDWARE = "hardware"
    SESSION = "session"


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
