"""Appraisal: whether authentic evidence is acceptable under the policy of today (RFC 9334 section 8.5).

Verification proves, appraisal judges. Rules of this file:
- An appraisal returns, with *all* of its reasons in one fixed order; it never raises and never stops early.
- The same function judges at enrolment and, over the stored claims, at every renewal.
- A finding either refuses (the tier is `contraindicated`) or warns (the tier is `warning`). What the owner of
  the phone can mend, or what says that this is not the released app, refuses: environment,
  validation category, absent evidence, age of evidence, app and SDK version. What only says that the
  phone is old warns, and the routes decide: OS version.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum, unique
from typing import TYPE_CHECKING, Final, NoReturn

from bonafide.codec import version
from bonafide.errors import ConfigurationError
from bonafide.reasons import appraisal as reasons
from bonafide.reasons import configuration
from bonafide.terms import EvidenceEnvironment, Platform, Tier

if TYPE_CHECKING:
    from datetime import datetime

    from bonafide.reasons import Reason

MAX_NAME_BYTES: Final = 64
MAX_IDENTITY_BYTES: Final = 200

_NAME: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME_BYTES - 1}}}")
_APPLE_IDENTITY: Final = re.compile(r"[A-Z0-9]{10}\.[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
_AUDIENCE: Final = re.compile(r"[!-~]{1,255}")


@unique
class ValidationCategory(IntEnum):
    """How the app came onto the device, as Apple says from iOS 27 and macOS 27 on."""

    OPERATING_SYSTEM = 1
    TESTFLIGHT = 2
    DEVELOPMENT = 3
    APP_STORE = 4
    ENTERPRISE = 5
    DEVELOPER_ID = 6
    OTHER = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityPolicy:
    """What is accepted from one identity of an app. The defaults accept the released iOS app and no other.

    `validation_categories` are admitted where the evidence names one; where it names none (iOS 26 and
    older), the evidence is admitted unless `validation_category_required`. Minimum versions are dotted
    numbers, empty for none. `unattested` gives devices that cannot attest the tier `none`.
    `evidence_max_age` counts from the attestation's verification. `reattest_after` is the age of the last
    assertion from which on a renewal needs a new one; zero demands one every time.

    Raises `ConfigurationError` (`configuration.setting_malformed`) for a policy that admits nothing, an
    unknown category, a version that is none, or an age that is not positive.
    """

    environments: frozenset[EvidenceEnvironment] = frozenset({EvidenceEnvironment.PRODUCTION})
    validation_categories: frozenset[ValidationCategory] = frozenset(
        {ValidationCategory.APP_STORE, ValidationCategory.TESTFLIGHT}
    )
    validation_category_required: bool = False
    minimum_app_version: str = ""
    minimum_os_version: str = ""
    minimum_sdk_version: str = ""
    unattested: bool = False
    evidence_max_age: timedelta = timedelta(days=365)
    reattest_after: timedelta = timedelta(hours=24)
    minimum_app: tuple[int, ...] = field(init=False, repr=False, compare=False)
    minimum_os: tuple[int, ...] = field(init=False, repr=False, compare=False)
    minimum_sdk: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.environments and not self.unattested:
            _refuse("environments: the policy admits nothing")
        if not all(isinstance(name, EvidenceEnvironment) for name in self.environments):
            _refuse(f"environments: {sorted(self.environments)}")
        if not all(isinstance(number, ValidationCategory) for number in self.validation_categories):
            _refuse(f"validation_categories: {sorted(self.validation_categories)}")
        if not self.validation_categories and self.validation_category_required:
            _refuse("validation_categories: one is required and none is admitted")
        if self.evidence_max_age <= timedelta():
            _refuse("evidence_max_age: it must be positive")
        if self.reattest_after < timedelta():
            _refuse("reattest_after: it must not be negative")
        for name in ("app", "os", "sdk"):
            object.__setattr__(self, f"minimum_{name}", _minimum(getattr(self, f"minimum_{name}_version")))

    def assertion_due(self, asserted_at: datetime, now: datetime) -> bool:
        """Tell whether a renewal at `now` needs a new assertion, the last having been accepted at `asserted_at`."""
        return now - asserted_at >= self.reattest_after


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One signed form of an app: `name` is the App ID, `TEAMID.com.example.app`.

    Raises `ConfigurationError` (`configuration.setting_malformed`) for a malformed App ID, and for
    Android, which is not built yet.
    """

    name: str
    platform: Platform = Platform.IOS
    policy: IdentityPolicy = field(default_factory=IdentityPolicy)

    def __post_init__(self) -> None:
        if self.platform is Platform.ANDROID:
            _refuse(f"identity {self.name!r}: android is not built yet")
        if len(self.name) > MAX_IDENTITY_BYTES or _APPLE_IDENTITY.fullmatch(self.name) is None:
            _refuse(f"identity {self.name!r}: TEAMID.com.example.app is wanted")


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """An app (`sub`) with its identities and audiences.

    `audience` is the API that its client attestations are for; a renewal may ask for one of
    `other_audiences` instead (authorization servers), and then gets a JWT that no gate takes.

    Raises `ConfigurationError` (`configuration.setting_malformed`) for malformed names, an app without
    identities, an identity that stands twice, or a default audience that is also another.
    """

    name: str
    identities: tuple[Identity, ...]
    audience: str
    other_audiences: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            _refuse(f"app {self.name!r}: letters, digits, `.`, `_` and `-` are admitted")
        if not self.identities:
            _refuse(f"app {self.name}: it has no identity, so nothing could enrol")
        if len({identity.name for identity in self.identities}) != len(self.identities):
            _refuse(f"app {self.name}: an identity stands twice; the second would never be read")
        if not all(_AUDIENCE.fullmatch(name) for name in (self.audience, *self.other_audiences)):
            _refuse(f"app {self.name}: an audience is empty, too long or not visible ASCII")
        if self.audience in self.other_audiences:
            _refuse(f"app {self.name}: the default audience is its gates', and no authorization server's")

    def identity(self, name: str) -> Identity | None:
        """Return the identity of this App ID, or None."""
        return next((identity for identity in self.identities if identity.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceClaims:
    """What is known of an instance when it is judged.

    `attested`, `environment` and `validation_category` (None where the evidence names none) come from the
    verified attestation, `verified_at` is when that was. The versions are the genuine app's word, in a
    message that its key signed.
    """

    attested: bool
    environment: EvidenceEnvironment
    validation_category: int | None
    verified_at: datetime
    app_version: str
    os_version: str
    sdk_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Appraisal:
    """A tier, and every reason that it is not a better one: those that refuse, then those that warn."""

    tier: Tier
    refusals: tuple[Reason, ...]
    warnings: tuple[Reason, ...]

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """All findings, in the fixed order."""
        return self.refusals + self.warnings


def appraise(claims: InstanceClaims, *, policy: IdentityPolicy, now: datetime) -> Appraisal:
    """Judge verified claims under `policy` at `now`.

    Deterministic: the same three arguments give the same tier and the same reasons in the same order.
    Proves nothing about evidence that was not verified, and nothing about bans, which are the store's.
    """
    refusals = tuple(_refusals(claims, policy, now))
    warnings = tuple(_warnings(claims, policy))
    if refusals:
        tier = Tier.CONTRAINDICATED
    elif not claims.attested:
        tier = Tier.NONE
    elif warnings:
        tier = Tier.WARNING
    else:
        tier = Tier.AFFIRMING
    return Appraisal(tier=tier, refusals=refusals, warnings=warnings)


def _refusals(claims: InstanceClaims, policy: IdentityPolicy, now: datetime) -> list[Reason]:
    """Findings that refuse. A refused client acts on the first: what it cannot mend, then what costs no `attestKey`."""
    findings = _evidence_refusals(claims, policy) if claims.attested else _unattested_refusals(policy)
    if not version.at_least(claims.app_version, policy.minimum_app):
        findings.append(reasons.APP_VERSION_TOO_OLD)
    if not version.at_least(claims.sdk_version, policy.minimum_sdk):
        findings.append(reasons.SDK_VERSION_TOO_OLD)
    if claims.attested and now - claims.verified_at >= policy.evidence_max_age:
        findings.append(reasons.EVIDENCE_TOO_OLD)
    return findings


def _evidence_refusals(claims: InstanceClaims, policy: IdentityPolicy) -> list[Reason]:
    findings = []
    if claims.environment not in policy.environments:
        findings.append(reasons.ENVIRONMENT_REFUSED)
    if claims.validation_category is None:
        if policy.validation_category_required:
            findings.append(reasons.VALIDATION_CATEGORY_MISSING)
    elif claims.validation_category not in policy.validation_categories:
        findings.append(reasons.VALIDATION_CATEGORY_REFUSED)
    return findings


def _unattested_refusals(policy: IdentityPolicy) -> list[Reason]:
    return [] if policy.unattested else [reasons.NOT_ATTESTED]


def _warnings(claims: InstanceClaims, policy: IdentityPolicy) -> list[Reason]:
    if not version.at_least(claims.os_version, policy.minimum_os):
        return [reasons.OS_VERSION_TOO_OLD]
    return []


def _minimum(text: str) -> tuple[int, ...]:
    minimum = version.parse(text) if text else ()
    if minimum is None:
        _refuse(f"minimum version {text!r}: a version is numbers and dots")
    return minimum


def _refuse(detail: str) -> NoReturn:
    raise ConfigurationError(configuration.SETTING_MALFORMED, detail)
