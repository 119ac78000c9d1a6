"""A replay store's address: what each form means, what is refused, and that no password shows."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.errors import ConfigurationError
from bonafide.ports import Scope
from bonafide.reasons import configuration as reasons
from bonafide.stores import addresses
from bonafide.stores.addresses import ReplayStoreAddress, open_replay_store, parse_address
from bonafide.stores.lmdb import LmdbReplayStore
from bonafide.stores.memory import MemoryReplayStore
from bonafide.stores.redis import RedisReplayStore

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET = "correct-horse"

REDIS = ReplayStoreAddress(kind="redis", hosts=(("10.0.0.5", 6379),))

FORMS: Mapping[str, ReplayStoreAddress] = {
    "memory:": ReplayStoreAddress(kind="memory"),
    "lmdb:/var/lib/replay": ReplayStoreAddress(kind="lmdb", path=Path("/var/lib/replay")),
    "redis://10.0.0.5": REDIS,
    "redis://10.0.0.5/": REDIS,
    "redis://10.0.0.5:6379/0": REDIS,
    "redis://10.0.0.5:7000/3": replace(REDIS, hosts=(("10.0.0.5", 7000),), database=3),
    "redis://[::1]:7000/3": replace(REDIS, hosts=(("::1", 7000),), database=3),
    f"redis://:{SECRET}@10.0.0.5": replace(REDIS, password=SECRET),
    f"redis://gate:{SECRET}@10.0.0.5": replace(REDIS, username="gate", password=SECRET),
    "redis://gate:a%40b%3Ac%2F@10.0.0.5": replace(REDIS, username="gate", password="a@b:c/"),
    "redis://10.0.0.5?password_file=/run/p": replace(REDIS, password_file=Path("/run/p")),
    "redis://gate@10.0.0.5?password_file=/run/p": replace(REDIS, username="gate", password_file=Path("/run/p")),
    "rediss://10.0.0.5": replace(REDIS, tls=True),
    "rediss://10.0.0.5?ca_file=/run/ca": replace(REDIS, tls=True, ca_file=Path("/run/ca")),
    "unix:///run/redis.sock": ReplayStoreAddress(kind="redis", path=Path("/run/redis.sock")),
    "unix:///run/redis.sock?db=2": ReplayStoreAddress(kind="redis", path=Path("/run/redis.sock"), database=2),
    f"unix://gate:{SECRET}@/run/redis.sock": ReplayStoreAddress(
        kind="redis", path=Path("/run/redis.sock"), username="gate", password=SECRET
    ),
    "redis+sentinel://a,b:1/main": ReplayStoreAddress(kind="sentinel", hosts=(("a", 26379), ("b", 1)), service="main"),
    "rediss+sentinel://a/main/4?sentinel_password_file=/run/s&password_file=/run/p&ca_file=/run/ca": ReplayStoreAddress(
        kind="sentinel",
        hosts=(("a", 26379),),
        service="main",
        database=4,
        tls=True,
        ca_file=Path("/run/ca"),
        password_file=Path("/run/p"),
        sentinel_password_file=Path("/run/s"),
    ),
    "redis+cluster://a,b:7000": ReplayStoreAddress(kind="cluster", hosts=(("a", 6379), ("b", 7000))),
    "rediss+cluster://a/0": ReplayStoreAddress(kind="cluster", hosts=(("a", 6379),), tls=True),
}

REFUSED = [
    "",
    "memory",
    "memory:x",
    "lmdb:",
    "lmdb:relative",
    "lmdb:/a\0b",
    "file:///replay",
    "http://10.0.0.5",
    "xredis://10.0.0.5",
    "redissx://10.0.0.5",
    "redis+ring://10.0.0.5",
    "redis:10.0.0.5",
    "redis:/10.0.0.5",
    "REDIS://10.0.0.5",
    "redis://",
    "redis:///0",
    "redis://10.0.0.5,10.0.0.6",
    "redis://10.0.0.5:0",
    "redis://10.0.0.5:65536",
    "redis://10.0.0.5:port",
    "redis://10.0.0.5:",
    "redis://10.0.0.5/x",
    "redis://10.0.0.5/-1",
    "redis://10.0.0.5/65536",
    "redis://10.0.0.5/\u0661",
    "redis://10.0.0.5/0/1",
    "redis://10.0.0.5 ",
    "redis://10.0.0.5\n",
    "redis://h\u00f6st",
    "redis://ho!st",
    "redis://10.0.0.5#",
    "redis://10.0.0.5#f",
    "redis://10.0.0.5?",
    "redis://10.0.0.5?x=1",
    "redis://10.0.0.5?x",
    "redis://10.0.0.5?ssl_cert_reqs=none",
    "redis://10.0.0.5?ca_file=/run/ca",
    "redis://10.0.0.5?password_file=p",
    "redis://10.0.0.5?password_file=",
    "redis://10.0.0.5?password_file=/a&password_file=/b",
    "redis://10.0.0.5?sentinel_password_file=/a",
    f"redis://gate:{SECRET}@10.0.0.5?password_file=/a",
    f"redis://@{SECRET}@10.0.0.5",
    f"redis://a@b:{SECRET}@10.0.0.5",
    "redis://@10.0.0.5",
    "redis://gate@10.0.0.5",
    "redis://gate:@10.0.0.5",
    "redis://:@10.0.0.5",
    "redis://gate:%ff@10.0.0.5",
    "unix://run/redis.sock",
    "unix://",
    "unix:/run/redis.sock",
    "unix:///run/redis.sock?db=x",
    "unix:///run/redis.sock?ca_file=/a",
    "unix://host/run/redis.sock",
    "redis+sentinel://a",
    "redis+sentinel://a/",
    "redis+sentinel://a/0/0/0",
    "redis+sentinel://a/ma%20in",
    "redis+sentinel://a,a/main",
    "redis+sentinel://a,/main",
    "redis+cluster://a/1",
    "redis+cluster://a?sentinel_password_file=/a",
]


@pytest.mark.parametrize("url", FORMS, ids=str)
def test_each_form_means_one_store(url: str) -> None:
    assert parse_address(url) == FORMS[url]


@pytest.mark.parametrize("url", REFUSED, ids=repr)
def test_anything_else_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_address(url)
    assert caught.value.reason is reasons.SETTING_MALFORMED
    assert caught.value.detail == f"a replay store's address is {addresses.FORMS}"
    assert caught.value.__cause__ is None


@settings(parent=settings.get_profile("bonafide"))
@given(
    st.one_of(
        st.text(max_size=60),
        st.builds(
            "{}://{}{}".format,
            st.sampled_from(["redis", "rediss", "unix", "redis+sentinel", "redis+cluster", "lmdb"]),
            st.text(alphabet="ab1:@/?#[]%,=&.", max_size=20),
            st.text(alphabet="ab1:@/?#[]%,=&.", max_size=20),
        ),
    )
)
def test_any_text_is_an_address_or_refused(text: str) -> None:
    with suppress(ConfigurationError):  # and nothing else
        address = parse_address(text)
        assert address.hosts or address.path or address.kind == "memory"


@pytest.mark.parametrize("url", [url for url in FORMS if SECRET in url])
def test_a_password_is_in_no_text_that_anybody_makes(url: str, caplog: pytest.LogCaptureFixture) -> None:
    address = parse_address(url)
    store = RedisReplayStore(replace(address, hosts=(("127.0.0.1", 1),), path=None))
    with caplog.at_level(logging.DEBUG):
        store.remember(bytes(32), created=0, now=0)
        store.require_ready(now=0)
    assert len(caplog.records) == 1
    for text in (repr(address), str(address), repr(store), repr(vars(store)), caplog.text):
        assert SECRET not in text


@pytest.mark.parametrize(
    ("url", "scope", "covers"),
    [
        ("memory:", Scope.PROCESS, False),
        ("lmdb:{}", Scope.HOST, False),
        ("redis://127.0.0.1:1", Scope.CLUSTER, True),
        ("unix://{}/redis.sock", Scope.CLUSTER, True),
        ("redis+sentinel://127.0.0.1:1/main", Scope.CLUSTER, True),
        ("redis+cluster://127.0.0.1:1", Scope.CLUSTER, True),
    ],
)
def test_an_address_opens_a_store_of_its_scope(url: str, scope: Scope, covers: bool, tmp_path: Path) -> None:
    store = open_replay_store(url.format(tmp_path / "replay"))
    assert store.scope is scope
    assert parse_address(url.format(tmp_path)).covers_hosts is covers
    store.require_ready(now=0)
    store.close()


def test_an_address_that_was_read_opens_as_well(tmp_path: Path) -> None:
    lmdb = open_replay_store(ReplayStoreAddress(kind="lmdb", path=tmp_path / "replay"))
    assert isinstance(lmdb, LmdbReplayStore)
    assert isinstance(open_replay_store(ReplayStoreAddress(kind="memory")), MemoryReplayStore)


@pytest.mark.parametrize("timeout", [timedelta(0), timedelta(seconds=-1)])
def test_a_store_that_may_not_take_any_time_is_refused(timeout: timedelta) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_replay_store("redis://127.0.0.1:1", timeout=timeout)
    assert caught.value.reason is reasons.SETTING_MALFORMED


@pytest.mark.parametrize(("url", "extra"), [("redis://h", "redis"), ("lmdb:/a", "gate")])
def test_a_missing_package_is_named_with_what_installs_it(
    url: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise ModuleNotFoundError(name="the_package")

    monkeypatch.setattr(addresses, "_open", missing)
    with pytest.raises(ConfigurationError) as caught:
        open_replay_store(url)
    assert caught.value.detail == f"the replay store needs the package the_package: pip install 'bonafide[{extra}]'"
