"""`manage.py bonafide_partition`: split the large tables of a PostgreSQL that is in use, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connections, router

from bonafide.django import partition_exchange as exchange
from bonafide.django.models import Instance

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Split tables that are too large for the migration, while the service enrols and renews."""

    help = "Split the large tables of a live PostgreSQL by hash: prepare, copy, swap, drop (docs/how-to/postgresql.md)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the steps."""
        steps = parser.add_subparsers(dest="step", required=True)
        steps.add_parser("status", help="how far it is")
        steps.add_parser("prepare", help="make partitioned twins, and write every change to both from now on")
        copying = steps.add_parser("copy", help="copy what was there before, in batches, and compare; may be repeated")
        copying.add_argument("--batch", type=int, default=exchange.BATCH, help="rows in one transaction")
        steps.add_parser("swap", help="give the twins the names; the tables of before are kept")
        steps.add_parser("abandon", help="before the swap: remove the twins, and leave everything as it was")
        steps.add_parser("drop", help="after the swap: remove the tables of before")

    def handle(self, *_: Any, **options: Any) -> None:
        """Take one step, and say where that leads."""
        using = router.db_for_write(Instance)
        if connections[using].vendor != "postgresql":
            message = f"only PostgreSQL splits tables, and {using} is {connections[using].vendor}"
            raise CommandError(message)
        try:
            match options["step"]:
                case "copy":
                    for table, seen in exchange.copy(using, batch=options["batch"]):
                        self.stdout.write(f"{table}  {seen}")
                case "status":
                    pass
                case step:
                    getattr(exchange, step)(using)
        except exchange.NotNow as reason:
            raise CommandError(str(reason)) from None
        self.stdout.write(exchange.state(using))
