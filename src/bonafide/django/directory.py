"""The apps of this service as the core wants them, read from the console's tables.

A row that the core refuses is left out and logged, so that a slip in one app does not stop the others;
the app itself then cannot enrol, which is the safe side.
"""

from __future__ import annotations

import logging
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from django.utils import timezone

from bonafide.django import revisions
from bonafide.django.models import App
from bonafide.django.revisions import Copy, Reading
from bonafide.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from bonafide import appraisal
    from bonafide.django.conf import Settings

logger: Final = logging.getLogger("bonafide.directory")


def watch(settings: Settings, *, clock: Callable[[], datetime] = timezone.now) -> Copy[Mapping[str, appraisal.App]]:
    """Return this process's copy of the apps of its environment, by name."""
    return Copy(
        revisions.APPS,
        environment=settings.environment,
        read=lambda _, using: Reading(read_apps(settings, using)),
        every=settings.revocations_every,
        clock=clock,
    )


def read_apps(settings: Settings, using: str) -> Mapping[str, appraisal.App]:
    """Read the apps of `settings.environment` from the database `using`."""
    apps = {}
    for row in App.objects.using(using).filter(environment=settings.environment).prefetch_related("identities"):
        try:
            apps[row.name] = row.value(audience=settings.audience, reattest_after=settings.reattest_after)
        except ConfigurationError as error:
            logger.error("app %s is left out: %s", row.name, error.detail)  # noqa: TRY400 - no trace is needed
    return MappingProxyType(apps)
