"""The proxy before the world of Swift's tests passes on, tells what passed, and does what it is told; then it ends."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bonafide.testing.client import AnswerNotSealed
from bonafide.testing.hints import AnswerRefused
from tests.swift.test_world import Child, log_in, world
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

WALLET = "/api/wallet"
WATCH = {"do": "watch"}


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    with world(tmp_path_factory.mktemp("proxied"), "--proxy") as child:
        yield child


def programs(temporary: Path) -> list[str]:
    """Return the command lines of all processes that name this directory: the proxy does, for its files."""
    lines = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = place.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:  # it ended meanwhile
            continue
        if str(temporary) in line:
            lines.append(line)
    return lines


def test_what_passes_is_told_once_and_the_proxy_has_the_address_that_is_signed(child: Child) -> None:
    child.do("seen")
    with child.client() as client:
        answer = client.get(WALLET, headers=log_in(child, client), extensions={"bonafide_sealed": True})
    assert answer.json()["cards"][0]["code"].startswith("GIFT-")
    seen = child.do("seen")["seen"]
    assert [passed["path"] for passed in seen][-2:] == ["/api/login", WALLET]
    assert seen[-1]["headers"]["content-type"] == "application/bonafide-sealed"
    assert b"GIFT-" not in base64.b64decode(seen[-1]["body"])
    assert child.told["origin"].removeprefix("http://") in seen[-1]["request"]
    assert child.do("seen") == {"seen": []}


def test_order_holds_until_the_next(child: Child) -> None:
    with child.client() as client:
        bearer = log_in(child, client)
        order = {"do": "change_content_type", "path": WALLET, "content_type": "text/plain"}
        assert child.do("order", order=order) == {"done": "order"}
        for _ in range(2):
            with pytest.raises(AnswerNotSealed):
                client.get(WALLET, headers=bearer, extensions={"bonafide_sealed": True})
        child.do("order", order=WATCH)
        assert client.get(WALLET, headers=bearer, extensions={"bonafide_sealed": True}).is_success


def test_fields_are_added_and_pins_forged_on_order(child: Child) -> None:
    pins = [base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2)]
    child.do("publish_pins", host="api.example.com", pins=" ".join(pins), days=30)
    with child.client() as client:
        child.do("order", order={"do": "add_fields", "path": "/api/config", "headers": {"set-cookie": "a=b"}})
        assert client.get("/api/config").headers["set-cookie"] == "a=b"
        child.do("order", order={"do": "replace_pins"})
        with pytest.raises(AnswerRefused, match=r"document\.service_key_not_pinned"):
            client.pins()
        child.do("order", order=WATCH)
        assert client.pins().pins == {"api.example.com": tuple(pins)}
        assert "set-cookie" not in client.get("/api/config").headers


def test_malformed_orders_are_errors(child: Child) -> None:
    for line in ('{"do": "order"}', '{"do": "order", "order": {}}', '{"do": "order", "order": 1}'):
        assert set(child.write(line)) == {"error"}, line


def test_nothing_is_left_of_the_proxy_when_standard_input_ends(tmp_path: Path) -> None:
    with world(tmp_path, "--proxy") as child:
        assert any("mitmdump" in line for line in programs(tmp_path))
        assert child.end() == 0
        assert not programs(tmp_path)
        assert not list(tmp_path.iterdir())


def test_no_proxy_is_left_when_the_world_is_killed(tmp_path: Path) -> None:
    with world(tmp_path, "--proxy") as child:
        child.process.kill()
        child.process.wait()
        eventually(lambda: not programs(tmp_path), "the end of the proxy")


def test_world_without_a_proxy_takes_no_orders(tmp_path: Path) -> None:
    with world(tmp_path) as child:
        assert set(child.write(json.dumps({"do": "order", "order": WATCH}))) == {"error"}
