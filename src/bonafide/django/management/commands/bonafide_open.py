"""`manage.py bonafide_open`: break the glass, close it again, or see what is open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import router
from django.utils import timezone

from bonafide.django import conf, openings
from bonafide.django.command_words import duration, operator
from bonafide.django.key_sources import KeySources
from bonafide.django.models import Opening
from bonafide.django.runtime import read_routes
from bonafide.errors import BonafideError
from bonafide.opening import EVERY_ROUTE

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Let a route only observe for some minutes. It admits nobody, is signed and audited, and ends by itself."""

    help = (
        "Break the glass: a route only observes, for 24 hours at most. Or close it again (--close), or list (--list)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare what to open, for how long and why."""
        parser.add_argument("--route", metavar="PATTERN", help="the rule's pattern, as in the table; * is every rule")
        parser.add_argument("--for", dest="length", type=duration, metavar="LENGTH", help="30m, 2h; 24h at most")
        parser.add_argument("--because", metavar="WORDS", help="why: whoever looks later must understand it")
        act = parser.add_mutually_exclusive_group()
        act.add_argument("--close", action="store_true", help="end it now: that of --route, or every one")
        act.add_argument("--list", action="store_true", help="what stands now; exit 1 if anything does")

    def handle(self, *_: Any, **options: Any) -> None:
        """Do one of them."""
        try:
            if options["list"]:
                self._list()
            elif options["close"]:
                self._close(options["route"])
            else:
                self._open(options)
        except BonafideError as refusal:
            message = f"{refusal.reason.meaning} {refusal.detail}".strip()
            raise CommandError(message) from None

    def _open(self, options: dict[str, Any]) -> None:
        route, length, because = options["route"], options["length"], options["because"]
        if not route or length is None or not because:
            message = "say --route, --for and --because"
            raise CommandError(message, returncode=2)
        settings, now = conf.current(), timezone.now()
        if settings.routes is not None and route not in {EVERY_ROUTE, *(rule.match for rule in read_routes(settings))}:
            message = f"no rule has the pattern {route}: manage.py bonafide_routes lists them"
            raise CommandError(message)
        row = openings.break_glass(
            route,
            length=length,
            because=because,
            by=operator(),
            settings=settings,
            service_key=KeySources(settings).service_key(now),
            now=now,
        )
        until = f"until {row.until:%Y-%m-%d %H:%M:%S} UTC. Close it with --close."
        if settings.routes is not None or route == EVERY_ROUTE:
            self.stderr.write(f"{route} only observes {until}")
            return
        self.stderr.write(f"An opening of {route} is signed {until}")
        self.stderr.write(
            "Unverified: there is no route table here, and no gate has confirmed a rule of exactly this pattern. Where "
            'none has it, nothing is open. A refusal that a gate lets pass for it has "opened": true in its log.'
        )

    def _close(self, route: str | None) -> None:
        ended = openings.close(route, by=operator(), environment=conf.current().environment, now=timezone.now())
        if not ended:
            message = "nothing is open" if route is None else f"{route} is not open"
            raise CommandError(message)
        for row in ended:
            self.stderr.write(f"{row.route} is enforced again")

    def _list(self) -> None:
        rows = list(openings.unclosed(conf.current().environment, timezone.now(), router.db_for_read(Opening)))
        for row in rows:
            self.stdout.write(f"{row.route}  until {row.until:%Y-%m-%d %H:%M:%S}  {row.opened_by}  {row.because}")
        if rows:
            message = f"{len(rows)} standing"
            raise CommandError(message)
