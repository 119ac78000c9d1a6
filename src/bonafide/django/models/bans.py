"""Bans as they stand, and the numbers that tell processes to look again."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.db import models

from bonafide.django.models.fields import MAX_ID, MAX_NAME, AppField, EnvironmentField, IdentifierField

if TYPE_CHECKING:
    from datetime import datetime


class BanScope(models.TextChoices):
    """What `Ban.subject` names."""

    INSTANCE = "instance", "instance"
    JKT = "jkt", "sign key (jkt)"
    KEY_ID = "key_id", "App Attest key"


class Ban(models.Model):
    """One subject that is refused, until `until` or for good. Lifting a ban deletes it; the audit keeps both.

    A ban of an instance is a row for the instance, one for its `sign` key and one for each App Attest key it
    held; `instance` ties them together, and keeps them when the instance itself is erased. A key banned
    by itself has a row without `instance`, so that lifting either ban leaves the other.
    """

    app = AppField()
    environment = EnvironmentField()
    scope = IdentifierField(max_length=16, choices=BanScope.choices)
    subject = IdentifierField(max_length=MAX_NAME)
    instance = IdentifierField(max_length=MAX_ID, blank=True)
    reason = models.TextField()
    banned_by = models.CharField(max_length=MAX_NAME)
    banned_at = models.DateTimeField()
    until = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["subject", "scope", "app", "environment", "instance"], name="bonafide_ban_unique"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["environment", "banned_at"], name="bonafide_ban_recent"),  # the revocation list
            models.Index(fields=["instance"], name="bonafide_ban_instance"),  # lifting all rows of one ban
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.subject}"

    @staticmethod
    def stands(now: datetime) -> models.Q:
        """Select the bans that have not run out."""
        return models.Q(until__isnull=True) | models.Q(until__gt=now)


class Revision(models.Model):
    """A number per environment and topic that rises in the same transaction as what it stands for.

    Processes that hold a copy compare one number instead of reading the copy's source again.
    """

    pk = models.CompositePrimaryKey("environment", "topic")
    environment = EnvironmentField()
    topic = IdentifierField(max_length=32)
    number = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.topic} {self.number}"
