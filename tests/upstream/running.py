"""Real servers with an API behind a gate, and requests to them as octets."""

from __future__ import annotations

import http.client
import json
import os
import socket
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from deploy.processes import Process, free_port
from tests.django.real_server import BINARIES, ROOT
from tests.upstream.word import ATTESTATION, key_file, spoken, statement

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bonafide.statement import Sender, Statement

COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    "flask_gunicorn": (
        *("gunicorn", "--bind", "127.0.0.1:{port}", "--threads", "2", "--log-level", "error", "--no-control-socket"),
        "tests.upstream.{served}:flask_app",
    ),
    "flask_granian": (
        *("granian", "--interface", "wsgi", "--port", "{port}", "--no-log"),
        "tests.upstream.{served}:flask_app",
    ),
    "fastapi_uvicorn": ("uvicorn", "--port", "{port}", "--log-level", "error", "tests.upstream.{served}:asgi"),
    "fastapi_granian": (
        *("granian", "--interface", "asgi", "--port", "{port}", "--no-log"),
        "tests.upstream.{served}:asgi",
    ),
}
ANSWER_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> dict[str, Any]:
        """What the application saw."""
        assert self.status == 200, self.body
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass(slots=True, kw_only=True)
class Running:
    """One server. `origin` is what clients call it, if not its address; `served` the module with the applications."""

    name: str
    state: Path
    origin: str = ""
    served: str = "served"
    port: int = field(default_factory=free_port)
    _process: Process = field(init=False)

    def __post_init__(self) -> None:
        program, *arguments = (word.format(port=self.port, served=self.served) for word in COMMANDS[self.name])
        self._process = Process(
            name=self.name,
            command=[BINARIES / program, *arguments],
            directory=self.state,
            ready=self._answers,
            environment={
                "UPSTREAM_KEY": str(self.key),
                "UPSTREAM_ORIGIN": self.origin or f"http://{self.authority}",
                "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
            },
        )

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self._process.log

    @property
    def key(self) -> Path:
        return self.state / "admission.key"

    def start(self) -> None:
        if not self.key.exists():
            key_file(self.state)
        self._process.start()

    def stop(self) -> None:
        self._process.stop()

    def say(self, who: Sender | None, *, fields: Mapping[str, str] | None = None, **changes: Any) -> Statement:
        """Return what a gate says at this moment of `GET /api/x` at this server."""
        here: dict[str, Any] = {"authority": self.authority, "issued_at": datetime.now(UTC)}
        return statement(who, fields=fields, **(here | changes))

    def octets(
        self,
        said: Statement | None,
        body: bytes = b"",
        *,
        line: str = "GET /api/x",
        without: tuple[str, ...] = (),
        extra: tuple[bytes, ...] = (),
    ) -> bytes:
        """Return a request with the gate's word as it is sent; without some headers, with further lines."""
        headers = {
            "Host": self.authority,
            "OAuth-Client-Attestation": ATTESTATION,
            "Content-Length": str(len(body)),
            "Connection": "close",
        }
        if said is not None:
            headers["Bonafide-Admission"] = spoken(self.key, said)
        lines = [f"{name}: {value}".encode() for name, value in headers.items() if name not in without]
        return b"\r\n".join([line.encode("latin-1") + b" HTTP/1.1", *lines, *extra, b"", body])

    def send(self, request: bytes) -> Answer:
        """Send octets on a connection of their own, and read one answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_S) as connection:
            connection.sendall(request)
            with closing(http.client.HTTPResponse(connection)) as response:
                response.begin()
                headers = {name.lower(): value for name, value in response.getheaders()}
                return Answer(response.status, headers, response.read())

    def reason(self, answer: Answer) -> str:
        """Return the reason of a refusal, from the operator's log."""
        record = f"record={answer.headers['bonafide-record']} "
        (line,) = [line for line in self.log.read_text(errors="replace").splitlines() if record in line]
        return line.partition("reason=")[2].partition(" ")[0]

    def _answers(self) -> bool:
        try:
            self.send(self.octets(None))
        except (OSError, http.client.HTTPException):
            return False
        return True
