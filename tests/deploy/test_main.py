"""`python -m deploy` starts everything with real processes, admits a proven request through Nginx, and ends it all."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from deploy.processes import members
from tests.house.source import ROOT

if TYPE_CHECKING:
    from tests.conftest import RequireProgram

PATIENCE_S: Final = 120


def test_everything_starts_admits_a_proven_request_and_ends(require_program: RequireProgram) -> None:
    for program, apt in (("redis-server", "redis-server"), ("initdb", "postgresql"), ("nginx", "nginx-light")):
        require_program(program, apt=apt)
    with TemporaryDirectory(prefix="deploy-") as place:  # a socket's path has 107 characters at most
        directory = Path(place) / "all"
        words = ["-m", "deploy", "--gates", "1", "--services", "1", "--directory", str(directory)]
        process = subprocess.Popen(
            [sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            said = read_until(process, "CONTROL-C ends everything.")
            assert "its requests were answered 200\n" in said, said
            nonce, method, target, _ = (directory / "admitted.txt").read_text().splitlines()[-1].split(" ")
            assert (len(nonce) >= 22, method, target) == (True, "GET", "/api/thing")
            nginx = int((directory / "gate-1" / "nginx.pid").read_text())
            assert members(nginx)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
        assert not members(nginx), "what it started has ended with it"


def read_until(process: subprocess.Popen[bytes], line: str) -> str:
    """Return what it says up to this line, or to its end."""
    said = ""
    assert process.stdout is not None
    for each in process.stdout:
        said += each.decode()
        if line in said:
            break
    return said
