"""A gate starts over what is left of one that was killed, not beside one that lives, and outlives what it cannot read.

What else it does: tests/gate/test_processes.py.
"""

from __future__ import annotations

import errno
import os
import socket
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bonafide.errors import ConfigurationError
from bonafide.gate import serve, snapshot
from bonafide.gate.identity import make_gate_key
from bonafide.reasons import configuration as reasons
from tests.gate.test_provisioned import CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable


def refuses(start: Callable[[], object], detail: str) -> None:
    """See that it does not start, and why."""
    with pytest.raises(ConfigurationError) as refusal:
        start()
    assert (refusal.value.reason, refusal.value.detail) == (reasons.SETTING_MALFORMED, detail)


def leave_socket(path: Path) -> None:
    """Leave a socket that nobody listens on, as a gate that was killed does."""
    with socket.socket(socket.AF_UNIX) as abandoned:
        abandoned.bind(str(path))


def leave_link(path: Path) -> None:
    """Leave a link to a socket: what would be removed is not what was looked at."""
    leave_socket(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def test_a_socket_that_was_left_behind_is_removed(tmp_path: Path) -> None:
    leave_socket(tmp_path / "gate.sock")
    serve._clear(tmp_path / "gate.sock")
    assert not os.path.lexists(tmp_path / "gate.sock")


def test_where_nothing_is_nothing_is_to_clear(tmp_path: Path) -> None:
    serve._clear(tmp_path / "gate.sock")


def test_a_socket_at_which_somebody_listens_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "gate.sock"
    with socket.socket(socket.AF_UNIX) as living:
        living.bind(str(path))
        living.listen()
        refuses(lambda: serve._clear(path), f"somebody listens at {path}")
    assert path.is_socket()


@pytest.mark.parametrize("leave", [Path.touch, Path.mkdir, os.mkfifo, leave_link])
def test_what_is_no_socket_is_refused_and_stays(tmp_path: Path, leave: Callable[[Path], None]) -> None:
    path = tmp_path / "gate.sock"
    leave(path)
    before = path.lstat()
    refuses(lambda: serve._clear(path), f"{path} is there, and is no socket")
    assert path.lstat() == before


def test_a_sandbox_that_forbids_how_threads_are_scheduled_stops_no_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def forbid(pid: int, policy: int, param: os.sched_param) -> None:
        asked.append(policy)
        raise PermissionError(pid, param)

    monkeypatch.setattr(os, "sched_setscheduler", forbid)
    serve.finish_before_reading()
    assert asked == [os.SCHED_BATCH]


def test_one_gate_holds_a_state_directory_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "PREDECESSOR_S", 0.0)
    held = serve.alone(tmp_path)
    refuses(lambda: serve.alone(tmp_path), f"another gate is running with the state directory {tmp_path}")
    os.close(held)
    os.close(serve.alone(tmp_path))


def test_a_gate_waits_for_the_last_worker_of_one_that_was_killed(tmp_path: Path) -> None:
    """It holds what its first process held, and may still admit."""
    held = serve.alone(tmp_path)
    worker = subprocess.Popen(["sh", "-c", 'sleep 0.5; touch "$0/ended"', str(tmp_path)], pass_fds=[held])
    os.close(held)
    os.close(serve.alone(tmp_path))
    assert (tmp_path / "ended").exists()
    worker.wait(5)


def test_whatever_goes_wrong_with_a_new_file_the_old_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def loop(_: Path) -> None:
        raise RuntimeError

    monkeypatch.setattr(snapshot, "take", loop)
    monkeypatch.setenv(snapshot.VARIABLE, "old")
    assert not serve.reload(tmp_path / "gate.toml", CONFIG)
    assert os.environ[snapshot.VARIABLE] == "old"
    assert caplog.messages == ["the gate's file cannot be judged, and the old one stands"]


def test_what_the_system_refuses_at_the_start_is_a_refusal_in_our_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise OSError(errno.ENOENT, "No such file or directory", "ca.pem")

    monkeypatch.setattr(serve, "open_store", fail)
    make_gate_key(tmp_path / "gate.key")
    config = replace(CONFIG, state_dir=tmp_path / "state", key_file=tmp_path / "gate.key")
    refuses(lambda: serve.require_startable(config), "ca.pem: No such file or directory")


def test_a_worker_that_cannot_be_started_is_looked_at_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(parent: Any, numbers: list[int], *_: object, **__: object) -> None:
        parent.wrks.pop(numbers[0])
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    parent: Any = serve._Parent.__new__(serve._Parent)  # granian's own beginning takes over this process's log
    parent.wrks = ["dead", "living"]
    monkeypatch.setattr(serve._Parent, "_respawn_workers", fail)
    parent._replace(0, None, None)
    assert parent.wrks == ["dead", "living"]
    assert "worker-1 cannot be started" in caplog.text
