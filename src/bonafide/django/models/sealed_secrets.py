"""Secrets that several service hosts share, sealed at rest by a key that the database never sees."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from bonafide.django.models.fields import MAX_NAME, EnvironmentField, IdentifierField


class SealedSecret(models.Model):
    """One document of keys, as `sealing_key` sealed it. It changes by compare-and-set on `version`."""

    environment = EnvironmentField()
    name = IdentifierField(max_length=MAX_NAME)
    version = models.BigIntegerField()
    sealing_key = models.CharField(max_length=MAX_NAME)
    sealed = models.BinaryField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["environment", "name"], name="bonafide_sealed_secret_unique"),
        ]

    def __str__(self) -> str:
        return self.name
