"""`manage.py bonafide_gates`: the gates that may fetch keys, bans and openings from this service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from bonafide.codec import json, jwk
from bonafide.django import conf, gates
from bonafide.django.command_words import operator
from bonafide.django.models import RegisteredGate
from bonafide.errors import MalformedEvidence, Misuse

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """List, register and retire the gates of this environment. A retired gate is told nothing more."""

    help = "List the gates of this environment, register one by its public key, or retire one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the acts."""
        acts = parser.add_subparsers(dest="act", required=True)
        acts.add_parser("list", help="every gate: audience, key, when it was answered last")
        add = acts.add_parser("add", help="let a gate ask; it is told the gate keys of its audience")
        add.add_argument("name", help="the gate's name, as in its file: letters, digits, . _ -")
        add.add_argument("--jwk", required=True, metavar="JSON", help="its public key, as `bonafide gate init` prints")
        add.add_argument("--audience", metavar="URL", help="the audience that it serves (default: AUDIENCE)")
        retire = acts.add_parser("retire", help="tell a gate nothing more")
        retire.add_argument("name")

    def handle(self, *_: Any, **options: Any) -> None:
        """Do one of them."""
        act = {"list": self._list, "add": self._add, "retire": self._retire}[options["act"]]
        try:
            act(options)
        except Misuse as refusal:
            message = f"{refusal.reason.meaning} {refusal.detail}"
            raise CommandError(message) from None

    def _list(self, _: dict[str, Any]) -> None:
        for row in RegisteredGate.objects.filter(environment=conf.current().environment).order_by("name"):
            if row.retired_at is not None:
                state = f"retired {row.retired_at:%Y-%m-%d %H:%M}"
            elif row.last_asked_at is None:
                state = "has not asked yet"
            else:
                state = f"asked {row.last_asked_at:%Y-%m-%d %H:%M:%S}"
            self.stdout.write(f"{row.name}  {row.audience}  {jwk.thumbprint(row.jwk)}  {state}")

    def _add(self, options: dict[str, Any]) -> None:
        settings = conf.current()
        try:
            key = json.parse_object(options["jwk"].encode())
        except MalformedEvidence:
            message = "--jwk is no JSON object"  # it stays out: somebody may have pasted the private half
            raise CommandError(message) from None
        row = gates.register(
            options["name"],
            key,
            audience=options["audience"] or settings.audience,
            environment=settings.environment,
            by=operator(),
            now=timezone.now(),
        )
        self.stderr.write(f"{row.name} may ask for {row.audience}, with the key {jwk.thumbprint(row.jwk)}")

    def _retire(self, options: dict[str, Any]) -> None:
        gates.retire(options["name"], environment=conf.current().environment, by=operator(), now=timezone.now())
        self.stderr.write(f"{options['name']} is told nothing more; what it knows serves it until its max_stale")
