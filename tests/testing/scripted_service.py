"""A service and its API in one object, behind httpx's mock transport: real sessions, scripted refusals.

It verifies what the client signs with the core's own verifiers, so a client that signs wrongly fails here.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import ec

from bonafide.codec import base64url, jwk
from bonafide.codec.jose import verify_es256
from bonafide.http import HttpRequest, Origin, split_target
from bonafide.keys import ServiceKey
from bonafide.proof import dpop
from bonafide.proof.content_digest import digest_of, verify_digest
from bonafide.proof.http_signature import (
    CLIENT_ATTESTATION,
    parse_proof,
    verify_enrolment_proof,
    verify_hardware,
    verify_session,
)
from bonafide.session import Session, issue_session, mac_key
from bonafide.terms import ProofKind

API = "https://api.example.com"
SERVICE_KEY = ServiceKey.of(ec.derive_private_key(0x5E2, ec.SECP256R1()))
FOREIGN_KEY = ServiceKey.of(ec.derive_private_key(0xBAD, ec.SECP256R1()))
INSTANCE = "aW5zdGFuY2UtMDAwMDAwMQ"
START = 1_793_534_400.0
"""2026-11-01 12:00 UTC."""


class Time:
    """The world's time; nothing here reads a clock."""

    def __init__(self) -> None:
        self.now = START
        self.phone_is_off_by = 0.0
        self.slept: list[float] = []

    def phone(self) -> float:
        return self.now + self.phone_is_off_by

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Refusal:
    """One scripted refusal: a status and the headers that a client reads."""

    action: str
    status: int = 401
    retry_after: str | None = None

    def response(self) -> httpx.Response:
        headers = {"bonafide-action": self.action, "bonafide-record": "record"}
        if self.retry_after is not None:
            headers["retry-after"] = self.retry_after
        return httpx.Response(self.status, headers=headers)


