"""System checks: every configuration that would make the service's promise untrue is named before it is served.

`manage.py check` reports errors `bonafide.E0xx`, with which commands stop, and warnings `bonafide.W0xx`, which say
aloud what a deployment has decided to leave open. Each hint names the danger and its remedy.

Rules of this file: a check reads the configuration and decides about no request. What cannot be read is reported
once, as E002, and the checks that would need it say nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution
from django.db import Error as DatabaseError
from django.db import connections
from django.utils.module_loading import import_string

from bonafide.django import conf, runtime
from bonafide.django.url_inventory import require_covered
from bonafide.errors import ConfigurationError
from bonafide.stores.admission_keys import read_admission_keys
from bonafide.terms import Environment
from bonafide.trust import expiring
from bonafide.trust.apple import BUNDLED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bonafide.django.conf import Settings
    from bonafide.routes import Route, RouteTable

MIDDLEWARE: Final = "bonafide.django.middleware.BonafideMiddleware"

_FOR_OTHERS: Final = 0o077


def examine(app_configs: object = None, **_: object) -> list[CheckMessage]:
    """Return what is dangerous about this project. One without BONAFIDE locks nothing yet, and hears nothing."""
    del app_configs  # the settings belong to no app
    if not hasattr(django_settings, conf.NAME):
        return []
    found = [*_middleware(), *_databases(), *_anchors(datetime.now(UTC))]
    try:
        settings = conf.current()
        table = runtime.read_routes(settings)
    except ConfigurationError as refusal:
        hint = f"The service does not start like this. {refusal.reason.remedy}"
        return [*found, Error(f"{refusal.reason.code}: {refusal.detail}", hint=hint, id="bonafide.E002")]
    return [*found, *_settings(settings), *_coverage(table), *_table(settings, table)]


def _middleware() -> Iterator[CheckMessage]:
    names = list(django_settings.MIDDLEWARE)
    ours = [index for index, name in enumerate(names) if _is_ours(name)]
    if not ours:
        text, danger = "BonafideMiddleware is not in MIDDLEWARE.", "No request is refused: nothing is locked."
    elif ours != [0]:
        text = "BonafideMiddleware is not first in MIDDLEWARE, or stands there twice."
        danger = "What stands before it runs for anybody, and may read or change what was signed."
    else:
        return
    yield Error(text, hint=f"{danger} Make {MIDDLEWARE} the first entry, once.", id="bonafide.E001")


def _is_ours(name: str) -> bool:
    from bonafide.django.middleware import BonafideMiddleware  # noqa: PLC0415 - a command needs no middleware

    try:
        found = import_string(name)
    except ImportError:
        return False  # Django itself says so
    return isinstance(found, type) and issubclass(found, BonafideMiddleware)


def _databases() -> Iterator[CheckMessage]:
    for alias in connections:
        database = connections.settings[alias]
        if database.get("ENGINE") != "django.db.backends.sqlite3":
            continue
        options = database.get("OPTIONS", {})
        pragmas = "".join(str(options.get("init_command", "")).lower().split())
        immediate = str(options.get("transaction_mode", "")).upper() == "IMMEDIATE"
        if not immediate or "journal_mode=wal" not in pragmas or "synchronous=full" not in pragmas:
            yield Caution(
                f"SQLite of DATABASES[{alias!r}] is not set up for several writers.",
                hint='Enrolments fail as "database is locked", and a ban may not survive a power cut. '
                "Set OPTIONS to bonafide.django.databases.SQLITE_OPTIONS.",
                id="bonafide.W010",
            )


def _anchors(now: datetime) -> Iterator[CheckMessage]:
    for anchor in expiring(BUNDLED, now=now):
        yield Caution(
            f"The trust anchor {anchor.name} ends on {anchor.not_after:%Y-%m-%d}.",
            hint="From that day on no device can enrol. Upgrade to a release that brings its successor.",
            id="bonafide.W006",
        )


def _settings(settings: Settings) -> Iterator[CheckMessage]:
    if settings.environment is Environment.PRODUCTION:
        yield from _production(settings)
    elif settings.unsafe_test_anchors or settings.unsafe_debug_evidence:
        yield Caution(
            f"The {settings.environment} environment trusts test anchors or debug evidence.",
            hint="Whoever holds their keys enrols as a genuine app. Keep it away from production's data.",
            id="bonafide.W007",
        )
    keys = settings.keys_dir
    if keys.exists() and keys.stat().st_mode & _FOR_OTHERS:
        yield Error(
            "BONAFIDE['KEYS_DIR'] is open to other users of this host.",
            hint="Whoever reads a signing key makes client attestations of their own. chmod 700 the directory.",
            id="bonafide.E006",
        )
    yield from _behind_gate(settings)
    if settings.bind_existing_until is not None:
        yield Caution(
            f"Credentials from before are bound on first use until {settings.bind_existing_until}.",
            hint="Whoever comes first with a stolen credential keeps it. Keep the time short, then set "
            'BINDING to {"existing": "refuse"}.',
            id="bonafide.W005",
        )


def _behind_gate(settings: Settings) -> Iterator[CheckMessage]:
    if settings.behind_gate is None:
        return
    try:
        read_admission_keys(settings.behind_gate.key_files)
    except ConfigurationError as refusal:
        yield Error(
            f"BONAFIDE['BEHIND_GATE']: {refusal.detail}.",
            hint="Whoever reads the key admits whom they like, and without it nobody is admitted. Copy the gate's "
            "*.admission.key, owned by this service's user, chmod 600.",
            id="bonafide.E007",
        )


def _production(settings: Settings) -> Iterator[CheckMessage]:
    if settings.plain_in_production:
        yield Error(
            f"Production has an origin without TLS: {settings.plain_in_production[0]}.",
            hint="Bearer tokens and answers travel in the clear. Write the https:// origin that clients use.",
            id="bonafide.E004",
        )
    if django_settings.DEBUG:
        yield Caution(
            "DEBUG is on, and ENVIRONMENT is production.",
            hint="Tracebacks show requests and settings to whoever causes an error. Set DEBUG = False, or "
            'ENVIRONMENT to "development".',
            id="bonafide.W008",
        )
    if settings.replay_store.kind == "memory":
        yield Caution(
            "The replay store of production is memory:.",
            hint="Each restart forgets what was used, and refuses honest requests for some seconds. "
            "Use lmdb:, which survives it.",
            id="bonafide.W009",
        )


def _coverage(table: RouteTable) -> Iterator[CheckMessage]:
    if not table.enforces:
        return
    try:
        require_covered(table)
    except ConfigurationError as refusal:
        yield Error(
            refusal.detail,
            hint=f"Requests to it would be refused, so the service does not start. {refusal.reason.remedy}",
            id="bonafide.E003",
        )


def _table(settings: Settings, table: RouteTable) -> Iterator[CheckMessage]:
    if settings.routes is None:
        yield Caution(
            "BONAFIDE has no ROUTES, so nothing is enforced.",
            hint="Every route observes, and lets everybody in. Write a table: manage.py bonafide_routes --init.",
            id="bonafide.W001",
        )
        return
    for identifier, said, hint, applies in _SAID_ALOUD:
        routes = [route for route in table if applies(route)]
        if routes:
            yield Caution(f"{said}: {_names(routes)}.", hint=hint, id=f"bonafide.{identifier}")


_SAID_ALOUD: Final[tuple[tuple[str, str, str, Callable[[Route], bool]], ...]] = (
    (
        "W002",
        "Routes that only observe",
        'They let everybody in. Once their refusals are understood, set mode = "enforce".',
        lambda route: route.enforced_share <= 0,
    ),
    (
        "W003",
        "Routes enforced for a share of clients",
        'A share is a rehearsal: the rest gets in without a proof. Finish it with mode = "enforce".',
        lambda route: 0 < route.enforced_share < 1,
    ),
    (
        "W004",
        "Routes that admit old app versions without a proof",
        "Whoever sends no proof passes for one. Keep max_share small, and end it with `until`.",
        lambda route: route.legacy is not None,
    ),
    (
        "W011",
        "Routes on which a proof may be used again",
        "A recorded request can be sent again while its proof is fresh. Remove single_use = false where it matters.",
        lambda route: not route.single_use,
    ),
    (
        "W012",
        "Routes that seal their answers and let clients in without a proof",
        'Whom they would refuse they answer in clear. Once their refusals are understood, set mode = "enforce".',
        lambda route: route.seal and route.enforced_share < 1,
    ),
    (
        "W014",
        "Routes on which DPoP admits requests whose bodies nobody signed",
        'Whoever is on the way edits body and query. Name the methods that need neither, or demand proof = "session".',
        lambda route: route.leaves_bodies_open,
    ),
)


def _names(routes: Iterable[Route]) -> str:
    return ", ".join(route.match for route in routes)


def examine_rows(app_configs: object = None, databases: object = None, **_: object) -> list[CheckMessage]:
    """Return what is dangerous in the database. Django asks it only with `check --database`, and on `migrate`."""
    del app_configs
    if not databases or not hasattr(django_settings, conf.NAME):
        return []
    from bonafide.django.documents import pins  # noqa: PLC0415 - models, which are not there when checks are registered

    now = datetime.now(UTC)
    try:
        due = pins.due(conf.current().environment, now)
    except (ConfigurationError, DatabaseError):
        return []  # `examine` tells the first, and `migrate` asks before there are tables
    return [
        Caution(
            f"Pins of an app come to their end: {ending.words(now)}.",
            hint="Apps refuse a host whose key is not pinned, and pins that have ended protect nobody. "
            "Publish them again: manage.py bonafide_pins publish.",
            id="bonafide.W013",
        )
        for ending in due
    ]


def connect() -> None:
    """Register the checks with Django. Called once, when apps are ready."""
    register(examine)
    register(examine_rows, Tags.database)
