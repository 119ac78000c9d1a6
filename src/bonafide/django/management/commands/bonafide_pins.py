"""`manage.py bonafide_pins`: which keys an app's hosts may show, published from what they show now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from bonafide.django import runtime
from bonafide.django.command_words import operator
from bonafide.django.documents import pins, served_chain
from bonafide.django.documents.operator import app_of, say
from bonafide.django.documents.pins import PinnedHost
from bonafide.django.documents.served_chain import ChainUnavailable
from bonafide.django.models import PublishedPins
from bonafide.documents import issue_pins

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from bonafide.django.models import App

MAX_DAYS = 365


class Command(BaseCommand):
    """Publish pins with a spare, list and show what was published, take a host out."""

    help = "Publish the TLS keys that an app takes, from what a host shows and a spare; list, show, or remove a host."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the acts."""
        acts = parser.add_subparsers(dest="act", required=True)
        publish = acts.add_parser("publish", help="pin what a host shows now, and a key in reserve")
        publish.add_argument("app", help="the app's name")
        publish.add_argument("--from", dest="url", required=True, metavar="URL", help="https://host, asked by TLS now")
        publish.add_argument(
            "--spare",
            action="append",
            required=True,
            metavar="FILE|PIN",
            help="a key in reserve: its pin, or a file with its public key, request or certificate; may be given again",
        )
        publish.add_argument("--issuer", action="store_true", help="pin the issuing CA's key, not the host's own")
        publish.add_argument(
            "--without-served-key",
            action="store_true",
            help="pin the spares alone: every app with these pins refuses the host until it shows one of them",
        )
        _declare_end(publish)
        removed = acts.add_parser("remove", help="publish anew without a host: apps trust it as the system does")
        removed.add_argument("app", help="the app's name")
        removed.add_argument("host")
        _declare_end(removed)
        acts.add_parser("list", help="every version").add_argument("app", help="the app's name")
        show = acts.add_parser("show", help="what is published now, and what ends when")
        show.add_argument("app", help="the app's name")
        show.add_argument("--signed", action="store_true", help="print the signed document alone, for the app to carry")

    def handle(self, *_: Any, **options: Any) -> None:
        """Do one of them."""
        app, now = app_of(options["app"]), timezone.now()
        try:
            match options["act"]:
                case "publish":
                    self._publish(app, options, now)
                case "remove":
                    self._remove(app, options, now)
                case "list":
                    self._list(app)
                case _ if options["signed"]:
                    self._show_signed(app, now)
                case _:
                    self._tell(_published(app), now)
        except ChainUnavailable as failure:
            raise CommandError(str(failure)) from None
        except ValidationError as error:
            raise CommandError(say(error)) from None

    def _publish(self, app: App, options: dict[str, Any], now: datetime) -> None:
        end, look = _end(options, now), _Look(options["ca_file"])
        host, port = served_chain.place_of(options["url"])
        spares = tuple(served_chain.read_spare(text, lambda path: Path(path).read_bytes()) for text in options["spare"])
        chain = look.fetch(host, port)
        if options["issuer"] and len(chain) < 2:  # noqa: PLR2004 - the host's own, and whoever issued it
            message = f"{host} shows no issuer: its certificate is its own"
            raise CommandError(message)
        shown = chain[1] if options["issuer"] else chain[0]
        known = {key.pin for key in chain}
        if not options["without_served_key"] and (used := [spare for spare in spares if spare in known]):
            message = f"{used[0]} is shown by {host} already: a spare is a key that is in use nowhere"
            raise CommandError(message)
        alone = options["without_served_key"]
        pinned = PinnedHost(
            port=port,
            served="" if alone else shown.pin,
            subject="" if alone else shown.subject,
            ends=0 if alone else int(shown.ends_at.timestamp()),
            spares=spares,
        )
        over, kept = _kept(app, without=host)
        look.require_shown(kept, options)
        row = pins.publish(app, {**kept, host: pinned}, over=over, by=operator(), now=now, expires_at=end)
        if alone:
            self.stderr.write(f"Apps that take version {row.version} refuse {host} until it shows one of the spares.")
        self._tell(row, now)

    def _remove(self, app: App, options: dict[str, Any], now: datetime) -> None:
        published = pins.newest(app.environment, app.name)
        if published is None or options["host"] not in published.hosts:
            message = f"{app} has no pins of {options['host']}"
            raise CommandError(message)
        over, kept = _kept(app, without=options["host"])
        _Look(options["ca_file"]).require_shown(kept, options)
        row = pins.publish(app, kept, over=over, by=operator(), now=now, expires_at=_end(options, now))
        self._tell(row, now)

    def _list(self, app: App) -> None:
        rows = PublishedPins.objects.filter(environment=app.environment, app=app.name).order_by("-version")
        for row in rows:
            hosts = ", ".join(row.hosts) or "no host"
            self.stdout.write(
                f"version {row.version}  {row.published_at:%Y-%m-%d %H:%M}  {row.published_by}  "
                f"until {row.expires_at:%Y-%m-%d}  {hosts}"
            )

    def _show_signed(self, app: App, now: datetime) -> None:
        document = pins.document(_published(app))
        key = runtime.current().keys.service_key(now)
        self.stdout.write(issue_pins(document, app=app.name, service_key=key))

    def _tell(self, row: PublishedPins, now: datetime) -> None:
        self.stdout.write(f"version {row.version}  until {row.expires_at:%Y-%m-%d}")
        for name, host in pins.hosts_of(row).items():
            if host.served:
                ends = datetime.fromtimestamp(host.ends, row.expires_at.tzinfo)
                self.stdout.write(f"{name}  {host.served}  shown by {host.subject} until {ends:%Y-%m-%d}")
            for spare in host.spares:
                self.stdout.write(f"{name}  {spare}  spare")
        for ending in pins.due(row.environment, now):
            if ending.app == row.app:
                self.stderr.write(f"{ending.words(now)}: publish again")


