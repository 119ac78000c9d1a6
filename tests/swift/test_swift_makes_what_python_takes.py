"""What Swift makes is taken by the verifiers of the service: evidence, sessions, keys, requests, client data."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bonafide.codec.jwe import concat_kdf
from bonafide.codec.jwk import from_public, thumbprint
from bonafide.enrolment.messages import parse_enrolment, parse_renewal
from bonafide.errors import VerificationFailed
from bonafide.evidence.app_attest import verify_assertion, verify_attestation
from bonafide.http import HttpRequest, Origin, split_target
from bonafide.proof.content_digest import digest_of, verify_digest
from bonafide.proof.http_signature import RequestProof, parse_proof, verify_hardware, verify_session
from bonafide.session import mac_key, open_session
from bonafide.terms import EvidenceEnvironment
from bonafide.testing.apple import FakeApple
from bonafide.trust import Anchor

if TYPE_CHECKING:
    from pathlib import Path

BUILD_S: Final = 900


@pytest.fixture(scope="module")
def made(root: Path, swift: Path) -> dict[str, Any]:
    """What the vector writer prints. It is built where `make test-swift` builds, or where `SWIFT_SCRATCH` says."""
    apple = FakeApple(seed=b"swift")
    scalar = apple.intermediate_key.private_numbers().private_value.to_bytes(48)
    given = {"root": apple.root_der, "intermediate": apple.intermediate_der, "intermediate_key": scalar}
    printed = json.dumps({name: base64.b64encode(value).decode() for name, value in given.items()})
    options = ["--scratch-path", os.environ.get("SWIFT_SCRATCH", "build/swift"), "-Xswiftc", "-warnings-as-errors"]
    command = [str(swift), "run", "--quiet", *options, "vector-writer", printed]
    done = subprocess.run(command, cwd=root, capture_output=True, timeout=BUILD_S, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def octets(entry: dict[str, Any], name: str) -> bytes:
    return base64.b64decode(entry[name], validate=True)


def changed(octets_: bytes) -> bytes:
    """The same octets but for one bit."""
    return bytes([octets_[0] ^ 1]) + octets_[1:]


def test_attestations_are_those_of_apple(made: dict[str, Any]) -> None:
    assert {entry["environment"] for entry in made["attestations"]} == {"production", "development"}
    roots = {octets(entry, "root") for entry in made["attestations"]}
    assert len(roots) == 2
    assert FakeApple(seed=b"swift").root_der in roots
    for entry in made["attestations"]:
        now = datetime.now(UTC)
        anchor = Anchor.from_certificate(octets(entry, "root"), name="Swift's fake Apple", source="tests")
        key_id = octets(entry, "key_id")
        environment = EvidenceEnvironment(entry["environment"])
        arguments: dict[str, Any] = {
            "key_id": key_id,
            "app_id": entry["app_id"],
            "environments": {environment},
            "anchors": (anchor,),
            "now": now,
        }
        attestation, client_data_hash = octets(entry, "attestation"), octets(entry, "client_data_hash")
        claims = verify_attestation(attestation, client_data_hash=client_data_hash, **arguments)
        assert claims.environment is environment
        assert claims.os_version == entry["ios"]
        assert claims.public_key == octets(entry, "public_key")
        has_launch = int(entry["ios"].split(".")[0]) >= 27
        assert claims.bundle_version == ("412" if has_launch else None)
        category = 4 if environment is EvidenceEnvironment.PRODUCTION else 3
        assert claims.validation_category == (category if has_launch else None)
        with pytest.raises(VerificationFailed):
            verify_attestation(attestation, client_data_hash=changed(client_data_hash), **arguments)


def test_assertions_are_those_of_an_attested_key(made: dict[str, Any]) -> None:
    assert made["assertions"]
    for entry in made["assertions"]:
        assertion, client_data_hash = octets(entry, "assertion"), octets(entry, "client_data_hash")
        arguments: dict[str, Any] = {
            "public_key": octets(entry, "public_key"),
            "app_id": entry["app_id"],
            "last_counter": entry["previous_counter"],
        }
        claims = verify_assertion(assertion, client_data_hash=client_data_hash, **arguments)
        assert claims.counter == entry["previous_counter"] + 1
        with pytest.raises(VerificationFailed):
            verify_assertion(assertion, client_data_hash=changed(client_data_hash), **arguments)


def test_sessions_open(made: dict[str, Any]) -> None:
    assert made["sessions"]
    for entry in made["sessions"]:
        scalar = int.from_bytes(octets(entry, "agree_key"))
        arguments: dict[str, Any] = {
            "agree_key": ec.derive_private_key(scalar, ec.SECP256R1()),
            "pinned": entry["pinned"],
            **{name: entry[name] for name in ("app", "instance", "jkt", "challenge")},
        }
        session = open_session(entry["session"], **arguments)
        claims = entry["claims"]
        assert (session.sid, session.key) == (octets(claims, "sid"), octets(claims, "key"))
        assert session.issued_at == datetime.fromtimestamp(claims["iat"], UTC)
        assert session.expires_at == datetime.fromtimestamp(claims["exp"], UTC)
        with pytest.raises(VerificationFailed):
            open_session(entry["session"], **(arguments | {"challenge": "another"}))


def test_derived_keys_are_equal(made: dict[str, Any]) -> None:
    kinds = {"concat": 0, "hkdf": 0, "mac": 0}
    for entry in made["kdf"]:
        kinds[entry["kind"]] += 1
        secret, key = octets(entry, "secret"), octets(entry, "key")
        match entry["kind"]:
            case "concat":
                assert concat_kdf(secret, algorithm=entry["algorithm"], octets=32) == key
            case "hkdf":
                salt, info = octets(entry, "salt"), octets(entry, "info")
                assert HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(secret) == key
            case "mac":
                assert mac_key(secret) == key
    assert all(kinds.values())


def test_requests_are_signed_over_the_octets_that_the_gate_rebuilds(made: dict[str, Any]) -> None:
    assert {entry["algorithm"] for entry in made["requests"]} == {"ecdsa-p256-sha256", "hmac-sha256"}
    for entry in made["requests"]:
        request = HttpRequest(
            method=entry["method"],
            origin=Origin(scheme="https", authority="api.example.com"),
            target=entry["target"],
            headers=entry["headers"],
        )
        path, query = split_target(request.target)
        attestation = entry["headers"].get("oauth-client-attestation")
        proof = parse_proof(request, path=path, query=query, attestation=attestation)
        assert proof.base == octets(entry, "base")
        verify(entry, proof)
        verify_digest(proof.digest, digest_of((octets(entry, "body"),)))
        with pytest.raises(VerificationFailed):
            verify(entry, proof._replace(base=changed(proof.base)))


def verify(entry: dict[str, Any], proof: RequestProof) -> None:
    """Verify a proof as a gate does that knows the key."""
    now = float(proof.created)
    if entry["algorithm"] == "hmac-sha256":
        verify_session(proof, mac_key=octets(entry, "mac_key"), sid=entry["key_id"], now=now)
    else:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), octets(entry, "public_key"))
        assert entry["key_id"] == thumbprint(from_public(key))
        verify_hardware(proof, key=key, jkt=entry["key_id"], now=now)


def test_client_data_says_what_was_meant(made: dict[str, Any]) -> None:
    meant = made["client_data"]
    enrolment = parse_enrolment(octets(meant, "enrolment"))
    assert (enrolment.app, enrolment.challenge, enrolment.jkt) == (meant["app"], meant["challenge"], meant["jkt"])
    assert enrolment.agree_jwk is not None
    assert thumbprint(enrolment.agree_jwk) == meant["agree_jkt"]
    assert enrolment.evidence is None
    renewal = parse_renewal(octets(meant, "renewal"))
    assert (renewal.app, renewal.instance, renewal.jkt) == (meant["app"], meant["instance"], meant["jkt"])
    assert (renewal.app_version, renewal.os_version, renewal.sdk_version) == ("2.3.1", "18.5", "0.1.0")
