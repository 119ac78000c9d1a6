"""Real servers on loopback: what a phone signs is what each of them hands over, and a large body costs no memory."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from bonafide.terms import ProofKind
from bonafide.testing.apple import FakeApple
from bonafide.testing.client import AnswerNotSealed, AppClient, Build, SealRefused
from bonafide.testing.iphone import IPhone
from deploy.processes import Process, free_port, listens
from tests.django import api_urls
from tests.django.locked_api import content, signed
from tests.django.real_server import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

IDENTITY = "TESTTEAM01.com.example.served"
MAX_GROWTH_KIB = 8 * 1024

PREPARE = f"""
import django; django.setup()
import secrets, time
from django.core.management import call_command
from bonafide.django import runtime
from bonafide.django.models import App, Identity
call_command("migrate", verbosity=0)
app = App.objects.create(name="served", environment="test")
Identity.objects.create(app=app, name="{IDENTITY}")
long_ago = time.time() - 60  # a new store refuses proofs from before its birth
runtime.current().replay.remember(secrets.token_bytes(32), created=int(long_ago), now=long_ago)
print(*runtime.current().keys.service_ring().thumbprints)
"""

OTHER_ROUTES = (
    {"match": "/api/sealed/**", "seal": True},
    {"match": "/api/**"},
    {"match": "/open/**", "client": "open", "because": "a load balancer asks"},
    {"match": "/console/**", "client": "browser"},
)
WSGI, ASGI = "django.core.wsgi:get_wsgi_application", "django.core.asgi:get_asgi_application"
SERVERS = {
    "gunicorn": f"gunicorn {WSGI}() --workers 2 --no-control-socket --bind 127.0.0.1:PORT",
    "uvicorn": f"uvicorn --factory {ASGI} --host 127.0.0.1 --port PORT",
    "granian-wsgi": f"granian --interface wsgi --factory {WSGI} --host 127.0.0.1 --port PORT",
    "granian-asgi": f"granian --interface asgi --factory {ASGI} --host 127.0.0.1 --port PORT",
}


@dataclass(frozen=True, slots=True)
class Served:
    """A running server, and a client of an app that it believes."""

    process: Process
    client: AppClient

    def peak_kib(self) -> int:
        """Return the highest resident memory of any of its processes so far."""
        return max(_peak_kib(pid) for pid in self.process.group)


def _peak_kib(pid: int) -> int:
    return int(_status(pid, "VmHWM").split()[0])


def _status(pid: int, name: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(line.partition(":")[2] for line in lines if line.startswith(f"{name}:"))


@pytest.fixture(scope="module", params=SERVERS)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Start a server with a state of its own, and end it with whatever it started."""
    state, port, apple = tmp_path_factory.mktemp("state"), free_port(), FakeApple()
    origin = f"http://127.0.0.1:{port}"
    root = x509.load_der_x509_certificate(apple.root_der).public_bytes(Encoding.PEM)
    (state / "apple.pem").write_bytes(root)
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.django.api_settings",
        "BONAFIDE_TEST_STATE": str(state),
        "BONAFIDE_TEST_SQLITE": str(state / "db.sqlite3"),
        "BONAFIDE_TEST_ORIGIN": origin,
        "BONAFIDE_TEST_ROUTES": json.dumps([{"match": "/api/echo/dpop/**", "proof": "dpop"}, *OTHER_ROUTES]),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
    }
    pins = subprocess.run(
        [sys.executable, "-c", PREPARE], env=environment, check=True, capture_output=True, text=True
    ).stdout.split()
    command = SERVERS[request.param].replace("PORT", str(port)).split()
    process = Process(
        name=request.param,
        command=[sys.executable, "-m", *command],
        directory=state,
        ready=lambda: listens(port),
        environment=environment,
    )
    process.start()
    try:
        phone = IPhone(Build(app="served", identity=IDENTITY), apple=apple, clock=time.time)
        with AppClient(phone, api=origin, service_keys=pins, timeout=30) as client:
            yield Served(process, client)
    finally:
        process.stop()