@dataclass
class ScriptedService:
    """What it was asked, in order; what it will answer next, in place of what it would say by itself."""

    time: Time
    lifetime: int = 300
    renew_after: int = 240
    service_key: ServiceKey = SERVICE_KEY
    evidence_environment: str = "production"
    claims: dict[str, Any] = field(default_factory=dict)
    scripted: dict[str, deque[httpx.Response | Refusal | Exception]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    api_requests: list[HttpRequest] = field(default_factory=list)
    kinds: list[ProofKind] = field(default_factory=list)
    nonces: set[str] = field(default_factory=set)
    bodies: list[bytes] = field(default_factory=list)
    sessions: dict[str, Session] = field(default_factory=dict)
    keys: dict[str, ec.EllipticCurvePublicKey] = field(default_factory=dict)
    agree: ec.EllipticCurvePublicKey | None = None
    challenges: int = 0

    def script(self, what: str, *answers: httpx.Response | Refusal | Exception) -> None:
        """Answer the next requests for `challenge`, `enrol`, `renew` or `api` so."""
        self.scripted.setdefault(what, deque()).extend(answers)

    def handle(self, request: httpx.Request) -> httpx.Response:
        what = self._what(request.url.path)
        self.asked.append(what)
        answer = self._judge(what, request)
        queue = self.scripted.get(what)
        if queue:
            scripted = queue.popleft()
            if isinstance(scripted, Exception):
                raise scripted
            answer = scripted.response() if isinstance(scripted, Refusal) else scripted
        answer.headers.setdefault("date", datetime.fromtimestamp(self.time.now, UTC).strftime(_HTTP_DATE))
        return answer

    @staticmethod
    def _what(path: str) -> str:
        if path == "/bonafide/v1/challenge":
            return "challenge"
        if path == "/bonafide/v1/instances":
            return "enrol"
        return "renew" if path.startswith("/bonafide/v1/instances/") else "api"

    def _judge(self, what: str, request: httpx.Request) -> httpx.Response:
        if what == "challenge":
            self.challenges += 1
            challenge = base64url.encode(b"challenge %d" % self.challenges)
            return httpx.Response(200, json={"attestation_challenge": challenge, "expires_in": 86400})
        if what == "api":
            self._admit(request)
            return httpx.Response(200, json={"ok": True})
        return self._issue(what, request)

    def _issue(self, what: str, request: httpx.Request) -> httpx.Response:
        self.bodies.append(request.content)
        client_data = json.loads(base64url.decode(json.loads(request.content)["client_data"]))
        if what == "enrol":
            sign_key = jwk.parse_public(client_data["sign_jwk"])
            jkt = jwk.thumbprint(client_data["sign_jwk"])
            self.keys[jkt] = sign_key
            agree_jwk = client_data.get("agree_jwk")
            self.agree = None if agree_jwk is None else jwk.parse_public(agree_jwk)
        else:
            jkt = client_data["jkt"]
        now = datetime.fromtimestamp(self.time.now, UTC)
        verify_enrolment_proof(_value(request), key=self.keys[jkt], jkt=jkt, body=request.content, now=now)
        sid = b"%016d" % (len(self.sessions) + 1)
        session = Session(
            **{
                "app": client_data["app"],
                "instance": INSTANCE,
                "jkt": jkt,
                "challenge": client_data["challenge"],
                "sid": sid,
                "key": sid * 2,
                "issued_at": now.replace(microsecond=0),
                "expires_at": now.replace(microsecond=0) + timedelta(seconds=self.lifetime),
            }
            | self.claims
        )
        self.sessions[base64url.encode(sid)] = session
        sealed = None
        if self.agree is not None:
            sealed = issue_session(
                session, service_key=self.service_key, recipient=self.agree, random=lambda size: b"\x07" * size
            )
        answer = {
            "instance": session.instance,
            "client_attestation": self._token(sid),
            "session": sealed,
            "expires_in": self.lifetime,
            "renew_after": self.renew_after,
            "next_challenge": f"next-{len(self.sessions)}",
        }
        return httpx.Response(201 if what == "enrol" else 200, json=answer)

    def _token(self, sid: bytes) -> str:
        ours = {"sid": base64url.encode(sid), "env": self.evidence_environment}
        return f"header.{base64url.encode(json.dumps({'bonafide': ours}).encode())}.signature"

    def _admit(self, request: httpx.Request) -> None:
        value, path, query = read_request(request)
        self.api_requests.append(value)
        token = value.headers[CLIENT_ATTESTATION]
        if "dpop" in value.headers:
            self._admit_dpop(value)
            return
        proof = parse_proof(value, path=path, query=query, attestation=token)
        session = self.sessions[json.loads(base64url.decode(token.split(".")[1]))["bonafide"]["sid"]]
        if proof.kind is ProofKind.SESSION:
            sid = base64url.encode(session.sid)
            proven = verify_session(proof, mac_key=mac_key(session.key), sid=sid, now=self.time.now)
        else:
            proven = verify_hardware(proof, key=self.keys[session.jkt], jkt=session.jkt, now=self.time.now)
        verify_digest(proof.digest, digest_of((request.content,)))
        assert proof.nonce not in self.nonces
        self.nonces.add(proof.nonce)
        self.kinds.append(proven.kind)

    def _admit_dpop(self, value: HttpRequest) -> None:
        assert "signature" not in value.headers
        proof = dpop.parse_proof(value.headers["dpop"])
        (key,) = self.keys.values()
        verify_es256(proof.jws, key)
        assert (proof.method, proof.target) == (value.method, f"{value.origin}{value.target.partition('?')[0]}")
        assert proof.identifier not in self.nonces
        self.nonces.add(proof.identifier)
        self.kinds.append(ProofKind.DPOP)


_HTTP_DATE = "%a, %d %b %Y %H:%M:%S GMT"


def read_request(request: httpx.Request) -> tuple[HttpRequest, str, str]:
    """Return a request, and the path and query of its target."""
    value = _value(request)
    return value, *split_target(value.target)


def _value(request: httpx.Request) -> HttpRequest:
    """Read the request as a server would: what httpx is about to put on the wire."""
    return HttpRequest(
        method=request.method,
        origin=Origin(scheme=request.url.scheme, authority=request.headers["host"]),
        target=request.url.raw_path.decode("ascii"),
        headers=dict(request.headers.items()),
    )
