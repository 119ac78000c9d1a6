"""A gate's workers come and go, its file changes, its service falls silent; what it does not know it refuses."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bonafide import opening
from bonafide.stores.lmdb import LmdbReplayStore
from tests import gate_world
from tests.gate.service import SERVICE_KEY
from tests.gate.test_gate import lines, refused
from tests.gate.test_provisioned import OPENED
from tests.gate.world import ROUTES, Connection, RunningGate, asked, fresh
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Making = Callable[..., RunningGate]

QUICK = '[limits]\nnetwork = "1000000/minute"\ninstance = "1000000/minute"\nuser = "1000000/minute"'


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Making]:
    made: list[RunningGate] = []

    def build(**how: object) -> RunningGate:
        running = RunningGate(home=tmp_path / f"gate{len(made)}", **{"extra": QUICK, **how})  # type: ignore[arg-type]  # each test names what it changes
        made.append(running)
        return running

    yield build
    for running in made:
        running.stop()


def workers(gate: RunningGate) -> list[int]:
    children = Path(f"/proc/{gate.pid}/task/{gate.pid}/children").read_text().split()
    return [int(child) for child in children]


class Stream:
    """Good requests one after another until it is told to stop.

    Asked as Nginx asks: on a connection that is kept; where that is closed without an answer, once more on a new one.
    """

    def __init__(self, gate: RunningGate) -> None:
        self.statuses: Counter[int] = Counter()
        self._gate = gate
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Stream:  # noqa: PYI034 - not subclassed
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        connection = Connection(self._gate.socket)
        while not self._stop.is_set():
            request = asked(fresh())
            try:
                status = connection.get("/admit", request).status
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = Connection(self._gate.socket)
                status = connection.get("/admit", request).status
            self.statuses[status] += 1
        connection.close()


def test_a_reload_changes_the_rules_and_loses_no_request(make: Making) -> None:
    gate = make(workers=2)
    gate.start()
    assert gate.ask(asked(fresh("/new"))).status == 403
    (gate.home / "routes.toml").write_text('[[route]]\nmatch = "/new"\n' + ROUTES)
    before = workers(gate)
    with Stream(gate) as stream:
        gate.send(signal.SIGHUP)
        eventually(lambda: not set(before) & set(workers(gate)) and len(workers(gate)) == 2)
        eventually(lambda: gate.ask(asked(fresh("/new"))).status == 204)
    assert stream.statuses.keys() == {204}
    assert stream.statuses[204] > 10


def stands(gate: RunningGate, why: str) -> None:
    """Reload, and see that the new file is refused for this reason and that the same workers go on as before."""
    before = workers(gate)
    gate.send(signal.SIGHUP)
    said = eventually(lambda: [line["message"] for line in lines(gate) if "the old one stands" in line["message"]])
    assert why in said[-1]
    assert gate.ask(asked(fresh())).status == 204
    assert workers(gate) == before
    assert gate.stop() == 0


def test_a_route_table_that_is_not_good_changes_nothing(make: Making) -> None:
    gate = make()
    gate.start()
    (gate.home / "routes.toml").write_text("[[route]]\nmatch = 1\n")
    stands(gate, "a rule is a table")


def test_a_key_that_is_gone_changes_nothing(make: Making) -> None:
    """Workers that were replaced nevertheless, by the old file, could not start either."""
    gate = make()
    gate.start()
    (gate.home / "gate.key").unlink()
    stands(gate, "gate.key")


def test_counters_that_do_not_exist_change_nothing(make: Making) -> None:
    gate = make()
    gate.start()
    gate.extra = '[limits]\nstore = "foo://x"'
    gate.write()
    stands(gate, "[limits] store")


@pytest.mark.parametrize("store", ["memory:", "lmdb:/proc/x/replay", "redis://127.0.0.1:1"])
def test_a_replay_store_changes_with_a_restart(make: Making, store: str) -> None:
    gate = make()
    gate.start()
    gate.write(replay_store=f'"{store}"')
    stands(gate, "replay_store changes with a restart")


@pytest.mark.parametrize(
    ("key", "value"),
    [("workers", "1"), ("hosts", "3"), ("listen", '"127.0.0.1:1"'), ("state_dir", '"elsewhere"')],
)
def test_what_says_who_asks_which_store_changes_with_a_restart(make: Making, key: str, value: str) -> None:
    gate = make(workers=2)
    gate.start()
    gate.write(**{key: value, "replay_store": f'"lmdb:{gate.home}/state/replay"'})
    (gate.home / "elsewhere").mkdir(mode=0o700)
    stands(gate, f"{key} changes with a restart")


def test_one_worker_and_memory_do_not_replace_two_and_a_store_for_both(make: Making) -> None:
    """Two processes go on where the file speaks of one: each would admit what the other has seen."""
    gate = make(workers=2)
    gate.start()
    used = [asked(fresh()) for _ in range(5)]
    assert [gate.ask(each).status for each in used] == [204] * 5
    gate.write(workers="1", replay_store='"memory:"')
    gate.send(signal.SIGHUP)
    eventually(lambda: [line for line in lines(gate) if "the old one stands" in line["message"]])
    used += [asked(fresh()) for _ in range(5)]
    assert Counter(gate.ask(each).status for each in used * 4) == {204: 5, 401: 35}


def test_a_proof_that_was_used_is_not_admitted_again_by_another_store(make: Making) -> None:
    """The other one is older than the proof, and would vouch for it."""
    gate = make(workers=2)
    gate.start()
    used = asked(fresh())
    assert gate.ask(used).status == 204
    other = gate.home / "state" / "other"
    store = LmdbReplayStore(other)
    store.remember(os.urandom(32), created=int(time.time()) - 60, now=time.time() - 60)
    store.close()
    gate.write(replay_store=f'"lmdb:{other}"')
    gate.send(signal.SIGHUP)
    eventually(lambda: [line for line in lines(gate) if "the old one stands" in line["message"]])
    refused(gate, used, "proof.replayed")


def test_a_second_gate_leaves_a_living_one_alone(make: Making) -> None:
    gate = make()
    gate.start()
    began = subprocess.run([*gate.command], capture_output=True, text=True, timeout=30, check=False)
    assert began.returncode == 1
    assert "another gate is running" in began.stderr
    assert gate.ask(asked(fresh())).status == 204
    assert "bonafide_gate_requests_total" in gate.get("/metrics").fields["body"]


def test_a_worker_that_dies_again_and_again_is_replaced_each_time(make: Making) -> None:
    gate = make(workers=2)
    gate.start()
    known = set(workers(gate))
    victim, other = known
    for _ in range(3):
        os.kill(victim, signal.SIGKILL)
        (victim,) = eventually(lambda: set(workers(gate)) - known)
        known.add(victim)
    assert other in workers(gate)
    eventually(lambda: gate.ask(asked(fresh())).status == 204)
    assert gate.stop() == 0


def test_a_worker_that_is_killed_is_replaced_and_remembers_what_was_used(make: Making) -> None:
    gate = make()
    gate.start()
    used = asked(fresh())
    assert gate.ask(used).status == 204
    (victim,) = workers(gate)
    time.sleep(0.1)
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: workers(gate) not in ([], [victim]))
    eventually(lambda: _answers(gate))
    refused(gate, used, "proof.replayed")


def test_a_worker_that_starts_while_the_service_is_away_has_what_the_others_had(make: Making) -> None:
    gate = make()
    gate.start()
    gate.service.down = True
    (victim,) = workers(gate)
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: workers(gate) not in ([], [victim]))
    eventually(lambda: _answers(gate))
    assert gate.ask(asked(fresh())).status == 204


def _answers(gate: RunningGate) -> bool:
    try:
        return gate.get("/health").status == 200
    except OSError:
        return False


def test_one_of_several_workers_asks_and_all_know(make: Making) -> None:
    gate = make(workers=2)
    gate.write(poll_every="5")
    gate.start()
    with Stream(gate) as stream:
        eventually(lambda: stream.statuses[204] > 50)
    assert gate.service.whole <= 2  # both may ask before either has an answer
    assert stream.statuses.keys() == {204}


def test_a_service_that_falls_silent_is_believed_for_as_long_as_the_file_says(make: Making) -> None:
    gate = make()
    gate.write(max_stale="2")
    gate.start()
    gate.service.down = True
    assert gate.ask(asked(fresh())).status == 204
    eventually(lambda: gate.get("/ready").status == 503)
    answer = refused(gate, asked(fresh()), "store.copy_stale")
    assert (answer.status, answer.fields["bonafide-status"]) == (403, "503")
    assert "retry-after" in answer.fields
    gate.service.down = False
    eventually(lambda: gate.ask(asked(fresh())).status == 204)


def test_a_gate_that_was_never_told_anything_admits_nobody(make: Making) -> None:
    gate = make()
    gate.service.down = True
    gate.start(ready=False)
    refused(gate, asked(fresh()), "store.copy_stale")
    assert gate.get("/ready").status == 503


def test_an_answer_that_was_changed_on_the_way_is_not_believed(make: Making) -> None:
    gate = make()
    gate.service.edit = lambda answer: answer[:-1] + ("A" if answer[-1] != "A" else "B")
    gate.start(ready=False)
    refused(gate, asked(fresh()), "store.copy_stale")
    eventually(lambda: [line for line in lines(gate) if "provision.answer" in line["message"]])


def test_an_old_answer_put_in_a_new_ones_place_does_not_lift_a_ban(make: Making) -> None:
    gate = make()
    gate.write(max_stale="3")
    gate.start()
    kept: list[str] = []

    def keep(answer: str) -> str:
        kept.append(answer)
        return answer

    gate.service.edit = keep
    eventually(lambda: kept)
    gate.service.edit = lambda _: kept[0]
    gate.service.ban(gate_world.claims().instance)
    eventually(lambda: gate.ask(asked(fresh())).status == 403)  # stale at last, because nothing newer comes
    refused(gate, asked(fresh()), "store.copy_stale")


def test_a_gate_that_is_asked_to_stop_stops(make: Making) -> None:
    gate = make(workers=2)
    gate.start()
    children = workers(gate)
    assert gate.stop() == 0
    assert not [child for child in children if Path(f"/proc/{child}").exists()]


def test_a_gate_whose_whole_group_is_asked_to_stop_ends_well(make: Making) -> None:
    """As a terminal asks it, and systemd by default."""
    gate = make(workers=2)
    gate.start()
    assert gate.stop(group=True) == 0


def test_a_gate_that_was_killed_starts_again_over_its_socket(make: Making) -> None:
    gate = make()
    gate.start()
    used = asked(fresh())
    assert gate.ask(used).status == 204
    children = workers(gate)
    gate.kill(signal.SIGKILL)
    for child in children:
        os.kill(child, signal.SIGKILL)
    gate.start()
    refused(gate, used, "proof.replayed")


def test_workers_do_not_outlive_a_gate_that_was_killed(make: Making) -> None:
    gate = make(workers=2)
    gate.start()
    children = workers(gate)
    assert len(children) == 2
    gate.kill(signal.SIGKILL)
    eventually(lambda: not [child for child in children if Path(f"/proc/{child}").exists()])


def test_counters_lie_in_memory_and_go_with_the_gate(make: Making) -> None:
    """A worker that writes to a mapped file on a full disk is killed."""
    gate = make()
    gate.start()
    (child,) = workers(gate)
    mapped = {line.split()[-1] for line in Path(f"/proc/{child}/maps").read_text().splitlines() if ".db" in line}
    assert mapped
    assert all(name.startswith("/dev/shm/bonafide-gate-") for name in mapped)
    assert gate.stop() == 0
    assert not [name for name in mapped if Path(name).exists()]


def test_a_gate_whose_counters_were_removed_goes_on_and_sounds_the_alarm(make: Making) -> None:
    gate = make()
    gate.start()
    (child,) = workers(gate)
    mapped = {line.split()[-1] for line in Path(f"/proc/{child}/maps").read_text().splitlines() if ".db" in line}
    shutil.rmtree(Path(mapped.pop()).parent)
    refused(gate, asked(fresh(), signature=None), "proof.missing")
    assert gate.ask(asked(fresh())).status == 204
    assert gate.get("/metrics").status == 503
    eventually(lambda: [line for line in lines(gate) if "cannot be written down" in line["message"]])
    now = datetime.now(UTC).replace(microsecond=0)
    opened = replace(OPENED, opened_at=now, until=now + timedelta(minutes=5))
    gate.service.state = replace(gate.service.state, openings=(opening.issue(opened, service_key=SERVICE_KEY),))
    eventually(lambda: [line for line in lines(gate) if "route /api/** is open" in line["message"]])


def test_every_thread_of_a_worker_lets_what_is_in_hand_be_finished(make: Making) -> None:
    gate = make()
    gate.start()
    (child,) = workers(gate)
    threads = [int(entry.name) for entry in Path(f"/proc/{child}/task").iterdir()]
    assert len(threads) > 1
    assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_BATCH}


def test_memory_is_refused_for_more_than_one_worker(make: Making) -> None:
    gate = make(workers=2)
    gate.write(replay_store='"memory:"')
    with pytest.raises(AssertionError, match=r"configuration\.store_scope"):
        gate.start()


def test_memory_serves_one_worker(make: Making) -> None:
    gate = make(workers=1)
    gate.write(replay_store='"memory:"')
    gate.start()
    request = asked(fresh())
    eventually(lambda: gate.ask(asked(fresh())).status == 204)  # it vouches for proofs from six seconds after its birth
    assert {gate.ask(request).status for _ in range(2)} & {401}


def test_several_hosts_are_refused_a_store_of_one(make: Making) -> None:
    gate = make()
    gate.write(hosts="2")
    with pytest.raises(AssertionError, match=r"configuration\.store_scope"):
        gate.start()


# Rates ------------------------------------------------------------------------------------------------


def limited(make: Making, **rates: str) -> RunningGate:
    table = "\n".join(f'{name} = "{rate}"' for name, rate in rates.items())
    gate = make(extra=f"[limits]\n{table}")
    gate.start()
    return gate


def test_an_instance_keeps_to_its_rate(make: Making) -> None:
    gate = limited(make, instance="3/hour")
    assert [gate.ask(asked(fresh())).status for _ in range(3)] == [204] * 3
    answer = refused(gate, asked(fresh()), "request.rate_exceeded")
    assert (answer.fields["bonafide-status"], answer.fields["bonafide-action"]) == ("429", "back_off")
    assert 0 < int(answer.fields["retry-after"]) <= 3600


def test_a_request_that_is_sent_again_eats_nobodys_share(make: Making) -> None:
    gate = limited(make, instance="2/hour")
    request = asked(fresh())
    assert gate.ask(request).status == 204
    for _ in range(3):
        refused(gate, request, "proof.replayed")
    assert gate.ask(asked(fresh())).status == 204


def test_a_user_keeps_to_their_rate_on_all_their_phones(make: Making) -> None:
    gate = limited(make, user="1/hour")
    assert gate.ask(asked(fresh())).status == 204
    refused(gate, asked(fresh()), "request.rate_exceeded")
    assert gate.ask(asked(fresh(headers={"authorization": "Bearer of another"}))).status == 204


def test_a_network_keeps_to_its_rate_whatever_it_sends(make: Making) -> None:
    gate = limited(make, network="2/hour")
    refused(gate, asked(fresh(), signature=None), "proof.missing")
    refused(gate, asked(fresh(), Originalhost="evil.example"), "request.host_unknown")
    refused(gate, asked(fresh()), "request.rate_exceeded")
    assert gate.ask(asked(fresh(), Originaladdress="192.0.2.8")).status == 204


# Bodies that nobody compares --------------------------------------------------------------------------


@pytest.mark.parametrize("framing", [{"Originallength": "5"}, {"Originalcoding": "chunked"}], ids=str)
def test_a_body_that_nobody_compares_is_refused_unless_told_so(make: Making, framing: dict[str, str]) -> None:
    gate = make()
    gate.file.write_text(gate.file.read_text().replace('body = "checked"', 'body = "unchecked"'))
    gate.start()
    assert gate.ask(asked(fresh(), Originallength="0")).status == 204
    refused(gate, asked(fresh(), **framing), "request.body_unchecked")
    gate.file.write_text(gate.file.read_text() + "unchecked_bodies = true\n")
    gate.send(signal.SIGHUP)
    eventually(lambda: gate.ask(asked(fresh(), **framing)).status == 204)


def test_a_connection_that_a_proxy_holds_open_does_not_hold_up_others(make: Making) -> None:
    gate = make()
    gate.start()
    held = [Connection(gate.socket) for _ in range(8)]
    try:
        for connection in held:
            connection.get("/health")
        assert gate.ask(asked(fresh())).status == 204
    finally:
        for connection in held:
            connection.close()
