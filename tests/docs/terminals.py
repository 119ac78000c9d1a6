"""Runs a page whose reader leaves several programs running: a service, a gate, an API and Nginx.

As `walkthrough`, and besides: a command that ends in ` &` goes on running until the page ends, or until the page
starts the same program again, which its reader has then ended with CONTROL-C. Each port of 127.0.0.1 that the page
names becomes a free one. What `curl` and `bonafide curl` print is looked for repeatedly: a program that has just been
started answers a moment later, and a replay store that was just made vouches for nothing in its first six seconds.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Final

from tests.docs.walkthrough import START_S, Walkthrough, environment, free_port, listens, shows

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docs.pages import Block, Page

ANSWER_S: Final = 30.0
STOP_S: Final = 20.0
_PORT: Final = re.compile(r"127\.0\.0\.1:([0-9]{4})\b")


class Terminals(Walkthrough):
    """One run of one page in an empty directory. A context manager: what was left running ends with it."""

    def __init__(self, page: Page, directory: Path) -> None:
        """Nothing is run yet."""
        super().__init__(page, directory)
        self._ports = {port: str(free_port()) for port in sorted(set(_PORT.findall(page.text)))}
        self._left: dict[tuple[str, ...], subprocess.Popen[bytes]] = {}

    def _type(self, command: str, wanted: str, block: Block) -> None:
        if command.endswith(" &"):
            self._leave(command.removesuffix(" &"), f"{self._page.path}:{block.line}: $ {command}")
            return
        deadline = time.monotonic() + ANSWER_S
        while command.startswith(("curl ", "bonafide curl ")) and time.monotonic() < deadline:
            if shows(wanted, self._run(command)):
                return
            time.sleep(0.5)
        super()._type(command, wanted, block)

    def _run(self, command: str) -> subprocess.CompletedProcess[str]:
        ended = super()._run(command)
        for shown, real in self._ports.items():
            ended.stdout = ended.stdout.replace(real, shown)
            ended.stderr = ended.stderr.replace(real, shown)
        return ended

    def _local(self, text: str) -> str:
        return re.sub(r"\b[0-9]{4}\b", lambda found: self._ports.get(found[0], found[0]), text)

    def _leave(self, command: str, where: str) -> None:
        program = tuple(command.split()[:2])
        if program in self._left:
            _end(self._left.pop(program))
        silent = [port for port in self._ports.values() if not listens(int(port))]
        log = self._directory / f"{'-'.join(program).replace('/', '_')}.log"
        with log.open("ab") as output:
            process = self._left[program] = subprocess.Popen(
                ["bash", "-c", f"exec {self._local(command)}"],
                cwd=self._directory,
                env=environment(),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S
        while not any(listens(int(port)) for port in silent):
            waits = process.poll() is None and time.monotonic() < deadline
            assert waits, f"{where}\ndid not start:\n{log.read_text(errors='replace')}"
            time.sleep(0.05)

    def _stop(self) -> None:
        while self._left:
            _end(self._left.popitem()[1])
        super()._stop()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program as CONTROL-C does, and whatever it started with it."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_S)
