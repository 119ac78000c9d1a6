"""The commands of a control plane that are Django's: `bonafide keys list` is `manage.py bonafide_keys list`.

Rule of this file: such a command and its options are written once, as Django's; here it is run under the settings
of the home, and nothing is decided.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

from bonafide.cli import home_options
from bonafide.cli.home_options import EXIT_MISUSE, EXIT_REFUSED, Stop

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS: Final = {
    "admin": ("bonafide_admin", "logins for the console"),
    "apps": ("bonafide_apps", "the apps of this service, and their identities"),
    "gates": ("bonafide_gates", "the gates that may fetch keys and bans"),
    "keys": ("bonafide_keys", "the keys: thumbprints, dates, rotation"),
    "ban": ("bonafide_ban", "refuse an instance or a key from now on"),
    "unban": ("bonafide_unban", "lift a ban"),
    "open": ("bonafide_open", "break the glass: let a route only observe for some minutes"),
    "debug-secret": ("bonafide_debug_secret", "secrets for simulators and CI, never in production"),
    "secrets": ("bonafide_secrets", "secrets that genuine apps are given"),
    "configuration": ("bonafide_configuration", "values that apps are given, public or sealed"),
    "pins": ("bonafide_pins", "the TLS keys that apps take, published with a spare"),
    "purge": ("bonafide_purge", "erase what is past its date; `bonafide serve` does so by itself"),
}
"""Each command, Django's name of it, and what it is about."""

MANAGE: Final = "manage"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them to the help. Their words are Django's to read: `main` hands them to `run` before."""
    for name, (managed, about) in COMMANDS.items():
        description = f"`manage.py {managed}` under the settings of the home: {about}."
        parser = commands.add_parser(name, help=about, description=description, add_help=False)
        home_options.add_home(parser)
    parser = commands.add_parser(MANAGE, help="any other command of Django's", add_help=False)
    parser.description = "A command of Django's, such as `migrate` or `changepassword`, under the settings of the home."
    home_options.add_home(parser)


def run(name: str, words: Sequence[str]) -> int:
    """Run one with the words after its name, and return the exit code."""
    try:
        return _run(name, words)
    except Stop as stop:
        return home_options.tell(name, stop)
    except SystemExit as stopped:  # Django ends a command line by itself
        return stopped.code if isinstance(stopped.code, int) else EXIT_REFUSED


def _run(name: str, words: Sequence[str]) -> int:
    known, rest = _home(words)
    home_options.enter(known)
    from django.core.management import get_commands, load_command_class  # noqa: PLC0415 - an extra
    from django.db import Error as DatabaseError  # noqa: PLC0415 - likewise

    from bonafide.django.service import first_start  # noqa: PLC0415 - likewise

    if name == MANAGE:
        if not rest or rest[0] not in get_commands():
            raise Stop(EXIT_MISUSE, f"which command? One of {', '.join(sorted(get_commands()))}")
        managed, shown, rest = rest[0], f"manage {rest[0]}", rest[1:]
    else:
        managed, shown = COMMANDS[name][0], name
    command = load_command_class(get_commands()[managed], managed)
    quiet = ["--skip-checks"] if command.requires_system_checks else []  # `bonafide check` is for that
    # Django's own may take longer than a request: `migrate`, `bonafide_partition`, a report.
    pace = first_start.unhurried() if name == MANAGE else nullcontext()
    try:
        with pace:
            command.run_from_argv(["bonafide", shown, *quiet, *rest])
    except DatabaseError as error:
        raise Stop(EXIT_REFUSED, f"the database: {type(error).__name__}") from None
    finally:
        sys.stdout.flush()
    return os.EX_OK


def _home(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """Take `--home` out of the words, wherever it stands."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--home")
    found, rest = parser.parse_known_args(list(words))
    return found.home, rest
