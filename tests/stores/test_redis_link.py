"""What is asked of a server before anything else, and what a deadline that has passed does; scripted, no network."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import NoPermissionError, ResponseError
from redis.exceptions import TimeoutError as Silent

from bonafide.errors import ConfigurationError
from bonafide.reasons import store as reasons
from bonafide.stores.redis.link import LOOK_EVERY_S, Link

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bonafide.stores.redis.dialer import Command

RUN, REPLICATION = "a" * 40, "b" * 40
SERVER = f"# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nrun_id:{RUN}\r\n".encode()
MEMORY = b"# Memory\r\nmaxmemory_policy:noeviction\r\n"
STATS = b"# Stats\r\nevicted_keys:0\r\nevicted_clients:9\r\n"
MASTER = f"# Replication\r\nrole:master\r\nmaster_replid:{REPLICATION}\r\n".encode()


class ScriptedWire:
    """A connection that answers what it is given, in turn."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.is_connected = True

    def connect(self) -> None:
        pass

    def disconnect(self) -> None:
        self.is_connected = False

    def can_read(self, timeout: float) -> bool:
        return bool(self.answers)

    def pack_commands(self, commands: Iterable[Command]) -> list[bytes]:
        return [b"".join(str(word).encode() for word in command) for command in commands]

    def send_packed_command(self, command: Sequence[bytes], *, check_health: bool) -> None:
        assert not check_health

    def read_response(self, *, timeout: float) -> object:
        assert timeout > 0
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def soon() -> float:
    return time.monotonic() + 5


def linked(
    server: object = SERVER,
    memory: object = MEMORY,
    stats: object = STATS,
    replication: object = MASTER,
    *,
    named: object = b"OK",
) -> tuple[Link, ScriptedWire]:
    wire = ScriptedWire(named, server, memory, stats, replication)
    return Link(wire, cluster=False, deadline=soon()), wire


def refusal(**answers: object) -> tuple[object, str]:
    with pytest.raises(ConfigurationError) as caught:
        linked(**answers)
    return caught.value.reason, caught.value.detail


def test_a_link_knows_where_it_leads() -> None:
    link, _ = linked()
    assert link.server == f"{RUN}:{REPLICATION}:0".encode()
    assert not link.look_due(time.monotonic())
    assert link.look_due(time.monotonic() + LOOK_EVERY_S + 0.1)


def test_a_server_that_does_not_take_our_name_is_good_all_the_same() -> None:
    link, _ = linked(named=NoPermissionError("no"))
    assert link.server


@pytest.mark.parametrize("version", [b"6.0.20", b"5.0.14", b"", b"?"])
def test_a_server_that_is_too_old_is_refused(version: bytes) -> None:
    server = SERVER.replace(b"7.0.15", version)
    assert refusal(server=server) == (reasons.SERVER_UNSUITED, "the server is older than Redis 6.2")


@pytest.mark.parametrize("version", [b"6.2.0", b"6.10.1", b"7.2.4", b"255.255.255"])
def test_a_server_that_is_new_enough_is_good(version: bytes) -> None:
    assert linked(server=SERVER.replace(b"7.0.15", version))[0].server


@pytest.mark.parametrize("memory", [b"", b"# Memory\r\n", None])
def test_a_policy_that_is_not_told_is_not_good(memory: object) -> None:
    assert refusal(memory=memory) == (reasons.EVICTS, "maxmemory-policy is unknown")


@pytest.mark.parametrize("stats", [b"", b"evicted_clients:1", b"evicted_keys:", b"evicted_keys:-1", None])
def test_a_server_that_does_not_say_how_many_keys_it_evicted_is_not_good(stats: object) -> None:
    assert refusal(stats=stats) == (reasons.EVICTS, "the server does not say how many keys it evicted")


@pytest.mark.parametrize("replication", [b"", MASTER.replace(b"role:master", b"role:slave"), None])
def test_who_does_not_say_that_it_is_a_master_is_none(replication: object) -> None:
    assert refusal(replication=replication) == (reasons.SERVER_UNSUITED, "the server is a replica")


@pytest.mark.parametrize("which", ["server", "memory", "stats", "replication"])
def test_a_question_that_is_refused_is_no_answer(which: str) -> None:
    with pytest.raises(ResponseError):
        linked(**{which: NoPermissionError("no")})


@pytest.mark.parametrize("which", range(3))
def test_a_look_that_is_refused_is_no_answer_either(which: int) -> None:
    link, _ = linked()
    look: list[object] = [MEMORY, STATS, MASTER]
    look[which] = NoPermissionError("no")
    with pytest.raises(NoPermissionError):
        link.identify(look)


def test_a_look_at_a_server_that_became_a_cache_is_refused() -> None:
    link, _ = linked()
    with pytest.raises(ConfigurationError) as caught:
        link.identify([MEMORY.replace(b"noeviction", b"volatile-ttl"), STATS, MASTER])
    assert (caught.value.reason, caught.value.detail) == (reasons.EVICTS, "maxmemory-policy is volatile-ttl")


def test_a_server_that_evicted_keys_is_another_server() -> None:
    link, _ = linked()
    before = link.server
    link.identify([MEMORY, STATS.replace(b"keys:0", b"keys:1"), MASTER])
    assert link.server != before
    assert linked(stats=STATS.replace(b"keys:0", b"keys:1"))[0].server == link.server


def test_another_replication_id_is_another_server() -> None:
    link, _ = linked()
    before = link.server
    link._looked_at -= LOOK_EVERY_S + 1
    assert link.look_due(time.monotonic())
    link.identify([MEMORY, STATS, MASTER.replace(b"b" * 40, b"c" * 40)])
    assert link.server != before
    assert not link.look_due(time.monotonic())


def test_a_deadline_that_has_passed_is_silence_and_the_connection_is_let_go() -> None:
    link, wire = linked()
    wire.answers = [b"late"]
    with pytest.raises(Silent):
        link.ask(b"", 1, time.monotonic() - 1)
    assert not wire.is_connected


def test_refusals_do_not_bring_the_answers_out_of_step() -> None:
    link, wire = linked()
    refused = ResponseError("ERR no")
    wire.answers = [b"one", refused, b"three"]
    assert link.ask(b"", 3, soon()) == [b"one", refused, b"three"]
    assert wire.is_connected


def test_an_idle_connection_on_which_something_came_is_stale() -> None:
    link, wire = linked()
    assert not link.is_stale(time.monotonic())
    assert not link.is_stale(time.monotonic() + LOOK_EVERY_S + 1)
    wire.answers = [b"what nobody asked for"]
    assert link.is_stale(time.monotonic() + 2 * LOOK_EVERY_S + 2)
