"""What the control plane costs is measured at a real service over HTTP, ended processes included."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from bench.gate import control_plane, projection, report
from bench.gate.accounting import cpu_us, spent_us
from deploy.cluster import Loopback

if TYPE_CHECKING:
    from pathlib import Path

    import httpx
    import pytest

    from tests.conftest import RequireProgram


def test_an_enrolment_and_a_renewal_cost_a_served_request_and_a_transaction(
    require_program: RequireProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_program("initdb", apt="postgresql")
    asked: list[str] = []
    send = Loopback.handle_request

    def handle(transport: Loopback, request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path.rpartition("/")[2])
        return send(transport, request)

    monkeypatch.setattr(Loopback, "handle_request", handle)
    entries = control_plane.measure(phones=2, rounds=1)
    assert {entry["name"]: entry["us_per_op"] > 0 for entry in entries} == {
        "an enrolment, service": True,
        "an enrolment, PostgreSQL": True,
        "a renewal, service": True,
        "a renewal, PostgreSQL": True,
    }
    for path in ("instances", "renewals"):
        assert asked.count(path) >= 4  # what is answered with `back_off` is sent again
    monkeypatch.setattr(report, "OUTPUT", tmp_path)
    report.write("control_plane", entries)
    gate = [
        {"name": "session, Redis", "nginx_us": 1, "server_us": 1, "redis_us": 1},
        {"name": "a live nonce in Redis", "bytes": 1},
    ]
    (tmp_path / "gate.json").write_text(json.dumps(gate))
    assert "a second" in projection.text(projection.read(tmp_path))


def test_what_an_ended_child_took_is_not_lost() -> None:
    spin = "import time\nwhile time.process_time() < 0.3: pass"
    parent = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {spin!r}])\nprint(flush=True)\ninput()"
    process = subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        assert spent_us(process.pid) >= cpu_us([process.pid]) + 250_000
    finally:
        process.communicate(b"\n", timeout=20)
