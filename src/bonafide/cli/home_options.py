"""What the commands of a control plane that runs by itself have in common: the option `--home`, and a way in.

Rule of this file: nothing of Django is imported before a command runs, so that `bonafide --help` stays quick and works
where the extra is not installed.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, NoReturn

from bonafide.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse

    from bonafide.django.service.home import Home
    from bonafide.errors import BonafideError

SETTINGS: Final = "bonafide.django.service.settings"
EXIT_REFUSED: Final = 1
_PACKAGES: Final = ("django", "lmdb", "granian", "prometheus_client", "pythonjsonlogger")
EXIT_MISUSE: Final = 2


class Stop(Exception):
    """The command ends here, with this exit code and a line for the terminal."""

    def __init__(self, code: int, line: str) -> None:
        super().__init__(line)
        self.code = code


def add_home(parser: argparse.ArgumentParser) -> None:
    """Declare `--home`."""
    parser.add_argument("--home", metavar="DIR", help="the home directory (default: $BONAFIDE_HOME, ./bonafide-home)")


def require_extra() -> None:
    """Say plainly what to install where Django is missing. Raises `Stop`."""
    # Found, not imported: prometheus_client decides when it is imported how it counts.
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise Stop(EXIT_MISUSE, f"needs the service ({missing[0]} is missing): pip install 'bonafide[service]'")


def enter(option: str | None) -> Home:
    """Set Django up for the home that is meant, which exists. Raises `Stop`."""
    require_extra()
    from bonafide.django.service import home  # noqa: PLC0415 - an extra

    place = home.locate(option, os.environ)
    try:
        found = home.read(place)
        set_up(found)
    except ConfigurationError as refusal:
        refuse(refusal)
    return found


def set_up(home: Home) -> None:
    """Have this process, and those that it starts, be of this home."""
    from bonafide.django.service.home import VARIABLE  # noqa: PLC0415 - an extra

    os.umask(0o077)  # SQLite's files are made by whoever comes first
    os.environ[VARIABLE] = str(home.path)
    os.environ["DJANGO_SETTINGS_MODULE"] = SETTINGS
    import django  # noqa: PLC0415 - an extra

    django.setup()


def refuse(refusal: BonafideError) -> NoReturn:
    """Tell what cannot be run with, or without. Raises `Stop`."""
    line = f"{refusal.reason.code}: {refusal.detail or refusal.reason.meaning}"
    raise Stop(EXIT_REFUSED, f"{line}\n  {refusal.reason.remedy}") from None


def tell(name: str, stop: Stop) -> int:
    """Print why a command ends, and return its exit code."""
    print(f"bonafide {name}: {stop}", file=sys.stderr)
    return stop.code
