"""Real Redis servers, Sentinels and clusters on free loopback ports, for tests, drills and the bench.

    with RedisServer(directory) as server:
        store = open_replay_store(server.url)
        server.pause(); server.resume(); server.kill(); server.start()

Every process is started here, in a session of its own, and ended by its id. Nothing is written to disk unless
asked for, so that a server that was killed comes back empty. `SentinelGroup` and `ClusterGroup` are made of servers,
and offer the same words for each.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from contextlib import suppress
from functools import partial
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests import waiting
from tests.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

HOST = "127.0.0.1"
SERVICE = "main"


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def eventually(told: Callable[[], object], what: str, *, patience_s: float = PATIENCE_S) -> None:
    """Wait until `told()` is true; a server that does not answer yet is waited for."""
    waiting.eventually(told, what, patience_s=patience_s, despite=(redis.RedisError, OSError, LookupError))


class RedisServer:
    """One `redis-server` process; its port and its directory stay the same over restarts.

    `options` are lines of redis.conf without their dashes, e.g. {"maxmemory-policy": "allkeys-lru"}. `environment`
    is added to the process's, e.g. to preload libfaketime.
    """

    def __init__(
        self,
        directory: Path,
        *,
        options: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        program: Sequence[str] = ("redis-server",),
    ) -> None:
        self.directory = Path(directory)
        self.port = free_port()
        self.options = dict(options or {})
        self.environment = dict(environment or {})
        self.socket = self.directory / "redis.sock"
        self._program = list(program)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address of a replay store here."""
        return f"redis://{HOST}:{self.port}/0"

    @property
    def socket_url(self) -> str:
        """Likewise, by the server's socket."""
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int:
        """The process that runs now."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What the server wrote to its log."""
        return (self.directory / "redis.log").read_text(errors="replace")

    def client(self, **options: Any) -> redis.Redis:
        """Return a client for the test's own questions; it waits two seconds at most."""
        return redis.Redis(host=HOST, port=self.port, socket_timeout=2, retry=Retry(NoBackoff(), 0), **options)

    def command(self, *words: object) -> Any:
        """Ask the server something over a connection of its own."""
        with self.client() as client:
            return client.execute_command(*words)

    def start(self) -> Self:
        """Start the process, and return once it answers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [which(self._program[0]) or self._program[0], *self._program[1:], *self._arguments()],
            cwd=self.directory,
            env={**os.environ, **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            eventually(self._answers, f"redis-server on port {self.port}")
        except BaseException:
            self.kill()
            raise
        return self

    def _arguments(self) -> list[str]:
        fixed = {
            "port": str(self.port),
            "bind": HOST,
            "unixsocket": str(self.socket),
            "dir": str(self.directory),
            "logfile": "redis.log",
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
            "repl-diskless-sync-delay": "0",
        }
        return [word for name, value in (fixed | self.options).items() for word in (f"--{name}", value)]

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        try:
            return bool(self.command("PING"))
        except redis.AuthenticationError:
            return True

    def stop(self) -> None:
        """End the process as an operator does, and wait for it."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the process where it stands."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.send_signal(signal.SIGCONT)  # a stopped process would not hear the other
            try:
                self._process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(PATIENCE_S)
            self._process = None

    def pause(self) -> None:
        """Stop the process; its connections stay open and say nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a stopped process go on."""
        os.kill(self.pid, signal.SIGCONT)

    def cut_off_replicas(self, *replicas: RedisServer) -> None:
        """Stop these replicas, and drop what is on its way to them: what is written from now on, they lack."""
        for replica in replicas:
            replica.pause()
        self.command("CLIENT", "KILL", "TYPE", "replica")

    def restart(self) -> None:
        """Kill the process and start another one in its place."""
        self.kill()
        self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()


