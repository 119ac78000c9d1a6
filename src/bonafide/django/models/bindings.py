"""Which keys a user's credential is bound to (PROTOCOL section 8)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from bonafide.django.models.fields import (
    MAX_ID,
    MAX_NAME,
    MAX_THUMBPRINT,
    AppField,
    EnvironmentField,
    IdentifierField,
)


class CredentialBinding(models.Model):
    """A credential that may be used under one `sign` key. Several devices are several rows.

    `credential` is SHA-256 of the credential (a login session's key, a bearer token, a refresh token's id), never the
    credential: a copy of this table opens nothing. The primary key begins with it, so one probe
    answers both "is it bound to this key" and "is it bound at all". `first_use` marks a binding
    that no login made.
    """

    pk = models.CompositePrimaryKey("credential", "app", "environment", "jkt")
    credential = models.BinaryField()
    app = AppField()
    environment = EnvironmentField()
    jkt = IdentifierField(max_length=MAX_THUMBPRINT)
    kind = IdentifierField(max_length=32)
    instance = IdentifierField(max_length=MAX_ID, null=True)
    user = IdentifierField(max_length=MAX_NAME, null=True)
    first_use = models.BooleanField(default=False)
    bound_at = models.DateTimeField()
    proven_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            # Ending all of a user's credentials, e.g. at a change of password.
            models.Index(fields=["user"], condition=models.Q(user__isnull=False), name="bonafide_binding_user"),
            models.Index(
                fields=["expires_at"],
                condition=models.Q(expires_at__isnull=False),
                name="bonafide_binding_expiry",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} under {self.jkt}"
