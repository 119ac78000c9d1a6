"""What the service signs for an app besides the session: secrets, remote configuration, pins.

The claims are those of docs/adr/0015. Whatever is for one instance alone is sealed to its `agree` key and answers one
question: the digest of the request that asked. What is for every app is signed, and its version never falls.
"""

from __future__ import annotations

from bonafide.documents.app_secrets import TYPE as SECRETS_TYPE
from bonafide.documents.app_secrets import SecretsDocument, issue_secrets, open_secrets
from bonafide.documents.configuration import TYPE as CONFIGURATION_TYPE
from bonafide.documents.configuration import (
    ConfigurationDocument,
    issue_public_configuration,
    issue_sealed_configuration,
    open_public_configuration,
    open_sealed_configuration,
)
from bonafide.documents.envelope import MAX_BYTES, Addressee, Validity, question_of
from bonafide.documents.pins import TYPE as PINS_TYPE
from bonafide.documents.pins import PinsDocument, issue_pins, open_pins

__all__ = [
    "CONFIGURATION_TYPE",
    "MAX_BYTES",
    "PINS_TYPE",
    "SECRETS_TYPE",
    "Addressee",
    "ConfigurationDocument",
    "PinsDocument",
    "SecretsDocument",
    "Validity",
    "issue_pins",
    "issue_public_configuration",
    "issue_sealed_configuration",
    "issue_secrets",
    "open_pins",
    "open_public_configuration",
    "open_sealed_configuration",
    "open_secrets",
    "question_of",
]