@dataclass(frozen=True, slots=True)
class _Look:
    """How hosts are asked."""

    ca_file: Path | None

    def fetch(self, host: str, port: int) -> tuple[served_chain.ShownKey, ...]:
        return served_chain.fetch(host, port, ca_file=self.ca_file)

    def require_shown(self, hosts: dict[str, PinnedHost], options: dict[str, Any]) -> None:
        """Refuse to publish once more what would lock apps out: a host that shows none of its pins by now."""
        if options["unseen"]:
            return
        for name, host in hosts.items():
            shown = {key.pin for key in self.fetch(name, host.port)}
            if shown.isdisjoint(host.pins):
                message = (
                    f"{name} shows none of the keys that are pinned for it: apps would refuse it. Publish it anew, "
                    "or say --unseen"
                )
                raise CommandError(message)


def _published(app: App) -> PublishedPins:
    published = pins.newest(app.environment, app.name)
    if published is None:
        message = f"nothing is published for {app}"
        raise CommandError(message)
    return published


def _kept(app: App, *, without: str) -> tuple[int, dict[str, PinnedHost]]:
    """Return the version that is published, and its other hosts."""
    published = pins.newest(app.environment, app.name)
    if published is None:
        return 0, {}
    return published.version, {name: host for name, host in pins.hosts_of(published).items() if name != without}


def _declare_end(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--days", type=int, default=90, help=f"how long apps take the pins (default 90, at most {MAX_DAYS})"
    )
    parser.add_argument(
        "--ca-file", type=Path, metavar="FILE", help="roots (PEM) that hosts are trusted by, instead of the system's"
    )
    parser.add_argument(
        "--unseen",
        action="store_true",
        help="do not ask the other hosts of the document whether they show a pinned key: apps may be locked out",
    )


def _end(options: dict[str, Any], now: datetime) -> datetime:
    if not 0 < options["days"] <= MAX_DAYS:
        message = f"--days is 1 to {MAX_DAYS}"
        raise CommandError(message)
    return now + timedelta(days=options["days"])
