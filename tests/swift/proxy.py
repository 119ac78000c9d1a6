"""A real mitmdump before the world's server, for tests of what an app takes from whoever stands between.

It is the demo's: the same script, the same orders. To the phones its address is the API's: what they sign names it, and
it passes `Host` on as it came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from demonstration.interception import PROGRAM, Attacker

from deploy.processes import Failed, Process, listens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

DIRECTORY: Final = "mitm"


class Proxy:
    """One mitmdump at `port`, before the server at `behind`."""

    def __init__(self, state: Path, *, port: int, behind: str, options: Mapping[str, Any]) -> None:
        """Lay it out; nothing runs yet. `options` are Popen's. Raises `Failed` where there is no mitmproxy."""
        if not PROGRAM.exists():
            message = "mitmproxy is missing. Type: make setup-mitmproxy"
            raise Failed(message)
        self._attacker = Attacker(state / DIRECTORY)
        self._told = 0
        words = ("--mode", f"reverse:http://{behind}", "--set", "keep_host_header=true")
        self.process = Process(
            name="mitmproxy",
            command=self._attacker.command(port, *words),
            directory=state,
            ready=lambda: listens(port),
            environment=self._attacker.environment(),
            options=options,
        )

    def commands(self) -> dict[object, Callable[[dict[str, Any]], dict[str, object]]]:
        """Return what a test may have it do."""
        return {"order": self._order, "seen": self._seen}

    def _order(self, command: dict[str, Any]) -> dict[str, object]:
        order = dict(command["order"])
        self._attacker.order(str(order.pop("do")), **order)
        return {"done": "order"}

    def _seen(self, _: dict[str, Any]) -> dict[str, object]:
        """Tell what passed since the last time."""
        seen = self._attacker.seen()
        new, self._told = seen[self._told :], len(seen)
        return {"seen": new}
