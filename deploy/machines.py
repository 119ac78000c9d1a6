"""What stands on a machine: the service on one, a gate with Nginx in front of it on another.

A machine here is a directory and its ports on loopback. Its files are those that an operator writes
(docs/how-to/several-machines.md), and its keys come from the commands that make them in operation.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx

from deploy.processes import HOST, Process, find, free_port, listens, listens_at, run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BONAFIDE: Final = Path(sys.executable).with_name("bonafide")
ORIGIN: Final = "https://api.example.com"
PREFIX: Final = "/bonafide/v1"
ENVIRONMENT: Final = "staging"
"""Production trusts Apple's root alone, and no software iPhone is vouched for by that."""

APP: Final = "shop"
TEAM: Final = "ABCDE12345"
BUNDLE: Final = "com.example.shop"
ROUTES: Final = """\
[[route]]
match = "/health"
client = "open"
because = "a load balancer asks"

[[route]]
match = "/api/pay"
proof = "hardware"

[[route]]
match = "/api/**"
max_body = "1MiB"
"""

_JWK: Final = re.compile(r"--jwk '(\{[^']*\})'")


@dataclass(slots=True, kw_only=True)
class ServiceMachine:
    """A machine with `bonafide serve`. Its home shares the database and the sealing key with all the others."""

    name: str
    directory: Path
    database: str
    sealing_key: Path
    extra: str = ""
    port: int = field(default_factory=free_port)
    console_port: int = field(default_factory=free_port)
    process: Process = field(init=False)

    def __post_init__(self) -> None:
        """Say what the process is."""
        self.directory.mkdir(mode=0o700)
        self.process = Process(
            name=self.name,
            command=[BONAFIDE, "serve", "--home", self.home],
            directory=self.directory,
            ready=lambda: self.ask("/readyz").status_code == httpx.codes.OK,
        )

    @property
    def home(self) -> Path:
        """Its home directory."""
        return self.directory / "bonafide-home"

    def write(self) -> None:
        """Write its service.toml."""
        self.home.mkdir(mode=0o700, exist_ok=True)
        values = {
            "environment": ENVIRONMENT,
            "origins": [ORIGIN],
            "listen": f"{HOST}:{self.port}",
            "console_listen": f"{HOST}:{self.console_port}",
            "workers": 1,
            "database": self.database,
            "key_storage": "database",
            "trusted_proxies": [f"{HOST}/32"],
            "revocations_every": 1,
            # Every phone of this machine comes from one network.
            "enrolments_per_second": 1000,
        }
        lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
        lines.append(f"sealing_key = {{ file = {json.dumps(str(self.sealing_key))} }}")
        lines.append("network_limits = { challenge = 60000, instances = 60000, renewals = 60000, gate = 60000 }")
        file = self.home / "service.toml"
        file.write_text("\n".join([*lines, self.extra, ""]))
        file.chmod(0o600)

    def run(self, *words: str) -> str:
        """Run a command of this home, and return what it printed."""
        return run(BONAFIDE, *words, "--home", self.home)

    def ask(self, path: str) -> httpx.Response:
        """Ask the public listener itself, past every proxy."""
        return httpx.get(f"http://{HOST}:{self.port}{path}", trust_env=False, timeout=5)


