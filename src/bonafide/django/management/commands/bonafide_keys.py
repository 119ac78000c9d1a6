"""`manage.py bonafide_keys`: which keys there are, and new ones for the day when somebody else has them."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import router, transaction
from django.utils import timezone

from bonafide.django import conf
from bonafide.django.key_sources import KeySources
from bonafide.django.models import App, AuditEvent, AuditKind
from bonafide.errors import ConfigurationError

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from datetime import datetime

    from bonafide.terms import Environment


class Command(BaseCommand):
    """List the keys of this environment, never their secrets; rotate what is due; replace what was stolen."""

    help = "List the keys of this environment (no secrets), rotate what is due, or replace an app's keys."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare `list` and `rotate`."""
        acts = parser.add_subparsers(dest="act", required=True)
        acts.add_parser("list", help="ids, dates and the thumbprints that an app is built with")
        rotate = acts.add_parser("rotate", help="write what is due; servers do so by themselves")
        rotate.add_argument("app", nargs="?", help="one app (default: all)")
        rotate.add_argument(
            "--compromised",
            action="store_true",
            help="forget all signing and gate keys of the app at once; then restart every process",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        """List or rotate."""
        settings, now = conf.current(), timezone.now()
        keys = KeySources(settings)
        audiences = {row.name: row.audience or settings.audience for row in _apps(settings.environment)}
        keys.serve_audiences(audiences)
        try:
            if options["act"] == "list":
                self._list(keys, sorted(audiences), now)
            else:
                self._rotate(keys, sorted(audiences), now, options)
        except ConfigurationError as error:
            raise CommandError(error.detail) from None

    def _list(self, keys: KeySources, apps: list[str], now: datetime) -> None:
        key, spare = keys.service_ring().thumbprints
        self.stdout.write(f"service key  {key}  (pin this thumbprint in the app)")
        self.stdout.write(f"its spare    {spare}  (and this one)")
        for app in apps:
            ring = keys.ring(app, now)
            signing = ring.signing_key(now).kid
            for scheduled in ring.signing:
                state = (
                    "signs" if scheduled.key.kid == signing else "begins" if scheduled.signs_from > now else "retired"
                )
                self.stdout.write(
                    f"{app}  signing  {scheduled.key.kid}  {state}  {scheduled.signs_from:%Y-%m-%d %H:%M}"
                )
            for gate in ring.gate:
                self.stdout.write(f"{app}  gate  {gate.kid}  {gate.audience}  erased {gate.erase_after:%Y-%m-%d %H:%M}")

    def _rotate(self, keys: KeySources, apps: list[str], now: datetime, options: dict[str, Any]) -> None:
        named, compromised = options["app"], options["compromised"]
        if named is not None and named not in apps:
            message = f"there is no app {named}"
            raise CommandError(message)
        if compromised and named is None:
            message = "name the app whose keys are compromised"
            raise CommandError(message)
        for app in [named] if named else apps:
            if compromised:
                keys.of(app).discard()
                _tell(app, now)
            kid = keys.ring(app, now).signing_key(now).kid
            self.stdout.write(f"{app}  signs with {kid}")
        if compromised:
            self.stderr.write("Restart every process now: until then they accept what the old keys signed.")


def _apps(environment: Environment) -> list[App]:
    return list(App.objects.filter(environment=environment))


def _tell(app: str, now: datetime) -> None:
    using = router.db_for_write(AuditEvent)
    with transaction.atomic(using=using):
        AuditEvent.objects.using(using).create(
            at=now,
            app=app,
            environment=conf.current().environment,
            kind=AuditKind.KEYS_ROTATED,
            subject=app,
            actor=_operator(),
            detail={"compromised": True},
        )


def _operator() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return "manage.py"
