"""What one service is: its name, its apps, its keys and its trust, as a value that cannot hold nonsense."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

from bonafide.challenge import ChallengeScope
from bonafide.errors import ConfigurationError
from bonafide.keys import MAX_TOKEN_LIFETIME
from bonafide.reasons import configuration as reasons
from bonafide.terms import Environment, EvidenceEnvironment
from bonafide.trust import require_bundled
from bonafide.trust.apple import BUNDLED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bonafide.appraisal import App
    from bonafide.challenge import ChallengeKey, Purpose
    from bonafide.evidence.app_attest import KnownIntermediates
    from bonafide.evidence.debug import UnsafeDebugEvidence
    from bonafide.keys import KeyRing, ServiceKey
    from bonafide.trust import Anchor

MIN_LIFETIME: Final = timedelta(seconds=30)
"""Below this a client attestation would have expired before a slow phone has used it."""

_SECOND: Final = timedelta(seconds=1)
_ISSUER: Final = re.compile(r"https?://[a-z0-9.-]+(?::[1-9][0-9]{0,4})?(?:/[A-Za-z0-9._~-]+)*")
_MAX_ISSUER_BYTES: Final = 255


class ServiceKeys(Protocol):
    """Where the service finds the keys that it signs with. They rotate; every answer is for one moment."""

    def ring(self, app: str, now: datetime) -> KeyRing:
        """Return the signing keys and gate keys of this app as they stand at `now`."""
        ...

    def service_key(self, now: datetime) -> ServiceKey:
        """Return the key that signs sessions at `now`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service: everything that enrolment and renewal compare with or sign by.

    `issuer` is the service's URL (`iss`, and the name that challenges hold for). `lifetime` is that of a client
    attestation, in whole seconds, 60 minutes at most. `evidence_retention` is how long the octets of
    evidence are kept to be judged again; None keeps digests only. `known_intermediates` is shared by all
    enrolments of a process. `debug` is None where no debug evidence is accepted.

    Raises `ConfigurationError`: `configuration.setting_malformed`; `configuration.test_trust` where
    `production` would trust anything but the bundled anchors, or admit debug evidence.
    """

    issuer: str
    environment: Environment = Environment.PRODUCTION
    apps: tuple[App, ...]
    keys: ServiceKeys = field(repr=False)
    challenge_key: ChallengeKey
    anchors: Sequence[Anchor] = BUNDLED
    known_intermediates: KnownIntermediates | None = field(default=None, compare=False)
    debug: UnsafeDebugEvidence | None = None
    lifetime: timedelta = timedelta(minutes=5)
    evidence_retention: timedelta | None = timedelta(days=90)

    def __post_init__(self) -> None:
        if len(self.issuer) > _MAX_ISSUER_BYTES or _ISSUER.fullmatch(self.issuer) is None:
            _refuse(f"issuer {self.issuer!r}: a URL such as https://api.example.com/bonafide/v1 is wanted")
        if not self.apps:
            _refuse("apps: there is none, so nothing could enrol")
        if len({app.name for app in self.apps}) != len(self.apps):
            _refuse("apps: one stands twice; the second would never be read")
        if not self.anchors:
            _refuse("anchors: without one no evidence could be verified")
        if not MIN_LIFETIME <= self.lifetime <= MAX_TOKEN_LIFETIME or self.lifetime % _SECOND:
            _refuse(f"lifetime: whole seconds from {MIN_LIFETIME} to {MAX_TOKEN_LIFETIME} are wanted")
        if self.evidence_retention is not None and self.evidence_retention <= timedelta():
            _refuse("evidence_retention: a positive time, or None for digests only")
        if self.environment is Environment.PRODUCTION:
            self._require_production()
        if self.debug is not None and self.debug.environment is not self.environment:
            _refuse(f"debug: decided for {self.debug.environment}, not for {self.environment}")

    def _require_production(self) -> None:
        """Refuse what belongs to a test world, and an issuer that a proxy could stand in for."""
        require_bundled(self.anchors, bundled=BUNDLED)
        for app in self.apps:
            for identity in app.identities:
                if EvidenceEnvironment.DEBUG in identity.policy.environments:
                    raise ConfigurationError(reasons.TEST_TRUST, f"{identity.name} admits debug evidence")
        if not self.issuer.startswith("https://"):
            _refuse("issuer: https in production")

    def app(self, name: str) -> App | None:
        """Return the app of this name, or None."""
        return next((app for app in self.apps if app.name == name), None)

    def scope(self, app: App, purpose: Purpose) -> ChallengeScope:
        """Return what a challenge of this service for `app` and `purpose` is bound to."""
        return ChallengeScope(service=self.issuer, environment=self.environment, app=app.name, purpose=purpose)


def _refuse(detail: str) -> NoReturn:
    raise ConfigurationError(reasons.SETTING_MALFORMED, detail)
