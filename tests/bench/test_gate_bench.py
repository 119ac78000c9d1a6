"""The bench of a gate runs whole, measures what it says, and sees a promise that is broken."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from redis import Redis

from bench.gate import __main__ as bench_gate
from bench.gate import contenders, memory, page, projection, report
from bench.gate.accounting import Memory, cpu_us, family, private_memory
from bench.gate.endpoints import STATEMENT
from bench.gate.load import Load
from bench.gate.measuring import Measured, Slot
from bench.gate.phones import ISSUING, bearer_batch, proven_batch
from bench.gate.processes import redis
from tests.gate.proxies.wire import Message, Recorder
from tests.gate.world import RunningGate, asked, fresh

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import RequireProgram


@pytest.fixture
def programs(require_program: RequireProgram) -> None:
    require_program("nginx", apt="nginx-light")
    require_program("redis-server", apt="redis-server")


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(report, "OUTPUT", tmp_path / "output")
    return tmp_path / "output"


def test_a_small_run_measures_every_contender(programs: None, output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench_gate.main(["--rounds", "1", "--requests", "40", "--live", "400"]) in {0, 1}
    entries = {entry["name"]: entry for entry in json.loads((output / "gate.json").read_text())}
    assert {
        "nginx",
        "empty 204",
        "empty 204 + verify",
        "session, LMDB",
        "hardware, LMDB",
        "session, Redis",
        "hardware, Redis",
        "PyJWT",
        "PyJWT + pydpop",
        "PyJWT + pydpop, store replaced",
        "Django",
        "Django + middleware",
    } <= entries.keys()
    for entry in entries.values():
        assert {"name", "us_per_op", "versus", "ratio"} <= entry.keys() or entry["bytes"] > 0
    assert entries["session, Redis"]["redis_us"] > 0
    assert "a live nonce in Redis" in entries
    shown = capsys.readouterr().out
    assert "session, LMDB: gate - empty 204" in shown
    live = re.search(r"private memory of a gate worker, ([\d,]+) live nonces", shown)
    assert live is not None
    assert 400 <= int(live[1].replace(",", "")) < 1000


def test_the_interfaces_are_compared(output: Path) -> None:
    assert bench_gate.main(["interfaces", "--rounds", "1", "--requests", "40"]) == 0
    assert len(json.loads((output / "gate_interfaces.json").read_text())) == 5


def test_what_stands_beside_a_gate_refuses_what_is_wrong(programs: None, tmp_path: Path) -> None:
    """A contender that admitted anything would be cheap."""
    with contenders.Arena(tmp_path) as arena:
        arena.admit("PyJWT", "PyJWT + pydpop")
        for name in ("PyJWT", "PyJWT + pydpop"):
            load = Load(arena.contenders[name].port)
            dpop = "pydpop" in name
            good = arena.contenders[name].make(2)
            assert load.send(good).statuses == {204: 2}
            foreign = bearer_batch(ec.generate_private_key(ec.SECP256R1()), 2, dpop=dpop)
            assert load.send(foreign).statuses == {401: 2}
            assert load.send(proven_batch(ISSUING, 2, hardware=False)).statuses == {401: 2}
            if dpop:
                assert load.send(good[:1] * 2, heard=None).statuses == {401: 2}, "a proof twice"
            load.close()


def test_a_gate_says_about_as_much_as_the_empty_answer(programs: None, tmp_path: Path) -> None:
    gate = RunningGate(home=tmp_path / "gate")
    try:
        gate.start()
        said = gate.ask(asked(fresh("/api/orders?page=1"))).fields["bonafide-admission"]
    finally:
        gate.stop()
    assert abs(len(said) - len(STATEMENT)) < 20


def test_cpu_is_that_of_the_process_and_its_children() -> None:
    spin = "import time\nends = time.process_time() + 0.3\nwhile time.process_time() < ends: pass\ninput()"
    shell = [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {spin!r}])"]
    process = subprocess.Popen(shell, stdin=subprocess.PIPE)
    try:
        ends = time.monotonic() + 20
        while len(family(process.pid)) < 2 or cpu_us(family(process.pid)[1:]) < 300_000:
            assert time.monotonic() < ends
            time.sleep(0.02)
        assert private_memory(process.pid).total >= private_memory(process.pid).anonymous > 0
    finally:
        process.communicate(b"\n", timeout=20)


def answers(*replies: bytes) -> Iterator[bytes]:
    yield from replies


def test_load_counts_each_answer_and_opens_closed_connections_anew(tmp_path: Path) -> None:
    closing = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    replies, lock = answers(*[closing, b"HTTP/1.1 204 No Content\r\n\r\n"] * 5), threading.Lock()

    def answer(_: Message) -> bytes:
        with lock:
            return next(replies)

    with ExitStack() as stack:
        recorder = stack.enter_context(Recorder(tmp_path / "socket", answer))
        load = Load(str(tmp_path / "socket"), connections=1)
        stack.callback(load.close)
        heard: list[tuple[int, int]] = []

        def hear(number: int, status: int, _: bytes) -> bytes | None:
            heard.append((number, status))
            return b"GET /more HTTP/1.1\r\n\r\n" if len(heard) == 1 else None

        flow = load.send([b"GET / HTTP/1.1\r\n\r\n"] * 9, heard=hear)
    assert flow.statuses == {200: 5, 204: 5}
    assert [number for number, _ in heard] == [0, 0, *range(1, 9)]
    assert recorder.connections >= 5


def test_load_fails_where_an_answer_is_missing(tmp_path: Path) -> None:
    with Recorder(tmp_path / "socket", lambda _: None):
        load = Load(str(tmp_path / "socket"), connections=1)
        with pytest.raises(ConnectionError):
            load.send([b"GET / HTTP/1.1\r\n\r\n"])
        load.close()


def measured(**server: float) -> Measured:
    slots = {name: [Slot(cpu={"server": cost}, per_second=1, p50=1, p99=1)] * 3 for name, cost in server.items()}
    return Measured(slots=slots, verify=[50.0, 50.0, 50.0])


def test_promises_are_judged_as_they_are_written() -> None:
    kept = measured(**{"empty 204": 30, "session, LMDB": 80, "hardware, LMDB": 130, "session, Redis": 155}).slots
    kept |= measured(**{"PyJWT + pydpop": 400}).slots
    assert all(promise.holds for promise in report.promises(Measured(slots=kept, verify=[50.0])))
    for name, cost in {
        "session, LMDB": 81,
        "hardware, LMDB": 134,
        "session, Redis": 156,
        "PyJWT + pydpop": 385,
    }.items():
        broken = kept | measured(**{name: cost}).slots
        promises = list(report.promises(Measured(slots=broken, verify=[50.0])))
        assert not all(promise.holds for promise in promises), name
    assert not report.memory_promise(report_memory(80_000_001), live=1)["holds"]
    assert report.memory_promise(report_memory(80_000_000), live=1)["holds"]


def slots(*server: float) -> list[Slot]:
    return [Slot(cpu={"server": cost}, per_second=1, p50=1, p99=1) for cost in server]


def test_a_store_that_grows_dearer_with_the_run_is_shown_at_its_cheapest_too() -> None:
    """A longer run would keep any promise; whoever reads the table sees what it rests on."""
    ran = {"session, LMDB": slots(80, 80, 80), "PyJWT + pydpop": slots(390, 600, 900)}
    ran["PyJWT + pydpop, store replaced"] = slots(380, 390, 400)
    judged, cheapest, replaced = report.promises(Measured(slots=ran, verify=[50.0]))
    assert (judged.us_per_op, judged.at_least, judged.holds) == (600, 5.0, True)
    assert "its cheapest round" in report.judgement([cheapest.fields()])
    assert (cheapest.us_per_op, replaced.us_per_op) == (390, 390)
    for shown in (cheapest, replaced):
        assert shown.at_least is None
        assert "nothing is promised" in report.judgement([shown.fields()])


def test_what_a_gate_adds_is_shown_beside_a_verify_in_a_server_at_work_and_not_judged_by_it() -> None:
    ran = {"empty 204": slots(30), "empty 204 + verify": slots(90), "session, LMDB": slots(90)}
    promised, shown = report.promises(Measured(slots=ran, verify=[50.0]))
    assert (promised.ratio, promised.holds) == (1.2, False)
    assert (shown.ratio, shown.holds) == (1.0, True)
    assert report.judgement([shown.fields()]).endswith("1.00 x a verify in a server at work  (nothing is promised)")


def test_a_store_is_filled_up_to_what_is_claimed_and_counted_where_it_is_claimed(tmp_path: Path) -> None:
    assert memory.fill_store(tmp_path / "replay", 50) == 50
    assert memory.require_live(tmp_path / "replay", 50) == 50
    with pytest.raises(RuntimeError, match="51 are claimed"):
        memory.require_live(tmp_path / "replay", 51)
    assert memory.fill_store(tmp_path / "replay", 50) == 0


def test_what_expires_during_a_run_is_no_live_nonce_and_is_filled_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = time.time() - 300  # what was put there then is remembered for half a minute more at most
    monkeypatch.setattr(time, "time", lambda: past)
    memory.fill_store(tmp_path / "replay", 40)
    monkeypatch.undo()
    assert memory.live_nonces(tmp_path / "replay", at=time.time() + 31) == 0
    assert memory.fill_store(tmp_path / "replay", 40) == 40
    assert memory.live_nonces(tmp_path / "replay", at=time.time() + 31) == 40


def test_what_a_nonce_takes_in_redis_has_the_dictionaries_in_it(programs: None, tmp_path: Path) -> None:
    program, path = redis(tmp_path)
    program.start()
    try:
        empty = memory.redis_used(path)
        with Redis(unix_socket_path=str(path)) as client:
            for number in range(5000):
                client.set(b"bf:%032d" % number, b"1", ex=300)
            dataset = int(client.info("memory")["used_memory_dataset"]) / 5000
        assert memory.redis_bytes(path, empty=empty) > dataset + 16, "two tables of pointers at least"
    finally:
        program.stop()


def report_memory(total: int) -> Memory:
    return Memory(total=200_000_000, anonymous=total)


def test_the_projection_is_arithmetic() -> None:
    units = projection.Units(
        nginx_us=50,
        gate_us=100,
        redis_us=15,
        nonce_bytes=200,
        renewal_us=1000,
        renewal_sql_us=500,
        enrolment_us=2000,
        enrolment_sql_us=1000,
    )
    said = projection.text(units)
    assert "1,000,000 x 20 / 60 = 333,333 a second" in said
    assert "333,333 x (50 + 100) us / 0.5 = 100 processors: 13 machines" in said
    assert "333,333 x 15 us / 0.5 = 10.0 processors" in said
    assert "333,333 x 330 s x 200 octets = 20.5 GiB live: 10 shards" in said
    assert "100,000,000 x 20 / 60 = 33,333,333 a second" in said


def test_the_page_s_projection_follows_from_the_costs_on_the_page(root: Path) -> None:
    blocks = page.blocks((root / page.PAGE).read_text(encoding="utf-8"))
    costs = dict(re.findall(r"^(\w+) = ([0-9.e+]+)$", blocks["projection"], re.MULTILINE))
    units = projection.Units(**{name: float(value) for name, value in costs.items()})
    assert projection.text(units) == blocks["projection"]
    assert "session, LMDB: gate - empty 204" in blocks["gate"]
    assert "granian WSGI, 1 thread" in blocks["gate_interfaces"]
    assert blocks.keys() == page.BLOCKS.keys()


def test_a_block_of_the_page_is_replaced_and_the_rest_is_kept() -> None:
    before = "Words.\n\n<!-- begin gate -->\n```text\nold\n```\n<!-- end gate -->\n\nMore words.\n"
    after = page.with_block(before, "gate", "new\nlines")
    assert page.blocks(after) == {"gate": "new\nlines"}
    assert after.startswith("Words.\n")
    assert after.endswith("\nMore words.\n")
    assert page.with_block(after, "gate", "old") == before


def test_nothing_of_a_run_is_left(programs: None, tmp_path: Path) -> None:
    with contenders.Arena(tmp_path) as arena:
        arena.admit("nginx", "empty 204", "bonafide, LMDB")
        pids = [pid for each in arena.contenders.values() for find in each.pids.values() for pid in find()]
        assert len(pids) >= 7
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
