"""A Redis that is silent, full, locked, a replica or a cache is refused: within the deadline, once, without secrets."""

from __future__ import annotations

import logging
import os
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import OutOfMemoryError, ReadOnlyError

from bonafide.errors import ConfigurationError
from bonafide.ports import FirstUse
from bonafide.reasons import configuration
from bonafide.reasons import store as reasons
from bonafide.stores.addresses import open_replay_store, parse_address
from bonafide.stores.redis import RedisReplayStore
from bonafide.stores.redis.link import LOOK_EVERY_S
from bonafide.stores.redis.masters import BySentinels, Place
from bonafide.stores.redis.server import RETRY_AFTER_S
from bonafide.testing.replay_store import replay_key
from tests.stores.redis_servers import HOST, ClusterGroup, RedisServer, SentinelGroup, eventually, free_port
from tests.stores.redis_uses import READY, START, caller_clock, open_store, use

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bonafide.reasons import Reason
    from tests.conftest import RequireProgram

SECRET = "correct-horse"


@pytest.fixture(scope="module")
def server(require_program: RequireProgram, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    require_program("redis-server", apt="redis-server")
    with RedisServer(tmp_path_factory.mktemp("redis")) as running:
        yield running


@contextmanager
def born(url: str, *, timeout_ms: int = 5000) -> Iterator[RedisReplayStore]:
    opened = open_store(url, timeout_ms=timeout_ms)
    assert use(opened, "birth", START) is not FirstUse.UNAVAILABLE
    yield opened
    opened.close()


def refused(url: str) -> tuple[Reason, str]:
    opened = open_store(url)
    with pytest.raises(ConfigurationError) as caught:
        opened.require_ready(now=START)
    assert use(opened, "a") is FirstUse.UNAVAILABLE
    opened.close()
    return caught.value.reason, caught.value.detail


# Silence ----------------------------------------------------------------------------------------------


def test_a_server_that_is_not_there_is_unavailable_and_no_reason_not_to_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    opened = open_store(f"redis://{HOST}:{free_port()}")
    opened.require_ready(now=START)
    assert use(opened, "a") is FirstUse.UNAVAILABLE
    assert len(caplog.records) == 1


def test_a_silent_server_is_unavailable_within_the_timeout_and_good_once_it_goes_on(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as server, born(server.url, timeout_ms=300) as store:
        assert use(store, "a") is FirstUse.FIRST
        server.pause()
        began = time.monotonic()
        assert use(store, "b") is FirstUse.UNAVAILABLE
        waited = time.monotonic() - began
        rest = [use(store, f"c {number}") for number in range(50)]
        at_once = time.monotonic() - began - waited
        server.resume()
        assert set(rest) == {FirstUse.UNAVAILABLE}
        assert waited >= 0.3
        assert at_once < waited
        eventually(lambda: use(store, f"d {time.monotonic()}") is FirstUse.FIRST, "good traffic")
        assert use(store, "a") is FirstUse.REPLAYED
        assert use(store, "b") in {FirstUse.REPLAYED, FirstUse.FIRST}


def test_a_use_whose_answer_was_lost_is_not_repeated(tmp_path: Path) -> None:
    """The server records it when it goes on: sent once, refused once, and never a second first use."""
    with RedisServer(tmp_path / "redis") as server, born(server.url, timeout_ms=200) as store:
        assert use(store, "a") is FirstUse.FIRST
        server.pause()
        assert use(store, "b") is FirstUse.UNAVAILABLE
        server.resume()
        eventually(lambda: server.command("EXISTS", b"bf:" + replay_key("b")) == 1, "the use that was on its way")
        eventually(lambda: use(store, "b") is FirstUse.REPLAYED, "its replay")


def test_a_silent_server_that_nobody_is_connected_to_is_unavailable_within_the_timeout(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as server:
        server.pause()
        opened = open_store(server.url, timeout_ms=200)
        assert use(opened, "a") is FirstUse.UNAVAILABLE
        opened.require_ready(now=START)
        server.resume()
        eventually(lambda: use(opened, "a") is FirstUse.FENCED, "its birth")
        opened.close()


def test_threads_do_not_queue_behind_a_silent_server(tmp_path: Path) -> None:
    """One finds out whether it answers again; all others are told at once that it did not."""
    with RedisServer(tmp_path / "redis") as server, born(server.url, timeout_ms=800) as store:
        assert use(store, "a") is FirstUse.FIRST
        server.pause()
        assert use(store, "b") is FirstUse.UNAVAILABLE
        time.sleep(RETRY_AFTER_S + 0.05)
        prober = threading.Thread(target=use, args=(store, "c"))
        prober.start()
        only = store._server(next(iter(store._servers)))
        eventually(only._trying.locked, "one that tries")
        assert [use(store, f"d {number}") for number in range(20)] == [FirstUse.UNAVAILABLE] * 20
        assert prober.is_alive()
        server.resume()
        prober.join()


def test_a_connection_that_the_server_closed_meanwhile_is_replaced(server: RedisServer) -> None:
    with born(server.url) as store:
        assert use(store, "closed 1") is FirstUse.FIRST
        server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        for link in store._server(next(iter(store._servers)))._idle:
            link._used_at -= LOOK_EVERY_S
        assert use(store, "closed 2") is FirstUse.FIRST


def test_one_connection_that_fails_takes_the_idle_ones_with_it(tmp_path: Path) -> None:
    """They lead to the same server, and each would cost a request of its own to find that out."""
    with RedisServer(tmp_path / "redis") as server, born(server.url) as store:
        only = store._server(next(iter(store._servers)))
        first = only._take(START, time.monotonic() + 5)
        only._keep(only._take(START, time.monotonic() + 5))
        only._keep(first)
        assert len(only._idle) == 2
        server.kill()
        assert use(store, "a") is FirstUse.UNAVAILABLE
        assert len(only._idle) == 0


def test_a_connection_that_broke_is_not_made_anew_under_the_same_name(server: RedisServer) -> None:
    """redis-py would reconnect by itself, to a server that nobody has looked at."""
    with born(server.url) as store:
        assert use(store, "broke 1") is FirstUse.FIRST
        (link,) = store._server(next(iter(store._servers)))._idle
        link._connection.disconnect()
        assert use(store, "broke 2") is FirstUse.UNAVAILABLE
        eventually(lambda: use(store, "broke 3") is FirstUse.FIRST, "another connection")


def test_what_is_wrong_is_said_once_and_again_after_it_was_right(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with RedisServer(tmp_path / "redis") as server, born(server.url) as store:
        for _ in range(2):
            server.kill()
            for number in range(20):
                assert use(store, f"a {number}") is FirstUse.UNAVAILABLE
            server.start()
            eventually(lambda: use(store, "b", READY) is FirstUse.FENCED, "its birth")
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert f"{HOST}:{server.port}" in caplog.text


def test_a_master_that_fails_is_asked_for_again_and_one_that_is_full_is_not() -> None:
    """Behind Sentinels the next use hears of the successor at once, and not when the old word has aged."""
    for problem, asks in ((Disconnected(), True), (ReadOnlyError(), True), (OutOfMemoryError(), False)):
        opened = open_store(f"redis+sentinel://{HOST}:{free_port()}/main")
        masters = opened._masters
        assert isinstance(masters, BySentinels)
        masters._known = ({0: Place(HOST, 1)}, time.monotonic())
        opened._give_up(Place(HOST, 1), problem)
        assert (masters._known[1] < 0) is asks


def test_a_closed_store_opens_again(server: RedisServer) -> None:
    with born(server.url) as store:
        assert use(store, "open 1") is FirstUse.FIRST
        store.close()
        assert use(store, "open 2") is FirstUse.FIRST


# Servers that cannot keep their word ------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random", "volatile-ttl", "volatile-lfu"])
def test_a_server_that_may_evict_does_not_start(server: RedisServer, policy: str) -> None:
    server.command("CONFIG", "SET", "maxmemory-policy", policy)
    try:
        reason, detail = refused(server.url)
    finally:
        server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert (reason, detail) == (reasons.EVICTS, f"maxmemory-policy is {policy}")


def test_a_server_that_became_a_cache_is_unavailable_from_the_next_connection_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with RedisServer(tmp_path / "redis") as server, born(server.url) as store:
        server.kill()
        server.options["maxmemory-policy"] = "allkeys-lru"
        server.start()
        use(store, "a")
        eventually(lambda: _is_told(store, "store.evicts", caplog), "the refusal")
        assert use(store, "a") is FirstUse.UNAVAILABLE


def _is_told(store: RedisReplayStore, code: str, caplog: pytest.LogCaptureFixture) -> bool:
    assert use(store, "again") is FirstUse.UNAVAILABLE
    return code in caplog.text


def test_a_replica_does_not_start_and_admits_nothing(server: RedisServer, tmp_path: Path) -> None:
    with RedisServer(tmp_path / "replica", options={"replicaof": f"{HOST} {server.port}"}) as replica:
        assert refused(replica.url) == (reasons.SERVER_UNSUITED, "the server is a replica")


def test_a_writable_replica_admits_nothing_either(server: RedisServer, tmp_path: Path) -> None:
    """It would take the use and lose it at the next synchronisation."""
    options = {"replicaof": f"{HOST} {server.port}", "replica-read-only": "no"}
    with RedisServer(tmp_path / "replica", options=options) as replica:
        assert refused(replica.url)[0] is reasons.SERVER_UNSUITED


def test_a_master_that_becomes_a_replica_under_way_admits_nothing(server: RedisServer, tmp_path: Path) -> None:
    with RedisServer(tmp_path / "other", options={"replica-read-only": "no"}) as other, born(other.url) as store:
        assert use(store, "a") is FirstUse.FIRST
        other.command("REPLICAOF", HOST, server.port)
        for link in store._server(next(iter(store._servers)))._idle:
            link._looked_at -= LOOK_EVERY_S
        assert use(store, "b") is FirstUse.UNAVAILABLE


def test_a_cluster_behind_a_plain_address_does_not_start(tmp_path: Path) -> None:
    with ClusterGroup(tmp_path, masters=2) as cluster:
        reason, detail = refused(cluster.servers[0].url)
    assert (reason, detail) == (reasons.SERVER_UNSUITED, "the server is a node of a cluster")


def test_plain_servers_behind_the_address_of_a_cluster_admit_nothing(server: RedisServer) -> None:
    opened = open_store(f"redis+cluster://{HOST}:{server.port}")
    opened.require_ready(now=START)
    assert use(opened, "a") is FirstUse.UNAVAILABLE
    opened.close()


def test_a_full_server_is_unavailable_and_forgets_nothing(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    with born(server.url) as store:
        assert use(store, "full 1") is FirstUse.FIRST
        server.command("CONFIG", "SET", "maxmemory", "1mb")
        try:
            assert use(store, "full 2") is FirstUse.UNAVAILABLE
            assert use(store, "full 1") is FirstUse.UNAVAILABLE
        finally:
            server.command("CONFIG", "SET", "maxmemory", "0")
        assert use(store, "full 1") is FirstUse.REPLAYED
        assert use(store, "full 2") is FirstUse.FIRST
    assert len(caplog.records) == 1


def test_a_key_that_holds_something_else_is_no_first_use(server: RedisServer) -> None:
    with born(server.url) as store:
        server.command("LPUSH", b"bf:" + replay_key("list"), "x")
        assert use(store, "list") is FirstUse.REPLAYED


# Passwords --------------------------------------------------------------------------------------------

LEAST = ("+set", "+get", "+time", "+info", "+eval", "+client|setname", "+select", "~bf:*")


@pytest.fixture
def locked(server: RedisServer) -> Iterator[RedisServer]:
    server.command("ACL", "SETUSER", "gate", "reset", "on", f">{SECRET}", *LEAST)
    yield server
    server.command("ACL", "DELUSER", "gate")


def test_a_user_needs_no_more_rights_than_the_reference_says(locked: RedisServer) -> None:
    opened = open_store(f"redis://gate:{SECRET}@{HOST}:{locked.port}/0")
    opened.require_ready(now=START)
    assert use(opened, "acl") is FirstUse.FIRST
    opened.close()


@pytest.mark.parametrize("right", ["+set", "+get", "+time", "+info", "+eval"])
def test_a_user_without_one_of_them_admits_nothing(
    locked: RedisServer, right: str, caplog: pytest.LogCaptureFixture
) -> None:
    locked.command("FLUSHALL")
    locked.command("ACL", "SETUSER", "gate", right.replace("+", "-"))
    opened = open_store(f"redis://gate:{SECRET}@{HOST}:{locked.port}")
    with caplog.at_level(logging.DEBUG):
        assert use(opened, "a", START) is not FirstUse.FIRST
        assert use(opened, "a", READY) is not FirstUse.FIRST
    assert SECRET not in caplog.text
    opened.close()


@pytest.mark.parametrize("credentials", ["gate:wrong@", "nobody:wrong@", ":wrong@"])
def test_a_wrong_password_does_not_start_and_is_not_shown(
    locked: RedisServer, credentials: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        reason, detail = refused(f"redis://{credentials}{HOST}:{locked.port}")
    assert reason is reasons.SERVER_UNSUITED
    assert "wrong" not in detail + caplog.text


def test_a_missing_password_does_not_start(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis", options={"requirepass": SECRET}) as server:
        assert refused(server.url)[0] is reasons.SERVER_UNSUITED


def test_a_password_in_a_file_is_read_for_every_connection(locked: RedisServer, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(SECRET + "\n")
    file.chmod(0o600)
    opened = open_store(f"redis://gate@{HOST}:{locked.port}?password_file={file}")
    opened.require_ready(now=START)
    assert use(opened, "file 1") is FirstUse.FIRST
    locked.command("ACL", "SETUSER", "gate", "resetpass", ">another")
    file.write_text("another")
    opened.close()
    assert use(opened, "file 2") is FirstUse.FIRST
    file.write_text("wrong")
    opened.close()
    assert use(opened, "file 3") is FirstUse.UNAVAILABLE


@pytest.mark.parametrize("state", ["missing", "empty", "open to others", "no text"])
def test_a_password_file_that_is_none_does_not_start(locked: RedisServer, tmp_path: Path, state: str) -> None:
    file = tmp_path / "password"
    if state != "missing":
        file.write_bytes({"empty": b"\n", "no text": b"\xff"}.get(state, SECRET.encode()))
        file.chmod(0o640 if state == "open to others" else 0o600)
    reason, detail = refused(f"redis://gate@{HOST}:{locked.port}?password_file={file}")
    assert reason is configuration.KEYS_UNSAFE
    assert str(file) in detail


def test_sentinels_and_servers_have_passwords_of_their_own(tmp_path: Path) -> None:
    files = {"password": SECRET, "sentinel": "of-the-sentinels"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    group = SentinelGroup(tmp_path / "group", replicas=0, sentinels=1)
    with group:
        group.master.command("ACL", "SETUSER", "gate", "reset", "on", f">{SECRET}", *LEAST)
        group.sentinels[0].command("ACL", "SETUSER", "default", "resetpass", f">{files['sentinel']}")
        url = group.url.replace("//", "//gate@")
        query = f"?password_file={tmp_path / 'password'}"
        opened = open_store(f"{url}{query}&sentinel_password_file={tmp_path / 'sentinel'}")
        assert use(opened, "a", START) is FirstUse.FENCED
        opened.close()
        for wrong in (query, f"{query}&sentinel_password_file={tmp_path / 'password'}"):
            opened = open_store(url + wrong)
            assert use(opened, "a") is FirstUse.UNAVAILABLE
            opened.close()


# TLS --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls(
    require_program: RequireProgram, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RedisServer, Path]]:
    """Return a server that speaks TLS on its one port, and the certificate that it shows."""
    openssl = require_program("openssl", apt="openssl")
    directory = tmp_path_factory.mktemp("tls")
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-keyout", key, "-out", certificate, "-subj", "/CN=redis", "-addext", f"subjectAltName=IP:{HOST}"],
        check=True, capture_output=True,
    )  # fmt: skip
    port = str(free_port())
    options = {
        "tls-port": port,
        "tls-cert-file": str(certificate),
        "tls-key-file": str(key),
        "tls-auth-clients": "no",
    }
    with RedisServer(directory / "redis", options=options) as server:
        yield server, certificate


def test_tls_is_spoken_with_who_is_trusted(tls: tuple[RedisServer, Path]) -> None:
    server, certificate = tls
    opened = open_store(f"rediss://{HOST}:{server.options['tls-port']}?ca_file={certificate}")
    assert use(opened, "tls", START) is FirstUse.FENCED
    assert use(opened, "tls") is FirstUse.FIRST
    assert use(opened, "tls") is FirstUse.REPLAYED
    opened.close()


@pytest.mark.parametrize("query", ["", "?ca_file={}"])
def test_a_certificate_that_is_not_trusted_is_refused(
    tls: tuple[RedisServer, Path], query: str, tmp_path: Path
) -> None:
    server, _ = tls
    other = tmp_path / "other.pem"
    other.write_text(next(iter(_system_certificates())))
    opened = open_store(f"rediss://{HOST}:{server.options['tls-port']}{query.format(other)}")
    assert use(opened, "a", START) is FirstUse.UNAVAILABLE
    opened.close()


def test_a_certificate_of_another_name_is_refused(tls: tuple[RedisServer, Path]) -> None:
    server, certificate = tls
    opened = open_store(f"rediss://localhost:{server.options['tls-port']}?ca_file={certificate}")
    assert use(opened, "a", START) is FirstUse.UNAVAILABLE
    opened.close()


def _system_certificates() -> list[str]:
    """Return a certificate authority that did not sign the server's."""
    from bonafide.trust.apple import APP_ATTESTATION_ROOT

    return [ssl.DER_cert_to_PEM_cert(APP_ATTESTATION_ROOT.certificate_der)]


# The clock --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("off", "answer"),
    [(1.9, FirstUse.FENCED), (-1.9, FirstUse.FENCED), (2.1, FirstUse.CLOCK_APART), (-2.1, FirstUse.CLOCK_APART)],
)
def test_a_gate_whose_clock_is_apart_from_the_server_s_admits_nothing(
    server: RedisServer, off: float, answer: FirstUse
) -> None:
    """The real clock of the server: the record is of now, so what is not apart is fenced."""
    server.command("FLUSHALL")
    address = parse_address(server.url)
    opened = RedisReplayStore(address, clock=lambda _there, now: now + off)
    now = time.time()
    assert opened.remember(os.urandom(32), created=int(now), now=now) is answer
    opened.close()


def test_the_server_s_own_clock_is_read(server: RedisServer) -> None:
    server.command("FLUSHALL")
    opened = open_replay_store(server.url, timeout=timedelta(seconds=5))
    now = time.time()
    assert opened.remember(os.urandom(32), created=int(now), now=now) is FirstUse.FENCED
    assert opened.remember(os.urandom(32), created=int(now), now=now - 10) is FirstUse.CLOCK_APART
    assert opened.remember(os.urandom(32), created=int(now), now=now + 10) is FirstUse.CLOCK_APART
    opened.close()


def test_a_gate_whose_clock_is_apart_bears_nothing(server: RedisServer) -> None:
    server.command("FLUSHALL")
    opened = RedisReplayStore(parse_address(server.url), clock=lambda _there, now: now + 3)
    assert use(opened, "a") is FirstUse.CLOCK_APART
    assert server.command("EXISTS", "bf:epoch") == 0
    opened.close()


def test_what_is_apart_is_measured_with_the_tolerance_given(server: RedisServer) -> None:
    server.command("FLUSHALL")
    apart = timedelta(seconds=10)
    opened = RedisReplayStore(parse_address(server.url), apart=apart, clock=lambda _there, now: now + 9)
    assert use(opened, "a") is FirstUse.FENCED
    opened.close()
    assert RedisReplayStore(parse_address(server.url), clock=caller_clock)._apart == 2
