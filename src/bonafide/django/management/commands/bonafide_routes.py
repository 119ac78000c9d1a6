"""`manage.py bonafide_routes`: which rule each URL has; a first table; the URLs that have no rule."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from bonafide.codec import json
from bonafide.django import conf, route_proposals
from bonafide.django.runtime import read_routes
from bonafide.django.url_inventory import METHODS, uncovered, urls
from bonafide.errors import ConfigurationError

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from bonafide.django.url_inventory import Url
    from bonafide.routes import Route, RouteTable


class Command(BaseCommand):
    """Show, begin or examine the route table. Exit status 1: a URL has no rule (`--missing`)."""

    help = "List every URL with the rule that it falls under; write a first route table; name the URLs without a rule."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the three uses."""
        use = parser.add_mutually_exclusive_group()
        use.add_argument(
            "--init",
            nargs="?",
            const="-",
            metavar="FILE",
            help="write a table that observes, from the URLconf, to FILE (never over an existing one) or the terminal",
        )
        use.add_argument("--missing", action="store_true", help="list the URLs without a rule; exit 1 if there are any")
        parser.add_argument("--json", action="store_true", help="as JSON, one object a line")

    def handle(self, *_: Any, **options: Any) -> None:
        """Do one of them."""
        inventory = urls()
        if options["init"]:
            self._begin(inventory, options["init"])
            return
        try:
            table = read_routes(conf.current())
        except ConfigurationError as error:
            raise CommandError(error.detail) from None
        if options["missing"]:
            self._name_missing(uncovered(table, inventory), as_json=options["json"])
        else:
            self._show(table, inventory, as_json=options["json"])

    def _begin(self, inventory: tuple[Url, ...], place: str) -> None:
        toml = route_proposals.write_toml(route_proposals.propose(inventory))
        for url in route_proposals.unservable(inventory):
            self.stderr.write(f"{url.written}: no admitted target leads there; it gets no rule")
        if place == "-":
            self.stdout.write(toml)
            return
        try:
            with Path(place).open("x", encoding="utf-8") as file:
                file.write(toml)
        except OSError as error:
            message = f"{place}: {error.strerror}"
            raise CommandError(message) from None
        self.stdout.write(f"{place}: read each rule, then set BONAFIDE['ROUTES'] to it")

    def _name_missing(self, missing: tuple[Url, ...], *, as_json: bool) -> None:
        for url in missing:
            line = {"url": url.written, "rules": [form.match for form in url.forms]}
            self.stdout.write(json.dump(line).decode() if as_json else url.written)
        if missing:
            message = f"{len(missing)} URLs have no rule"
            raise CommandError(message, returncode=1)

    def _show(self, table: RouteTable, inventory: tuple[Url, ...], *, as_json: bool) -> None:
        for url in inventory:
            found = dict.fromkeys(route for form in url.forms for route in _rules(table, form.sample))
            for route in found or [None]:
                line = _line(url, route)
                self.stdout.write(json.dump(line).decode() if as_json else "  ".join(map(str, line.values())))


def _rules(table: RouteTable, path: str) -> list[Route]:
    methods = {method for route in table for method in route.methods or METHODS}
    return [route for method in sorted(methods) if (route := table.match(method, path)) is not None]


def _line(url: Url, route: Route | None) -> dict[str, object]:
    if route is None:
        return {"url": url.written, "rule": "-", "methods": "-", "client": "-", "mode": "refused"}
    share = route.enforced_share
    mode = {0.0: "observe", 1.0: "enforce"}.get(share, f"{share:.0%}")
    return {
        "url": url.written,
        "rule": route.match,
        "methods": ",".join(sorted(route.methods)) if route.methods else "*",
        "client": str(route.client),
        "mode": mode,
    }
