"""Who is compared: each behind an Nginx of its own, with the requests that it is made for."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench.gate import django_api
from bench.gate.accounting import family
from bench.gate.endpoints import KEY
from bench.gate.memory import fill_store, redis_used
from bench.gate.phones import ISSUING, bearer_batch, proven_batch
from bench.gate.processes import Program, answering, behind_gate, in_front, nginx, python, redis
from bench.gate.processors import Processors, kept_apart
from tests.gate.world import RunningGate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

RULES: Final[Sequence[Mapping[str, object]]] = ({"match": "/api/**"},)
ROUTES: Final = '[[route]]\nmatch = "/api/**"\n'
LIMITS: Final = '[limits]\ninstance = "1000000/minute"\nnetwork = "100000000/minute"\nuser = "1000000/minute"\n'
"""Counted like any others, and never reached: all load comes from one address."""

CONTENDERS: Final = (
    "nginx",
    "empty 204",
    "empty 204 + verify",
    "bonafide, LMDB",
    "bonafide, Redis",
    "PyJWT",
    "PyJWT + pydpop",
    "PyJWT + pydpop, store replaced",
    "Django",
)
"""What can be asked for. A gate runs with session and with hardware proofs, Django bare and with the middleware."""

WORKERS: Final = 1
"""Of each server: what is compared is the CPU of one request, and this machine sends the load as well."""

DEFAULT_WORKERS: Final = 2
"""A gate's default, under which its workers' memory is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One row. `pids` are the processes that are counted, by what they do."""

    name: str
    port: int
    make: Callable[[int], list[bytes]]
    pids: Mapping[str, Callable[[], list[int]]]


@dataclass(slots=True)
class Arena:
    """All contenders of a run, running. Use as a context manager."""

    directory: Path
    live: int = 0
    threads: int = 1
    workers: int = WORKERS
    contenders: dict[str, Contender] = field(default_factory=dict)
    gates: dict[str, RunningGate] = field(default_factory=dict)
    redis: Path | None = None
    redis_empty: int = 0
    lmdb: Path | None = None
    processors: Processors = field(init=False)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        self.processors = self._stack.enter_context(kept_apart())
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def admit(self, *names: str) -> None:
        """Start these contenders, or all."""
        steps = {
            "nginx": self._alone,
            "empty 204": lambda: self._endpoint("empty", "empty 204", self._session),
            "empty 204 + verify": lambda: self._endpoint("verify", "empty 204 + verify", self._session),
            "bonafide, LMDB": lambda: self._gate("LMDB"),
            "bonafide, Redis": lambda: self._gate("Redis"),
            "PyJWT": lambda: self._endpoint("bearer", "PyJWT", lambda count: self._bearer(count, dpop=False)),
            "PyJWT + pydpop": lambda: self._endpoint(
                "dpop", "PyJWT + pydpop", lambda count: self._bearer(count, dpop=True)
            ),
            "PyJWT + pydpop, store replaced": lambda: self._endpoint(
                "dpop-seen", "PyJWT + pydpop, store replaced", lambda count: self._bearer(count, dpop=True)
            ),
            "Django": self._django,
        }
        for name in names or CONTENDERS:
            steps[name]()

    def fill(self) -> None:
        """See that the LMDB store holds as many live nonces as are claimed: before each round, and before memory."""
        if self.lmdb is not None and self.live:
            fill_store(self.lmdb, self.live)

    def restart_gate(self, store: str, *, workers: int = DEFAULT_WORKERS) -> RunningGate:
        """Start a gate anew with so many workers, on what it has on disk."""
        gate = self.gates[store]
        gate.kill(signal.SIGTERM)
        gate.write(poll_every="3", workers=str(workers))
        with self.processors.for_servers():
            gate.start()
        return gate

    def _enter(
        self, name: str, front: Program, port: int, make: Callable[[int], list[bytes]], **more: Callable[[], list[int]]
    ) -> None:
        programs = {"nginx": lambda: front.pids, **more}
        self.contenders[name] = Contender(name=name, port=port, make=make, pids=programs)

    def _start(self, program: Program) -> Program:
        self._stack.callback(program.stop)
        program.start()
        return program

    def _serve(self, program: Program) -> None:
        with self.processors.for_servers():
            self._start(program)

    def _path(self, name: str) -> Path:
        return self.directory / f"{name.replace(' ', '-').replace(',', '').lower()}"

    @staticmethod
    def _session(count: int) -> list[bytes]:
        return proven_batch(ISSUING, count, hardware=False)

    @staticmethod
    def _hardware(count: int) -> list[bytes]:
        return proven_batch(ISSUING, count, hardware=True)

    def _bearer(self, count: int, *, dpop: bool) -> list[bytes]:
        return bearer_batch(_ACCESS_KEY, count, dpop=dpop)

    def _alone(self) -> None:
        api = self._path("alone.sock")
        http, server = in_front(api)
        program, port = nginx(self.directory, "alone", http=http + answering(api), server=server)
        self._enter("nginx", self._start(program), port, self._session)

    def _guarded(self, name: str, gate: Path) -> tuple[Program, int]:
        """Start an Nginx with the gate's snippet in front of whatever answers at `gate`."""
        api = self._path(f"{name}.api.sock")
        http, server = behind_gate(gate, api, RULES)
        program, port = nginx(self.directory, self._path(name).name, http=http + answering(api), server=server)
        return self._start(program), port

    def _endpoint(self, kind: str, name: str, make: Callable[[int], list[bytes]]) -> None:
        key = self.directory / "access.pem"
        key.write_bytes(_ACCESS_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        path = self._path(f"{kind}.sock")
        server = python(
            "bench.gate.endpoints",
            ["wsgi", kind, str(path), str(self.threads), str(self.workers)],
            path,
            self._path(f"{kind}.log"),
            **{KEY: str(key)},
        )
        self._serve(server)
        front, port = self._guarded(kind, path)
        self._enter(name, front, port, make, server=lambda: server.pids)

    def _gate(self, store: str) -> None:
        more: dict[str, Callable[[], list[int]]] = {}
        changes = {"poll_every": "3"}
        if store == "Redis":
            program, path = redis(self.directory)
            self._start(program)
            self.redis, self.redis_empty = path, redis_used(path)
            changes["replay_store"] = f'"unix://{path}?db=0"'
            more["redis"] = lambda: program.pids
        gate = RunningGate(home=self._path(f"gate {store}"), workers=self.workers, extra=LIMITS, routes=ROUTES)
        gate.write(**changes)
        if store == "LMDB":
            (gate.home / "state").mkdir(mode=0o700)
            self.lmdb = gate.home / "state" / "replay"
            self.fill()
        self._stack.callback(gate.stop)
        with self.processors.for_servers():
            gate.start()
        self.gates[store] = gate
        front, port = self._guarded(f"gate {store}", gate.socket)
        for proof, make in (("session", self._session), ("hardware", self._hardware)):
            self._enter(f"{proof}, {store}", front, port, make, server=lambda: family(gate.pid), **more)

    def _django(self) -> None:
        home = self._path("django")
        home.mkdir()
        command = [sys.executable, "-m", "bench.gate.django_api", "prepare", str(home)]
        subprocess.run(command, check=True, cwd=Path(__file__).resolve().parents[2])  # noqa: S603 - our own program
        issuing = django_api.read_issuing(home)
        for kind, name in (("bare", "Django"), ("locked", "Django + middleware")):
            path = self._path(f"django-{kind}.sock")
            server = python(
                "bench.gate.django_api",
                [kind, str(home), str(path), str(self.threads), str(self.workers)],
                path,
                self._path(f"django-{kind}.log"),
            )
            self._serve(server)
            http, text = in_front(path)
            program, port = nginx(self.directory, f"django-{kind}", http=http, server=text)
            self._enter(
                name,
                self._start(program),
                port,
                lambda count: proven_batch(issuing, count, hardware=False),
                server=_pids(server),
            )


def _pids(program: Program) -> Callable[[], list[int]]:
    return lambda: program.pids


_ACCESS_KEY: Final = ec.generate_private_key(ec.SECP256R1())
