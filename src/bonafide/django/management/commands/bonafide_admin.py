"""`manage.py bonafide_admin`: logins for the console of a control plane that runs by itself."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model, password_validation
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Create a login that may do everything at the console. The password is asked for, and is never an argument."""

    help = "Create a login for the console; the password is typed twice at the terminal."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare `create`."""
        acts = parser.add_subparsers(dest="act", required=True)
        create = acts.add_parser("create", help="a new login; `bonafide manage changepassword NAME` changes one")
        create.add_argument("name", help="who it is: the audit names them")
        create.add_argument(
            "--password-stdin", action="store_true", help="read the password from one line of standard input"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        """Ask, judge the password, create."""
        users = get_user_model()
        name = users.normalize_username(options["name"])
        if users._default_manager.filter(**{users.USERNAME_FIELD: name}).exists():  # noqa: SLF001 - Django's documented name
            message = f"there is a login {name}"
            raise CommandError(message)
        user = users(**{users.USERNAME_FIELD: name, "is_staff": True, "is_superuser": True})
        password = _from_stdin() if options["password_stdin"] else _from_terminal()
        try:
            password_validation.validate_password(password, user)
            user.set_password(password)
            user.full_clean(exclude=["password"])
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        user.save()
        self.stderr.write(f"{name} may log in")


def _from_stdin() -> str:
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        message = "there is no password on standard input"
        raise CommandError(message)
    return password


def _from_terminal() -> str:
    if not sys.stdin.isatty():
        message = "this is no terminal: use --password-stdin"
        raise CommandError(message)
    password = getpass.getpass("Password: ")
    if password != getpass.getpass("Again: "):
        message = "they differ"
        raise CommandError(message)
    return password
