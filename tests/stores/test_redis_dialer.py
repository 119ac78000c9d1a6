"""One deadline for a connection, however many addresses and steps it takes: what each is given, not how long it took.

The clock is the test's, and moves on by what a step takes; the last test is of real sockets that nobody accepts on.
"""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from redis.connection import Connection
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import TimeoutError as Silent

from bonafide.ports import FirstUse
from bonafide.stores.addresses import parse_address
from bonafide.stores.redis.dialer import Dialer
from bonafide.stores.redis.masters import Place
from tests.stores.redis_impostor import Impostor
from tests.stores.redis_servers import HOST, RedisServer
from tests.stores.redis_uses import READY, START, open_store, use

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bonafide.stores.redis.dialer import Wire
    from tests.conftest import RequireProgram

NAME = "redis.internal"
ADDRESSES = 6
PATIENCE_S = 1.2


class Clock:
    """The monotonic clock of one test."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    mine = Clock()
    monkeypatch.setattr(time, "monotonic", mine)
    return mine


def resolve(monkeypatch: pytest.MonkeyPatch, ports: list[int], *, clock: Clock | None = None, takes: float = 0) -> None:
    """Let the name have these ports of the loopback interface for its addresses."""
    resolver = socket.getaddrinfo

    def found(host: str, *arguments: Any, **named: Any) -> Any:
        if host != NAME:
            return resolver(host, *arguments, **named)
        if clock is not None:
            clock.now += takes
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (HOST, port)) for port in ports]

    monkeypatch.setattr(socket, "getaddrinfo", found)


@pytest.fixture
def dialled(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, float]]:
    """Return the ports that are dialled and the patience for each: odd ones refuse at once, even ones are silent."""
    tries: list[tuple[int, float]] = []

    class Dialled(socket.socket):
        def connect(self, address: Any) -> None:
            patience = self.gettimeout()
            assert patience is not None
            tries.append((address[1], patience))
            if address[1] % 2:
                raise ConnectionRefusedError
            clock.now += patience
            raise TimeoutError

    monkeypatch.setattr(socket, "socket", Dialled)
    return tries


def dial(clock: Clock, url: str = f"redis://{NAME}") -> Wire:
    return Dialer(parse_address(url)).server(Place(NAME, 6379), clock.now + PATIENCE_S)


# Addresses --------------------------------------------------------------------------------------------


def test_silent_addresses_share_half_of_the_time_and_the_other_half_is_for_the_answer(
    clock: Clock, dialled: list[tuple[int, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = [2 * number for number in range(1, ADDRESSES + 1)]
    resolve(monkeypatch, ports)
    with pytest.raises(Silent):
        dial(clock)
    assert [port for port, _ in dialled] == ports
    assert [patience for _, patience in dialled] == pytest.approx([PATIENCE_S / 2 / ADDRESSES] * ADDRESSES)
    assert clock.now == pytest.approx(1000 + PATIENCE_S / 2)


def test_an_address_that_refuses_leaves_its_time_to_the_others(
    clock: Clock, dialled: list[tuple[int, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(monkeypatch, [1, 3, 2, 4])
    with pytest.raises(Silent):
        dial(clock)
    assert [patience for _, patience in dialled] == pytest.approx([PATIENCE_S / part for part in (8, 6, 4, 4)])


def test_a_name_without_addresses_is_not_connected_to(
    clock: Clock, dialled: list[tuple[int, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(monkeypatch, [])
    with pytest.raises(Disconnected):
        dial(clock)
    assert dialled == []


def test_a_name_that_took_all_the_time_to_be_looked_up_is_not_dialled(
    clock: Clock, dialled: list[tuple[int, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(monkeypatch, [2, 4], clock=clock, takes=PATIENCE_S)
    with pytest.raises(Silent):
        dial(clock)
    assert dialled == []


def test_a_deadline_that_has_passed_dials_nobody(clock: Clock, dialled: list[tuple[int, float]]) -> None:
    with pytest.raises(Silent):
        Dialer(parse_address(f"redis://{HOST}")).server(Place(HOST, 2), clock.now)
    assert dialled == []


# Steps ------------------------------------------------------------------------------------------------


@pytest.fixture
def impostor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Impostor]:
    """Return a server that says OK to everything, under the name."""
    with Impostor({}) as server:
        resolve(monkeypatch, [server.port])
        yield server


def test_tls_is_given_what_the_addresses_left(
    clock: Clock, impostor: Impostor, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float | None] = []

    def wrap(_context: object, plain: socket.socket, **_options: object) -> None:
        given.append(plain.gettimeout())
        raise TimeoutError

    resolve(monkeypatch, [impostor.port], clock=clock, takes=0.3)
    monkeypatch.setattr(ssl.SSLContext, "wrap_socket", wrap)
    with pytest.raises(Silent):
        dial(clock, f"rediss://{NAME}")
    assert given == [pytest.approx(PATIENCE_S - 0.3)]


@pytest.mark.parametrize(("takes", "given"), [(0.5, [1.2, 0.7]), (1.1, [1.2, 0.1]), (1.3, [1.2])])
def test_the_password_and_the_database_are_given_what_is_left(
    clock: Clock, impostor: Impostor, takes: float, given: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, patiences, made = Connection.read_response, [], set()

    def reading(self: Connection, *, timeout: float) -> object:
        patiences.append(timeout)
        made.add(self)
        clock.now += takes
        return read(self, timeout=timeout)

    monkeypatch.setattr(Connection, "read_response", reading)
    if len(given) > 1:
        dial(clock, f"redis://user:word@{NAME}/3").disconnect()
    else:
        with pytest.raises(Silent):
            dial(clock, f"redis://user:word@{NAME}/3")
        assert not any(connection.is_connected for connection in made)
    assert patiences == pytest.approx(given)


# Real servers -----------------------------------------------------------------------------------------


@pytest.fixture
def silent_ports() -> Iterator[list[int]]:
    """Return ports on which somebody listens whose backlog is full: who connects waits."""
    with ExitStack() as held:
        ports = []
        for _ in range(ADDRESSES):
            listener = held.enter_context(socket.socket())
            listener.bind((HOST, 0))
            listener.listen(0)
            ports.append(listener.getsockname()[1])
            for _ in range(4):
                waiting = held.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(listener.getsockname())
        yield ports


def test_a_server_whose_name_has_silent_addresses_before_its_own_is_used(
    require_program: RequireProgram, tmp_path: Path, silent_ports: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    require_program("redis-server", apt="redis-server")
    with RedisServer(tmp_path / "redis") as server:
        resolve(monkeypatch, [*silent_ports, server.port])
        opened = open_store(f"redis://{NAME}/3", timeout_ms=4000)
        assert use(opened, "birth", START) is FirstUse.FENCED
        assert use(opened, "a", READY) is FirstUse.FIRST
        with server.client(db=3) as client:
            assert client.dbsize() == 2
        opened.close()
