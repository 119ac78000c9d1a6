"""`manage.py bonafide_purge`: erase what is no longer needed. Run it daily."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from bonafide.django import conf
from bonafide.django.retention import purge


class Command(BaseCommand):
    """Erase octets of evidence past their date, spent challenges, old records, and bans and bindings that ran out."""

    help = "Erase evidence, spent challenges, refusals, bans and bindings that are past their date. Run it daily."

    def handle(self, *_: Any, **__: Any) -> None:
        """Purge in small transactions, and say what went."""
        purged = purge(timezone.now(), refusal_retention=conf.current().refusal_retention)
        for name, rows in asdict(purged).items():
            self.stdout.write(f"{name.replace('_', ' ')}: {rows}")
