"""`bonafide serve`: the control plane as a program.

The first start makes the home directory: settings, keys, an SQLite database; it prints what to do next. Apps
and gates reach the one listener, through your proxy; the other one is the operator's: console, metrics, readiness.
SIGTERM ends it when the requests in flight are answered.
"""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING, Any, Final

from bonafide.cli import home_options
from bonafide.cli.home_options import EXIT_MISUSE, EXIT_REFUSED, Stop
from bonafide.errors import BonafideError
from bonafide.reasons import store as store_reasons

if TYPE_CHECKING:
    import argparse

    from bonafide.django.service.home import Home
    from bonafide.django.service.service_file import Listener
    from bonafide.keys import ServiceRing

EXIT_AWAY: Final = 75
"""Something that a start needs is away and may come back (EX_TEMPFAIL, sysexits(3)): whoever supervises tries again.

Not so where a start is refused: each would try the PIN of a token again, and tokens lock.
"""

_AWAY: Final = frozenset((store_reasons.DATABASE_UNAVAILABLE, store_reasons.SEALING_KEY_UNAVAILABLE))
_ENVIRONMENTS = ("production", "staging", "development", "test")


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `serve`."""
    parser = commands.add_parser("serve", help="run the control plane", description=__doc__)
    home_options.add_home(parser)
    first = parser.add_argument_group("first start", "written into service.toml, which later starts read")
    first.add_argument("--origin", action="append", metavar="URL", help="a public origin of the API; may be repeated")
    first.add_argument("--environment", choices=_ENVIRONMENTS, help="which deployment it is (default: development)")
    parser.add_argument("--listen", metavar="ADDRESS", help="instead of service.toml's: address:port or unix:/path")
    parser.add_argument("--console-listen", metavar="ADDRESS", help="likewise, for the operator's listener")
    parser.add_argument("--workers", type=_workers, metavar="N", help="likewise: processes that serve")
    parser.add_argument("--init", action="store_true", help="make what a first start makes, print it, and end")
    parser.set_defaults(run=_run)


def _workers(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _run(arguments: argparse.Namespace) -> int:
    try:
        return _serve(arguments)
    except Stop as stop:
        return home_options.tell("serve", stop)
    except BonafideError as refusal:  # a configuration that cannot be run, a token or a database that is away
        try:
            home_options.refuse(refusal)
        except Stop as stop:
            told = home_options.tell("serve", stop)
            return EXIT_AWAY if refusal.reason in _AWAY else told


def _serve(arguments: argparse.Namespace) -> int:
    home_options.require_extra()
    home, made = _home(arguments)
    listen = _listener(arguments.listen, home.says.listen)
    console = _listener(arguments.console_listen, home.says.console_listen)
    from bonafide.django.service import server  # noqa: PLC0415 - an extra

    with server.metrics_directory():
        home_options.set_up(home)
        ring = _make_ready(home)
        _refuse_grave_findings()
        _greet(home, ring, listen, console, first=made or arguments.init)
        if not arguments.init:
            server.serve(home, listen=listen, console=console, workers=arguments.workers or home.says.workers)
    return 0


def _home(arguments: argparse.Namespace) -> tuple[Home, bool]:
    from bonafide.django.service import home  # noqa: PLC0415 - an extra

    usual = home.Draft()
    listen = arguments.listen or usual.listen
    draft = home.Draft(
        environment=arguments.environment or usual.environment,
        origins=arguments.origin or (usual.origins if listen.startswith("unix:") else [f"http://{listen}"]),
        listen=listen,
        console_listen=arguments.console_listen or usual.console_listen,
    )
    found, made = home.make(home.locate(arguments.home, os.environ), draft)
    said = found.says.shared
    if not made and (
        (arguments.origin and list(arguments.origin) != said.get("origins"))
        or (arguments.environment and arguments.environment != said.get("environment", "production"))
    ):
        raise Stop(EXIT_MISUSE, f"{found.path / 'service.toml'} says otherwise: edit it")
    return found, made


def _listener(option: str | None, said: Listener) -> Listener:
    from bonafide.django.service import service_file  # noqa: PLC0415 - an extra

    return said if option is None else service_file.listener.read(option)  # `_home` has read it before


def _make_ready(home: Home) -> ServiceRing:
    from django.db import Error as DatabaseError  # noqa: PLC0415 - an extra

    from bonafide.django.service import first_start  # noqa: PLC0415 - an extra

    try:
        return first_start.make_ready(home.path)
    except DatabaseError as error:
        raise Stop(EXIT_AWAY, f"the database: {type(error).__name__}: {error}".strip()) from None


def _refuse_grave_findings() -> None:
    from bonafide.django.service import first_start  # noqa: PLC0415 - an extra

    found = first_start.grave(first_start.findings())
    if found:
        lines = [f"{each.id}: {each.msg}\n  {each.hint}" for each in found]
        raise Stop(EXIT_REFUSED, "it would not keep its promise\n" + "\n".join(lines))


def _greet(home: Home, ring: ServiceRing, listen: Listener, console: Listener, *, first: bool) -> None:
    """Print where things are, and after a first start what to do next. Nothing printed is secret."""
    from bonafide.django import conf  # noqa: PLC0415 - an extra
    from bonafide.django.service import greeting  # noqa: PLC0415 - likewise

    option = (
        ""
        if str(home.path) == str(home.path.parent / "bonafide-home") and home.path.parent == _here()
        else (f" --home {shlex.quote(str(home.path))}")
    )
    told: Any = greeting.Greeting(
        home=home, settings=conf.current(), ring=ring, listen=listen, console=console, home_option=option
    )
    print(told.places())
    if first:
        print(told.next_steps())
    sys.stdout.flush()


def _here() -> Any:
    from pathlib import Path  # noqa: PLC0415 - only here

    return Path.cwd()
