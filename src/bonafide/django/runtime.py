"""What one process holds while it serves: route table, gate, service, replay store, limits.

Rules of this file: everything is built from the settings on first use, once per process and settings value,
so that `override_settings`, reloads and forked workers see what they should; nothing here decides
about a request. What follows from the console's tables (apps, bans) is looked at anew for every request.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Final, NoReturn

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from django.core.signals import setting_changed
from django.utils import timezone

from bonafide.admission import Gate
from bonafide.attestation_memory import AttestationMemory
from bonafide.django import bans, conf, debug_secrets, directory, openings
from bonafide.django.enrolment_store import DjangoEnrolmentStore
from bonafide.django.gates import Provisions
from bonafide.django.governor import Governor
from bonafide.django.key_sources import GateKeys, KeySources
from bonafide.django.records import recorder
from bonafide.django.url_inventory import require_covered
from bonafide.enrolment import Service
from bonafide.errors import ConfigurationError, VerificationFailed
from bonafide.evidence.app_attest import KnownIntermediates
from bonafide.http import Origins
from bonafide.reasons import configuration
from bonafide.reasons import enrolment as enrolment_reasons
from bonafide.reasons import store as store_reasons
from bonafide.routes import OBSERVE_EVERYTHING, parse_rules, parse_toml
from bonafide.stores import require_scope
from bonafide.stores.addresses import open_replay_store
from bonafide.stores.admission_keys import read_admission_keys
from bonafide.stores.legacy_meter import LegacyMeter
from bonafide.trust import Anchor
from bonafide.trust.apple import BUNDLED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bonafide.appraisal import App
    from bonafide.django.bans import Revocations
    from bonafide.django.conf import Settings
    from bonafide.django.openings import Openings
    from bonafide.evidence.debug import UnsafeDebugEvidence
    from bonafide.keys import PublishedKey
    from bonafide.routes import Route, RouteTable
    from bonafide.stores.addresses import OpenedReplayStore

UNKNOWN_PROCESSES: Final = 2
"""What an unknown number of worker processes counts as: more than a process-wide store covers."""


class Runtime:
    """One process's parts, for one value of the settings.

    Raises `ConfigurationError` for a route table, a store or a key that cannot be run with.
    """

    def __init__(self, settings: Settings) -> None:
        """Build what needs no database; nothing is opened yet."""
        self.settings: Final = settings
        self.origins: Final = Origins(settings.origins)
        self.routes: Final = read_routes(settings)
        self.keys: Final = KeySources(settings)
        self.replay: Final = _replay_store(settings)
        self.enrolments: Final = DjangoEnrolmentStore()
        self.governor: Final = Governor(settings)
        self.records: Final = recorder()
        self.legacy: Final = LegacyMeter()
        self.pool: Final = Pool(places=max(2, len(os.sched_getaffinity(0))))
        self._anchors = (*BUNDLED, *(_anchor(path) for path in settings.unsafe_test_anchors))
        self._intermediates = KnownIntermediates()
        self._apps = directory.watch(settings)
        self._debug = debug_secrets.watch(settings)
        self._bans = bans.watch(settings.environment, every=settings.revocations_every)
        self.provisions: Final = Provisions(settings, self.keys)
        self._openings = openings.watch(settings, self.keys)
        self._opened = openings.NONE
        self._alarm: Final = openings.Alarm()
        self._gate: tuple[Mapping[str, App], Revocations, Gate] | None = None
        self._service: tuple[Mapping[str, App], UnsafeDebugEvidence | None, Service] | None = None
        self._closed: Final = self._build_gate(frozenset(), _Unknown())

    def start(self) -> None:
        """Refuse to serve with a table that enforces and leaves a URL out, or without the keys of statements.

        Likewise with a replay store that might forget.

        Raises `ConfigurationError` (`configuration.route_uncovered`, `configuration.keys_unsafe`, `store.evicts`,
        `store.server_unsuited`).
        """
        if self.is_behind_gate:
            self.admission_keys  # noqa: B018 - reading them now is the point
        else:
            self.replay.require_ready(now=datetime.now(UTC).timestamp())
        if self.routes.enforces:
            require_covered(self.routes)

    @property
    def is_behind_gate(self) -> bool:
        """Whether a gate has judged what arrives here."""
        return self.settings.behind_gate is not None

    @cached_property
    def admission_keys(self) -> tuple[bytes, ...]:
        """The keys of the statements that this API believes; none where no gate stands before it.

        Raises `ConfigurationError` (`configuration.keys_unsafe`).
        """
        behind = self.settings.behind_gate
        return () if behind is None else read_admission_keys(behind.key_files)

    def gate(self) -> Gate:
        """Return the gate with the apps and bans of now; one that trusts nobody where they cannot be read."""
        try:
            self._take_openings(self._openings.current())
        except VerificationFailed:
            self._take_openings(openings.NONE)
        try:
            return self._gate_of(self._apps.current(), self._bans.current())
        except VerificationFailed:
            return self._closed

    async def agate(self) -> Gate:
        """As `gate`, for an event loop."""
        try:
            self._take_openings(await self._openings.acurrent())
        except VerificationFailed:
            self._take_openings(openings.NONE)
        try:
            return self._gate_of(await self._apps.acurrent(), await self._bans.acurrent())
        except VerificationFailed:
            return self._closed

    def is_open(self, route: Route, now: datetime) -> bool:
        """Tell whether the glass of a rule is broken at `now`, as `gate` or `agate` read it last."""
        return self._opened.covering(route.match, now) is not None

    def _take_openings(self, opened: Openings) -> None:
        self._opened = opened
        if opened.verified:
            self._alarm.tell(opened, timezone.now())

    def service(self) -> Service:
        """Return the service with the apps of now.

        Raises `VerificationFailed` (`enrolment.app_unknown`) while there is no app, `store.copy_stale` where
        the apps cannot be read.
        """
        apps = self._apps.current()
        if not apps:
            raise VerificationFailed(enrolment_reasons.APP_UNKNOWN, "no app is configured: manage.py bonafide_apps add")
        debug, held = self._debug.current(), self._service
        if held is None or held[0] is not apps or held[1] is not debug:
            self.keys.serve(apps.values())
            held = self._service = (apps, debug, self._build_service(apps, debug))
        return held[2]

    def app_names(self) -> frozenset[str]:
        """Return the names of the apps of now. Raises as `service` where they cannot be read."""
        return frozenset(self._apps.current())

    def _gate_of(self, apps: Mapping[str, App], revocations: Revocations) -> Gate:
        held = self._gate
        if held is not None and held[0] is apps and held[1] is revocations:
            return held[2]
        if held is not None and held[0] is apps:
            gate = replace(held[2], revocations=revocations)
        else:  # what was remembered of an app that has gone must go as well
            self.keys.serve(apps.values())
            gate = self._build_gate(frozenset(apps), revocations)
        self._gate = (apps, revocations, gate)
        return gate

    def _build_gate(self, apps: frozenset[str], revocations: Revocations | _Unknown) -> Gate:
        return Gate(
            issuer=self.settings.issuer,
            audience=self.settings.audience,
            apps=apps,
            environments=self.settings.evidence_environments,
            routes=self.routes,
            keys=revocations if isinstance(revocations, _Unknown) else GateKeys(self.keys, apps),
            revocations=revocations,
            memory=AttestationMemory(),
        )

    def _build_service(self, apps: Mapping[str, App], debug: UnsafeDebugEvidence | None) -> Service:
        return Service(
            issuer=self.settings.issuer,
            environment=self.settings.environment,
            apps=tuple(apps.values()),
            keys=self.keys,
            challenge_key=self.keys.challenge_key(),
            anchors=self._anchors,
            known_intermediates=self._intermediates,
            debug=debug,
            lifetime=self.settings.client_attestation_lifetime,
            evidence_retention=self.settings.evidence_retention,
        )


class _Unknown:
    """Keys and bans of a gate that cannot read who its apps are and who is banned: unknown means no."""

    def find(self, kid: str, now: datetime) -> PublishedKey | None:
        del kid, now
        _refuse_unknown()

    def secret(self, kid: str, now: datetime) -> bytes | None:
        del kid, now
        _refuse_unknown()

    def is_revoked(self, instance: str, jkt: str) -> bool:
        del instance, jkt
        _refuse_unknown()


def _refuse_unknown() -> NoReturn:
    raise VerificationFailed(store_reasons.COPY_STALE)


class Pool:
    """Bounds how many certificate chains this process verifies at once (`ports.VerificationPool`)."""

    def __init__(self, *, places: int) -> None:
        """Allow `places` at once. Nobody waits: a queue would only hide that there is none left."""
        self._places = threading.BoundedSemaphore(places)

    @contextmanager
    def slot(self) -> Iterator[bool]:
        """Enter with True where a place was free, with False where none was."""
        free = self._places.acquire(blocking=False)
        try:
            yield free
        finally:
            if free:
                self._places.release()


def current() -> Runtime:
    """Return this process's runtime; built anew after a fork, and when the settings changed."""
    settings, pid = conf.current(), os.getpid()
    held = _HELD.get("runtime")
    if held is None or held[0] is not settings or held[1] != pid:
        with _LOCK:
            held = _HELD.get("runtime")
            if held is None or held[0] is not settings or held[1] != pid:
                held = _HELD["runtime"] = (settings, pid, Runtime(settings))
    return held[2]


