"""Who is believed about who is the master: majorities of Sentinels, two nodes of a cluster. No network."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import ResponseError

from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons
from bonafide.stores.redis.keyspace import CLUSTER_BUCKETS, WHOLE, bucket_of, cluster_buckets
from bonafide.stores.redis.masters import ASK_EVERY_S, BELIEVE_S, ByCluster, BySentinels, OneServer, Place, Unserved

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bonafide.stores.redis.dialer import Command
    from bonafide.stores.redis.masters import Masters

ONE, TWO, THREE = (Place(f"10.0.0.{number}", 6379) for number in (1, 2, 3))
A, B = Place("10.1.0.1", 7000), Place("10.1.0.2", 7000)


class World:
    """What each place answers to every question; a place without answers is down."""

    def __init__(self) -> None:
        self.answers: dict[Place, list[object]] = {}
        self.undiallable: dict[Place, BaseException] = {}
        self.asked: list[Place] = []
        self.dialled: list[Place] = []

    def dial(self, place: Place, deadline: float) -> ScriptedWire:
        del deadline
        self.dialled.append(place)
        if place in self.undiallable:
            raise self.undiallable[place]
        if place not in self.answers:
            raise Disconnected
        return ScriptedWire(self, place)


class ScriptedWire:
    """A connection to such a place."""

    def __init__(self, world: World, place: Place) -> None:
        self._world, self._place = world, place
        self.due: list[object] = []
        self.is_connected = True

    def connect(self) -> None:
        pass

    def disconnect(self) -> None:
        self.is_connected = False

    def can_read(self, timeout: float) -> bool:
        return bool(self.due)

    def pack_commands(self, commands: Iterable[Command]) -> list[bytes]:
        return [b""]

    def send_packed_command(self, command: Sequence[bytes], *, check_health: bool) -> None:
        if self._place not in self._world.answers:
            raise Disconnected
        self._world.asked.append(self._place)
        self.due += self._world.answers[self._place]

    def read_response(self, *, timeout: float) -> object:
        answer = self.due.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def soon() -> float:
    return time.monotonic() + 5


def named(place: Place) -> list[object]:
    return [[place.host.encode(), b"%d" % place.port]]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def sentinels(world: World) -> BySentinels:
    return BySentinels((ONE, TWO, THREE), "main", world.dial)


def leased(masters: Masters) -> Place:
    return masters.lease(WHOLE, soon()).place


def unserved(masters: Masters) -> bool:
    try:
        masters.lease(masters.buckets[0], soon())
    except Unserved:
        return True
    return False


def test_one_server_is_the_master_for_ever() -> None:
    masters = OneServer(ONE)
    assert masters.lease(WHOLE, soon()) == (ONE, float("inf"))
    assert (masters.buckets_at(ONE), masters.places(soon())) == ((WHOLE,), (ONE,))
    masters.doubt()
    masters.close()


# Sentinels --------------------------------------------------------------------------------------------


def test_the_majority_names_the_master(world: World, sentinels: BySentinels) -> None:
    world.answers = {ONE: named(A), TWO: named(B), THREE: named(A)}
    assert leased(sentinels) == A
    assert sentinels.places(soon()) == (A,)
    assert sentinels.buckets_at(A) == (WHOLE,)
    assert sentinels.buckets_at(B) == ()


NO_PLACES: list[object] = [
    *(None, [], b"x", 7, [b"x"], [b"", b"1"], [b"x", None], [b"x", []], [b"x", b"y"], [b"x", b""], [None, b"1"]),
    *([b"x", b"0"], [b"x", b"-1"], [b"x", 65536], [b"x", b"65536"], [b"x", b"9" * 5000], [[b"x"], b"1"]),
]


@pytest.mark.parametrize("third", [None, named(B), *([answer] for answer in NO_PLACES), [ResponseError("ERR")]])
def test_one_sentinel_of_three_is_no_majority_and_two_are(
    world: World, sentinels: BySentinels, third: list[object] | None
) -> None:
    world.answers = {ONE: named(A)} | ({} if third is None else {THREE: third})
    assert unserved(sentinels)
    world.answers[TWO] = named(A)
    again = BySentinels((ONE, TWO, THREE), "main", world.dial)
    assert leased(again) == A


def test_three_that_name_three_name_nobody(world: World, sentinels: BySentinels) -> None:
    world.answers = {ONE: named(A), TWO: named(B), THREE: named(ONE)}
    assert unserved(sentinels)


def test_the_majority_is_of_those_listed_and_not_of_those_that_answer(world: World) -> None:
    five = tuple(Place(f"10.0.0.{number}", 1) for number in range(5))
    world.answers = dict.fromkeys(five[:2], named(A))
    assert unserved(BySentinels(five, "main", world.dial))
    world.answers[five[4]] = named(A)
    assert leased(BySentinels(five, "main", world.dial)) == A


def test_what_was_said_is_asked_again_and_never_believed_for_longer_than_a_second(
    world: World, sentinels: BySentinels, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    world.answers = dict.fromkeys((ONE, TWO, THREE), named(A))
    assert sentinels.lease(WHOLE, soon()) == (A, 1000 + BELIEVE_S)
    clock[0] += ASK_EVERY_S - 0.1
    world.answers = dict.fromkeys((ONE, TWO, THREE), named(B))
    assert sentinels.lease(WHOLE, soon()) == (A, 1000 + BELIEVE_S)
    clock[0] += 0.2
    assert sentinels.lease(WHOLE, soon()) == (B, clock[0] + BELIEVE_S)
    world.answers = {}
    clock[0] += BELIEVE_S - 0.1
    assert leased(sentinels) == B
    clock[0] += 0.2
    assert unserved(sentinels)


def test_while_one_asks_the_others_go_by_what_was_said_and_then_wait(
    world: World, sentinels: BySentinels, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    world.answers = dict.fromkeys((ONE, TWO, THREE), named(A))
    assert leased(sentinels) == A
    clock[0] += ASK_EVERY_S + 0.1
    with sentinels._lock:
        assert leased(sentinels) == A
        clock[0] += BELIEVE_S
        with pytest.raises(Unserved):
            sentinels.lease(WHOLE, clock[0] + 0.01)
        with pytest.raises(Unserved):
            sentinels.lease(WHOLE, clock[0] - 1)


def test_doubt_asks_at_once(world: World, sentinels: BySentinels) -> None:
    world.answers = dict.fromkeys((ONE, TWO, THREE), named(A))
    assert leased(sentinels) == A
    world.answers = dict.fromkeys((ONE, TWO, THREE), named(B))
    assert leased(sentinels) == A
    sentinels.doubt()
    assert leased(sentinels) == B


def test_an_unanswered_question_is_not_put_again_at_once(world: World, sentinels: BySentinels) -> None:
    assert unserved(sentinels)
    dialled = len(world.dialled)
    assert unserved(sentinels)
    assert len(world.dialled) == dialled


def test_a_sentinel_that_failed_is_left_out_for_a_while(world: World, sentinels: BySentinels) -> None:
    world.answers = {TWO: named(A), THREE: named(A)}
    for _ in range(5):
        assert leased(sentinels) == A
        sentinels.doubt()
    assert world.dialled.count(ONE) == 1
    assert world.asked.count(TWO) == 5
    assert world.dialled.count(TWO) == 1


UNSAFE = ConfigurationError(reasons.KEYS_UNSAFE, "the file holds no password")


@pytest.mark.parametrize("problem", [UNSAFE, Disconnected(), OSError(), UnicodeError(), ValueError()])
def test_a_sentinel_that_cannot_be_dialled_is_one_that_failed(
    world: World, sentinels: BySentinels, problem: BaseException
) -> None:
    """Whatever it is, and wherever in the list: a password file that is being replaced, a name that is none."""
    world.answers = dict.fromkeys((ONE, TWO, THREE), named(A))
    for place in (ONE, TWO, THREE):
        sentinels.close()
        world.undiallable = {place: problem}
        sentinels.doubt()
        assert leased(sentinels) == A
        assert not any(kept.due for kept in kept_by(sentinels))


def test_who_cannot_read_a_password_is_told_so_and_not_that_nobody_serves(world: World, sentinels: BySentinels) -> None:
    world.answers = {ONE: named(A)}
    world.undiallable = {TWO: UNSAFE}
    for _ in range(2):
        with pytest.raises(ConfigurationError) as caught:
            leased(sentinels)
        assert caught.value.reason is reasons.KEYS_UNSAFE
        assert "holds no password" in str(caught.value)
    world.undiallable = {}
    sentinels._failed_at -= 1
    assert unserved(sentinels)


def test_what_is_believed_is_not_given_up_for_a_password_that_cannot_be_read(
    world: World, sentinels: BySentinels, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    world.answers = dict.fromkeys((ONE, TWO, THREE), named(A))
    assert leased(sentinels) == A
    sentinels.close()
    world.undiallable = dict.fromkeys((ONE, TWO, THREE), UNSAFE)
    clock[0] += ASK_EVERY_S + 0.1
    assert leased(sentinels) == A
    clock[0] += BELIEVE_S
    with pytest.raises(ConfigurationError):
        leased(sentinels)


def test_who_is_interrupted_leaves_no_answer_for_the_next_question(world: World, sentinels: BySentinels) -> None:
    """The connections on which something is due are let go of: read later, it would look like news."""
    world.answers = dict.fromkeys((ONE, TWO, THREE), named(A))
    world.undiallable = {THREE: KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        leased(sentinels)
    assert kept_by(sentinels) == []
    world.answers = dict.fromkeys((ONE, TWO, THREE), named(B))
    world.undiallable = {}
    assert leased(sentinels) == B


def test_what_came_before_the_question_is_no_answer_to_it(world: World, sentinels: BySentinels) -> None:
    world.answers = dict.fromkeys((ONE, TWO, THREE), named(A))
    assert leased(sentinels) == A
    for kept in kept_by(sentinels):
        kept.due += named(A)
    world.answers = dict.fromkeys((ONE, TWO, THREE), named(B))
    sentinels.doubt()
    assert leased(sentinels) == B
    assert world.dialled == [ONE, TWO, THREE] * 2


def kept_by(masters: BySentinels) -> list[ScriptedWire]:
    """Return the connections that it would ask again."""
    return [wire for wire in masters._kept.values() if isinstance(wire, ScriptedWire)]


def test_what_is_kept_can_be_let_go_of(world: World, sentinels: BySentinels) -> None:
    world.answers = dict.fromkeys((ONE, TWO, THREE), named(A))
    assert leased(sentinels) == A
    sentinels.close()
    sentinels.doubt()
    assert leased(sentinels) == A
    assert world.dialled == [ONE, TWO, THREE] * 2


# Clusters ---------------------------------------------------------------------------------------------

HALF = 8192


def node(name: bytes, low: Place, high: Place) -> list[object]:
    """Say what a node says that gives the lower and the upper half of the slots to two places."""
    return [
        name,
        [
            [0, HALF - 1, [low.host.encode(), low.port, b"id of low"], [b"10.9.9.9", 1, b"a replica"]],
            [HALF, 16383, [high.host.encode(), high.port, b"id of high"]],
        ],
    ]


@pytest.fixture
def cluster(world: World) -> ByCluster:
    return ByCluster((ONE, TWO), world.dial)


def test_two_nodes_that_agree_are_believed(world: World, cluster: ByCluster) -> None:
    world.answers = {ONE: node(b"1", A, B), TWO: node(b"2", A, B)}
    assert cluster.places(soon()) == (A, B)
    assert [len(cluster.buckets_at(place)) for place in (A, B)] == [512, 512]
    low, high = cluster.buckets[0], cluster.buckets[-1]
    assert [cluster.lease(bucket, soon()).place for bucket in (low, high)] == [A, B]


def test_where_they_disagree_nobody_serves(world: World, cluster: ByCluster) -> None:
    world.answers = {ONE: node(b"1", A, B), TWO: node(b"2", ONE, B)}
    assert cluster.lease(cluster.buckets[-1], soon()).place == B
    assert unserved(cluster)


def test_one_node_is_not_enough_whatever_names_it_has(world: World, cluster: ByCluster) -> None:
    world.answers = {ONE: node(b"1", A, B), TWO: node(b"1", A, B)}
    assert unserved(cluster)
    world.answers = {ONE: node(b"1", A, B)}
    assert unserved(ByCluster((ONE, TWO), world.dial))


def test_nodes_that_the_address_does_not_list_are_asked_too(world: World) -> None:
    cluster = ByCluster((ONE,), world.dial)
    world.answers = {ONE: node(b"1", A, B), B: node(b"2", A, B)}
    assert cluster.lease(cluster.buckets[0], soon()).place == A
    world.answers = {A: node(b"3", A, B), B: node(b"2", A, B)}
    cluster.doubt()
    assert cluster.lease(cluster.buckets[0], soon()).place == A


def test_a_node_that_does_not_know_its_own_address_is_where_it_was_asked(world: World, cluster: ByCluster) -> None:
    unnamed: list[object] = [b"1", [[0, 16383, [b"", 7000, b"id"]]]]
    world.answers = {ONE: unnamed, TWO: [b"2", [[0, 16383, [ONE.host.encode(), 7000, b"id"]]]]}
    assert cluster.lease(cluster.buckets[0], soon()).place == Place(ONE.host, 7000)


MASTER = [b"10.1.0.1", 7000, b"id"]
NO_SLOTS: list[object] = [
    *(None, b"x", 7, [None], [[]], [b"0"], [[0]], [[0, 16383]], [[0, 16383, None]], [[0, 16383, []]]),
    *([[0, 16383, [b"10.1.0.1"]]], [[0, 16383, [b"10.1.0.1", None]]], [[0, 16383, [None, b"x"]]]),
    *([[None, 16383, MASTER]], [[0, [], MASTER]], [[b"x", 16383, MASTER]], [[0, 16384, MASTER]], [[-1, 0, MASTER]]),
    [[0, 10**12, MASTER]],
]


@pytest.mark.parametrize("odd", [*([b"1", slots] for slots in NO_SLOTS), [[], node(b"1", A, B)[1]], [None, []]])
def test_an_answer_that_is_no_map_is_of_a_node_that_failed(world: World, odd: list[object]) -> None:
    """It is not believed, does not stop the others, and is not asked again for a while."""
    cluster = ByCluster((ONE, TWO, THREE), world.dial)
    world.answers = {ONE: odd, TWO: node(b"2", A, B), THREE: node(b"3", A, B)}
    for _ in range(3):
        assert cluster.lease(cluster.buckets[0], soon()).place == A
        cluster.doubt()
    assert world.asked.count(ONE) <= 1
    world.answers = {ONE: odd, TWO: node(b"2", A, B)}
    assert unserved(ByCluster((ONE, TWO), world.dial))


@pytest.mark.parametrize("slots", [None, [], b"x"])
def test_slots_without_a_master_are_not_served(world: World, cluster: ByCluster, slots: object) -> None:
    world.answers = {ONE: [b"1", slots], TWO: [b"2", slots]}
    assert unserved(cluster)


# Buckets ----------------------------------------------------------------------------------------------


def test_buckets_lie_evenly_in_the_slots_and_their_records_with_them() -> None:
    from redis.crc import key_slot

    buckets = cluster_buckets()
    assert len(buckets) == CLUSTER_BUCKETS
    for number, bucket in enumerate(buckets):
        assert bucket.number == number == bucket.slot // 16
        assert key_slot(bucket.epoch_key) == bucket.slot == key_slot(bucket.prefix + b"x" * 32)
        assert len(bucket.prefix) <= 8
        assert not bucket.epoch_key.startswith(bucket.prefix + b"x")
    assert len({bucket.prefix for bucket in buckets}) == CLUSTER_BUCKETS


def test_a_record_s_key_is_no_key_of_a_proof() -> None:
    for bucket in (WHOLE, *cluster_buckets()):
        assert len(bucket.epoch_key) != len(bucket.prefix) + 32


def test_a_key_s_first_octets_choose_its_bucket() -> None:
    buckets = cluster_buckets()
    assert bucket_of(bytes(32), buckets) is buckets[0]
    assert bucket_of(b"\x04\x01" + bytes(30), buckets) is buckets[1]
    assert bucket_of(b"\x03\xff" + bytes(30), buckets) is buckets[1023]
    assert bucket_of(b"\xff" * 32, (WHOLE,)) is WHOLE
