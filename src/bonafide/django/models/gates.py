"""Gates that may fetch keys and bans from this service, and the routes whose glass is broken."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from bonafide.django.models.fields import MAX_NAME, EnvironmentField, IdentifierField


class RegisteredGate(models.Model):
    """One gate: the P-256 key that it asks with and that answers are sealed to, and the audience that it serves.

    The private half stays on the gate's host. A retired gate is told nothing more.
    """

    environment = EnvironmentField()
    name = IdentifierField(max_length=MAX_NAME)
    audience = models.CharField(max_length=255)
    jwk = models.JSONField()
    registered_at = models.DateTimeField()
    registered_by = models.CharField(max_length=MAX_NAME)
    retired_at = models.DateTimeField(null=True)
    last_asked_at = models.DateTimeField(null=True)  # to within some seconds: written at most that often

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["environment", "name"], name="bonafide_gate_unique"),
        ]

    def __str__(self) -> str:
        return self.name


class Opening(models.Model):
    """A route that only observes until `until`, by a statement that the service key signed.

    `token` is that statement. Closing it early sets `closed_at`; the row stays, as the audit does.
    """

    environment = EnvironmentField()
    route = models.TextField()
    token = models.TextField()
    because = models.TextField()
    opened_by = models.CharField(max_length=MAX_NAME)
    opened_at = models.DateTimeField()
    until = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["environment", "until"], name="bonafide_opening_until"),
        ]

    def __str__(self) -> str:
        return self.route
