"""What apps are given after enrolment: secrets and configuration, each version a row, and published pins.

A row is never changed but to say that it ended, or to erase its octets. Which rows a document of version N holds is
therefore told by N alone: those that were set by then and had not ended.
"""

from __future__ import annotations

from typing import ClassVar, Final

from django.db import models

from bonafide.django.models.fields import MAX_ID, MAX_NAME, AppField, EnvironmentField, IdentifierField
from bonafide.terms import Tier

MAX_VALUE_NAME: Final = 64

TIERS: Final = (Tier.AFFIRMING, Tier.WARNING, Tier.NONE)
"""What a value may demand at least; who is contraindicated is given nothing."""


class Document(models.TextChoices):
    """Whose versions are counted together."""

    SECRETS = "secrets", "secrets"
    CONFIGURATION = "configuration", "configuration"
    PINS = "pins", "pins"


class ValueKind(models.TextChoices):
    """How a value reaches an app."""

    SECRET = "secret", "secret: sealed, on a hardware proof"
    SEALED = "sealed", "configuration, sealed for one instance"
    PUBLIC = "public", "configuration, for anyone admitted"


class DocumentVersion(models.Model):
    """The number of the newest document of one kind. It rises with every change, in the transaction of the change."""

    environment = EnvironmentField()
    app = AppField()
    document = IdentifierField(max_length=16, choices=Document.choices)
    number = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["environment", "app", "document"], name="bonafide_docversion_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.document} of {self.app}: {self.number}"


class AppValue(models.Model):
    """One version of one secret or configuration value.

    `identity` is empty where all identities of the app get it. `sealed` is what `document_key` of the key storage
    sealed, bound to this row's place, identity and tier; None where it was erased. `public` is the JSON text of a
    public value, and empty for others.
    """

    environment = EnvironmentField()
    app = AppField()
    kind = IdentifierField(max_length=8, choices=ValueKind.choices)
    name = IdentifierField(max_length=MAX_VALUE_NAME)
    identity = IdentifierField(max_length=MAX_NAME, blank=True)
    tier = IdentifierField(max_length=16, choices=[(str(tier), str(tier)) for tier in TIERS])
    version = models.BigIntegerField()
    ended_version = models.BigIntegerField(null=True)
    sealing_key = models.CharField(max_length=MAX_NAME, blank=True)
    sealed = models.BinaryField(null=True)
    public = models.TextField(blank=True)
    set_at = models.DateTimeField()
    set_by = models.CharField(max_length=MAX_NAME)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=MAX_NAME, blank=True)

    class Meta:
        verbose_name = "secret or configuration value"
        verbose_name_plural = "secrets and configuration"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["environment", "app", "kind", "name", "identity"],
                condition=models.Q(ended_version__isnull=True),
                name="bonafide_appvalue_stands_once",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["environment", "app", "kind"], name="bonafide_appvalue_document"),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.app}"


class Delivery(models.Model):
    """How often one instance was given secrets or sealed configuration of one version. No value is in it."""

    environment = EnvironmentField()
    app = AppField()
    instance = IdentifierField(max_length=MAX_ID)
    document = IdentifierField(max_length=16, choices=Document.choices)
    version = models.BigIntegerField()
    count = models.BigIntegerField(default=0)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "deliveries"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["instance", "document", "version"], name="bonafide_delivery_unique"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["last_at"], name="bonafide_delivery_last"),  # the purge
        ]

    def __str__(self) -> str:
        return f"{self.document} {self.version} to {self.instance}"


class PublishedPins(models.Model):
    """One version of an app's pins, as it was published. `hosts` is what `django.documents.pins` writes."""

    environment = EnvironmentField()
    app = AppField()
    version = models.BigIntegerField()
    hosts = models.JSONField(blank=True)
    published_at = models.DateTimeField()
    published_by = models.CharField(max_length=MAX_NAME)
    expires_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "published pins"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["environment", "app", "version"], name="bonafide_pins_unique"),
        ]

    def __str__(self) -> str:
        return f"pins of {self.app}, version {self.version}"