class ClockedServer(RedisServer):
    """A server whose clock is off by as much as it is told; wants Debian's `faketime`.

    jemalloc reads the clock before libfaketime is ready for it, so the server gets the C library's allocator.
    """

    def __init__(self, directory: Path, *, options: Mapping[str, str] | None = None) -> None:
        library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
        self._offset = Path(directory) / "offset"
        environment = {
            "LD_PRELOAD": f"{library} libc.so.6",
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        super().__init__(directory, options=options, environment=environment)

    def start(self) -> Self:
        """As `RedisServer.start`, with a clock that is right."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.set_clock(0)
        return super().start()

    def set_clock(self, offset_s: int) -> None:
        """Let the clock be so many seconds ahead of the machine's."""
        beside = self._offset.with_suffix(".new")
        beside.write_text(f"{offset_s:+d}\n")
        beside.replace(self._offset)


class Sentinel(RedisServer):
    """One Sentinel, which watches the master of a `SentinelGroup`."""

    def __init__(self, directory: Path, *, master: RedisServer, quorum: int, down_after_ms: int) -> None:
        super().__init__(directory)
        self._configuration = (
            f"port {self.port}\nbind {HOST}\ndir {directory}\nlogfile redis.log\n"
            f"sentinel monitor {SERVICE} {HOST} {master.port} {quorum}\n"
            f"sentinel down-after-milliseconds {SERVICE} {down_after_ms}\n"
            f"sentinel failover-timeout {SERVICE} 5000\n"
            f"sentinel parallel-syncs {SERVICE} 2\n"
        )

    def start(self) -> Self:
        """As `RedisServer.start`; what the Sentinel learnt before is kept."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if not self._file.exists():
            self._file.write_text(self._configuration)
        return super().start()

    @property
    def _file(self) -> Path:
        return self.directory / "sentinel.conf"

    def _arguments(self) -> list[str]:
        return [str(self._file), "--sentinel"]

    def master(self) -> int:
        """Return the port of the master that this Sentinel names."""
        return int(self.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])


class SentinelGroup:
    """A master, its replicas, and the Sentinels that fail it over."""

    def __init__(
        self,
        directory: Path,
        *,
        replicas: int = 2,
        sentinels: int = 3,
        down_after_ms: int = 1000,
        options: Mapping[str, str] | None = None,
    ) -> None:
        first = RedisServer(directory / "server0", options=options)
        following = dict(options or {}) | {"replicaof": f"{HOST} {first.port}"}
        self.servers = [
            first,
            *(RedisServer(directory / f"server{n}", options=following) for n in range(1, replicas + 1)),
        ]
        self.sentinels = [
            Sentinel(directory / f"sentinel{n}", master=first, quorum=sentinels // 2 + 1, down_after_ms=down_after_ms)
            for n in range(sentinels)
        ]

    @property
    def url(self) -> str:
        """The address of a replay store here."""
        hosts = ",".join(f"{HOST}:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}/0"

    @property
    def master(self) -> RedisServer:
        """The server that the majority of the running Sentinels calls the master."""
        named: list[int] = []
        for sentinel in self.sentinels:
            with suppress(redis.RedisError, OSError):
                named.append(sentinel.master())
        port = max(set(named), key=named.count)
        return next(server for server in self.servers if server.port == port)

    def start(self) -> Self:
        """Start all, and return once the replicas follow and every Sentinel knows the others."""
        for server in [*self.servers, *self.sentinels]:
            server.start()
        replicas = len(self.servers) - 1
        eventually(lambda: self.servers[0].client().info("replication")["connected_slaves"] == replicas, "the replicas")
        eventually(lambda: all(self._knows_all(sentinel) for sentinel in self.sentinels), "Sentinels that know all")
        return self

    def _knows_all(self, sentinel: Sentinel) -> bool:
        with sentinel.client() as client:
            known = client.execute_command("SENTINEL", "MASTERS")[0]
        seen = known if isinstance(known, dict) else dict(zip(known[::2], known[1::2], strict=True))
        numbers = {_text(name): _text(value) for name, value in seen.items()}
        others, replicas = numbers["num-other-sentinels"], numbers["num-slaves"]
        return (int(others), int(replicas)) == (len(self.sentinels) - 1, len(self.servers) - 1)

    def wait_for_another_master(self, than: RedisServer) -> RedisServer:
        """Wait until the majority names a master that is not `than`, and that is one."""
        eventually(lambda: self.master is not than, "another master")
        master = self.master
        eventually(lambda: master.client().info("replication")["role"] == "master", "its promotion")
        return master

    def stop(self) -> None:
        """End all."""
        for server in [*self.sentinels, *self.servers]:
            server.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class ClusterGroup:
    """A cluster: `masters` that share the slots evenly, each with `replicas` of its own."""

    def __init__(self, directory: Path, *, masters: int = 3, replicas: int = 0, node_timeout_ms: int = 1000) -> None:
        self._masters = masters
        self.servers = [self._node(directory / f"node{n}", node_timeout_ms) for n in range(masters * (1 + replicas))]

    @staticmethod
    def _node(directory: Path, node_timeout_ms: int) -> RedisServer:
        options = {
            "cluster-enabled": "yes",
            "cluster-port": str(free_port()),
            "cluster-node-timeout": str(node_timeout_ms),
            "cluster-config-file": "nodes.conf",
            "cluster-replica-validity-factor": "0",
        }
        return RedisServer(directory, options=options)

    @property
    def url(self) -> str:
        """The address of a replay store here; two nodes of the cluster stand for all."""
        return f"redis+cluster://{HOST}:{self.servers[0].port},{HOST}:{self.servers[1].port}"

    def start(self) -> Self:
        """Start all, give out the slots, and return once every node calls the cluster whole."""
        for server in self.servers:
            server.start()
        masters, replicas = self.servers[: self._masters], self.servers[self._masters :]
        edges = [16384 * n // len(masters) for n in range(len(masters) + 1)]
        for number, server in enumerate(masters):
            server.command("CLUSTER", "ADDSLOTSRANGE", edges[number], edges[number + 1] - 1)
            server.command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for server in self.servers[1:]:
            server.command("CLUSTER", "MEET", HOST, masters[0].port, masters[0].options["cluster-port"])
        eventually(lambda: all(self._knows_all(server) for server in self.servers), "nodes that know each other")
        for number, server in enumerate(replicas):
            leader = masters[number % len(masters)].command("CLUSTER", "MYID")
            server.command("CLUSTER", "REPLICATE", leader)
        eventually(lambda: all(self._is_whole(server) for server in self.servers), "a whole cluster")
        for server in replicas:
            eventually(partial(_follows, server), "a replica that follows")
        return self

    def _knows_all(self, server: RedisServer) -> bool:
        return b"cluster_known_nodes:%d\r" % len(self.servers) in self._info(server)

    def _is_whole(self, server: RedisServer) -> bool:
        return b"cluster_state:ok" in self._info(server) and b"cluster_slots_ok:16384" in self._info(server)

    @staticmethod
    def _info(server: RedisServer) -> bytes:
        with server.client() as client:
            client.set_response_callback("CLUSTER INFO", lambda answer, **_: answer)
            return bytes(client.execute_command("CLUSTER INFO"))

    def master_of(self, slot: int) -> RedisServer:
        """Return the running server that is the master of a slot, by its own word."""
        for server in self.servers:
            with suppress(redis.RedisError, OSError), server.client() as client:
                if client.info("replication")["role"] != "master":
                    continue
                client.set_response_callback("CLUSTER SLOTS", lambda answer, **_: answer)
                for first, last, node, *_ in client.execute_command("CLUSTER SLOTS"):
                    if first <= slot <= last and int(node[1]) == server.port:
                        return server
        message = f"nobody serves slot {slot}"
        raise LookupError(message)

    def stop(self) -> None:
        """End all."""
        for server in self.servers:
            server.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _follows(server: RedisServer) -> bool:
    with server.client() as client:
        return bool(client.info("replication")["master_link_status"] == "up")


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
