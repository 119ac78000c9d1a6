"""`manage.py bonafide_unban`: lift a ban."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from bonafide.django import bans, conf
from bonafide.django.bans import Act
from bonafide.django.command_words import bind_values, operator
from bonafide.django.management.commands.bonafide_ban import SUBJECTS, app_of, declare_subject, subject_of
from bonafide.django.models import Ban, BanScope
from bonafide.errors import Misuse

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Lift a ban; of an instance's ban every row. What was banned by itself besides stays banned."""

    help = "Lift the ban of an instance with all its keys, of a sign key (jkt) or of an App Attest key."

    def run_from_argv(self, argv: list[str]) -> None:
        """Take ids that begin with a hyphen for what they are."""
        super().run_from_argv(bind_values(argv, SUBJECTS))

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare whose ban, and why."""
        declare_subject(parser)

    def handle(self, *_: Any, **options: Any) -> None:
        """Lift it."""
        scope, subject = subject_of(options)
        rows = Ban.objects.filter(scope=scope, subject=subject, environment=conf.current().environment)
        # An instance's ban has rows for its keys too: those are lifted with it, and by its own name.
        rows = (
            rows.filter(instance=subject)
            if scope is BanScope.INSTANCE
            else rows.filter(instance="", app=app_of(options))
        )
        ban = rows.first()
        if ban is None:
            message = f"{scope} {subject} is not banned by itself"
            raise CommandError(message)
        try:
            bans.lift(ban, Act(reason=options["because"], by=operator(), at=timezone.now()))
        except Misuse as refusal:
            raise CommandError(refusal.reason.meaning) from None
        self.stderr.write(f"the ban of {scope} {subject} is lifted")
