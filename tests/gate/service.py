"""The service's half of provisioning, on loopback: the core's own functions, and what a test wants said."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec

from bonafide.errors import BonafideError
from bonafide.keys import GateKey, PublishedKey, ServiceKey
from bonafide.provision import GateState, issue_answer, parse_ask, serialise, verify_ask
from bonafide.terms import Environment
from tests import canaries
from tests.gate_world import GATE_SECRET, ISSUER_KEY

if TYPE_CHECKING:
    from collections.abc import Callable

ISSUER: Final = "https://api.example.com/bonafide/v1"
AUDIENCE: Final = "https://api.example.com"
SERVICE_KEY: Final = ServiceKey.of(ec.derive_private_key(0x5E_71, ec.SECP256R1()))
RAMP_KEY: Final = bytes(range(100, 132))
GATE_KEY_ID: Final = "20261101-a"
canaries.plant("ramp key", RAMP_KEY)


def state(now: datetime) -> GateState:
    """Return what the service knows of the world of `tests.gate_world`."""
    return GateState(
        keys=(PublishedKey(app="shop", key=ISSUER_KEY.public),),
        gate_keys=(
            GateKey(
                kid=GATE_KEY_ID,
                secret=GATE_SECRET,
                audience=AUDIENCE,
                not_before=now.replace(microsecond=0) - timedelta(hours=1),
                erase_after=now.replace(microsecond=0) + timedelta(days=1),
            ),
        ),
        revoked_instances=frozenset(),
        revoked_jkts=frozenset(),
        openings=(),
        ramp_key=RAMP_KEY,
    )


@dataclass
class Service:
    """A service on loopback with one registered gate. `down` makes it answer 503; `edit` spoils its answers."""

    gate_key: ec.EllipticCurvePublicKey
    gate: str = "gate-1"
    state: GateState = field(default_factory=lambda: state(datetime.now(UTC)))
    down: bool = False
    edit: Callable[[str], str] = str
    asks: int = 0
    whole: int = 0

    def __post_init__(self) -> None:
        """Listen at once."""
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, body = service.answer(self.path, self.headers.get("Authorization", ""))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                """Stay quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens, with its prefix."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/bonafide/v1"

    def answer(self, path: str, authorization: str) -> tuple[int, bytes]:
        """Answer as a service does."""
        self.asks += 1
        if self.down or path != "/bonafide/v1/gate":
            return 503, b""
        now = datetime.now(UTC)
        try:
            ask = parse_ask(authorization.removeprefix("Bonafide-Gate "))
            key = self.gate_key if ask.gate == self.gate else None
            proven = verify_ask(ask, key=key, issuer=ISSUER, environment=Environment.PRODUCTION, now=now)
        except BonafideError as refusal:
            return refusal.reason.status, b""
        told = serialise(self.state)
        self.whole += proven.have != told.tag
        answer = issue_answer(
            proven,
            told,
            audience=AUDIENCE,
            service_key=SERVICE_KEY,
            recipient=self.gate_key,
            now=now,
            random=os.urandom,
        )
        return 200, self.edit(answer).encode()

    def ban(self, instance: str) -> None:
        """Add an instance to the list."""
        self.state = replace(self.state, revoked_instances=self.state.revoked_instances | {instance})

    def stop(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