_HELD: Final[dict[str, tuple[Settings, int, Runtime]]] = {}
_LOCK: Final = threading.Lock()


def _forget(*, setting: str, **_: object) -> None:
    if setting in {"DATABASES", "DATABASE_ROUTERS", "SECRET_KEY"}:
        _HELD.clear()


setting_changed.connect(_forget, dispatch_uid="bonafide.django.runtime")
os.register_at_fork(after_in_child=_LOCK._at_fork_reinit)  # type: ignore[attr-defined]  # noqa: SLF001 - as logging does


def read_routes(settings: Settings) -> RouteTable:
    """Read the route table that the settings name; without one everything is observed.

    Raises `ConfigurationError` (`configuration.route_*`, `configuration.setting_malformed`).
    """
    if settings.routes is None:
        return OBSERVE_EVERYTHING
    if isinstance(settings.routes, tuple):
        return parse_rules(settings.routes)
    try:
        return parse_toml(settings.routes.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        detail = f"{conf.NAME}['ROUTES']: {settings.routes} cannot be read: {type(error).__name__}"
        raise ConfigurationError(configuration.SETTING_MALFORMED, detail) from None


def _replay_store(settings: Settings) -> OpenedReplayStore:
    store = open_replay_store(settings.replay_store)
    require_scope(store, processes=settings.processes or UNKNOWN_PROCESSES, hosts=1)
    return store


def _anchor(path: Path) -> Anchor:
    """Read a certificate that a test world trusts. The settings have refused it in production."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        raise ConfigurationError(
            configuration.SETTING_MALFORMED, f"{conf.NAME}['UNSAFE_TEST_ANCHORS']: {path} is no certificate"
        ) from None
    return Anchor.from_certificate(certificate.public_bytes(Encoding.DER), name=path.name, source=str(path))
