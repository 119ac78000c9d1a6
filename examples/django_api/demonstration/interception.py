"""A real mitmproxy in an environment of its own, as the attacker runs it between a phone and the API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from demonstration.servers import EXAMPLE, free_port, listens

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM: Final = EXAMPLE.parent.parent / ".venv-mitmproxy" / "bin" / "mitmdump"
START_S: Final = 30.0


@dataclass(slots=True)
class Attacker:
    """What the script in a mitmdump is told, and what it saw, by files in `directory`."""

    directory: Path

    def __post_init__(self) -> None:
        """Begin with nothing seen, and no order but to watch."""
        self.directory.mkdir()
        (self.directory / "seen.jsonl").touch()
        self.order("watch")

    def order(self, what: str, **more: object) -> None:
        """Tell the proxy what to do from now on."""
        told = self.directory / "told.json"
        told.write_text(json.dumps({"do": what} | more))
        told.rename(self.directory / "orders.json")

    def seen(self) -> list[dict[str, Any]]:
        """Return all that passed, in order."""
        return [json.loads(line) for line in (self.directory / "seen.jsonl").read_text().splitlines()]

    def command(self, port: int, *options: str) -> list[str]:
        """Return what starts it on a port of loopback."""
        return [
            *(str(PROGRAM), "--quiet", "--listen-host", "127.0.0.1", "--listen-port", str(port)),
            *("--set", f"confdir={self.directory}", "--scripts", str(EXAMPLE / "mitm" / "addon.py"), *options),
        ]

    def environment(self) -> dict[str, str]:
        """Return what is to be set besides where it runs."""
        return {"MITM_DIRECTORY": str(self.directory), "MITM_FORGER_PYTHON": sys.executable}


@dataclass(slots=True)
class Proxy:
    """One mitmdump in regular proxy mode, on loopback."""

    attacker: Attacker
    port: int
    process: subprocess.Popen[bytes]

    @property
    def authority(self) -> Path:
        """The certificate of the authority that the proxy made, and that its victim trusts."""
        return self.attacker.directory / "mitmproxy-ca-cert.pem"

    def order(self, what: str, **more: object) -> None:
        """Tell the proxy what to do from now on."""
        self.attacker.order(what, **more)

    def seen(self) -> list[dict[str, Any]]:
        """Return all that passed, in order."""
        return self.attacker.seen()

    def wait(self) -> None:
        """Return once the proxy listens."""
        deadline = time.monotonic() + START_S
        while not (listens(self.port) and self.authority.exists()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                message = f"mitmproxy did not start: {(self.attacker.directory.parent / 'mitmproxy.log').read_text()}"
                raise RuntimeError(message)
            time.sleep(0.05)

    def stop(self) -> None:
        """End the proxy."""
        self.process.terminate()
        self.process.wait(10)


def start_proxy(state: Path, authority: Path) -> Proxy:
    """Start the proxy in the background, trusting the server's `authority`; `wait` until it listens."""
    attacker, port = Attacker(state / "mitm"), free_port()
    command = attacker.command(port, "--set", f"ssl_verify_upstream_trusted_ca={authority}")
    with (state / "mitmproxy.log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | attacker.environment(), stdout=log, stderr=log)
    return Proxy(attacker, port, process)
