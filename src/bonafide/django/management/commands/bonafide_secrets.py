"""`manage.py bonafide_secrets`: the secrets that genuine apps are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from bonafide.django import conf
from bonafide.django.command_words import operator
from bonafide.django.documents import values
from bonafide.django.documents.operator import (
    add_place,
    add_source,
    add_tier,
    app_of,
    history,
    line_of,
    read_value,
    say,
)
from bonafide.django.documents.values import NewValue
from bonafide.django.key_sources import KeySources
from bonafide.django.models import ValueKind
from bonafide.errors import ConfigurationError, VerificationFailed
from bonafide.terms import Tier

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Set, list and remove secrets. No command shows one again."""

    help = "Set a secret that genuine apps are given (its value from a file or standard input), list or remove them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the acts."""
        acts = parser.add_subparsers(dest="act", required=True)
        put = acts.add_parser("set", help="set a secret, as a new version over the one that stands")
        add_place(put)
        add_tier(put)
        add_source(put)
        listed = acts.add_parser("list", help="names, identities, tiers and versions; never values")
        listed.add_argument("app", help="the app's name")
        removed = acts.add_parser("remove", help="hand it to nobody from now on")
        add_place(removed)
        removed.add_argument("--erase", action="store_true", help="erase the octets of all its versions at once")
        past = acts.add_parser("history", help="who set which version, and when it ended")
        past.add_argument("app", help="the app's name")
        past.add_argument("name", help="the secret's name")

    def handle(self, *_: Any, **options: Any) -> None:
        """Do one of them."""
        app = app_of(options["app"])
        match options["act"]:
            case "set":
                self._set(app, options)
            case "remove":
                self._remove(app, options)
            case "history":
                self.stdout.write("\n".join(history(app, options["name"], (ValueKind.SECRET,))))
            case _:
                for row in values.standing(app.environment, app.name, ValueKind.SECRET):
                    self.stdout.write(line_of(row))

    def _set(self, app: Any, options: dict[str, Any]) -> None:
        new = NewValue(
            kind=ValueKind.SECRET,
            name=options["name"],
            value=read_value(options["source"]),
            identity=options["identity"],
            tier=Tier(options["tier"]),
        )
        try:
            key = KeySources(conf.current()).document_key()
            row = values.set_value(app, new, key=key, by=operator(), now=timezone.now())
        except ValidationError as error:
            raise CommandError(say(error)) from None
        except (ConfigurationError, VerificationFailed) as error:
            raise CommandError(error.detail) from None
        self.stderr.write(line_of(row))

    def _remove(self, app: Any, options: dict[str, Any]) -> None:
        removed = values.remove(
            app,
            ValueKind.SECRET,
            options["name"],
            identity=options["identity"],
            erase=options["erase"],
            by=operator(),
            now=timezone.now(),
        )
        if not removed:
            message = f"{app} has no secret {options['name']}"
            raise CommandError(message)
        self.stderr.write(f"{options['name']} is removed. Apps that have it keep it: change it where it is used.")
