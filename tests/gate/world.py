"""A gate as a real process on loopback: its files, its service, a phone's requests, and what a proxy would ask."""

from __future__ import annotations

import http.client
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from bonafide import client_attestation
from bonafide.codec import base64url
from bonafide.gate.identity import make_gate_key, read_gate_key
from bonafide.http import split_target
from bonafide.proof.http_signature import parse_proof
from bonafide.sealing import answer_key
from bonafide.session import seal_response_key, session_key
from bonafide.stores.admission_keys import create_admission_key, read_admission_key
from bonafide.stores.lmdb import LmdbReplayStore
from tests import gate_world
from tests.gate.service import AUDIENCE, ISSUER, SERVICE_KEY, Service

if TYPE_CHECKING:
    from bonafide.http import HttpRequest
    from bonafide.sealing import AnswerKey

HOST: Final = "api.example.com"
START_S: Final = 30.0
ROUTES: Final = """\
[[route]]
match = "/health"
client = "open"
because = "a load balancer asks"

[[route]]
match = "/api/observed"
mode = "observe"

[[route]]
match = "/api/hardware"
proof = "hardware"

[[route]]
match = "/api/fresh"
fresh = 30

[[route]]
match = "/api/small"
max_body = "1KiB"

[[route]]
match = "/api/**"
"""

_SERVES: Final = re.compile(r'"Started (worker-\d+) runtime-1"')
"""The last of the two lines that a worker logs when it starts."""

FIELDS: Final = {"upgrade": "Originalupgrade", "trailer": "Originaltrailer", "content-length": "Originallength"}


def fresh(target: str = "/api/config", **how: Any) -> HttpRequest:
    """Return a request signed now, under a new nonce, by an instance whose attestation is fresh."""
    now = datetime.now(UTC).replace(microsecond=0)
    changes = {"issued_at": now - timedelta(seconds=1), "expires_at": now + timedelta(minutes=4)}
    changes.update(how.pop("claims", {}))
    held = gate_world.claims(**changes)
    signer = how.pop("signer", None) or gate_world.session_signer(held)
    return gate_world.request(
        target,
        attestation=gate_world.token(**changes),
        signer=signer,
        created=how.pop("created", int(now.timestamp())),
        nonce=base64url.encode(secrets.token_bytes(16)),
        **how,
    )


def key_to(request: HttpRequest) -> AnswerKey:
    """Return the key under which the answer to a request of `fresh` is sealed, as the phone makes it."""
    path, query = split_target(request.target)
    token = request.headers["oauth-client-attestation"]
    claims = client_attestation.parse(token)
    session = session_key(
        gate_world.GATE_SECRET,
        sid=gate_world.SID,
        app=claims.app,
        jkt=gate_world.JKT,
        expires=int(claims.expires_at.timestamp()),
    )
    base = parse_proof(request, path=path, query=query, attestation=token).base
    return answer_key(seal_response_key(session), sid=gate_world.SID, base=base)


