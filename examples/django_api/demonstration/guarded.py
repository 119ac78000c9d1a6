"""The locked API as most run it: Nginx, a gate that Nginx asks, and Django behind both, which believes the gate's word.

Everything is what `bonafide gate init`, `bonafide gates add` and `bonafide nginx` make; around it stands only where
things of this run lie. To the demo it is one server, with one address.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bonafide.codec.jwk import from_public
from bonafide.gate.identity import read_gate_key
from demonstration.servers import EXAMPLE, START_S, STOP_S, DidNotStart, Server, free_port
from demonstration.wire import RawRequest, send

if TYPE_CHECKING:
    from collections.abc import Sequence

BONAFIDE: Final = str(Path(sys.executable).with_name("bonafide"))
GATE_WORKERS: Final = 2

_NGINX: Final = """\
daemon off;
worker_processes 2;
user {user};
pid {own}/nginx.pid;
error_log {own}/nginx.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {own}/body;
    proxy_temp_path {own}/proxy;
    fastcgi_temp_path {own}/fastcgi;
    uwsgi_temp_path {own}/uwsgi;
    scgi_temp_path {own}/scgi;
    include {own}/snippet/http.conf;
    server {{
        listen {authority} ssl http2;
        ssl_certificate {chain};
        ssl_certificate_key {key};
        include {own}/snippet/tls.conf;
        include {own}/snippet/upstream-shop.conf;
    }}
}}
"""


@dataclass(slots=True, kw_only=True)
class GuardedServer(Server):
    """Nginx at `port`, with its gate and its API."""

    api_port: int = field(default_factory=free_port)
    _parts: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def own(self) -> Path:
        """Where the gate's and Nginx's files lie."""
        return self.state / "gate"

    @property
    def gate_log(self) -> Path:
        """One JSON object a line."""
        return self.own / "gate.log"

    def start(self) -> None:
        """Start all three; the first time make what they need."""
        if not (self.own / "nginx.conf").exists():
            self._introduce()
        gunicorn = [sys.executable, "-m", "gunicorn", "demonstration.wsgi_with_worker:application"]
        options = ["--bind", f"127.0.0.1:{self.api_port}", "--workers", str(self.workers), "--no-control-socket"]
        self._begin("api", [*gunicorn, *options], self.log)
        self._begin("gate", [BONAFIDE, "gate", "--config", str(self.own / "gate.toml")], self.gate_log)
        nginx = _nginx()
        self._begin("nginx", [nginx, "-e", f"{self.own}/nginx.log", "-c", f"{self.own}/nginx.conf"], self.log)

    def _begin(self, name: str, command: Sequence[str], log: Path) -> None:
        with log.open("ab") as output:
            self._parts[name] = subprocess.Popen(
                command, cwd=EXAMPLE, env=self.environment(), stdout=output, stderr=output, start_new_session=True
            )

    def wait(self) -> None:
        """Return once the gate is ready and the API answers through Nginx."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            ended = [name for name, part in self._parts.items() if part.poll() is not None]
            if ended or not self._parts:
                break
            if self._answers():
                return
            time.sleep(0.05)
        self.stop()
        logs = (self.log, self.gate_log, self.own / "nginx.log")
        raise DidNotStart("\n".join(log.read_text(errors="replace") for log in logs if log.exists()))

    def _answers(self) -> bool:
        """Tell whether Nginx, gate and API all answer: the service's keys come from the last through the first."""
        probe = RawRequest(method="GET", target="/bonafide/v1/jwks.json", headers=(("Host", self.authority),))
        locked = RawRequest(method="GET", target="/api/config", headers=(("Host", self.authority),))
        try:
            trust = self.certificates.trust()
            return (
                send(probe, port=self.port, trust=trust).status == 200  # noqa: PLR2004 - what HTTP calls success
                and send(locked, port=self.port, trust=trust).status == 401  # noqa: PLR2004 - the gate's own word
            )
        except OSError:
            return False

    def stop(self) -> None:
        """End all of it."""
        for part in reversed(self._parts.values()):
            part.terminate()
        for part in self._parts.values():
            try:
                part.wait(STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(part.pid, 9)
                part.wait(STOP_S)
        self._parts.clear()

    def reason(self, record: str) -> str:
        """Return the reason that the gate logged under a record id; "" where it logged none."""
        return str(self._logged(record).get("reason", ""))

    def worker_of(self, record: str) -> str:
        """Return which process of the gate refused."""
        return str(self._logged(record).get("process", ""))

    def _logged(self, record: str) -> dict[str, Any]:
        for line in self.gate_log.read_text(errors="replace").splitlines():
            if record and record in line:
                said: dict[str, Any] = json.loads(line)
                return said
        return {}

    def prepare(self, thumbprints: Sequence[str]) -> None:
        """Do what an operator does first: make the gate's file and its keys. `thumbprints` are the service's."""
        self.own.mkdir(mode=0o700)
        self._run(
            *(BONAFIDE, "gate", "init", "--config", f"{self.own}/gate.toml", "--name", "demo"),
            *("--service", f"http://127.0.0.1:{self.api_port}/bonafide/v1", "--issuer", self.origin),
            *("--environment", "test", "--app", "shop", "--origin", self.origin, "--upstream", "shop"),
            *("--listen", f"unix:{self.own}/gate.sock"),
            *(word for key in thumbprints for word in ("--service-key", key)),
        )
        file = self.own / "gate.toml"
        debug = 'evidence_environments = ["production", "development", "debug"]\n'
        # Its last table is the upstream's. Only one that seals may have the shop's rules with `seal`.
        file.write_text(f"workers = {GATE_WORKERS}\n{file.read_text().replace(debug, '')}seals = true\n")
        shutil.copy(EXAMPLE / "routes.toml", self.own / "routes.toml")

    def _introduce(self) -> None:
        """Register the gate at the service, and write Nginx's lines."""
        key = json.dumps(from_public(read_gate_key(self.own / "gate.key").public_key()))
        manage = [sys.executable, "manage.py", "bonafide_gates"]
        self._run(*manage, "add", "demo", "--jwk", key, "--audience", self.origin)
        upstream = f"shop=127.0.0.1:{self.api_port}"
        gate = str(self.own / "gate.toml")
        self._run(BONAFIDE, "nginx", "--gate", gate, "--upstream", upstream, "--into", f"{self.own}/snippet")
        (self.own / "nginx.conf").write_text(
            _NGINX.format(
                own=self.own,
                user=pwd.getpwuid(os.getuid()).pw_name,  # its workers read this run's sockets
                authority=self.authority,
                chain=self.certificates.chain,
                key=self.certificates.key,
            )
        )

    def _run(self, *command: str) -> None:
        with self.log.open("ab") as log:
            subprocess.run(command, cwd=EXAMPLE, env=self.environment(), check=True, stdout=log, stderr=log)


def _nginx() -> str:
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        message = "nginx is missing. Type: apt-get install --yes --no-install-recommends nginx-light"
        raise DidNotStart(message)
    return found
