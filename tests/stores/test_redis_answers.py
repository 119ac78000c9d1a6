"""An answer is believed as the answer to the question that was put, and only where it can be read: real Sentinels.

What a node of a cluster says that is no map of slots is said by an impostor: no real one does.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from bonafide.errors import ConfigurationError
from bonafide.ports import FirstUse
from bonafide.reasons import configuration as reasons
from bonafide.stores.addresses import parse_address
from bonafide.stores.redis.dialer import Dialer
from bonafide.stores.redis.keyspace import WHOLE
from bonafide.stores.redis.masters import BySentinels, Place
from tests.stores.redis_impostor import Impostor
from tests.stores.redis_servers import HOST, SERVICE, RedisServer, Sentinel
from tests.stores.redis_uses import START, open_store, use

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import RequireProgram

SECRET = "of-the-sentinels"
QUORUM = 2
RENEWALS = 20


@pytest.fixture
def servers(require_program: RequireProgram, tmp_path: Path) -> Iterator[tuple[RedisServer, RedisServer]]:
    """Return two servers of which the Sentinels may call either the master."""
    require_program("redis-sentinel", apt="redis-sentinel")
    with RedisServer(tmp_path / "one") as one, RedisServer(tmp_path / "two") as two:
        yield one, two


@pytest.fixture
def sentinels(servers: tuple[RedisServer, RedisServer], tmp_path: Path) -> Iterator[list[Sentinel]]:
    """Return three Sentinels that want a password and name the first server."""
    three = [
        Sentinel(tmp_path / f"sentinel{n}", master=servers[0], quorum=QUORUM, down_after_ms=60_000) for n in range(3)
    ]
    try:
        for each in three:
            each.start().command("ACL", "SETUSER", "default", "resetpass", f">{SECRET}")
        yield three
    finally:
        for each in three:
            each.kill()


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text(SECRET)
    file.chmod(0o600)
    return file


def url_of(sentinels: list[Sentinel], password_file: Path) -> str:
    hosts = ",".join(f"{HOST}:{each.port}" for each in sentinels)
    return f"redis+sentinel://{hosts}/{SERVICE}/0?sentinel_password_file={password_file}"


def let_name(sentinels: list[Sentinel], server: RedisServer) -> None:
    """Let all name another master, as after a fail-over."""
    for each in sentinels:
        with each.client(password=SECRET) as client:
            client.execute_command("SENTINEL", "REMOVE", SERVICE)
            client.execute_command("SENTINEL", "MONITOR", SERVICE, HOST, server.port, QUORUM)


def leased(masters: BySentinels) -> Place:
    """Return whom they name now."""
    masters.doubt()
    return masters.lease(WHOLE, time.monotonic() + 5).place


def test_a_master_that_was_replaced_is_not_named_by_answers_that_nobody_read(
    servers: tuple[RedisServer, RedisServer], sentinels: list[Sentinel], password_file: Path
) -> None:
    """Two Sentinels are asked over kept connections; the third must be dialled, and its password is not there."""
    old, new = servers
    address = parse_address(url_of(sentinels, password_file))
    masters = BySentinels(tuple(Place(*host) for host in address.hosts), address.service, Dialer(address).sentinel)
    assert leased(masters) == Place(HOST, old.port)
    masters._kept[Place(HOST, sentinels[2].port)].disconnect()
    away = password_file.rename(password_file.with_suffix(".away"))
    for _ in range(RENEWALS):
        masters._left_out.clear()  # ten seconds pass
        assert leased(masters) == Place(HOST, old.port)
    away.rename(password_file)
    let_name(sentinels, new)
    masters._left_out.clear()
    for _ in range(RENEWALS):
        assert leased(masters) == Place(HOST, new.port)
    masters.close()


def test_sentinels_whose_password_cannot_be_read_are_no_reason_to_start(
    sentinels: list[Sentinel], password_file: Path
) -> None:
    password_file.chmod(0o644)
    opened = open_store(url_of(sentinels, password_file))
    with pytest.raises(ConfigurationError) as caught:
        opened.require_ready(now=START)
    assert caught.value.reason is reasons.KEYS_UNSAFE
    assert use(opened, "a", START) is FirstUse.UNAVAILABLE
    password_file.chmod(0o600)
    opened.close()


@pytest.mark.parametrize(
    "slots",
    [
        b"*1\r\n*0\r\n",
        b"*1\r\n*2\r\n:0\r\n:16383\r\n",
        b"*1\r\n*3\r\n:0\r\n:16383\r\n$-1\r\n",
        b"*1\r\n*3\r\n:0\r\n:16383\r\n*1\r\n$1\r\nx\r\n",
        b"*1\r\n$-1\r\n",
        b":1\r\n",
        b"-ERR \xff\r\n",
    ],
)
def test_a_node_that_answers_with_no_map_is_unavailable_and_no_error(
    slots: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        Impostor({b"CLUSTER MYID": b"$1\r\n1\r\n", b"CLUSTER SLOTS": slots}) as one,
        Impostor({b"CLUSTER MYID": b"$1\r\n2\r\n", b"CLUSTER SLOTS": slots}) as two,
    ):
        opened = open_store(f"redis+cluster://{HOST}:{one.port},{HOST}:{two.port}")
        assert use(opened, "a", START) is FirstUse.UNAVAILABLE
        opened.require_ready(now=START)
        opened.close()
    assert "Unserved" in caplog.text


@pytest.mark.parametrize("slots", [b"*1\r\n*0\r\n", b"-ERR \xff\r\n"])
def test_a_node_that_answers_with_no_map_does_not_stop_the_others(slots: bytes) -> None:
    whole = b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$%d\r\n%b\r\n:7000\r\n" % (len(HOST), HOST.encode())
    said = [(b"$1\r\n1\r\n", slots), (b"$1\r\n2\r\n", whole), (b"$1\r\n3\r\n", whole)]
    one, two, three = (Impostor({b"CLUSTER MYID": node, b"CLUSTER SLOTS": slots}) for node, slots in said)
    with one, two, three:
        hosts = ",".join(f"{HOST}:{each.port}" for each in (one, two, three))
        opened = open_store(f"redis+cluster://{hosts}")
        assert opened._masters.places(time.monotonic() + 5) == (Place(HOST, 7000),)
        opened.close()
