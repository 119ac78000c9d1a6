"""The whole of it: PostgreSQL, Redis, service machines, gate machines and an API, started and stopped as one.

    with Cluster(directory) as cluster:
        phone = cluster.phone()
        phone.enrol()
        answer = cluster.send(request, gate=1)

Every part is at hand (`cluster.gates[0].gate.kill()`), and what it wrote lies below `directory`.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import httpx
from cryptography.hazmat.primitives.serialization import Encoding

from bonafide.stores.sealing_keys.key_file import FileSealingKey
from bonafide.terms import ProofKind
from bonafide.testing.apple import FakeApple
from bonafide.testing.client import AppClient, Build
from bonafide.testing.iphone import IPhone
from deploy.machines import APP, BUNDLE, ORIGIN, PREFIX, TEAM, GateMachine, ServiceMachine
from deploy.postgresql import PostgreSql
from deploy.processes import HOST, Failed, Process, find, listens_at
from tests.stores.redis_servers import ClusterGroup, RedisServer, SentinelGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT: Final = Path(__file__).resolve().parents[1]
STORES: Final = ("redis", "sentinel", "cluster")
DOWN_AFTER_MS: Final = 500
"""After how long Sentinels (`down-after-milliseconds`) and nodes (`cluster-node-timeout`) miss a master here."""

BIRTH_S: Final = 9.0
"""A new replay store vouches for proofs that were created 6 s after its birth, and 2 s more for clocks apart."""

RedisServers = RedisServer | SentinelGroup | ClusterGroup


class Cluster:
    """Use as a context manager, or call `start` and `stop`. One thread starts and stops things."""

    def __init__(
        self,
        directory: Path,
        *,
        gates: int = 3,
        services: int = 2,
        store: str = "redis",
        gate_settings: Mapping[str, object] | None = None,
        service_settings: str = "",
    ) -> None:
        """Say what there will be; nothing is started. `store` is one of `STORES`."""
        for program, apt in (("nginx", "nginx"), ("redis-server", "redis-server"), ("initdb", "postgresql")):
            find(program, apt=apt)
        self.directory = directory
        self.apple = FakeApple()
        self.thumbprints: tuple[str, ...] = ()
        self.clock: Callable[[], float] = time.time  # of phones that are made from now on
        self.services: list[ServiceMachine] = []
        self.gates: list[GateMachine] = []
        self._numbers = (gates, services)
        self._gate_settings = dict(gate_settings or {})
        self._service_settings = service_settings
        self._store = store
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # The whole ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start everything; return when every gate admits. Raises `Failed`, and leaves nothing running."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End everything, last started first. What was written stays, PostgreSQL's data excepted."""
        self._stack.close()

    def _start(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.postgresql = PostgreSql()
        self._stack.callback(self.postgresql.remove)
        self.postgresql.start()
        self.redis = self.start_redis(self._store)
        self._start_services()
        self._write_gates()
        self._start_api()
        for machine in self.gates:
            for process in (machine.gate, machine.nginx):
                self._stack.callback(process.stop)
                process.launch()
        for machine in self.gates:
            machine.nginx.wait()
            machine.gate.wait()
        self._await_vouching()

    def start_redis(self, store: str) -> RedisServers:
        """Start Redis in one of its forms. It ends with everything else."""
        servers: RedisServers
        place = self.directory / f"redis-{store}-{time.monotonic_ns()}"
        match store:
            case "sentinel":
                servers = SentinelGroup(place, down_after_ms=DOWN_AFTER_MS)
            case "cluster":
                servers = ClusterGroup(place, masters=3, replicas=1, node_timeout_ms=DOWN_AFTER_MS)
            case _:
                servers = RedisServer(place, options={"maxmemory-policy": "noeviction"})
        self._stack.callback(servers.stop)
        servers.start()
        return servers

    def _start_services(self) -> None:
        sealing_key = self.directory / "sealing.key"
        anchor = self.directory / "apple.pem"
        anchor.write_bytes(self.apple.anchors[0].certificate.public_bytes(Encoding.PEM))
        extra = f'unsafe_test_anchors = ["{anchor}"]\n{self._service_settings}'
        for number in range(1, self._numbers[1] + 1):
            machine = ServiceMachine(
                name=f"service-{number}",
                directory=self.directory / f"service-{number}",
                database=self.postgresql.url,
                sealing_key=sealing_key,
                extra=extra,
            )
            machine.write()
            self.services.append(machine)
            self._stack.callback(machine.process.stop)
        first = self.services[0]
        FileSealingKey(sealing_key).make()
        for machine in self.services:
            machine.process.launch()  # all at once, on an empty database
        for machine in self.services:
            machine.process.wait()
        first.run("apps", "add", APP, "--identity", f"{TEAM}.{BUNDLE}")
        listed = first.run("keys", "list").splitlines()
        self.thumbprints = tuple(line.split()[2] for line in listed if line.startswith(("service key", "its spare")))

    def _write_gates(self) -> None:
        for number in range(1, self._numbers[0] + 1):
            machine = GateMachine(
                name=f"gate-{number}",
                directory=self.directory / f"gate-{number}",
                replay_store=self.redis.url,
                service_keys=self.thumbprints,
                services=self.services,
                api=self.directory / "api.sock",
                settings=self._gate_settings,
            )
            self.gates.append(machine)
        with ThreadPoolExecutor(2) as pool:
            for _ in pool.map(self._register, self.gates):
                pass

    def _register(self, machine: GateMachine) -> None:
        jwk = machine.make_keys()
        machine.write_nginx()
        self.services[0].run("gates", "add", machine.name, "--audience", ORIGIN, "--jwk", jwk)

    def _start_api(self) -> None:
        self.journal = self.directory / "admitted.txt"
        keys = [machine.admission_key for machine in self.gates]
        socket = self.directory / "api.sock"
        self.api = Process(
            name="api",
            command=[sys.executable, "-m", "deploy.api", socket, self.journal, ORIGIN, *keys],
            directory=self.directory,
            ready=lambda: listens_at(socket),
            environment={"PYTHONPATH": str(ROOT)},
        )
        self._stack.callback(self.api.stop)
        self.api.start()

    def _await_vouching(self) -> None:
        """Wait until every gate admits: a replay store that was just born fences for some seconds."""
        phone = self.phone()
        with phone:
            phone.enrol()
            ends = time.monotonic() + 3 * BIRTH_S
            for number in range(len(self.gates)):
                while self.send(self.signed(phone), gate=number).status_code != httpx.codes.OK:
                    if time.monotonic() > ends:
                        message = f"{self.gates[number].name} admits nothing:\n{self.gates[number].gate.said()}"
                        raise Failed(message)
                    time.sleep(0.2)

    # Parts ----------------------------------------------------------------------------------------

    def use_store(self, url: str) -> None:
        """Have all gates go on with another replay store, which must be a new or an emptied one.

        No gate changes its store under way: while some used the one and some the other, each would admit what the other
        has seen. So all are stopped before the first is started.
        """
        for machine in self.gates:
            machine.gate.stop()
        for machine in self.gates:
            machine.replay_store = url
            machine.write()
            machine.gate.launch()
        for machine in self.gates:
            machine.gate.wait()

    def bonafide(self, *words: str) -> str:
        """Run a command of the first service machine."""
        return self.services[0].run(*words)

    # Phones ---------------------------------------------------------------------------------------

    def transport(self, gate: int | Callable[[], int] = 0) -> Loopback:
        """Return what carries requests for the API's origin to a gate machine, as a load balancer would.

        A request's extension "gate" says another one.
        """
        pick = gate if callable(gate) else lambda: gate
        return Loopback(lambda request: self.gates[request.extensions.get("gate", pick())].port)

    def phone(self, gate: int | Callable[[], int] = 0, **options: Any) -> AppClient:
        """Return the app on a software iPhone that has not enrolled yet; it reaches everything by this machine."""
        device = IPhone(Build(app=APP, identity=f"{TEAM}.{BUNDLE}"), apple=self.apple, clock=self.clock)
        options.setdefault("clock", self.clock)
        options.setdefault("timeout", 20.0)
        options.setdefault("transport", self.transport(gate))
        return AppClient(device, api=ORIGIN, service=PREFIX, service_keys=self.thumbprints, **options)

    def signed(self, phone: AppClient, target: str = "/api/thing", **how: Any) -> httpx.Request:
        """Return a request to the API, signed by an enrolled phone and not sent."""
        return sign(phone, httpx.Request(how.pop("method", "GET"), ORIGIN + target, **how))

    def send(self, request: httpx.Request, *, gate: int = 0, timeout: float = 10) -> httpx.Response:
        """Send a request as it is through one of the gate machines."""
        with httpx.Client(transport=self.transport(gate), trust_env=False, timeout=timeout) as client:
            return client.send(request)

    def admitted(self) -> list[list[str]]:
        """Return what the API wrote down: nonce, method, target and instance of each admitted request, in order."""
        with suppress(FileNotFoundError):
            return [line.split(" ") for line in self.journal.read_text().splitlines()]
        return []


class Loopback(httpx.BaseTransport):
    """Carries requests to a port of loopback and leaves everything else of them as it is: target, Host, fields."""

    def __init__(self, port: Callable[[httpx.Request], int]) -> None:
        self._port = port
        self._inner = httpx.HTTPTransport(limits=httpx.Limits(max_keepalive_connections=16, keepalive_expiry=2))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it there."""
        url = httpx.URL(scheme="http", host=HOST, port=self._port(request), raw_path=request.url.raw_path)
        moved = httpx.Request(
            request.method, url, headers=request.headers, stream=request.stream, extensions=request.extensions
        )
        return self._inner.handle_request(moved)

    def close(self) -> None:
        """Let go of the connections."""
        self._inner.close()


def sign(phone: AppClient, request: httpx.Request) -> httpx.Request:
    """Give a request the phone's proof, by its session where the request names no other kind."""
    proof = request.extensions.get("bonafide_proof", ProofKind.SESSION)
    phone.conversation.sign(request, proof=proof)
    return request
