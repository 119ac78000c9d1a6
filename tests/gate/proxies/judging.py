"""A gate that judges by the real `admit`, at the fixed time of `tests.gate_world`, and requests that it admits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from bonafide.admission import Denied, admit
from bonafide.errors import MalformedEvidence
from bonafide.gate.proxies import ORIGINAL_HEADERS
from bonafide.http import HttpRequest, Origins
from bonafide.proof.content_digest import digest_of
from tests import gate_world
from tests.gate.proxies.wire import Message

if TYPE_CHECKING:
    from collections.abc import Mapping

HOST: Final = "api.example.com"
OTHER_HOST: Final = "other.example.com"
ADMISSION: Final = "the-gate-admitted-this"


@dataclass(slots=True)
class JudgingGate:
    """Answers as a gate does; `refusals` keeps the reason codes."""

    origins: Origins = field(default_factory=lambda: Origins([f"https://{HOST}", f"https://{OTHER_HOST}"]))
    rules: tuple[Mapping[str, object], ...] = ({"match": "/api/**"},)
    refusals: list[str] = field(default_factory=list)

    def answer(self, asked: Message) -> bytes:
        """Judge what a proxy asked about."""
        try:
            request = read(asked, self.origins)
            decision = admit(request, gate=gate_world.gate(*self.rules), now=gate_world.NOW)
        except MalformedEvidence as malformed:
            decision = Denied(malformed.reason)
        if not isinstance(decision, Denied):
            return f"HTTP/1.1 204 No Content\r\nBonafide-Admission: {ADMISSION}\r\n\r\n".encode()
        self.refusals.append(decision.reason.code)
        return refusal(decision.reason.status, str(decision.reason.action))


def refusal(status: int, action: str, record: str = "0123456789abcdef", more: str = "") -> bytes:
    """Return a gate's refusal as it stands on the wire."""
    carrier = "401 Unauthorized" if status == 401 else "403 Forbidden"
    challenge = 'WWW-Authenticate: ClientAttestation error="invalid_client_attestation"\r\n' * (status == 401)
    return (
        f"HTTP/1.1 {carrier}\r\nContent-Length: 0\r\nBonafide-Status: {status}\r\nBonafide-Action: {action}\r\n"
        f"Bonafide-Record: {record}\r\n{challenge}{more}\r\n"
    ).encode()


def read(asked: Message, origins: Origins) -> HttpRequest:
    """Return the request that a proxy described, its fields joined as a WSGI server joins them."""
    told = {name: asked.one(name) for name in ORIGINAL_HEADERS}
    headers: dict[str, str] = {}
    for name, value in asked.headers:
        key = name.lower()
        if key in {known.lower() for known in ORIGINAL_HEADERS} | {"host", "connection"}:
            continue
        headers[key] = f"{headers[key]}{'; ' if key == 'cookie' else ','}{value}" if key in headers else value
    for key, name in (("upgrade", "Originalupgrade"), ("trailer", "Originaltrailer")):
        if told[name]:
            headers[key] = told[name]
    return HttpRequest(
        method=told["Originalmethod"],
        origin=origins.pick(told["Originalhost"] or None),
        target=told["Originaltarget"],
        headers=headers,
    )


def signed(target: str = "/api/config", *, method: str = "GET", body: bytes = b"", **headers: str) -> Message:
    """Return a request of the genuine app as it stands on the wire."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    request = gate_world.request(target, method=method, headers={"content-digest": digest_of([body]), **fields})
    lines = tuple((name.title(), value) for name, value in request.headers.items())
    length = (("Content-Length", str(len(body))),) if body else ()
    return Message(f"{method} {target} HTTP/1.1", (("Host", HOST), *lines, *length), body)


def octets(message: Message) -> bytes:
    """Return a message as octets."""
    lines = [message.start, *(f"{name}: {value}" for name, value in message.headers), "", ""]
    return "\r\n".join(lines).encode("latin-1") + message.body


def having(message: Message, *more: tuple[str, str], start: str | None = None, body: bytes | None = None) -> Message:
    """Return a message with more fields, another first line, another body."""
    return replace(
        message,
        start=message.start if start is None else start,
        headers=(*message.headers, *more),
        body=message.body if body is None else body,
    )


def without(message: Message, name: str) -> Message:
    """Return a message without the fields of this name."""
    return replace(message, headers=tuple(pair for pair in message.headers if pair[0].lower() != name.lower()))
