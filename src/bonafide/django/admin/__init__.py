"""The operator's console, in Django's admin: what is genuine, who is banned, what was refused and why."""

from __future__ import annotations

from bonafide.django.admin.bans import BanAdmin
from bonafide.django.admin.gates import OpeningAdmin, RegisteredGateAdmin
from bonafide.django.admin.identities import AppAdmin, DebugSecretAdmin
from bonafide.django.admin.instances import InstanceAdmin
from bonafide.django.admin.journal import AuditEventAdmin, ObservedRouteAdmin, RefusalAdmin
from bonafide.django.admin.keys import KeySetAdmin

__all__ = [
    "AppAdmin",
    "AuditEventAdmin",
    "BanAdmin",
    "DebugSecretAdmin",
    "InstanceAdmin",
    "KeySetAdmin",
    "ObservedRouteAdmin",
    "OpeningAdmin",
    "RefusalAdmin",
    "RegisteredGateAdmin",
]
