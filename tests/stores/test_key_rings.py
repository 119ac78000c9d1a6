"""Any worker makes and rotates the keys; all of them hold the same ones, and nobody else can read them.

Here in private files; in the database see `tests/django/test_sealed_secrets.py`.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import stat
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons
from bonafide.stores import private_files
from bonafide.stores.key_files import KeyFiles, ServiceKeyFile
from bonafide.stores.key_rings import ChallengeKeys, ServiceKeys
from bonafide.terms import Environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Barrier

    from bonafide.keys import KeyRing

_NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
_DAY = timedelta(days=1)
_SPAWN = multiprocessing.get_context("spawn")


class _Clock:
    """A clock that stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = _NOON

    def __call__(self) -> datetime:
        return self.now


def _files(directory: Path, **changes: Any) -> KeyFiles:
    settings: dict[str, Any] = {
        "app": "com.example.app",
        "environment": Environment.PRODUCTION,
        "audiences": ["https://api.example.com"],
        **changes,
    }
    return KeyFiles(directory, **settings)


def _fingerprint(ring: KeyRing) -> str:
    """Return what two processes compare to know that they hold the same secrets, without sending them about."""
    parts = [f"{scheduled.key.kid}{scheduled.signs_from}" for scheduled in ring.signing]
    parts += [f"{key.kid}{key.secret.hex()}{key.erase_after}" for key in ring.gate]
    return sha256("".join(parts).encode()).hexdigest()


def _home(directory: Path) -> Path:
    return directory / "production" / "com.example.app"


def _refused(look: Callable[[], object]) -> str:
    with pytest.raises(ConfigurationError) as refusal:
        look()
    assert refusal.value.reason is reasons.KEYS_UNSAFE
    return refusal.value.detail


# First run


def test_the_first_run_makes_keys_that_a_second_process_reads(tmp_path: Path) -> None:
    ring = _files(tmp_path / "keys").current(_NOON)
    assert ring.signing_key(_NOON).kid == ring.signing[0].key.kid
    assert len(ring.gate_key("https://api.example.com", _NOON).secret) == 32
    assert _fingerprint(_files(tmp_path / "keys").current(_NOON)) == _fingerprint(ring)


def test_everything_is_for_the_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        _files(tmp_path / "keys").current(_NOON)
        ServiceKeyFile(tmp_path / "keys", environment=Environment.PRODUCTION).current()
    finally:
        os.umask(before)
    modes = {
        str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").rglob("*")
    }
    assert {mode for name, mode in modes.items() if (tmp_path / name).is_dir()} == {0o700}
    assert {mode for name, mode in modes.items() if (tmp_path / name).is_file()} == {0o600}
    assert {Path(name).name for name in modes if name.endswith(".json")} == {
        "signing.json",
        "gate.json",
        "service.json",
    }
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_apps_and_environments_share_no_key(tmp_path: Path) -> None:
    rings = [
        _files(tmp_path / "keys", **change).current(_NOON)
        for change in ({}, {"app": "com.example.other"}, {"environment": Environment.STAGING})
    ]
    kids = [scheduled.key.kid for ring in rings for scheduled in ring.signing]
    secrets = [key.secret for ring in rings for key in ring.gate]
    assert len(set(kids)) == len(set(secrets)) == 6


@pytest.mark.parametrize(
    ("app", "name"),
    [
        ("com.example.app", "com.example.app"),
        ("Com.Example", "%43om.%45xample"),
        ("a/b", "a%2Fb"),
        ("..", "%2E."),
        (".hidden", "%2Ehidden"),
        ("a b%", "a%20b%25"),
        ("a" * 64, "a" * 64),
    ],
)
def test_no_app_s_name_leads_to_another_directory(tmp_path: Path, app: str, name: str) -> None:
    _files(tmp_path / "keys", app=app).current(_NOON)
    assert [path.name for path in (tmp_path / "keys" / "production").iterdir()] == [name]


