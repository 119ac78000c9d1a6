"""`make run` leaves API and console running, and ends all of it when it is told to."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S = 60.0


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def running(root: Path, tmp_path: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run it as `make run` does, with its output in a file."""
    command = [sys.executable, "examples/django_api/run.py", "--port", str(port), "--state", str(tmp_path / "state")]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=root, stdout=log, stderr=log, env=_environment(), start_new_session=True
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}


def test_api_is_locked_console_is_open_and_both_end(
    running: subprocess.Popen[bytes], port: int, tmp_path: Path
) -> None:
    origin = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + PATIENCE_S
    with httpx.Client(base_url=origin, follow_redirects=True, trust_env=False) as browser:
        while not _listens(port):
            assert running.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert browser.get("/api/config").status_code == 401
        page = browser.get("/admin/")
        password = re.search(r"this run's password: (\S+)", (tmp_path / "log").read_text())
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert password is not None
        assert token is not None
        form = {"username": "operator", "password": password[1], "csrfmiddlewaretoken": token[1], "next": "/admin/"}
        assert "Log out" in browser.post("/admin/login/", data=form).text
        assert browser.get("/static/admin/css/base.css").status_code == 200
    running.send_signal(signal.SIGINT)
    assert running.wait(PATIENCE_S) == 0
    assert not _listens(port)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