@pytest.mark.parametrize("proof", [ProofKind.HARDWARE, ProofKind.SESSION])
def test_signed_requests_are_answered(served: Served, proof: ProofKind) -> None:
    extensions = {"bonafide_proof": proof}
    assert content(served.client.get("/api/echo/b%C3%A9?q=%20a", extensions=extensions))["path"] == "/api/echo/bé"
    said = content(served.client.post("/api/echo", content=b"a body", extensions=extensions))
    assert (said["verdict"], said["proof"], said["body"]) == ("Admitted", proof, "a body")


def test_requests_with_dpop_are_answered_once_by_one_proof_each(served: Served) -> None:
    path = "/api/echo/dpop/b%C3%A9?q=%20a"
    said = served.client.post(path, content=b"a body", extensions={"bonafide_proof": ProofKind.DPOP})
    assert (content(said)["proof"], content(said)["path"]) == ("dpop", "/api/echo/dpop/bé")
    request = signed(served.client, path=path, proof=ProofKind.DPOP)
    plain = served.client._transport
    assert [plain.handle_request(request).status_code for _ in range(4)] == [200, 401, 401, 401]
    twice = signed(served.client, path=path, proof=ProofKind.DPOP)
    twice.headers = httpx.Headers([*twice.headers.multi_items(), ("dpop", twice.headers["dpop"])])
    both = signed(served.client, path=path)
    both.headers["dpop"] = signed(served.client, path=path, proof=ProofKind.DPOP).headers["dpop"]
    for request in (twice, both):
        refused = plain.handle_request(request)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == 'DPoP algs="ES256", error="invalid_dpop_proof"'


def test_replay_is_refused_whichever_worker_sees_it(served: Served) -> None:
    served.client.get("/api/echo")
    request = signed(served.client)
    plain = served.client._transport
    statuses = [plain.handle_request(request).status_code for _ in range(6)]
    assert statuses == [200, *[401] * 5]


def test_large_upload_costs_no_memory(served: Served) -> None:
    part = {"photo": ("p", b"x" * 1024)}
    for _ in range(6):  # every worker has served one
        content(served.client.post("/api/upload", files=part))
    before = served.peak_kib()
    large = {"photo": ("p", bytes(50 * 1024 * 1024))}
    assert content(served.client.post("/api/upload", files=large))["files"]["photo"]["size"] == 50 * 1024 * 1024
    assert served.peak_kib() - before <= MAX_GROWTH_KIB


def test_sealed_answers_are_opened_by_the_app(served: Served) -> None:
    sealed = {"bonafide_sealed": True}
    said = content(served.client.post("/api/sealed/echo", content=b"a body", extensions=sealed))
    assert (said["verdict"], said["body"]) == ("Admitted", "a body")
    with pytest.raises(SealRefused, match=r"sealed\.unexpected"):
        served.client.get("/api/sealed/echo")
    with pytest.raises(AnswerNotSealed, match=r"200, action None"):
        served.client.get("/api/echo", extensions=sealed)


def test_large_sealed_file_costs_neither_server_nor_app_memory(served: Served, tmp_path: Path) -> None:
    for _ in range(6):  # every worker has served one
        served.client.get("/api/sealed/echo", extensions={"bonafide_sealed": True})
    before, here = served.peak_kib(), _peak_kib(os.getpid())
    assert served.client.download("/api/sealed/large", tmp_path / "large").status_code == 200
    digest = hashlib.sha256()
    with (tmp_path / "large").open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    assert served.peak_kib() - before <= MAX_GROWTH_KIB
    assert _peak_kib(os.getpid()) - here <= MAX_GROWTH_KIB
    assert digest.hexdigest() == hashlib.sha256(bytes(api_urls.LARGE_OCTETS)).hexdigest()
