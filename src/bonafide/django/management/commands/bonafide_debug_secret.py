"""`manage.py bonafide_debug_secret`: the secrets of simulators and CI jobs."""

from __future__ import annotations

import getpass
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError
from django.utils import timezone

from bonafide.django import conf, debug_secrets
from bonafide.django.models import App, DebugSecret
from bonafide.errors import Misuse

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Make a debug secret, which is printed once and kept nowhere, or end one by its name."""

    help = "Create a secret for debug evidence (printed once, never in production), revoke one, or list them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare `create`, `revoke` and `list`."""
        acts = parser.add_subparsers(dest="act", required=True)
        create = acts.add_parser("create", help="print a new secret, and nothing else, on standard output")
        create.add_argument("app")
        create.add_argument("name", help="who or what uses it, e.g. ci")
        create.add_argument("--days", type=int, default=30, help="how long it lives (default 30, at most 90)")
        revoke = acts.add_parser("revoke", help="end a secret now; its name stays taken")
        revoke.add_argument("app")
        revoke.add_argument("name")
        acts.add_parser("list", help="names and ends of all secrets of this environment")

    def handle(self, *_: Any, **options: Any) -> None:
        """Do one of them."""
        act = {"create": self._create, "revoke": self._revoke, "list": self._list}[options["act"]]
        act(options)

    def _create(self, options: dict[str, Any]) -> None:
        now = timezone.now()
        try:
            secret = debug_secrets.create(
                _app(options["app"]),
                options["name"],
                by=_operator(),
                now=now,
                expires_at=now + timedelta(days=options["days"]),
                random=secrets.token_bytes,
            )
        except Misuse as error:
            message = f"{error.reason.meaning} {error.reason.remedy}"
            raise CommandError(message) from None
        except IntegrityError:
            message = f"{options['name']} is taken; a revoked name stays taken"
            raise CommandError(message) from None
        self.stdout.write(secret)

    def _revoke(self, options: dict[str, Any]) -> None:
        row = DebugSecret.objects.filter(app=_app(options["app"]), name=options["name"]).first()
        if row is None:
            message = f"there is no secret {options['name']}"
            raise CommandError(message)
        debug_secrets.revoke(row, by=_operator(), now=timezone.now())
        self.stderr.write(f"{row} is revoked")

    def _list(self, _: dict[str, Any]) -> None:
        for row in DebugSecret.objects.filter(app__environment=conf.current().environment).select_related("app"):
            end = f"revoked {row.revoked_at:%Y-%m-%d}" if row.revoked_at else f"until {row.expires_at:%Y-%m-%d}"
            self.stdout.write(f"{row.app.name}  {row.name}  {end}")


def _app(name: str) -> App:
    environment = conf.current().environment
    app = App.objects.filter(name=name, environment=environment).first()
    if app is None:
        message = f"there is no app {name} in {environment}; see manage.py bonafide_apps"
        raise CommandError(message)
    return app


def _operator() -> str:
    """Return who the audit names: the account of this machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return "manage.py"
