"""What an attacker sends while something is broken: requests without a proof, with somebody else's, and edited ones.

Every kind is made from a request that would have been admitted and was never sent, so that a nonce of an attack
in the API's journal is an attack that came through.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import httpx
from cryptography.hazmat.primitives.asymmetric import ec

from bonafide.codec import json
from bonafide.codec.jose import sign_hs256
from bonafide.proof.http_signature import CLIENT_ATTESTATION, HardwareSigner
from bonafide.statement import TYPE
from bonafide.terms import ProofKind
from bonafide.testing.signed_request import prove
from deploy.machines import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bonafide.testing.client import AppClient

STALE_S: Final = 90
"""Older than any proof may be."""

_PROOF: Final = (CLIENT_ATTESTATION, "content-digest", "signature-input", "signature")
_NONCE: Final = re.compile(r';nonce="([A-Za-z0-9_-]+)"')


def nonce_of(request: httpx.Request) -> str:
    """Return the nonce of a signed request, or nothing."""
    found = _NONCE.search(request.headers.get("signature-input", ""))
    return "" if found is None else found[1]


class Attacker:
    """Holds an enrolled phone's requests, as a proxy on that phone would, and a key of its own."""

    def __init__(self, victim: AppClient, other: AppClient) -> None:
        """`victim` and `other` are enrolled; their own clients send nothing here."""
        self._victim = victim
        self._other = other
        self._key = HardwareSigner(ec.generate_private_key(ec.SECP256R1()), victim.device.keychain.jkt)

    def kinds(self) -> Mapping[str, Callable[[], httpx.Request]]:
        """Return every kind of attack by its name."""
        return {
            "unsigned": self._unsigned,
            "forged statement of a gate": self._statement,
            "foreign key": self._foreign_key,
            "another phone's attestation": self._foreign_attestation,
            "no attestation": self._no_attestation,
            "edited path": self._edited_path,
            "edited query": self._edited_query,
            "edited method": self._edited_method,
            "edited body": self._edited_body,
            "edited credential": self._edited_credential,
            "stale proof": self._stale,
            "session proof where hardware is demanded": self._session,
        }

    def _time(self) -> int:
        return int(self._victim.clock.now())

    def _signed(self, target: str = "/api/attack", method: str = "GET", content: bytes = b"") -> httpx.Request:
        headers = {"authorization": "Bearer of-a-user"}
        request = httpx.Request(method, ORIGIN + target, headers=headers, content=content)
        self._victim.conversation.sign(request, proof=ProofKind.SESSION)
        return request

    def _unsigned(self) -> httpx.Request:
        request = self._signed()
        for name in _PROOF:
            del request.headers[name]
        return request

    def _statement(self) -> httpx.Request:
        request = self._unsigned()
        claims = json.dump({"admitted": True, "iat": self._time(), "method": "GET"})
        header = {"alg": "HS256", "typ": TYPE}
        request.headers["bonafide-admission"] = sign_hs256(header, claims, bytes(32))
        return request

    def _foreign_key(self) -> httpx.Request:
        request = self._signed()
        self._sign_by_own_key(request, created=self._time())
        return request

    def _sign_by_own_key(self, request: httpx.Request, *, created: int) -> None:
        attestation = request.headers[CLIENT_ATTESTATION]
        prove(request, self._key, attestation=attestation, created=created, nonce=nonce_of(request))

    def _foreign_attestation(self) -> httpx.Request:
        request = self._signed()
        enrolled = self._other.device.keychain.enrolled
        request.headers[CLIENT_ATTESTATION] = "" if enrolled is None else enrolled.client_attestation
        return request

    def _no_attestation(self) -> httpx.Request:
        request = self._signed()
        del request.headers[CLIENT_ATTESTATION]
        return request

    def _edited_path(self) -> httpx.Request:
        return _moved(self._signed(), b"/api/another")

    def _edited_query(self) -> httpx.Request:
        return _moved(self._signed("/api/attack?page=1"), b"/api/attack?page=2")

    def _edited_method(self) -> httpx.Request:
        request = self._signed()
        request.method = "DELETE"
        return request

    def _edited_body(self) -> httpx.Request:
        request = self._signed(method="POST", content=b'{"amount":1}')
        return httpx.Request("POST", request.url, headers=request.headers, content=b'{"amount":9}')

    def _edited_credential(self) -> httpx.Request:
        request = self._signed()
        request.headers["authorization"] = "Bearer of-another"
        return request

    def _stale(self) -> httpx.Request:
        request = self._signed()
        keychain = self._victim.device.keychain
        signer = HardwareSigner(keychain.sign_key, keychain.jkt)
        attestation = request.headers[CLIENT_ATTESTATION]
        created = self._time() - STALE_S
        prove(request, signer, attestation=attestation, created=created, nonce=nonce_of(request))
        return request

    def _session(self) -> httpx.Request:
        return self._signed("/api/pay")


def _moved(request: httpx.Request, target: bytes) -> httpx.Request:
    request.url = request.url.copy_with(raw_path=target)
    return request
