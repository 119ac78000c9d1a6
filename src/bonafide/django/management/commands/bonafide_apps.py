"""`manage.py bonafide_apps`: which apps this service enrols, and adding one or an identity of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import router, transaction

from bonafide.django import conf
from bonafide.django.models import App, Identity
from bonafide.terms import Environment, EvidenceEnvironment, Platform

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """List and add apps and identities of this environment. Adding what is there changes only what is named."""

    help = "List the apps of this environment, or add one with its identities."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare `list` and `add`."""
        acts = parser.add_subparsers(dest="act", required=True)
        acts.add_parser("list", help="every app and identity")
        add = acts.add_parser("add", help="add an app, or identities to it")
        add.add_argument("app", help="the app's name, the `sub` of its client attestations: letters, digits, . _ -")
        add.add_argument(
            "--identity",
            action="append",
            default=[],
            metavar="TEAMID.BUNDLE",
            help="an App ID that it is signed as; may be given again. Without one no device can enrol yet",
        )
        _declare_evidence(add)
        identity = acts.add_parser("identity", help="the signed forms of an app").add_subparsers(
            dest="identity_act", required=True
        )
        another = identity.add_parser("add", help="add an identity to an app, or change what is named of it")
        another.add_argument("app", help="the app's name")
        another.add_argument("--team", required=True, metavar="TEAMID", help="Apple's ten characters for the team")
        another.add_argument("--bundle", required=True, metavar="BUNDLE", help="the bundle id, com.example.shop")
        _declare_evidence(another)

    def handle(self, *_: Any, **options: Any) -> None:
        """List or add."""
        environment = conf.current().environment
        if options["act"] == "list":
            self._list(environment)
            return
        evidence = sorted(set(options["evidence"] or []))
        if environment is Environment.PRODUCTION and EvidenceEnvironment.DEBUG.value in evidence:
            message = "production takes no debug evidence"
            raise CommandError(message)
        try:
            with transaction.atomic(using=router.db_for_write(App)):
                self._put(options, environment, evidence)
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None

    def _put(self, options: dict[str, Any], environment: Environment, evidence: list[str]) -> None:
        app = App.objects.filter(name=options["app"], environment=environment).first()
        if options["act"] == "identity":
            if app is None:
                message = f"there is no app {options['app']} in {environment}"
                raise CommandError(message)
            self._add(app, f"{options['team']}.{options['bundle']}", options["platform"], evidence)
            return
        if app is None:
            app = App(name=options["app"], environment=environment)
            app.full_clean()
            app.save()
            self.stderr.write(f"{app} is added")
        for name in options["identity"]:
            self._add(app, name, options["platform"], evidence)

    def _add(self, app: App, identity: str, platform: str | None, evidence: list[str]) -> None:
        row = Identity.objects.filter(app=app, name=identity).first() or Identity(
            app=app, name=identity, platform=Platform.IOS.value, environments=[EvidenceEnvironment.PRODUCTION.value]
        )
        row.platform, row.environments = platform or row.platform, evidence or row.environments
        row.full_clean()
        row.save()
        self.stderr.write(f"{app}: {identity}, {row.platform}, evidence {', '.join(row.environments)}")

    def _list(self, environment: Environment) -> None:
        for app in App.objects.filter(environment=environment).prefetch_related("identities"):
            identities = list(app.identities.all())
            if not identities:
                self.stdout.write(f"{app.name}  has no identity: no device can enrol")
            for identity in identities:
                evidence = ", ".join(identity.environments)
                self.stdout.write(f"{app.name}  {identity.name}  {identity.platform}  {evidence}")


def _declare_evidence(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--platform",
        choices=[Platform.IOS.value, Platform.MACOS.value],
        help="ios, where a new identity says none",
    )
    parser.add_argument(
        "--evidence",
        action="append",
        choices=[member.value for member in EvidenceEnvironment],
        help="where its evidence comes from; may be given again. Production, where a new identity says none",
    )
