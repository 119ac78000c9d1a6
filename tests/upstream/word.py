"""A gate's word about requests, as the tests of `bonafide.upstream` give it to an API."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from bonafide import statement as statements
from bonafide.codec import base64url
from bonafide.proof.content_digest import digest_of
from bonafide.proof.http_signature import digest_of_fields
from bonafide.sealing import AnswerKey
from bonafide.statement import Sender, Statement, digest_of_attestation
from bonafide.stores.admission_keys import create_admission_key, read_admission_key
from bonafide.terms import EvidenceEnvironment, ProofKind, Tier
from tests import canaries

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NOW: Final = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
AUTHORITY: Final = "api.example.com"
ORIGINS: Final = ("https://api.example.com", "https://other.example.com")
ATTESTATION: Final = "a.client.attestation"
ANSWER_KEY: Final = AnswerKey(sid=bytes(range(16)), key=bytes(range(64, 96)))
SEALED: Final[dict[str, Any]] = {"answer_key": ANSWER_KEY, "record": base64url.encode(bytes(range(16)))}
"""What `statement` says of a request on a route that seals."""

canaries.plant("answer key", ANSWER_KEY.key)


def key_file(directory: Path, name: str = "admission.key") -> Path:
    """Return a file with a key of its own."""
    path = directory / name
    create_admission_key(path, random=os.urandom)
    canaries.plant("admission key", read_admission_key(path))
    return path


def sender(body: bytes = b"", **changes: Any) -> Sender:
    """Return the instance of these tests, having signed `body`."""
    return replace(
        Sender(
            instance="inst-1",
            jkt="thumbprint",
            app="shop",
            identity="ABCDE12345.com.example.shop",
            environment=EvidenceEnvironment.PRODUCTION,
            tier=Tier.AFFIRMING,
            proof=ProofKind.SESSION,
            app_version="1.0",
            warnings=(),
            digest=digest_of((body,)),
            attestation=digest_of_attestation(ATTESTATION),
        ),
        **changes,
    )


def statement(who: Sender | None, *, fields: Mapping[str, str] | None = None, **changes: Any) -> Statement:
    """Return what a gate says of `GET /api/x`, a moment ago; `fields` are those of the request that a proof covers."""
    said = Statement(
        method="GET",
        authority=AUTHORITY,
        target="/api/x",
        route="/api/**",
        client="app",
        record="gate-record",
        fields="" if who is None else digest_of_fields(fields or {}),
        issued_at=NOW,
        sender=who,
    )
    return said._replace(**changes)


def spoken(path: Path, said: Statement) -> str:
    """Return the header's value for the API that shares the key in `path`."""
    token = statements.issue(said, key=read_admission_key(path))
    canaries.plant("statement", token)
    return token
