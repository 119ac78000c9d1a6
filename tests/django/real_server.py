"""Real servers in front of the locked API of these tests, and requests as octets."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
from cryptography.hazmat.primitives.serialization import Encoding

from bonafide.stores.key_files import ServiceKeyFile
from bonafide.stores.lmdb import LmdbReplayStore
from bonafide.terms import Environment, ProofKind
from bonafide.testing.apple import FakeApple
from bonafide.testing.client import AppClient, Build
from bonafide.testing.iphone import IPhone
from deploy.processes import Process, free_port

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT: Final = Path(__file__).resolve().parents[2]
BINARIES: Final = Path(sys.executable).parent
IDENTITY: Final = "ABCDE12345.com.example.shop"

COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    "runserver": ("python", "-m", "django", "runserver", "127.0.0.1:{port}", "--noreload"),
    "gunicorn": (
        *("gunicorn", "--bind", "127.0.0.1:{port}", "--workers", "2", "--threads", "2", "--log-level", "error"),
        "--no-control-socket",
        "tests.django.served:wsgi",
    ),
    "uvicorn": ("uvicorn", "--port", "{port}", "--log-level", "error", "tests.django.served:asgi"),
    "granian_wsgi": ("granian", "--interface", "wsgi", "--port", "{port}", "--no-log", "tests.django.served:wsgi"),
    "granian_asgi": ("granian", "--interface", "asgi", "--port", "{port}", "--no-log", "tests.django.served:asgi"),
}
ANSWER_S: Final = 30.0
LONG_AGO_S: Final = 60.0


@dataclass(slots=True, kw_only=True)
class RealServer:
    """One server, its state, and a phone with the app."""

    name: str
    state: Path
    port: int = field(default_factory=free_port)
    apple: FakeApple = field(default_factory=FakeApple)
    _process: Process = field(init=False)

    def __post_init__(self) -> None:
        program, *arguments = (word.format(port=self.port) for word in COMMANDS[self.name])
        self._process = Process(
            name=self.name,
            command=[BINARIES / program, *arguments],
            directory=self.state,
            ready=lambda: httpx.get(f"{self.origin}/open/health", timeout=ANSWER_S, trust_env=False).is_success,
            environment=self.environment(),
        )

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self._process.log

    def start(self) -> None:
        """Make a database, an app and a replay store that is older than any proof; then serve."""
        root = self.apple.anchors[0].certificate
        (self.state / "apple.pem").write_bytes(root.public_bytes(Encoding.PEM))
        self.manage("migrate", "--verbosity", "0")
        self.manage("bonafide_apps", "add", "shop", "--identity", IDENTITY)
        long_ago = time.time() - LONG_AGO_S
        store = LmdbReplayStore(self.state / "replay")
        store.remember(os.urandom(32), created=int(long_ago), now=long_ago)
        store.close()
        self._process.start()

    def stop(self) -> None:
        self._process.stop()

    def environment(self) -> dict[str, str]:
        return os.environ | {
            "DJANGO_SETTINGS_MODULE": "tests.django.api_settings",
            "BONAFIDE_TEST_STATE": str(self.state),
            "BONAFIDE_TEST_SQLITE": str(self.state / "db.sqlite3"),
            "BONAFIDE_TEST_ORIGIN": self.origin,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
        }

    def manage(self, *arguments: str) -> None:
        self.output(*arguments)

    def output(self, *arguments: str) -> str:
        """Run a command of Django's, and return what it printed."""
        command = [sys.executable, "-m", "django", *arguments]
        run = subprocess.run(command, cwd=ROOT, env=self.environment(), check=True, capture_output=True, text=True)
        return run.stdout

    def phone(self) -> AppClient:
        """Return a client on a phone of its own that has enrolled."""
        keys = ServiceKeyFile(self.state / "keys", environment=Environment.TEST).current()
        phone = IPhone(Build(app="shop", identity=IDENTITY), apple=self.apple, clock=time.time)
        client = AppClient(phone, api=self.origin, service_keys=keys.thumbprints, timeout=ANSWER_S)
        client.make_ready()
        return client

    def reason(self, answer: Answer) -> str:
        """Return the reason of a refusal, from the operator's log."""
        record = f"record={answer.headers['bonafide-record']} "
        (line,) = [line for line in self.log.read_text(errors="replace").splitlines() if record in line]
        return line.partition("reason=")[2].partition(" ")[0]

    def send(self, request: bytes) -> Answer:
        """Send octets on a connection of their own, and read one answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_S) as connection:
            connection.sendall(request)
            with closing(http.client.HTTPResponse(connection)) as response:
                response.begin()
                return Answer(response.status, httpx.Headers(response.getheaders()), response.read())


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered."""

    status: int
    headers: httpx.Headers
    body: bytes


def signed(client: AppClient, method: str = "GET", path: str = "/api/echo", **options: Any) -> httpx.Request:
    """Return a request that would be admitted."""
    proof = options.pop("proof", ProofKind.SESSION)
    client.make_ready()
    request = client.build_request(method, path, **options)
    request.read()
    client.conversation.sign(request, proof=proof)
    return request


def octets(
    request: httpx.Request,
    *,
    target: bytes | None = None,
    body: bytes | None = None,
    without: Iterable[str] = (),
    extra: Iterable[bytes] = (),
) -> bytes:
    """Return a request as it is sent: with another target or body, without some headers, with further lines."""
    line = request.method.encode() + b" " + (request.url.raw_path if target is None else target) + b" HTTP/1.1"
    left_out = {"connection", *without}
    headers = [name + b": " + value for name, value in request.headers.raw if name.decode().lower() not in left_out]
    content = request.content if body is None else body
    return b"\r\n".join([line, *headers, b"Connection: close", *extra, b"", content])
