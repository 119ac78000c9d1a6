"""Instances, the keys they ever held, their evidence, and the challenges that enrolled them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from bonafide.django.models.fields import (
    MAX_ID,
    MAX_KEY_ID,
    MAX_NAME,
    MAX_THUMBPRINT,
    AppField,
    EnvironmentField,
    IdentifierField,
)


class Instance(models.Model):
    """One install of the app: what renewal reads, and the one row that it writes.

    `jkt` is `SignKey`'s, which makes it unique; it is repeated here because it never changes. `key_id` and
    `attest_key` are those of the current `AttestKey`. `challenge_*` and `renewal_digest` are of the last renewal.
    """

    id = IdentifierField(primary_key=True, max_length=MAX_ID)
    app = AppField()
    environment = EnvironmentField()
    identity = IdentifierField(max_length=MAX_NAME)
    platform = IdentifierField(max_length=12)
    jkt = IdentifierField(max_length=MAX_THUMBPRINT)
    sign_jwk = models.JSONField()
    agree_jwk = models.JSONField(null=True)
    format = IdentifierField(max_length=64)
    key_id = IdentifierField(max_length=MAX_KEY_ID, null=True)
    attest_key = models.BinaryField(null=True)
    counter = models.BigIntegerField(default=0)
    evidence_environment = IdentifierField(max_length=12)
    claims = models.JSONField()
    tier = IdentifierField(max_length=16)
    warnings = models.JSONField()
    app_version = models.CharField(max_length=64)
    os_version = models.CharField(max_length=64)
    sdk_version = models.CharField(max_length=64)
    enrolled_at = models.DateTimeField()
    verified_at = models.DateTimeField()
    asserted_at = models.DateTimeField()
    renewed_at = models.DateTimeField(null=True)
    challenge_order = models.BigIntegerField(default=0)
    challenge_digest = models.BinaryField(null=True)
    renewal_digest = models.BinaryField(null=True)

    class Meta:
        indexes: ClassVar = [
            # The console's list, newest first. An enrolment writes it, a renewal does not.
            models.Index(fields=["verified_at"], name="bonafide_instance_verified"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(key_id__isnull=True, attest_key__isnull=True)
                | models.Q(key_id__isnull=False, attest_key__isnull=False),
                name="bonafide_instance_key_whole",
            ),
            models.CheckConstraint(condition=models.Q(counter__gte=0), name="bonafide_instance_counter"),
        ]

    def __str__(self) -> str:
        return self.id


class SignKey(models.Model):
    """Which instance a `sign` key is: the row that the first of several enrolments of one key wins."""

    pk = models.CompositePrimaryKey("jkt", "app", "environment")
    app = AppField()
    environment = EnvironmentField()
    jkt = IdentifierField(max_length=MAX_THUMBPRINT)
    instance = models.ForeignKey(Instance, on_delete=models.PROTECT, related_name="sign_keys", db_index=False)

    def __str__(self) -> str:
        return self.jkt


class AttestKey(models.Model):
    """Every App Attest key that an instance ever held. It never moves, and once superseded never returns."""

    pk = models.CompositePrimaryKey("key_id", "app", "environment")
    app = AppField()
    environment = EnvironmentField()
    key_id = IdentifierField(max_length=MAX_KEY_ID)
    instance = models.ForeignKey(Instance, on_delete=models.PROTECT, related_name="attest_keys")
    public_key = models.BinaryField()
    enrolled_at = models.DateTimeField()
    superseded_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.key_id


class EvidenceRecord(models.Model):
    """What an enrolment showed, and the verdict on it.

    `evidence` and `client_data` are the octets, to judge them again, until `retain_until`; digests and
    verdict stay.
    """

    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, related_name="evidence_records")
    app = AppField()
    environment = EnvironmentField()
    identity = IdentifierField(max_length=MAX_NAME)
    format = IdentifierField(max_length=64)
    evidence_environment = IdentifierField(max_length=12)
    key_id = IdentifierField(max_length=MAX_KEY_ID, null=True)
    challenge_digest = models.BinaryField()
    evidence = models.BinaryField(null=True)
    evidence_digest = models.BinaryField()
    client_data = models.BinaryField(null=True)
    client_data_digest = models.BinaryField()
    claims = models.JSONField()
    tier = IdentifierField(max_length=16)
    warnings = models.JSONField()
    verified_at = models.DateTimeField()
    retain_until = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            # The purge. Rows whose octets are gone leave the index.
            models.Index(
                fields=["retain_until"],
                condition=models.Q(retain_until__isnull=False),
                name="bonafide_evidence_retention",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.format} of {self.instance_id}"


class SpentChallenge(models.Model):
    """An enrolment challenge that was presented: by which pair, and how that ended (see `ports.SpentChallenge`)."""

    challenge_digest = models.BinaryField(primary_key=True)
    body_digest = models.BinaryField()
    failure = IdentifierField(max_length=128, null=True)
    instance = IdentifierField(max_length=MAX_ID, null=True)
    expires_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["expires_at"], name="bonafide_challenge_expiry"),  # the purge
        ]

    def __str__(self) -> str:
        return bytes(self.challenge_digest).hex()
