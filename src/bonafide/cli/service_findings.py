"""The findings of a control plane that runs by itself: its home, its listeners, its rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bonafide.cli.findings import Finding, as_root, is_loopback, is_plain_abroad, private_paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bonafide.django.conf import Settings
    from bonafide.django.service.home import Home

LONG: Final = timedelta(minutes=15)
SILENT: Final = timedelta(minutes=10)
CLOCKS_APART: Final = timedelta(seconds=2)
WIDEST_PROXIES: Final = 2**16
"""Networks of more addresses are no list of proxies."""


def judge(home: Home, settings: Settings) -> Iterator[Finding]:
    """Return what is dangerous. Django is set up for this home; its database is asked."""
    yield from as_root("service")
    yield from private_paths("service", _private(home, settings))
    yield from _listeners(home)
    yield from _django()
    yield from _settings(settings)
    yield from _database(home)
    yield from _rows(settings)


def _private(home: Home, settings: Settings) -> Iterator[Path]:
    yield home.path
    for place in (settings.keys_dir, home.path / "replay"):
        yield place
        yield from sorted(place.rglob("*"))
    names = ("service.toml", "secret.key", "db.sqlite3", "db.sqlite3-wal", "db.sqlite3-shm")
    yield from (home.path / name for name in names)
    yield from _named(home, settings)


def _named(home: Home, settings: Settings) -> Iterator[Path]:
    """The private files that lie elsewhere, where the settings say."""
    from bonafide.django.setting_forms import SealingKeyFile  # noqa: PLC0415 - an extra

    for address in (settings.sealing_key, *settings.other_sealing_keys):
        if address is not None:
            yield address.file if isinstance(address, SealingKeyFile) else address.pin_file
    if home.says.database is not None and (passfile := home.says.database["OPTIONS"].get("passfile")):
        yield Path(passfile)


def _listeners(home: Home) -> Iterator[Finding]:
    if not home.says.listen.loopback:
        yield Finding(
            code="service.listens_abroad",
            what=f"listen is {home.says.listen}: plain HTTP on a network.",
            attacker="who is on that network reads and changes enrolments on their way, and comes past your proxy's "
            "limits.",
            remedy="listen on loopback or a unix socket, behind a proxy with TLS on the same host.",
        )
    if not home.says.console_listen.loopback:
        yield Finding(
            code="service.console_abroad",
            what=f"console_listen is {home.says.console_listen}: console and metrics are on a network, without TLS.",
            attacker="who is on that network reads passwords and sessions of operators, and metrics without any.",
            remedy="listen on loopback, and reach it by ssh -L or a proxy with TLS (console_origins).",
        )
    for origin in home.says.console_origins:
        if is_plain_abroad(origin):
            yield Finding(
                code="service.console_plain",
                what=f"console_origins has {origin}, without TLS.",
                attacker="who is on the network reads an operator's session, and is that operator.",
                remedy="give the console's proxy TLS, and write https://.",
            )


def _django() -> Iterator[Finding]:
    from bonafide.django.service import first_start  # noqa: PLC0415 - an extra

    for message in first_start.findings():
        danger, _, remedy = str(message.hint or "").partition(". ")
        yield Finding(code=str(message.id), what=str(message.msg), attacker=f"{danger}.", remedy=remedy or danger)


def _settings(settings: Settings) -> Iterator[Finding]:
    from bonafide.terms import Environment, EvidenceEnvironment  # noqa: PLC0415 - beside the others

    production = settings.environment is Environment.PRODUCTION
    if production and EvidenceEnvironment.DEVELOPMENT in settings.evidence_environments:
        yield Finding(
            code="service.development_evidence",
            what='evidence_environments admits "development" in production.',
            attacker="who can sign with the team's development certificate enrols a build of their own.",
            remedy='keep ["production"]; TestFlight is production. Give developers a staging environment.',
        )
    if settings.client_attestation_lifetime > LONG:
        yield Finding(
            code="service.attestations_long",
            what=f"client_attestation_lifetime is {settings.client_attestation_lifetime}.",
            attacker="a session key that was read out of a running app signs for as long.",
            remedy="keep five minutes; renewals are cheap.",
        )
    limits = settings.network_limits
    unlimited = [
        name for name in ("challenge", "instances", "renewals", "gate", "console") if not getattr(limits, name)
    ]
    if unlimited:
        yield Finding(
            code="service.unlimited",
            what=f"network_limits has no limit for {', '.join(unlimited)}.",
            attacker="one network may keep the service busy, or try passwords without end.",
            remedy="set one that your busiest carrier stays below.",
        )
    wide = [str(network) for network in settings.trusted_proxies if network.num_addresses > WIDEST_PROXIES]
    if wide:
        yield Finding(
            code="service.proxies_wide",
            what=f"trusted_proxies has {', '.join(wide)}.",
            attacker="whoever is in there says in X-Forwarded-For whose limit they use up.",
            remedy="name the addresses of your proxies.",
        )


def _database(home: Home) -> Iterator[Finding]:
    said = home.says.database
    if said is None:
        return
    abroad = [place for place in _places(said) if not _is_here(place)]
    if abroad and said["OPTIONS"].get("sslmode") != "verify-full":
        yield Finding(
            code="service.database_plain",
            what=f"The database is at {', '.join(abroad)}, and sslmode is not verify-full.",
            attacker="who is between reads and writes rows: they lift bans and enrol what they like.",
            remedy="?sslmode=verify-full&sslrootcert=/path, and a certificate for the server.",
        )
    if said["PASSWORD"] or "password" in said["OPTIONS"]:
        yield Finding(
            code="service.database_password",
            what="The database's password stands in service.toml.",
            attacker="who sees a backup or a screen of it writes rows.",
            remedy="?passfile=/etc/bonafide/pgpass, mode 0600.",
        )


def _places(said: Mapping[str, Any]) -> Iterator[str]:
    """Return where libpq may connect to. `hostaddr` decides where it is said; a list of hosts is tried in turn."""
    options = said["OPTIONS"]
    if "service" in options:
        yield f"what {options['service']} is in a service file"
    yield from str(options.get("hostaddr") or said["HOST"]).split(",")


def _is_here(place: str) -> bool:
    return not place or place[0] in "/@" or is_loopback(place)  # a socket's directory, or its abstract name


def _rows(settings: Settings) -> Iterator[Finding]:
    from django.db import Error as DatabaseError  # noqa: PLC0415 - an extra
    from django.db import connection  # noqa: PLC0415 - likewise

    from bonafide.django.service import health  # noqa: PLC0415 - likewise

    parts = {name: outcome for name, outcome in health.probe().items() if outcome != health.READY}
    for name, outcome in parts.items():
        yield Finding(
            code="service.not_ready",
            what=f"{name}: {outcome}.",
            attacker="nothing; but nobody enrols, and no gate learns of a ban.",
            remedy="mend it; `bonafide serve` migrates by itself.",
        )
    if parts:
        return
    now = datetime.now(UTC)
    try:
        yield from _clock(now, connection)
        yield from _openings(settings, now)
        yield from _gates(settings, now)
        yield from _apps(settings, now)
        yield from _pins(settings, now)
        yield from _spare(settings)
    except DatabaseError as error:
        yield Finding(
            code="service.not_ready",
            what=f"database: {type(error).__name__}.",
            attacker="nothing; but what it holds was not looked at.",
            remedy="mend it, and ask again.",
        )


def _clock(now: datetime, connection: Any) -> Iterator[Finding]:
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (theirs,) = cursor.fetchone()
    apart = abs(theirs - now)
    if apart > CLOCKS_APART:
        yield Finding(
            code="service.clocks_apart",
            what=f"The clocks of this host and of the database are {apart.total_seconds():.0f} s apart.",
            attacker="what has ended on one host still stands on another: challenges, bans that end, openings.",
            remedy="run a time service on both.",
        )


def _openings(settings: Settings, now: datetime) -> Iterator[Finding]:
    from django.db import router  # noqa: PLC0415 - an extra

    from bonafide.django import openings  # noqa: PLC0415 - likewise
    from bonafide.django.key_sources import KeySources  # noqa: PLC0415 - likewise
    from bonafide.django.models import Opening  # noqa: PLC0415 - likewise

    rows = list(openings.unclosed(settings.environment, now, router.db_for_read(Opening)))
    pinned = KeySources(settings).service_ring().thumbprints if rows else ()
    for row in rows:
        if not openings.verify([row.token], settings, pinned).standing(now):
            yield Finding(
                code="service.opening_forged",
                what=f"A row opens {row.route}, and the service key did not sign it.",
                attacker="somebody who can write to the database has tried to open the API.",
                remedy="find out who. It opens nothing; `bonafide open --close` ends it.",
            )
            continue
        yield Finding(
            code="service.glass_broken",
            what=f"{row.route} only observes until {row.until:%Y-%m-%d %H:%M} UTC, by {row.opened_by}: {row.because}",
            attacker="until then requests without a proof take effect there.",
            remedy="`bonafide open --close` as soon as the cause has gone.",
        )


def _gates(settings: Settings, now: datetime) -> Iterator[Finding]:
    from bonafide.django.models import RegisteredGate  # noqa: PLC0415 - an extra

    for row in RegisteredGate.objects.filter(environment=settings.environment, retired_at__isnull=True):
        heard = row.last_asked_at or row.registered_at
        if now - heard > SILENT:
            yield Finding(
                code="service.gate_silent",
                what=f"Gate {row.name} has not asked since {heard:%Y-%m-%d %H:%M:%S} UTC.",
                attacker="who was banned since then passes there until its max_stale; after that nobody does.",
                remedy="start it, mend its way here, or `bonafide gates retire` it.",
            )


def _apps(settings: Settings, now: datetime) -> Iterator[Finding]:
    from bonafide.django.models import DebugSecret, Identity  # noqa: PLC0415 - an extra

    unattested = Identity.objects.filter(app__environment=settings.environment, unattested=True)
    for row in unattested.select_related("app"):
        yield Finding(
            code="service.unattested",
            what=f"{row.app.name}: {row.name} enrols devices that cannot attest.",
            attacker='anybody enrols as one; routes with tier = "none" admit them.',
            remedy="end it once such devices are rare, and keep tier = affirming wherever it matters.",
        )
    secrets = DebugSecret.objects.filter(
        app__environment=settings.environment, revoked_at__isnull=True, expires_at__gt=now
    ).count()
    if secrets:
        yield Finding(
            code="service.debug_secrets",
            what=f"{secrets} debug secrets stand.",
            attacker="who holds one enrols as a genuine app of this environment.",
            remedy="`bonafide debug-secret revoke` those that nobody uses.",
        )


def _pins(settings: Settings, now: datetime) -> Iterator[Finding]:
    from bonafide.django.documents import pins  # noqa: PLC0415 - an extra

    for ending in pins.due(settings.environment, now):
        yield Finding(
            code="service.pins_end",
            what=f"{ending.words(now)}.",
            attacker="nothing; but a host with another key is refused by every app in the field, and once the pins "
            "have ended, a proxy with a CA of its own is taken again.",
            remedy="have the new certificate use the pinned key or the spare, then `bonafide pins publish`.",
        )


def _spare(settings: Settings) -> Iterator[Finding]:
    """The spare is for the day on which the key is stolen; beside it, it is stolen with it."""
    from bonafide.codec import json  # noqa: PLC0415 - beside the others
    from bonafide.django.key_sources import storage_of  # noqa: PLC0415 - an extra
    from bonafide.errors import BonafideError  # noqa: PLC0415 - beside the others

    try:
        document = storage_of(settings).read("service.json")
        online = document is not None and "spare_private" in json.parse_object(document)
    except BonafideError:
        return  # `keys` has told it
    if online:
        yield Finding(
            code="service.spare_online",
            what="The spare of the service key still lies beside it.",
            attacker="who steals the one has the other, and every app in the field must be replaced.",
            remedy="keep a copy of the key document offline, then take spare_private out of it (docs/how-to/keys.md).",
        )
