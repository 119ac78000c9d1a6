"""The tests that the how-tos show pass, on the example project."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bonafide.evidence.app_attest import verify_attestation
from bonafide.terms import EvidenceEnvironment
from bonafide.testing.apple import FakeApple
from bonafide.testing.secure_enclave import SecureEnclave
from tests.docs.pages import page
from tests.docs.walkthrough import commands, environment

if TYPE_CHECKING:
    from pathlib import Path


def test_tests_shown_for_ones_own_project_pass(tmp_path: Path, root: Path) -> None:
    blocks = [block.text for block in page("docs/how-to/test-your-project.md").blocks if block.language == "python"]
    tests = [text for text in blocks if "def test_" in text]
    (tmp_path / "test_shown.py").write_text("\n".join(tests))
    options = ["-p", "pytest_django.plugin", "-p", "bonafide.testing.pytest_plugin", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            *options,
            "-c",
            os.devnull,
            "--rootdir",
            ".",
            "--ds",
            "settings_ci",
            ".",
        ],
        cwd=tmp_path,
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join(map(str, [root / "examples/django_api", root / "src"])),
            "SHOP_STATE": str(tmp_path),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_ADDOPTS": "",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{sum(text.count('def test_') for text in tests)} passed" in run.stdout


def test_verifying_by_hand_does_what_is_shown(tmp_path: Path) -> None:
    """A fake Apple's attestation is refused: no option trusts another root. Its assertion verifies."""
    app_id, client_data, now = "ABCDE12345.com.example.shop", b'{"type":"enrol"}', datetime(2026, 11, 1, 12, tzinfo=UTC)
    digest = hashlib.sha256(client_data).digest()
    apple = FakeApple()
    enclave = SecureEnclave(apple, app_id=app_id)
    key = enclave.generate_key()
    attestation = enclave.attest_key(key, digest, now=now)
    claims = verify_attestation(
        attestation,
        client_data_hash=digest,
        key_id=base64.b64decode(key),
        app_id=app_id,
        environments=frozenset({EvidenceEnvironment.PRODUCTION}),
        anchors=apple.anchors,
        now=now,
    )
    (tmp_path / "attestation.cbor").write_bytes(attestation)
    (tmp_path / "assertion.cbor").write_bytes(enclave.generate_assertion(key, digest))
    (tmp_path / "client-data.json").write_bytes(client_data)
    shell = environment() | {"KEY_ID": key, "PUBLIC_KEY": base64.b64encode(claims.public_key).decode()}
    (attest, _), (assertion, _), _ = (
        line for block in page("docs/how-to/verify-evidence.md").blocks for line in commands(block.text)
    )
    refused = subprocess.run(
        ["bash", "-c", attest], cwd=tmp_path, env=shell, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert refused.stderr.startswith("app_attest.intermediate_signature_invalid")
    told = subprocess.run(
        ["bash", "-c", assertion], cwd=tmp_path, env=shell, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["counter"] == 1
