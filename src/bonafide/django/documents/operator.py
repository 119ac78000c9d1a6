"""Words and looks that the commands about secrets, configuration and pins share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.core.management.base import CommandError

from bonafide.django import conf
from bonafide.django.documents.values import MAX_SEALED_CONTENT
from bonafide.django.models import App, AppValue
from bonafide.django.models.documents import TIERS

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from bonafide.django.models import ValueKind

STDIN: Final = "-"


def app_of(name: str) -> App:
    """Return an app of this environment. Raises `CommandError`."""
    environment = conf.current().environment
    app = App.objects.filter(name=name, environment=environment).first()
    if app is None:
        message = f"there is no app {name} in {environment}; see manage.py bonafide_apps"
        raise CommandError(message)
    return app


def add_place(parser: ArgumentParser) -> None:
    """Declare which value is meant."""
    parser.add_argument("app", help="the app's name")
    parser.add_argument("name", help="the value's name: a letter, then letters, digits, _ . or -")
    parser.add_argument(
        "--identity", default="", metavar="TEAMID.BUNDLE", help="for this identity alone, in place of what all get"
    )


def add_source(parser: ArgumentParser) -> None:
    """Declare where the value comes from: never an argument, which every user of the host could read."""
    parser.add_argument(
        "--from",
        dest="source",
        default=STDIN,
        metavar="FILE",
        help="the file that holds the value; - is standard input, the default. One line break at its end is dropped",
    )


def add_tier(parser: ArgumentParser) -> None:
    """Declare the least tier."""
    parser.add_argument(
        "--tier",
        choices=[str(tier) for tier in TIERS],
        default=str(TIERS[0]),
        help="the least tier of an instance that gets it (default affirming)",
    )


def read_value(source: str) -> str:
    """Return the text of a file or of standard input, without one line break at its end. Raises `CommandError`."""
    try:
        if source == STDIN:
            octets = sys.stdin.buffer.read(MAX_SEALED_CONTENT + 1)
        else:
            with Path(source).open("rb") as file:
                octets = file.read(MAX_SEALED_CONTENT + 1)
        text = octets.decode("utf-8")
    except OSError as error:
        message = f"{source}: {error.strerror}"
        raise CommandError(message) from None
    except UnicodeDecodeError:
        message = "the value is no text in UTF-8; write octets as base64"
        raise CommandError(message) from None
    return text.removesuffix("\n").removesuffix("\r")


def line_of(row: AppValue) -> str:
    """Return what a list says of a value: everything but the value."""
    whom = row.identity or "all identities"
    when = f"{row.set_at:%Y-%m-%d %H:%M}"
    return f"{row.name}  {row.kind}  {whom}  {row.tier}  version {row.version}  {when}  {row.set_by}"


def history(app: App, name: str, kinds: tuple[ValueKind, ...]) -> list[str]:
    """Return every version of a name, newest first, and what became of it. Raises `CommandError` for an unknown one."""
    rows = AppValue.objects.filter(environment=app.environment, app=app.name, name=name, kind__in=kinds)
    lines = [f"{line_of(row)}  {_fate(row)}" for row in rows.order_by("-version")]
    if not lines:
        message = f"{app} never had {name}"
        raise CommandError(message)
    return lines


def _fate(row: AppValue) -> str:
    if row.ended_version is None:
        return "stands"
    erased = "" if row.sealed is not None or row.public else ", erased"
    return f"ended {row.ended_at:%Y-%m-%d %H:%M} by {row.ended_by}{erased}"


def say(errors: Any) -> str:
    """Return the messages of a `ValidationError` in one line."""
    return "; ".join(errors.messages)