@pytest.mark.parametrize("app", ["", "a" * 65, "é", "a\n", "a\x00"])
def test_an_app_without_a_usable_name_is_refused(tmp_path: Path, app: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        _files(tmp_path, app=app)
    assert refusal.value.reason is reasons.SETTING_MALFORMED


def test_who_loses_the_first_run_takes_the_winners_keys_even_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system whose locks do nothing, another process finishes while this one draws its octets."""
    monkeypatch.setattr(private_files, "exclusively", lambda _: nullcontext())
    winners: list[KeyRing] = []

    def interrupted(count: int) -> bytes:
        if not winners:
            winners.append(_files(tmp_path / "keys").current(_NOON))
        return os.urandom(count)

    loser = _files(tmp_path / "keys", random=interrupted).current(_NOON)
    assert _fingerprint(loser) == _fingerprint(winners[0])


def test_who_loses_the_first_service_key_takes_the_winners_even_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(private_files, "exclusively", lambda _: nullcontext())
    winners: list[tuple[str, str]] = []

    def interrupted(count: int) -> bytes:
        if not winners:
            winner = ServiceKeyFile(tmp_path / "keys", environment=Environment.PRODUCTION)
            winners.append(winner.current().thumbprints)
        return os.urandom(count)

    loser = ServiceKeyFile(tmp_path / "keys", environment=Environment.PRODUCTION, random=interrupted)
    assert loser.current().thumbprints == winners[0]


# Rotation


def test_keys_rotate_as_planned_and_old_gate_keys_leave_disk_and_memory(tmp_path: Path) -> None:
    files = _files(tmp_path / "keys")
    first = files.current(_NOON)
    assert files.current(_NOON + timedelta(hours=11)) is first
    old = first.gate[0]
    midnight = files.current(old.not_before + _DAY)
    assert [key.not_before.day for key in midnight.gate] == [1, 2, 3]
    assert old.kid in (_home(tmp_path / "keys") / "gate.json").read_text()
    later = files.current(old.erase_after)
    assert [key.not_before.day for key in later.gate] == [2, 3]
    assert old.kid not in (_home(tmp_path / "keys") / "gate.json").read_text()
    turn = first.signing[1].signs_from
    turned = files.current(turn)
    assert turned.signing_key(turn).kid == first.signing[1].key.kid
    assert [key.kid for key in turned.verification_keys(turn)][:2] == [key.key.kid for key in first.signing]
    assert len(turned.verification_keys(turn)) == 3


def test_signing_keys_rotate_where_no_gate_key_is_due(tmp_path: Path) -> None:
    files = _files(tmp_path / "keys", audiences=[])
    turn = files.current(_NOON).signing[1].signs_from
    assert len(files.current(turn).signing) == 3


def test_keys_are_cached_while_nothing_is_due(tmp_path: Path) -> None:
    files = _files(tmp_path / "keys")
    ring = files.current(_NOON)
    shutil.rmtree(tmp_path / "keys")
    assert files.current(_NOON + timedelta(hours=11)) is ring


def test_who_writes_removes_what_a_writer_that_died_left_behind(tmp_path: Path) -> None:
    _files(tmp_path / "keys").current(_NOON)
    leftover = _home(tmp_path / "keys") / ".gate.json.4711.unfinished"
    leftover.write_bytes(b"secret")
    _files(tmp_path / "keys").current(_NOON + _DAY)
    assert not leftover.exists()


def test_an_audience_that_is_added_gets_its_keys(tmp_path: Path) -> None:
    _files(tmp_path / "keys").current(_NOON)
    both = _files(tmp_path / "keys", audiences=["https://api.example.com", "https://web.example.com"]).current(_NOON)
    assert both.serves(["https://api.example.com", "https://web.example.com"], _NOON)


# Lookup by id


def test_a_key_is_found_by_its_id(tmp_path: Path) -> None:
    clock = _Clock()
    files = _files(tmp_path / "keys", clock=clock)
    ring = files.current(_NOON)
    published = files.find(ring.signing[1].key.kid)
    assert published is not None
    assert published.public_key == ring.signing[1].key.private_key.public_key()
    assert files.secret(ring.gate[0].kid) == ring.gate[0].secret
    clock.now = ring.gate[0].erase_after
    assert files.secret(ring.gate[0].kid) is None


def test_a_lookup_at_a_given_time_asks_no_clock(tmp_path: Path) -> None:
    def broken() -> datetime:
        raise AssertionError

    files = _files(tmp_path / "keys", clock=broken)
    ring = files.current(_NOON)
    assert files.find(ring.signing[0].key.kid, _NOON) is not None
    assert files.secret(ring.gate[0].kid, _NOON) == ring.gate[0].secret
    assert files.secret(ring.gate[0].kid, ring.gate[0].erase_after) is None
    assert files.find(ring.signing[0].key.kid, ring.signing[1].signs_from + _DAY) is None


def test_an_unknown_id_makes_a_process_look_again_but_not_more_than_once_in_ten_seconds(tmp_path: Path) -> None:
    """Another process has restored older files, which this one cannot foresee."""
    clock = _Clock()
    theirs = _files(tmp_path / "theirs").current(_NOON)
    files = _files(tmp_path / "keys", clock=clock)
    files.current(_NOON)
    for name in ("signing.json", "gate.json"):
        shutil.copy(_home(tmp_path / "theirs") / name, _home(tmp_path / "keys") / name)
    signing, gate = theirs.signing[0].key.kid, theirs.gate[0]
    clock.now = _NOON + timedelta(seconds=9.9)
    assert files.find(signing) is None
    assert files.secret(gate.kid) is None
    clock.now = _NOON + timedelta(seconds=10)
    assert files.find(signing) is not None
    assert files.secret(gate.kid) == gate.secret


def test_ten_seconds_pass_between_two_looks_however_many_unknown_ids_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _Clock()
    files = _files(tmp_path / "keys", clock=clock)
    ring = files.current(_NOON)
    looks: list[str] = []
    read = private_files.read

    def look(path: Path) -> bytes | None:
        looks.append(path.name)
        return read(path)

    monkeypatch.setattr(private_files, "read", look)
    for second in range(60):
        clock.now = _NOON + timedelta(seconds=second)
        assert files.find(ring.signing[0].key.kid) is not None
        assert files.secret(ring.gate[0].kid) is not None
    assert not looks
    for second in range(60):
        clock.now = _NOON + timedelta(seconds=second)
        assert files.find("unknown") is None
        assert files.secret("unknown") is None
    assert looks == ["signing.json", "gate.json"] * 5


def test_a_clock_that_is_set_back_does_not_stop_the_looking(tmp_path: Path) -> None:
    clock = _Clock()
    files = _files(tmp_path / "keys", clock=clock)
    files.current(_NOON)
    theirs = _files(tmp_path / "theirs").current(_NOON)
    shutil.copy(_home(tmp_path / "theirs") / "signing.json", _home(tmp_path / "keys") / "signing.json")
    clock.now = _NOON - timedelta(hours=1)
    assert files.find(theirs.signing[0].key.kid) is not None


# Refusals


@pytest.mark.parametrize("name", ["signing.json", "gate.json"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_file_open_to_others_stops_the_start(tmp_path: Path, name: str, mode: int) -> None:
    _files(tmp_path / "keys").current(_NOON)
    (_home(tmp_path / "keys") / name).chmod(mode)
    assert name in _refused(lambda: _files(tmp_path / "keys").current(_NOON))


@pytest.mark.parametrize("level", ["", "production", "production/com.example.app"])
def test_a_key_directory_open_to_others_stops_the_start(tmp_path: Path, level: str) -> None:
    _files(tmp_path / "keys").current(_NOON)
    (tmp_path / "keys" / level).chmod(0o750)
    assert "open to its group" in _refused(lambda: _files(tmp_path / "keys").current(_NOON))


@pytest.mark.parametrize("level", ["", "production"])
def test_a_service_key_directory_open_to_others_stops_the_start(tmp_path: Path, level: str) -> None:
    ServiceKeyFile(tmp_path / "keys", environment=Environment.PRODUCTION).current()
    (tmp_path / "keys" / level).chmod(0o750)
    assert "open to its group" in _refused(
        ServiceKeyFile(tmp_path / "keys", environment=Environment.PRODUCTION).current
    )


@pytest.mark.parametrize("name", ["signing.json", "gate.json"])
def test_a_key_file_that_does_not_parse_is_not_made_anew(tmp_path: Path, name: str) -> None:
    _files(tmp_path / "keys").current(_NOON)
    path = _home(tmp_path / "keys") / name
    path.write_bytes(b"")
    assert name in _refused(lambda: _files(tmp_path / "keys").current(_NOON))
    assert path.read_bytes() == b""


def test_a_key_file_that_is_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    _files(tmp_path / "keys").current(_NOON)
    path = _home(tmp_path / "keys") / "gate.json"
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    _refused(lambda: _files(tmp_path / "keys").current(_NOON))


def test_a_directory_that_cannot_be_made_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(b"")
    _refused(lambda: _files(tmp_path / "keys").current(_NOON))
    _refused(ServiceKeyFile(tmp_path / "keys", environment=Environment.PRODUCTION).current)


def test_a_disk_that_is_full_is_logged_while_the_keys_at_hand_serve_and_stops_the_caller_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    files = _files(tmp_path / "keys")
    first = files.current(_NOON)

    def full(_path: Path, _data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(private_files, "replace", full)
    assert _fingerprint(files.current(_NOON + _DAY)) == _fingerprint(first)
    assert "No space left" in caplog.text
    assert first.gate[0].secret.hex() not in caplog.text
    files.current(_NOON + _DAY + timedelta(seconds=9))
    assert caplog.text.count("No space left") == 1
    files.current(_NOON + _DAY + timedelta(seconds=10))
    assert caplog.text.count("No space left") == 2
    assert "No space left" in _refused(lambda: files.current(_NOON + 2 * _DAY))
    monkeypatch.undo()
    assert files.current(_NOON + 2 * _DAY).serves(["https://api.example.com"], _NOON + 2 * _DAY)


def test_a_lookup_survives_a_file_system_that_fails_while_the_keys_at_hand_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = _Clock()
    files = _files(tmp_path / "keys", clock=clock)
    ring = files.current(_NOON)

    def exhausted(_path: Path) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(private_files, "read", exhausted)
    clock.now += timedelta(minutes=1)
    assert files.find("unknown") is None
    assert "Too many open files" in caplog.text
    assert files.find(ring.signing[0].key.kid) is not None
    assert "Too many open files" in _refused(lambda: _files(tmp_path / "keys").current(_NOON))


def test_a_file_that_was_opened_to_others_stops_the_next_lookup(tmp_path: Path) -> None:
    clock = _Clock()
    files = _files(tmp_path / "keys", clock=clock)
    files.current(_NOON)
    (_home(tmp_path / "keys") / "gate.json").chmod(0o644)
    clock.now += timedelta(minutes=1)
    assert "open to its group" in _refused(lambda: files.secret("unknown"))


# The service key


def test_the_service_key_and_its_spare_are_made_once(tmp_path: Path) -> None:
    first = ServiceKeyFile(tmp_path / "keys", environment=Environment.PRODUCTION)
    ring = first.current()
    assert first.current() is ring
    again = ServiceKeyFile(tmp_path / "keys", environment=Environment.PRODUCTION).current()
    assert again.thumbprints == ring.thumbprints
    assert len({*ring.thumbprints}) == 2
    other = ServiceKeyFile(tmp_path / "keys", environment=Environment.STAGING).current()
    assert not {*other.thumbprints} & {*ring.thumbprints}


def test_a_service_key_whose_spare_was_taken_out_keeps_both_thumbprints(tmp_path: Path) -> None:
    ring = ServiceKeyFile(tmp_path / "keys", environment=Environment.PRODUCTION).current()
    path = tmp_path / "keys" / "production" / "service.json"
    document = json.loads(path.read_text())
    del document["spare_private"]
    path.write_text(json.dumps(document))
    assert (
        ServiceKeyFile(tmp_path / "keys", environment=Environment.PRODUCTION).current().thumbprints == ring.thumbprints
    )


def test_a_service_key_file_open_to_others_or_broken_stops_the_start(tmp_path: Path) -> None:
    ServiceKeyFile(tmp_path / "keys", environment=Environment.PRODUCTION).current()
    path = tmp_path / "keys" / "production" / "service.json"
    path.chmod(0o644)
    _refused(ServiceKeyFile(tmp_path / "keys", environment=Environment.PRODUCTION).current)
    path.chmod(0o600)
    path.write_bytes(b"{}")
    _refused(ServiceKeyFile(tmp_path / "keys", environment=Environment.PRODUCTION).current)


def test_a_service_key_that_is_not_there_after_it_was_made_is_no_key() -> None:
    class Forgetful:
        def read(self, name: str) -> None: ...
        def change(self, name: str, plan: object) -> None: ...
        def where(self, name: str) -> str:
            return name

    storage: Any = Forgetful()
    _refused(ServiceKeys(storage).current)
    _refused(ChallengeKeys(storage).current)


# The day when somebody else has the keys


def test_keys_that_are_replaced_are_gone_for_whoever_looks_again(tmp_path: Path) -> None:
    clock = _Clock()
    files, other = _files(tmp_path / "keys", clock=clock), _files(tmp_path / "keys", clock=clock)
    old = other.current(_NOON)
    new = files.replace(_NOON)
    assert not {scheduled.key.kid for scheduled in new.signing} & {scheduled.key.kid for scheduled in old.signing}
    assert not {key.kid for key in new.gate} & {key.kid for key in old.gate}
    assert new.serves(["https://api.example.com"], _NOON)
    assert other.find(old.signing[0].key.kid) is not None  # until it is restarted, or looks again
    assert _fingerprint(_files(tmp_path / "keys").current(_NOON)) == _fingerprint(new)
    clock.now += timedelta(seconds=10)
    assert other.secret(new.gate[0].kid) == new.gate[0].secret
    assert other.secret(old.gate[0].kid) is None


def test_keys_that_do_not_parse_can_be_replaced(tmp_path: Path) -> None:
    _files(tmp_path / "keys").current(_NOON)
    (_home(tmp_path / "keys") / "gate.json").write_bytes(b"")
    assert _files(tmp_path / "keys").replace(_NOON).serves(["https://api.example.com"], _NOON)


def test_keys_that_cannot_be_replaced_do_not_pass_for_new_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = _files(tmp_path / "keys")
    files.current(_NOON)

    def full(_path: Path, _data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(private_files, "replace", full)
    assert "No space left" in _refused(lambda: files.replace(_NOON))


# Several processes


def test_of_workers_that_start_at_once_exactly_one_makes_the_keys(tmp_path: Path) -> None:
    barrier, answers = _SPAWN.Barrier(6), _SPAWN.Queue()
    workers = [_SPAWN.Process(target=_start, args=(tmp_path / "keys", barrier, answers)) for _ in range(6)]
    fingerprints = _collect(workers, answers)
    assert len(fingerprints) == 6
    assert len(set(fingerprints)) == 1


def _start(directory: Path, barrier: Barrier, answers: Queue[str]) -> None:
    barrier.wait(60)
    ring = _files(directory).current(_NOON)
    service = ServiceKeyFile(directory, environment=Environment.PRODUCTION).current()
    answers.put(_fingerprint(ring) + "".join(service.thumbprints))


def test_workers_that_rotate_at_once_always_agree_and_sign_with_what_all_have_published(tmp_path: Path) -> None:
    """Four processes live through 80 days in steps of 8 hours, all asking at the same time."""
    barrier, answers = _SPAWN.Barrier(4), _SPAWN.Queue()
    workers = [_SPAWN.Process(target=_live, args=(tmp_path / "keys", barrier, answers)) for _ in range(4)]
    lives = _collect(workers, answers)
    assert len(lives) == 4
    assert len(set(lives)) == 1
    steps = json.loads(lives[0])
    assert len({step["signer"] for step in steps}) == 3
    assert len({step["gate"] for step in steps}) == 81
    for before, after in pairwise(steps):
        assert after["signer"] in before["published"]
        assert after["gate"] in before["gate_keys"]


def _live(directory: Path, barrier: Barrier, answers: Queue[str]) -> None:
    files, steps = _files(directory), []
    for step in range(80 * 3):
        now = _NOON + step * timedelta(hours=8)
        barrier.wait(60)
        ring = files.current(now)
        steps.append(
            {
                "signer": ring.signing_key(now).kid,
                "published": sorted(key.kid for key in ring.verification_keys(now)),
                "gate": ring.gate_key("https://api.example.com", now).kid,
                "gate_keys": sorted(key.kid for key in ring.gate),
            }
        )
    answers.put(json.dumps(steps))


@pytest.mark.parametrize("step", [1, 2, 3, 4])
@pytest.mark.parametrize("days", [0, 30])
def test_a_worker_that_dies_between_any_two_writes_leaves_what_the_next_one_finishes(
    tmp_path: Path, step: int, days: int
) -> None:
    """Each file is flushed, put in its place, and its directory flushed: it dies at one of the four flushes."""
    moment = _NOON + timedelta(days=days)
    before = _files(tmp_path / "keys").current(_NOON) if days else None
    worker = _SPAWN.Process(target=_die, args=(tmp_path / "keys", moment, step))
    worker.start()
    worker.join(60)
    assert worker.exitcode == 9
    left = (_home(tmp_path / "keys") / "signing.json").read_bytes() if days or step > 1 else None
    ring = _files(tmp_path / "keys").current(moment)
    assert ring.serves(["https://api.example.com"], moment)
    assert not list(_home(tmp_path / "keys").glob(".*.unfinished"))
    if before is not None:
        assert ring.signing_key(moment).kid == before.signing[1].key.kid
    if step > 1:
        assert (_home(tmp_path / "keys") / "signing.json").read_bytes() == left, "it had been rotated already"


def _die(directory: Path, moment: datetime, step: int) -> None:
    flushes: list[int] = []
    fsync = os.fsync

    def flush(descriptor: int) -> None:
        flushes.append(descriptor)
        if len(flushes) == step:
            os._exit(9)
        fsync(descriptor)

    setattr(os, "fsync", flush)  # noqa: B010 - the type of the real one is wider
    _files(directory).current(moment)


def _collect(workers: list[Any], answers: Queue[str]) -> list[str]:
    for worker in workers:
        worker.start()
    collected = [answers.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * len(workers)
    return collected