@dataclass(slots=True, kw_only=True)
class GateMachine:
    """A machine with a gate and the Nginx that asks it. `port` is what apps are sent to by a load balancer."""

    name: str
    directory: Path
    replay_store: str
    service_keys: Sequence[str]
    services: Sequence[ServiceMachine]
    api: Path
    settings: Mapping[str, object] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    services_port: int = field(default_factory=free_port)
    gate: Process = field(init=False)
    nginx: Process = field(init=False)

    def __post_init__(self) -> None:
        """Say what the processes are, and write the gate's files."""
        self.directory.mkdir(mode=0o700)
        self.gate = Process(
            name=self.name,
            command=[BONAFIDE, "gate", "--config", self.file],
            directory=self.directory,
            ready=lambda: self.ask("/ready").status_code == httpx.codes.OK,
        )
        program = find("nginx", apt="nginx")
        self.nginx = Process(
            name=f"{self.name}-nginx",
            command=[program, "-e", self.directory / "nginx-error.log", "-c", self.directory / "nginx.conf"],
            directory=self.directory,
            ready=lambda: listens(self.port) and listens(self.services_port),
        )
        (self.directory / "routes.toml").write_text(ROUTES)

    @property
    def file(self) -> Path:
        """The gate's TOML."""
        return self.directory / "gate.toml"

    @property
    def admission_key(self) -> Path:
        """The file of the key that this gate and the API share."""
        return self.directory / "api.admission.key"

    def write(self) -> None:
        """Write the gate's TOML."""
        values: dict[str, object] = {
            "name": self.name,
            "listen": f"unix:{self.directory / 'gate.sock'}",
            "workers": 2,
            "state_dir": "state",
            "service": f"http://{HOST}:{self.services_port}{PREFIX}",
            "issuer": ORIGIN,
            "audience": ORIGIN,
            "environment": ENVIRONMENT,
            "key_file": "gate.key",
            "service_keys": list(self.service_keys),
            "apps": [APP],
            "replay_store": self.replay_store,
            **self.settings,
        }
        lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
        # All phones here are one network, and one thread may be many users.
        lines += ["[limits]", "network = false", "instance = false", "user = false"]
        lines += ["[[upstream]]", 'name = "api"', f"origins = {json.dumps([ORIGIN])}", 'routes = "routes.toml"']
        lines += [f"key_file = {json.dumps(self.admission_key.name)}", 'body = "checked"', ""]
        self.file.write_text("\n".join(lines))

    def make_keys(self) -> str:
        """Make the gate's keys; return its public JWK, for the service."""
        self.write()
        found = _JWK.search(run(BONAFIDE, "gate", "init", "--config", self.file))
        assert found is not None  # noqa: S101 - what our own command prints
        return found[1]

    def write_nginx(self) -> None:
        """Write Nginx's files: our snippet for the API, and the way to the service machines."""
        run(BONAFIDE, "nginx", "--gate", self.file, "--upstream", f"unix:{self.api}", "--into", self.directory)
        (self.directory / "nginx.conf").write_text(self._nginx())

    def _nginx(self) -> str:
        temporary = "".join(
            f"    {name}_temp_path {self.directory}/nginx-{name};\n"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        servers = "".join(f"        server {HOST}:{each.port} max_fails=1 fail_timeout=1s;\n" for each in self.services)
        return _NGINX.format(
            user=f"user {getpass.getuser()};\n" if os.geteuid() == 0 else "",
            directory=self.directory,
            temporary=temporary,
            listen=f"{HOST}:{self.port}",
            services=f"{HOST}:{self.services_port}",
            servers=servers,
        )

    def ask(self, path: str) -> httpx.Response:
        """Ask the gate itself, at its socket. Raises `httpx.TransportError` where nobody answers."""
        if not listens_at(self.directory / "gate.sock"):
            raise httpx.ConnectError(self.name)
        transport = httpx.HTTPTransport(uds=str(self.directory / "gate.sock"))
        with httpx.Client(transport=transport, trust_env=False, timeout=2) as client:
            return client.get(f"http://gate{path}")


_NGINX: Final = """\
{user}daemon off;
worker_processes 1;
env FAKETIME;  # the clock that a drill gives it: workers keep no other variable
pid {directory}/nginx.pid;
error_log {directory}/nginx-error.log warn;
events {{ worker_connections 1024; }}
http {{
{temporary}    include {directory}/http.conf;
    access_log {directory}/access.log bonafide;

    upstream bonafide_services {{
{servers}        keepalive 8;
    }}
    server {{
        listen {services};
        location / {{
            proxy_pass http://bonafide_services;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $http_x_forwarded_for;
            proxy_connect_timeout 1s;
            proxy_read_timeout 15s;
        }}
    }}
    server {{
        listen {listen};
        server_name api.example.com;
        include {directory}/upstream-api.conf;
    }}
}}
"""
