"""Reads the vectors that are one request before one gate: builds the gate, and has the request admitted."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from bonafide.admission import Denied, Exempt, Gate, PendingAdmission, Unproven, admit
from bonafide.attestation_memory import AttestationMemory
from bonafide.codec.jwk import parse_public
from bonafide.errors import VerificationFailed
from bonafide.http import HttpRequest, Origins
from bonafide.keys import PublishedKey, VerificationKey
from bonafide.ports import FirstUse
from bonafide.proof.content_digest import digest_of, verify_digest
from bonafide.proof.http_signature import parse_proof, parse_request_line
from bonafide.routes import parse_rules
from bonafide.terms import EvidenceEnvironment
from bonafide.testing.vectors import encode
from tests.gate_world import Banned, HeldKeys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bonafide.testing.vectors import Vector


def judge_request(vector: Vector) -> Mapping[str, object]:
    """Admit the request of a vector, first use and body included, or raise with the reason of its refusal."""
    given: Any = vector.input["request"]
    configured: Any = vector.input["gate"]
    request = HttpRequest(
        method=given["method"],
        origin=Origins(configured["origins"]).pick(given["host"]),
        target=given["target"],
        headers=given["headers"],
    )
    decision = admit(request, gate=_gate(configured), now=vector.moment())
    replay_key = decision.replay_key if isinstance(decision, PendingAdmission) else b""
    if isinstance(decision, PendingAdmission):
        decision = decision.settle(FirstUse(vector.text("first_use")))
    if isinstance(decision, Denied):
        raise VerificationFailed(decision.reason, decision.detail)
    if isinstance(decision, Unproven):
        return {"unproven": True}
    assert not isinstance(decision, PendingAdmission | Exempt)
    sealed = {} if decision.answer_key is None else {"answer_key": encode(decision.answer_key.key)}
    proven = {
        "instance": decision.attestation.instance,
        "jkt": decision.jkt,
        "proof": decision.proof.value,
        "digest": decision.digest,
    }
    if decision.digest is None:  # a DPoP proof has no base, and covers no body
        return {**proven, "replay_key": encode(replay_key)}
    verify_digest(decision.digest, digest_of([base64.b64decode(given["body"])]))
    path, query = parse_request_line(request)
    token = request.headers["oauth-client-attestation"]
    return {
        **proven,
        "base": encode(parse_proof(request, path=path, query=query, attestation=token).base),
        **sealed,
    }


def _gate(configured: Mapping[str, Any]) -> Gate:
    keys = {
        kid: PublishedKey(app=key["app"], key=VerificationKey(kid=kid, public_key=parse_public(key["jwk"])))
        for kid, key in configured["keys"].items()
    }
    secrets = {kid: base64.b64decode(secret) for kid, secret in configured["gate_keys"].items()}
    return Gate(
        issuer=configured["issuer"],
        audience=configured["audience"],
        apps=frozenset(configured["apps"]),
        environments=frozenset(EvidenceEnvironment(name) for name in configured["environments"]),
        routes=parse_rules(configured["routes"]),
        keys=HeldKeys(published=keys, secrets=secrets),
        revocations=Banned(set(configured["revoked"])),
        memory=AttestationMemory(),
    )
