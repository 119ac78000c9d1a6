"""Settings that are each well formed, and together cannot be run with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bonafide.django.setting_forms import KeyPlace
from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons
from bonafide.terms import Environment

if TYPE_CHECKING:
    from bonafide.django.conf import Settings


def refuse_contradictions(settings: Settings) -> Settings:
    """Return the settings, if no two of them contradict each other.

    Raises `ConfigurationError`: `configuration.test_trust`, `configuration.setting_malformed`,
    `configuration.store_scope`.
    """
    if settings.environment is Environment.PRODUCTION:
        for name in ("unsafe_debug_evidence", "unsafe_test_anchors"):
            if getattr(settings, name):
                raise ConfigurationError(reasons.TEST_TRUST, f"BONAFIDE[{name.upper()!r}]")
    _refuse_unsealed(settings)
    if settings.behind_gate is not None and settings.routes is None:
        raise ConfigurationError(reasons.SETTING_MALFORMED, "BONAFIDE['BEHIND_GATE'] without ROUTES, the gate's table")
    if settings.replay_store.kind == "memory" and settings.processes != 1:
        raise ConfigurationError(reasons.STORE_SCOPE, "BONAFIDE['REPLAY_STORE'] is memory:, and PROCESSES is not 1")
    return settings


def _refuse_unsealed(settings: Settings) -> None:
    if (settings.key_storage is KeyPlace.DATABASE) != (settings.sealing_key is not None):
        detail = "BONAFIDE['KEY_STORAGE'] \"database\" and BONAFIDE['SEALING_KEY'] go together, or neither is set"
        raise ConfigurationError(reasons.SETTING_MALFORMED, detail)
    if settings.other_sealing_keys and settings.sealing_key is None:
        detail = "BONAFIDE['OTHER_SEALING_KEYS'] without SEALING_KEY"
        raise ConfigurationError(reasons.SETTING_MALFORMED, detail)
    if settings.sealing_key in settings.other_sealing_keys:
        raise ConfigurationError(reasons.SETTING_MALFORMED, "BONAFIDE['OTHER_SEALING_KEYS'] holds SEALING_KEY itself")
