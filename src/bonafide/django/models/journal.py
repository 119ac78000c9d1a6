"""What happened, for the operator: refusals, observed routes, the audit; and the governor's counters."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from bonafide.django.models.fields import MAX_ID, MAX_NAME, AppField, EnvironmentField, IdentifierField


class Refusal(models.Model):
    """The precise reason behind the record id that a refused client was given."""

    id = IdentifierField(primary_key=True, max_length=MAX_ID)
    at = models.DateTimeField()
    environment = EnvironmentField()
    app = AppField(blank=True)
    reason = IdentifierField(max_length=128)
    detail = models.TextField(blank=True)
    method = models.CharField(max_length=16)
    route = models.CharField(max_length=MAX_NAME, blank=True)
    app_version = models.CharField(max_length=64, blank=True)
    instance = IdentifierField(max_length=MAX_ID, null=True)
    enforced = models.BooleanField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["at"], name="bonafide_refusal_at"),  # the console's list, the purge
            # What the console shows beside an instance. Most refusals know none.
            models.Index(
                fields=["instance", "at"], condition=models.Q(instance__isnull=False), name="bonafide_refusal_instance"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reason} ({self.id})"


class ObservedRoute(models.Model):
    """How often, on one day, one rule of the route table admitted (`reason` is empty) or refused.

    With `enforced` false it is what enforcing would have refused.
    """

    day = models.DateField()
    environment = EnvironmentField()
    app = AppField(blank=True)
    route = models.CharField(max_length=MAX_NAME)
    method = models.CharField(max_length=16)
    app_version = models.CharField(max_length=64, blank=True)
    reason = IdentifierField(max_length=128, blank=True)
    enforced = models.BooleanField()
    count = models.BigIntegerField(default=0)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["day", "environment", "app", "route", "method", "app_version", "reason", "enforced"],
                name="bonafide_observedroute_unique",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.route}: {self.reason or 'admitted'}"


class AuditKind(models.TextChoices):
    """What an audit event tells of."""

    KEY_SUPERSEDED = "key_superseded", "App Attest key superseded"
    BANNED = "banned", "banned"
    UNBANNED = "unbanned", "ban lifted"
    DEBUG_SECRET_CREATED = "debug_secret_created", "debug secret created"
    DEBUG_SECRET_REVOKED = "debug_secret_revoked", "debug secret revoked"
    KEYS_ROTATED = "keys_rotated", "keys rotated"
    GATE_REGISTERED = "gate_registered", "gate registered"
    GATE_RETIRED = "gate_retired", "gate retired"
    GLASS_BROKEN = "glass_broken", "glass broken"
    GLASS_CLOSED = "glass_closed", "glass closed"
    VALUE_SET = "value_set", "secret or configuration set"
    VALUE_REMOVED = "value_removed", "secret or configuration removed"
    VALUE_ERASED = "value_erased", "octets of old versions erased"
    PINS_PUBLISHED = "pins_published", "pins published"


class AuditEvent(models.Model):
    """One act that somebody may have to answer for. Written with the act, in its transaction; never changed."""

    at = models.DateTimeField()
    environment = EnvironmentField()
    app = AppField(blank=True)
    kind = IdentifierField(max_length=32, choices=AuditKind.choices)
    subject = IdentifierField(max_length=MAX_NAME)
    actor = models.CharField(max_length=MAX_NAME)
    detail = models.JSONField(default=dict)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["subject"], name="bonafide_audit_subject"),  # an instance's story
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"


class GovernorBucket(models.Model):
    """When the next request of a kind is due, in microseconds since the epoch (GCRA's theoretical arrival time)."""

    name = IdentifierField(primary_key=True, max_length=MAX_NAME * 2)
    due = models.BigIntegerField()

    def __str__(self) -> str:
        return self.name
