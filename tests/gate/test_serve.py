"""A gate clears away the socket of one that was killed. What else it does: tests/gate/test_processes.py."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bonafide.errors import ConfigurationError
from bonafide.gate import serve
from bonafide.reasons import configuration as reasons

if TYPE_CHECKING:
    from collections.abc import Callable


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


@pytest.mark.parametrize("leave", [Path.touch, Path.mkdir, os.mkfifo, leave_link])
def test_what_is_no_socket_is_refused_and_stays(tmp_path: Path, leave: Callable[[Path], None]) -> None:
    path = tmp_path / "gate.sock"
    leave(path)
    before = path.lstat()
    with pytest.raises(ConfigurationError) as refusal:
        serve._clear(path)
    assert refusal.value.reason is reasons.SETTING_MALFORMED
    assert refusal.value.detail == f"{path} is there, and is no socket"
    assert path.lstat() == before


def test_a_sandbox_that_forbids_how_threads_are_scheduled_stops_no_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def forbid(pid: int, policy: int, param: os.sched_param) -> None:
        asked.append(policy)
        raise PermissionError(pid, param)

    monkeypatch.setattr(os, "sched_setscheduler", forbid)
    serve.finish_before_reading()
    assert asked == [os.SCHED_BATCH]
