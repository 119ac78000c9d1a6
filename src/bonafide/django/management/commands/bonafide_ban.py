"""`manage.py bonafide_ban`: refuse an instance, or a key, from now on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from bonafide.django import bans, conf
from bonafide.django.bans import Act
from bonafide.django.command_words import bind_values, duration, operator
from bonafide.django.models import App, BanScope, Instance
from bonafide.errors import Misuse

if TYPE_CHECKING:
    from argparse import ArgumentParser

SUBJECTS: Final = frozenset(["--instance", "--jkt", "--key-id"])


class Command(BaseCommand):
    """Ban one subject. An instance brings its keys along; gates know within seconds."""

    help = "Ban an instance with all its keys, a sign key (jkt) or an App Attest key. Gates know within seconds."

    def run_from_argv(self, argv: list[str]) -> None:
        """Take ids that begin with a hyphen for what they are."""
        super().run_from_argv(bind_values(argv, SUBJECTS))

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare whom, why and for how long."""
        declare_subject(parser)
        parser.add_argument("--for", dest="length", type=duration, metavar="LENGTH", help="7d, 12h (default: for good)")

    def handle(self, *_: Any, **options: Any) -> None:
        """Ban."""
        now = timezone.now()
        until = None if options["length"] is None else now + options["length"]
        scope, subject = subject_of(options)
        environment = conf.current().environment
        try:
            act = Act(reason=options["because"], by=operator(), at=now, until=until)
            if scope is BanScope.INSTANCE:
                if not Instance.objects.filter(pk=subject, environment=environment).exists():
                    message = f"there is no instance {subject} in {environment}"
                    raise CommandError(message)
                bans.ban_instance(subject, act)
            else:
                bans.ban_key(scope, subject, app=app_of(options), environment=environment, act=act)
        except Misuse as refusal:
            raise CommandError(refusal.reason.meaning) from None
        self.stderr.write(f"{scope} {subject} is banned" + ("" if until is None else f" until {until:%Y-%m-%d %H:%M}"))


def declare_subject(parser: ArgumentParser) -> None:
    """Declare what a ban names, and why it is put or lifted."""
    subject = parser.add_mutually_exclusive_group(required=True)
    subject.add_argument("--instance", metavar="ID", help="an instance, with its sign key and App Attest keys")
    subject.add_argument("--jkt", metavar="THUMBPRINT", help="a sign key, enrolled or not; with --app")
    subject.add_argument("--key-id", metavar="BASE64", help="an App Attest key, enrolled or not; with --app")
    parser.add_argument("--app", help="in which app a key is banned")
    parser.add_argument("--because", required=True, metavar="WORDS", help="why: the audit keeps it")


def subject_of(options: dict[str, Any]) -> tuple[BanScope, str]:
    """Return what is named, and by which kind of name."""
    return next((scope, options[scope.value]) for scope in BanScope if options[scope.value])


def app_of(options: dict[str, Any]) -> str:
    """Return the app that a key belongs to. Raises `CommandError` where there is none of that name."""
    app, environment = options["app"], conf.current().environment
    if not app or not App.objects.filter(name=app, environment=environment).exists():
        message = f"name the app of the key with --app; {app or 'none'} is no app of {environment}"
        raise CommandError(message)
    return str(app)
