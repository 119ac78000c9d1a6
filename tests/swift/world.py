"""A real service and the real example API on loopback, for tests that are not Python's.

    python -m tests.swift.world [--lifetime SECONDS] [--reattest-after SECONDS] [--environments NAME ...]
                                [--route-proof KIND:MATCH] [--enrolments-per-second N] [--proxy]

Who starts it reads one line of JSON that says where everything is, and may then write commands, one JSON object a
line, each answered by one line. It serves until its standard input ends or it is told to by SIGTERM or SIGINT, and
leaves nothing behind: no process, no file. The pipe ends with whoever holds it, so a test that crashes leaves nothing
either.
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import resource
import secrets
import signal
import socket
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import django
import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from bonafide.errors import BonafideError
from bonafide.testing.apple import FakeApple
from deploy.processes import HOST, Failed, Process
from tests.swift.options import parse_options, settings_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from types import ModuleType

    from tests.swift.proxy import Proxy

ROOT: Final = Path(__file__).resolve().parents[2]
EXAMPLE: Final = ROOT / "examples" / "django_api"
SERVICE: Final = "/bonafide/v1"
PATHS: Final = {
    "config": "/api/config",
    "login": "/api/login",
    "profile": "/api/me",
    "orders": "/api/orders",
    "users": "/api/users/",
}
CUSTOMERS: Final = ("ada", "grace", "alan", "mallory")
TAIL: Final = 20_000
ANSWER_S: Final = 10.0
SCALAR_OCTETS: Final = 48

# Threads are few, because they only wait for SQLite's one writer and two cores; connections are many. They stay open
# longer than any test pauses: a client that reuses one in the moment in which it closes sees a failure of no interest.
GUNICORN: Final = (
    *("--workers", "2", "--worker-class", "gthread", "--threads", "8", "--worker-connections", "4000"),
    *("--backlog", "2048", "--keep-alive", "600", "--timeout", "300", "--no-control-socket"),
)


class World:
    """One server with its database, its keys and its fake Apple, below `state`. `commands` is there once it started."""

    commands: Commands

    def __init__(self, state: Path, options: argparse.Namespace) -> None:
        """Lay it out; nothing runs yet."""
        self.state = state
        self.options = options
        self.authority = f"{HOST}:{free_port()}"
        self.bound = f"{HOST}:{free_port()}" if options.proxy else self.authority
        self.origin = f"http://{self.authority}"
        self.seed = secrets.token_bytes(16)
        self.apple = FakeApple(seed=self.seed)
        self.passwords = {name: secrets.token_urlsafe(9) for name in CUSTOMERS}
        wanted = settings_of(options, routes=EXAMPLE / "routes.toml")
        environment = {
            "DJANGO_SETTINGS_MODULE": "tests.swift.settings",
            "SHOP_STATE": str(state),
            "SHOP_ORIGIN": self.origin,
            "SHOP_BONAFIDE": json.dumps(wanted),
            "PYTHONPATH": os.pathsep.join(map(str, (EXAMPLE, ROOT, ROOT / "src"))),
        }
        os.environ.update(environment)
        sys.path.insert(0, str(EXAMPLE))
        self.server = Process(
            name="server",
            command=[
                *(sys.executable, "-m", "gunicorn", "wsgi:application"),
                *("--bind", self.bound, *GUNICORN),
            ],
            directory=state,
            ready=self._serves,
            environment=environment,
            options={"preexec_fn": _end_with_parent},
        )
        self.proxy = self._proxy() if options.proxy else None

    def _proxy(self) -> Proxy:
        from tests.swift.proxy import Proxy  # only now: it imports from the example, which has just become importable

        port, options = int(self.authority.rpartition(":")[2]), {"preexec_fn": _end_with_parent}
        return Proxy(self.state, port=port, behind=self.bound, options=options)

    def _serves(self) -> bool:
        """Tell whether a worker answers with the keys: the port is open before any has read the settings."""
        url, named = f"http://{self.bound}{SERVICE}/jwks.json", {"Host": self.authority}
        return httpx.get(url, headers=named, timeout=ANSWER_S, trust_env=False).is_success

    def start(self) -> dict[str, object]:
        """Make everything, start the server, and return what a client must know of it. Raises `Failed`."""
        anchor = x509.load_der_x509_certificate(self.apple.root_der)
        (self.state / "fake-apple.pem").write_bytes(anchor.public_bytes(Encoding.PEM))
        django.setup()
        from tests.swift import console  # only now: it imports models, which want Django to be set up

        environments = self.options.environments
        keys = console.prepare(dict(self.passwords), environments=environments)
        self.commands = Commands(self.server, console, self.proxy)
        told: dict[str, object] = {
            "origin": self.origin,
            "service": self.origin + SERVICE,
            "app": console.APP,
            "identity": console.IDENTITY,
            "service_keys": list(keys),
            "users": self.passwords,
            "apple": self._apple(),
            "paths": PATHS,
        }
        if "debug" in environments:
            told["debug"] = console.debug_secret()
        self.server.start()
        if self.proxy is not None:
            self.proxy.process.start()
        return told

    def end(self) -> None:
        """End whatever runs."""
        self.server.kill()
        if self.proxy is not None:
            self.proxy.process.kill()

    def _apple(self) -> dict[str, str]:
        scalar = self.apple.intermediate_key.private_numbers().private_value
        octets = {
            "intermediate": self.apple.intermediate_der,
            "root": self.apple.root_der,
            "intermediate_key": scalar.to_bytes(SCALAR_OCTETS),
            "seed": self.seed,
        }
        return {name: base64.b64encode(value).decode("ascii") for name, value in octets.items()}


class Commands:
    """What a test may have done to the world while it runs."""

    def __init__(self, server: Process, console: ModuleType, proxy: Proxy | None) -> None:
        self._server = server
        self._console = console
        self._refusals = console.Refusals()
        self._known: dict[object, Callable[[dict[str, Any]], dict[str, object]]] = {
            "stop_server": self._stop_server,
            "start_server": self._start_server,
            "instances": lambda _: {"instances": console.instances()},
            "ban": self._ban,
            "forget": self._forget,
            "log": lambda _: {"log": tail(server.log)},
            "reasons": self._reasons,
            "set_value": self._set_value,
            "publish_pins": self._publish_pins,
            **(proxy.commands() if proxy is not None else {}),
        }

    def answer(self, line: str) -> dict[str, object]:
        """Do what a line asks for, and return the answer; `error` where it could not be done."""
        try:
            command = json.loads(line)
            return self._known[command["do"]](command)
        except (ValueError, KeyError, TypeError) as error:
            return {"error": f"no such command, or something is missing in it: {error!r}"}
        except (BonafideError, Failed) as error:
            return {"error": str(error)}

    def _stop_server(self, _: dict[str, Any]) -> dict[str, object]:
        self._server.kill()
        return {"done": "stop_server"}

    def _start_server(self, _: dict[str, Any]) -> dict[str, object]:
        if not self._server.group:
            self._server.start()
        return {"done": "start_server"}

    def _ban(self, command: dict[str, Any]) -> dict[str, object]:
        self._console.ban(str(command["instance"]))
        return {"done": "ban"}

    def _forget(self, command: dict[str, Any]) -> dict[str, object]:
        known = self._console.forget(str(command["instance"]))
        return {"done": "forget"} if known else {"error": "no such instance"}

    def _set_value(self, command: dict[str, Any]) -> dict[str, object]:
        kind, name = str(command["kind"]), str(command["name"])
        return {"version": self._console.set_value(kind, name, json.loads(command["value"]))}

    def _publish_pins(self, command: dict[str, Any]) -> dict[str, object]:
        shown = str(command["pins"]).split()
        told: dict[str, object] = self._console.publish_pins(str(command["host"]), shown, days=int(command["days"]))
        return told

    def _reasons(self, _: dict[str, Any]) -> dict[str, object]:
        records = self._refusals.new()
        return {"reasons": [record["reason"] for record in records], "records": records}


def main() -> int:
    """Start, say where everything is, obey, and clear away."""
    options = parse_options()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # libdispatch's threads block every signal, and children inherit it
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    _allow_open_files()
    with tempfile.TemporaryDirectory(prefix="bonafide-swift-", ignore_cleanup_errors=True) as directory:
        world = World(Path(directory).resolve(), options)
        try:
            say(world.start())
            for line in sys.stdin:
                say(world.commands.answer(line))
        except Failed as failed:
            print(failed, tail(world.server.log), sep="\n", file=sys.stderr)  # noqa: T201 - the only words of a start that failed
            return 1
        except BrokenPipeError:  # nobody listens any more
            return 1
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)  # told twice, it would leave off clearing away
            world.end()
    return 0


def say(answer: dict[str, object]) -> None:
    """Write one line, now. By the descriptor: nothing is left in a buffer for an interpreter that ends."""
    os.write(sys.stdout.fileno(), json.dumps(answer).encode("ascii") + b"\n")


def tail(log: Path) -> str:
    """Return the end of a log."""
    with suppress(FileNotFoundError):
        return log.read_bytes()[-TAIL:].decode("utf-8", "replace")
    return ""


def free_port() -> int:
    """Return a free port that the kernel hands to no client, so that it is still free after a stop of the server."""
    while True:
        port = 20_000 + secrets.randbelow(10_000)
        with suppress(OSError), socket.socket() as probe:
            probe.bind((HOST, port))
            return port


def _end(*_: object) -> NoReturn:
    raise SystemExit(0)


def _end_with_parent() -> None:
    """Have Linux end the server where this process is killed and cannot (prctl(2), PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _allow_open_files() -> None:
    """Let the server hold a thousand connections, whatever the shell's soft limit is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(8192, hard)), hard))


if __name__ == "__main__":
    sys.exit(main())
