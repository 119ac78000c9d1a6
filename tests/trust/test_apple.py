"""Apple's root, as everybody who publishes it has it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

from bonafide.trust.apple import APP_ATTESTATION_ROOT, BUNDLED
from tests.evidence.app_attest.real_evidence import certificate

if TYPE_CHECKING:
    from pathlib import Path


def test_the_bundled_root_is_apples_octet_for_octet(shared: Path) -> None:
    (entry,) = [
        entry
        for entry in json.loads((shared / "trust/manifest.json").read_text())
        if entry["file"] == "apple_app_attestation_root_ca.pem"
    ]
    root = APP_ATTESTATION_ROOT
    assert root.certificate_der == certificate(shared, entry["file"])
    assert (root.sha256, root.spki_sha256) == (entry["sha256"], entry["spki_sha256"])
    assert root.not_after == datetime.fromisoformat(entry["not_after"])
    assert root.certificate.subject.rfc4514_string() == entry["subject"]
    assert root.name in entry["subject"]
    assert root.source.startswith("https://www.apple.com/")


def test_nothing_else_is_bundled_for_app_attest() -> None:
    assert BUNDLED == (APP_ATTESTATION_ROOT,)
