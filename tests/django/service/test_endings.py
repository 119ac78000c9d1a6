"""On Ctrl-C and SIGTERM both listeners end at once, nobody is left behind, and nobody is started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from bonafide.django.service import server
from tests.django.service.running import ANSWER_S, STOP_S, RunningService, environment
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RESTARTED = "the operator's listener ended"
SHUTTING_DOWN = "Shutting down granian"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    running = RunningService(home=tmp_path / "home")
    running.init()
    running.start("--workers", "1")
    try:
        yield running
    finally:
        running.kill()


def test_ctrl_c_in_a_terminal_ends_both_and_starts_nothing_again(service: RunningService) -> None:
    assert service.process is not None
    os.killpg(service.process.pid, signal.SIGINT)  # as a terminal sends it, to all that are in its foreground
    assert service.process.wait(STOP_S) == 0
    assert RESTARTED not in service.said()
    assert "KeyboardInterrupt" not in service.said()


def test_requests_of_both_listeners_are_waited_for_at_once(service: RunningService) -> None:
    """One after the other would take twice `stop_within`, which is more than systemd waits."""
    assert service.process is not None
    public, public_rest = begin(service.port, "/bonafide/v1/challenge")
    # Django looks for the token that belongs to the cookie, and reads the body for it.
    form = ("Content-Type: application/x-www-form-urlencoded", f"Cookie: csrftoken={'a' * 32}")
    console, console_rest = begin(service.console_port, "/admin/login/", *form)
    with public, console:
        service.process.terminate()
        eventually(lambda: service.said().count(SHUTTING_DOWN) == 2, "both are ending, while both are asked something")
        for connection, rest in ((public, public_rest), (console, console_rest)):
            connection.sendall(rest)
            assert connection.recv(64).startswith(b"HTTP/1.1 ")
        assert service.process.wait(STOP_S) == 0
    assert RESTARTED not in service.said()


def begin(port: int, path: str, *fields: str) -> tuple[socket.socket, bytes]:
    """Send all of a request but the rest that is returned, once a worker has taken it up."""
    body = b'{"purpose": "enrol", "app": "shop"}'
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Expect: 100-continue", *fields]
    lines += [f"Content-Length: {len(body)}", "", ""]
    connection = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S)
    connection.sendall("\r\n".join(lines).encode())
    assert connection.recv(64).startswith(b"HTTP/1.1 100 ")
    return connection, body


# The keeper of the console ------------------------------------------------------------------------


class Counting(server._Keeper):
    """Writes down what it starts."""

    def __init__(self, *program: str) -> None:
        super().__init__([sys.executable, "-c", *program])
        self.opened: list[subprocess.Popen[bytes]] = []

    def _open(self) -> subprocess.Popen[bytes]:
        self.opened.append(super()._open())
        return self.opened[-1]


def test_what_ends_by_itself_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_RESTART_S", 0.0)
    keeper = Counting("import time; time.sleep(60)")
    keeper.start()
    keeper.opened[0].kill()
    eventually(lambda: len(keeper.opened) == 2)
    keeper.stop()
    assert [each.returncode for each in keeper.opened] == [-signal.SIGKILL, -signal.SIGTERM]


def test_a_stop_that_comes_before_a_restart_is_not_overtaken_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(threading.Event):
        """Is set by somebody just after the keeper has looked for the last time."""

        def wait(self, timeout: float | None = None) -> bool:
            seen = super().wait(timeout)
            self.set()
            return seen

    monkeypatch.setattr(server, "_RESTART_S", 0.0)
    keeper = Counting("pass")
    keeper._ending = Late()
    keeper.start()
    keeper._thread.join(STOP_S)
    assert not keeper._thread.is_alive()
    assert len(keeper.opened) == 1


def test_a_forked_child_of_the_first_process_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its fork and its own handlers a worker has those of the first process."""
    keeper = Counting("import time; time.sleep(60)")
    keeper.start()
    monkeypatch.setattr(keeper, "_owner", os.getpid() + 1)
    keeper.end()
    assert keeper.opened[0].poll() is None
    monkeypatch.undo()
    keeper.stop()


def test_a_parent_that_was_gone_before_anybody_looked_is_missed() -> None:
    program = "import sys, time; from bonafide.django.service import server; server._end_with(int(sys.argv[1]))"
    command = [sys.executable, "-c", f"{program}; time.sleep(60)"]
    no_process = str(2**30)
    done = subprocess.run([*command, no_process], env=environment(), timeout=STOP_S, check=False)
    assert done.returncode == -signal.SIGTERM
