"""A real `bonafide serve` on loopback, and what its tests ask of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from bonafide import provision
from bonafide.codec import jwk
from bonafide.django.service import home
from bonafide.terms import Environment
from bonafide.testing.apple import FakeApple
from bonafide.testing.client import AppClient, Build
from bonafide.testing.iphone import IPhone
from deploy.processes import free_port
from tests.canaries import plant

if TYPE_CHECKING:
    from bonafide.provision import Answer

ROOT: Final = Path(__file__).resolve().parents[3]
BONAFIDE: Final = [sys.executable, "-c", "import sys; from bonafide.cli import main; sys.exit(main())"]
TEAM: Final = "ABCDE12345"
BUNDLE: Final = "com.example.shop"
START_S: Final = 60.0
STOP_S: Final = 30.0
ANSWER_S: Final = 30.0
THUMBPRINT: Final = re.compile(r'^  "([\w-]{43})"$', re.MULTILINE)


@dataclass(slots=True, kw_only=True)
class RunningService:
    """One home, and the service that runs in it. Stopped by its process id; what it wrote stays."""

    home: Path
    apple: FakeApple = field(default_factory=FakeApple)
    port: int = field(default_factory=free_port)
    console_port: int = field(default_factory=free_port)
    output: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def console(self) -> str:
        return f"http://127.0.0.1:{self.console_port}"

    @property
    def log(self) -> Path:
        return self.home.with_name(f"{self.home.name}.log")

    def command(self, *words: str) -> list[str]:
        listen = ["--listen", f"127.0.0.1:{self.port}", "--console-listen", f"127.0.0.1:{self.console_port}"]
        return [*BONAFIDE, "serve", "--home", str(self.home), *listen, *words]

    def init(self) -> None:
        """Make the home, of an environment that trusts the tests' own Apple."""
        self.make()
        self.run("serve", "--init")
        self.add_app()
        plant("the key of challenges", (self.home / "keys" / "staging" / "challenge.key").read_bytes())

    def make(self, *, database: str = "sqlite", sealing_key: Path | None = None) -> None:
        """Write the home's files, and nothing into a database."""
        home.make(self.home, home.Draft(environment="staging", origins=[self.origin]))
        root = self.apple.anchors[0].certificate
        (self.home / "apple.pem").write_bytes(root.public_bytes(Encoding.PEM))
        self.say('unsafe_test_anchors = ["apple.pem"]', "records_every = 1", "revocations_every = 1")
        self.say(f'database = "{database}"')
        if sealing_key is not None:
            self.say('key_storage = "database"', f'sealing_key = {{ file = "{sealing_key}" }}')
        plant("the key of console logins", (self.home / "secret.key").read_text())

    def add_app(self) -> None:
        """Let the software iPhone's app enrol."""
        self.run("apps", "add", "shop")
        self.run("apps", "identity", "add", "shop", "--team", TEAM, "--bundle", BUNDLE)

    def say(self, *lines: str) -> None:
        """Add lines to service.toml."""
        file = self.home / "service.toml"
        file.write_text(file.read_text() + "\n".join(["", *lines, ""]))

    def run(self, *words: str, code: int = 0, stdin: str = "") -> str:
        """Run another command of this home, and return what it printed."""
        done = subprocess.run(
            [*BONAFIDE, *words, "--home", str(self.home)],
            cwd=ROOT,
            env=environment(),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=START_S,
        )
        self.output += [done.stdout, done.stderr]
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def start(self, *words: str) -> None:
        """Serve, and return when both listeners are ready."""
        self.launch(*words)
        self.wait()

    def launch(self, *words: str) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(*words), cwd=ROOT, env=environment(), stdout=log, stderr=log, start_new_session=True
            )

    def wait(self) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            assert self.process is not None
            if self.process.poll() is not None:
                break
            try:
                answers = [httpx.get(f"{place}/readyz", trust_env=False) for place in (self.origin, self.console)]
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                if all(answer.status_code == 200 for answer in answers):
                    return
        self.kill()
        raise AssertionError(self.said())

    def stop(self) -> int:
        """End it gracefully, and return its exit code."""
        assert self.process is not None
        self.process.terminate()
        try:
            return self.process.wait(STOP_S)
        finally:
            self.kill()

    def kill(self) -> None:
        """End whatever is left of the process group."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(STOP_S)

    def said(self) -> str:
        """Return everything it wrote so far."""
        return self.log.read_text(errors="replace")

    def lines(self) -> list[dict[str, Any]]:
        """Return the log's lines: all of them JSON, but what was printed to the operator."""
        return [json.loads(line) for line in self.said().splitlines() if line.startswith("{")]

    def thumbprints(self) -> list[str]:
        keys = self.run("keys", "list")
        return [line.split()[2] for line in keys.splitlines() if line.startswith(("service key", "its spare"))]

    def phone(self, **options: Any) -> AppClient:
        """Return a phone that has not enrolled yet."""
        device = IPhone(Build(app="shop", identity=f"{TEAM}.{BUNDLE}"), apple=self.apple, clock=time.time)
        return AppClient(device, api=self.origin, service_keys=self.thumbprints(), timeout=ANSWER_S, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(f"{self.origin}{path}", trust_env=False, timeout=ANSWER_S, **options)

    def ask_console(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(f"{self.console}{path}", trust_env=False, timeout=ANSWER_S, **options)

    def metric(self, name: str, **labels: str) -> float:
        """Return the value of one series; 0 where it does not stand."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        for line in self.ask_console("/metrics").text.splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == name and all(label in series for label in wanted):
                return float(value)
        return 0.0


def environment() -> dict[str, str]:
    """Return the environment of a shell that knows nothing of the tests' Django."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "BONAFIDE_"))}
    return kept | {"PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"}


@dataclass(slots=True, kw_only=True)
class AskingGate:
    """A gate's half of provisioning, as `bonafide gate` has it, without the gate."""

    service: RunningService
    name: str
    key: ec.EllipticCurvePrivateKey
    pinned: list[str]
    audience: str

    @classmethod
    def registered(cls, service: RunningService, name: str) -> Self:
        """Return a gate that the service knows."""
        key = ec.generate_private_key(ec.SECP256R1())
        service.run("gates", "add", name, "--jwk", json.dumps(jwk.from_public(key.public_key())))
        return cls(service=service, name=name, key=key, pinned=service.thumbprints(), audience=service.origin)

    def ask(self, *, have: str = "") -> Answer:
        """Ask, and return the answer, verified."""
        token, ask_id = self.token(have=have)
        response = self.send(token)
        assert response.status_code == 200, response.text
        assert response.headers["cache-control"] == "no-store"
        return provision.open_answer(
            response.text,
            key=self.key,
            pinned=self.pinned,
            gate=self.name,
            environment=Environment.STAGING,
            audience=self.audience,
            ask_id=ask_id,
        )

    def token(self, *, have: str = "", issuer: str | None = None, now: datetime | None = None) -> tuple[str, str]:
        return provision.issue_ask(
            gate=self.name,
            key=self.key,
            issuer=issuer or self.audience,
            environment=Environment.STAGING,
            have=have,
            now=now or datetime.now(UTC),
            random=os.urandom,
        )

    def send(self, token: str | None = None) -> httpx.Response:
        token = token or self.token()[0]
        return self.service.get("/bonafide/v1/gate", headers={"Authorization": f"Bonafide-Gate {token}"})