def asked(request: HttpRequest, **changes: str | None) -> dict[str, str]:
    """Return the header fields with which a proxy asks about a request; `changes` set or remove some."""
    fields = {
        "Originalmethod": request.method,
        "Originaltarget": request.target,
        "Originalhost": request.origin.authority,
        "Originaladdress": "192.0.2.7",
        **{FIELDS.get(name, name): value for name, value in request.headers.items()},
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


@dataclass
class Answer:
    """What the gate said to the proxy."""

    status: int
    fields: dict[str, str]


@dataclass(kw_only=True)
class RunningGate:
    """One gate over a directory. Its process is stopped by its id, its workers with it."""

    home: Path
    workers: int = 1
    extra: str = ""
    upstream: str = ""
    routes: str = ROUTES
    service: Service = field(init=False)
    _process: subprocess.Popen[bytes] | None = None
    _log_began: int = 0

    def __post_init__(self) -> None:
        """Write the files, and start the service."""
        self.home.mkdir(mode=0o700, exist_ok=True)
        make_gate_key(self.home / "gate.key")
        create_admission_key(self.home / "api.key", random=os.urandom)
        self.service = Service(gate_key=read_gate_key(self.home / "gate.key").public_key())
        (self.home / "routes.toml").write_text(self.routes)
        self.write()

    @property
    def file(self) -> Path:
        """The gate's TOML."""
        return self.home / "gate.toml"

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.home / "gate.sock"

    @property
    def log(self) -> Path:
        """What it said."""
        return self.home / "gate.log"

    @property
    def command(self) -> list[str]:
        """What starts it."""
        return [str(Path(sys.executable).with_name("bonafide")), "gate", "--config", str(self.file)]

    @property
    def admission_key(self) -> bytes:
        """The key that it shares with the API."""
        return read_admission_key(self.home / "api.key")

    def write(self, **changes: str) -> None:
        """Write the gate's file."""
        lines = {
            "name": '"gate-1"',
            "listen": f'"unix:{self.socket}"',
            "workers": str(self.workers),
            "state_dir": '"state"',
            "service": f'"{self.service.url}"',
            "issuer": f'"{ISSUER}"',
            "audience": f'"{AUDIENCE}"',
            "service_keys": f'["{SERVICE_KEY.kid}"]',
            "apps": '["shop"]',
            "poll_every": "0.2",
            **changes,
        }
        head = "\n".join(f"{name} = {value}" for name, value in lines.items())
        upstream = (
            '[[upstream]]\nname = "api"\norigins = ["https://api.example.com"]\nroutes = "routes.toml"\n'
            f'key_file = "api.key"\nbody = "checked"\n{self.upstream}'
        )
        self.file.write_text(f"{head}\n{self.extra}\n{upstream}")

    def start(self, *, ready: bool = True) -> None:
        """Start the process and wait until it serves; the replay store is made older than any proof."""
        (self.home / "state").mkdir(mode=0o700, exist_ok=True)
        store = LmdbReplayStore(self.home / "state" / "replay")
        store.remember(os.urandom(32), created=int(time.time()) - 60, now=time.time() - 60)
        store.close()
        self._log_began = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self.command, stdout=log, stderr=log, start_new_session=True)
        ends = time.monotonic() + START_S
        while time.monotonic() < ends:
            if self._process.poll() is not None:
                break
            try:
                if self._all_started() and self.get("/ready" if ready else "/health").status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        self.stop()
        raise AssertionError(self.log.read_text())

    def _all_started(self) -> bool:
        """Tell whether every worker serves: granian loses what is signalled to one that does not yet."""
        said = self.log.read_bytes()[self._log_began :].decode()
        return len(set(_SERVES.findall(said))) >= self.workers

    @property
    def pid(self) -> int:
        """The parent's process id."""
        assert self._process is not None
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Send the parent a signal."""
        os.kill(self.pid, number)

    def pause(self) -> None:
        """Stop every process of the group, and wait until each stands: a signal that was sent is not yet obeyed."""
        os.killpg(self.pid, signal.SIGSTOP)
        ends = time.monotonic() + START_S
        while set(_thread_states(self.pid)) != {"T"}:
            assert time.monotonic() < ends
            time.sleep(0.01)

    def resume(self) -> None:
        """Let a paused group go on."""
        os.killpg(self.pid, signal.SIGCONT)

    def stop(self, *, group: bool = False) -> int | None:
        """Stop the process, or its whole group at once, and the service; return the exit code."""
        self.service.stop()
        return self.kill(signal.SIGTERM, group=group)

    def kill(self, number: signal.Signals, *, group: bool = False) -> int | None:
        """Signal the process, or its whole group at once; wait until it ends, and return the exit code."""
        if self._process is None:
            return None
        process, self._process = self._process, None
        if process.poll() is None:
            (os.killpg if group else os.kill)(process.pid, number)
        try:
            return process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait(5)

    def ask(self, fields: dict[str, str]) -> Answer:
        """Ask as a proxy does, on a connection of its own."""
        return self.get("/admit", fields)

    def get(self, path: str, fields: dict[str, str] | None = None) -> Answer:
        """Send a request to the gate's socket."""
        with Connection(self.socket) as connection:
            return connection.get(path, fields)


class Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        """Name the socket."""
        super().__init__("gate", timeout=10)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(str(self._path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, path: str, fields: dict[str, str] | None = None) -> Answer:
        """Send one request."""
        self.request("GET", path, headers=fields or {})
        response = self.getresponse()
        body = response.read()
        answered = {name.lower(): value for name, value in response.getheaders()}
        answered["body"] = body.decode("latin-1")
        return Answer(response.status, answered)


def _thread_states(group: int) -> list[str]:
    """Return the state of every thread of a process group, as proc(5) spells it; zombies have none."""
    states = []
    for status in Path("/proc").glob("[0-9]*/task/[0-9]*/stat"):
        with suppress(OSError):
            state, _, process_group = status.read_text().rpartition(") ")[2].split()[:3]
            if int(process_group) == group and state != "Z":
                states.append(state)
    return states
