"""`manage.py bonafide_keys`: which keys there are, new ones for the day when somebody else has them, and their seal."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import router, transaction
from django.utils import timezone

from bonafide.django import conf
from bonafide.django.key_sources import KeySources, sealed_secrets_of, sealing_key_at
from bonafide.django.models import App, AuditEvent, AuditKind
from bonafide.errors import ConfigurationError, VerificationFailed
from bonafide.stores.key_storage import StorageSilent
from bonafide.stores.key_storage_files import PrivateFileStorage

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from datetime import datetime

    from bonafide.django.conf import Settings
    from bonafide.terms import Environment


class Command(BaseCommand):
    """List the keys of this environment, never their secrets; rotate, replace, seal, and move them to the database."""

    help = "List the keys of this environment (no secrets), rotate what is due, replace an app's keys, or seal them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the acts."""
        acts = parser.add_subparsers(dest="act", required=True)
        acts.add_parser("list", help="ids, dates and the thumbprints that an app is built with")
        rotate = acts.add_parser("rotate", help="write what is due; servers do so by themselves")
        rotate.add_argument("app", nargs="?", help="one app (default: all)")
        rotate.add_argument(
            "--compromised",
            action="store_true",
            help="forget all signing and gate keys of the app at once; then restart every process",
        )

        acts.add_parser("make-sealing-key", help="make what SEALING_KEY names, once; never over one that is there")
        acts.add_parser("adopt", help="copy the keys below KEYS_DIR into the database, sealed; never over others")
        acts.add_parser("reseal", help="seal under SEALING_KEY whatever another key sealed; may be repeated")

    def handle(self, *_: Any, **options: Any) -> None:
        """Do what was asked, and say in words what stands in its way."""
        settings, now = conf.current(), timezone.now()
        try:
            match options["act"]:
                case "make-sealing-key":
                    self._make_sealing_key(settings)
                case "adopt":
                    self._adopt(settings)
                case "reseal":
                    self._reseal(settings)
                case _:
                    self._keys(settings, now, options)
        except (ConfigurationError, VerificationFailed) as error:
            raise CommandError(error.detail) from None
        except StorageSilent as silence:
            raise CommandError(str(silence)) from None

    def _keys(self, settings: Settings, now: datetime, options: dict[str, Any]) -> None:
        keys = KeySources(settings)
        audiences = {row.name: row.audience or settings.audience for row in _apps(settings.environment)}
        keys.serve_audiences(audiences)
        if options["act"] == "list":
            self._list(keys, sorted(audiences), now)
        else:
            self._rotate(keys, sorted(audiences), now, options)

    def _make_sealing_key(self, settings: Settings) -> None:
        if settings.sealing_key is None:
            message = f"{conf.NAME} names no SEALING_KEY"
            raise CommandError(message)
        key = sealing_key_at(settings.sealing_key)
        if not key.make():
            message = f"there is one already: {key.name}"
            raise CommandError(message)
        self.stdout.write(f"made {key.name}")
        self.stdout.write("Give it to every service host, and keep a copy where no server reaches.")

    def _adopt(self, settings: Settings) -> None:
        files, secrets = PrivateFileStorage(settings.keys_dir, settings.environment), sealed_secrets_of(settings)
        for name in files.names():
            data = files.read(name)
            if secrets.change(name, lambda held, data=data: data if held is None else held) != data:  # type: ignore[misc]  # a default in a lambda has no type
                message = f"{name}: the database holds another one; it was made before this command ran"
                raise CommandError(message)
            self.stdout.write(f"{name}  sealed in the database")

    def _reseal(self, settings: Settings) -> None:
        secrets = sealed_secrets_of(settings)
        for name in secrets.names():
            self.stdout.write(f"{name}  {'sealed anew' if secrets.reseal(name) else 'sealed already'}")

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
                keys.replace(app, now)
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
