"""The examples that RFC 9421 prints: our lines and primitives agree with them, and our profile admits none."""

from __future__ import annotations

import json
from base64 import b64decode
from hmac import compare_digest, digest
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from bonafide.codec.ecdsa import verify_raw
from bonafide.errors import BonafideError
from bonafide.http import HttpRequest, Origin, split_target
from bonafide.proof.content_digest import digest_of
from bonafide.proof.http_signature import SessionSigner, parse_proof, sign
from bonafide.reasons import proof as reasons

if TYPE_CHECKING:
    from pathlib import Path

COMMON_LINES = ("@method", "@authority", "@path", "@query", "content-type")


def examples(shared: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((shared / "vectors/httpsig/rfc9421_examples.json").read_text())
    assert len(found) == 21
    return found


def keys(shared: Path) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads((shared / "vectors/httpsig/rfc9421_keys.json").read_text())
    return found


def as_request(example: dict[str, Any]) -> HttpRequest:
    method, target, _ = example["start_line"].split(" ")
    headers: dict[str, str] = {}
    for name, value in example["headers"]:
        headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
    return HttpRequest(
        method=method, origin=Origin(scheme="https", authority=headers["host"]), target=target, headers=headers
    )


def test_printed_bases_verify_with_our_primitives(shared: Path) -> None:
    secret = b64decode(keys(shared)["test-shared-secret"]["base64"])
    public = load_pem_public_key(keys(shared)["test-key-ecc-p256"]["public_pem"].encode())
    assert isinstance(public, ec.EllipticCurvePublicKey)
    seen = []
    for example in examples(shared):
        if example["expected"] != "valid":
            continue
        base, signature = example["signature_base"].encode(), b64decode(example["signature_b64"])
        if example["alg"] == "hmac-sha256":
            assert compare_digest(digest(secret, base, "sha256"), signature)
        elif example["alg"] == "ecdsa-p256-sha256":
            verify_raw(public, signature, base)
            with pytest.raises(InvalidSignature):
                verify_raw(public, signature, base + b" ")
        else:
            continue  # RSA and Ed25519 are not in the profile
        seen.append(example["alg"])
    assert sorted(set(seen)) == ["ecdsa-p256-sha256", "hmac-sha256"]
    assert len(seen) >= 6


def test_lines_that_both_cover_are_spelt_alike(shared: Path) -> None:
    """Our base for the RFC's request has the RFC's lines, for every component that both cover."""
    compared = 0
    for example in examples(shared):
        if example["start_line"].startswith("HTTP/") or example["expected"] != "valid":
            continue
        request = as_request(example)
        headers = {name: request.headers[name] for name in ("content-type",) if name in request.headers}
        ours = HttpRequest(
            method=request.method,
            origin=request.origin,
            target=request.target,
            headers={**headers, "content-digest": digest_of([example["body"].encode()])},
        )
        proof = sign(ours, created=1, nonce="n" * 22, signer=SessionSigner(bytes(32), "s"))
        path, query = split_target(ours.target)
        signed = HttpRequest(
            method=ours.method, origin=ours.origin, target=ours.target, headers={**ours.headers, **proof}
        )
        lines = parse_proof(signed, path=path, query=query, attestation=None).base.decode().split("\n")
        for printed in example["signature_base"].split("\n"):
            if printed.split('"')[1] in COMMON_LINES and not printed.split('"')[2].startswith(";"):
                assert printed in lines
                compared += 1
    assert compared >= 20


def test_no_printed_example_is_in_our_profile(shared: Path) -> None:
    refused = 0
    for example in examples(shared):
        if example["start_line"].startswith("HTTP/"):
            continue
        request = as_request(example)
        request = HttpRequest(
            method=request.method,
            origin=request.origin,
            target=request.target,
            headers={**request.headers, "content-digest": digest_of([example["body"].encode()])},
        )
        path, query = split_target(request.target)
        with pytest.raises(BonafideError) as refusal:
            parse_proof(request, path=path, query=query, attestation=None)
        assert refusal.value.reason is reasons.INPUT_MALFORMED
        refused += 1
    assert refused == 18
