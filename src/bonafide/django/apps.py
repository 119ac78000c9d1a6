"""What the line `"bonafide.django"` in INSTALLED_APPS stands for."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings


class BonafideConfig(AppConfig):
    """Label `bonafide`: tables are called `bonafide_…`, permissions `bonafide.…`."""

    name = "bonafide.django"
    label = "bonafide"
    verbose_name = "Bonafide"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Read the settings now, because a server does not run system checks.

        Raises `ConfigurationError` for settings that are malformed or unsafe. A project that has no
        BONAFIDE yet starts: what needs the settings asks for them and is refused.
        """
        from bonafide.django import checks, conf, credential_endings, signals  # noqa: PLC0415 - they want loaded models

        signals.connect()
        checks.connect()
        credential_endings.connect()
        if hasattr(settings, conf.NAME):
            conf.current()
