"""The schema (PROTOCOL section 1): every row that belongs to a deployment carries its app and environment.

Rules of this package, for tables of a hundred million rows that may later be split over hosts:
- Rows of the enrolment path name app and environment as text; no query of that path joins `App`.
- `Instance` has one unique column, its random id, so that it can be split by hash of that id. What must
  be unique besides, a `sign` key and an App Attest key, has a table of its own, split by its own hash.
- An index stands for a query that exists. What renewals write is never indexed.
- Journals (refusals, observed routes, audit) refer to instances by id as text: they outlive them.
"""

from __future__ import annotations

from bonafide.django.models.bans import Ban, BanScope, Revision
from bonafide.django.models.bindings import CredentialBinding
from bonafide.django.models.gates import Opening, RegisteredGate
from bonafide.django.models.identities import App, DebugSecret, Identity
from bonafide.django.models.instances import AttestKey, EvidenceRecord, Instance, SignKey, SpentChallenge
from bonafide.django.models.journal import AuditEvent, AuditKind, GovernorBucket, ObservedRoute, Refusal
from bonafide.django.models.keys import KeySet
from bonafide.django.models.sealed_secrets import SealedSecret

__all__ = [
    "App",
    "AttestKey",
    "AuditEvent",
    "AuditKind",
    "Ban",
    "BanScope",
    "CredentialBinding",
    "DebugSecret",
    "EvidenceRecord",
    "GovernorBucket",
    "Identity",
    "Instance",
    "KeySet",
    "ObservedRoute",
    "Opening",
    "Refusal",
    "RegisteredGate",
    "Revision",
    "SealedSecret",
    "SignKey",
    "SpentChallenge",
]
