"""Runs a page as its reader would: files are written, commands typed, servers left running in the background.

A `console` block has commands after `$ `, each followed by what it prints; `…` in shown output stands for
anything, on a line or as a line. Any other block begins with a comment that names its file: `# shop/urls.py`
writes it, `# shop/settings.py, at the end` appends. What installs packages is not run, because the
environment of the tests is what it would make. Port 8000 becomes a free one.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.docs.pages import Block, Page

PORT: Final = "8000"
INSTALLS: Final = re.compile(r"pip install |python3\.11 -m venv |(\.|source) ")
FILE: Final = re.compile(r"# ([\w./]+)(, at the end)?\n")
START_S: Final = 30.0
COMMAND_S: Final = 120.0

READING_S: Final = 8.0
"""A reader takes longer than this from the first proof to the next start; a new replay store takes 6 s to vouch."""

RECORDS_S: Final = 10.0
"""For how long a look into the records is repeated until it shows what the page shows: they are written in batches."""


class Walkthrough:
    """One run of one page in an empty directory. A context manager: servers end with it."""

    def __init__(self, page: Page, directory: Path) -> None:
        """Nothing is run yet."""
        self._page = page
        self._directory = directory
        self._port = free_port()
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def origin(self) -> str:
        """Where the page's server is reached."""
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def run(self) -> None:
        """Go through the page from top to bottom."""
        for block in self._page.blocks:
            if block.language == "console":
                for command, wanted in commands(block.text):
                    self._type(command, wanted, block)
            elif block.language:
                self._write(block)

    def _write(self, block: Block) -> None:
        named = FILE.match(block.text)
        assert named, f"{self._page.path}:{block.line}: the block does not begin with the name of its file"
        path = self._directory / named[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a" if named[2] else "w", encoding="utf-8") as file:
            file.write("\n" * bool(named[2]) + self._local(block.text[named.end() :]))

    def _type(self, command: str, wanted: str, block: Block) -> None:
        where = f"{self._page.path}:{block.line}: $ {command}"
        if INSTALLS.match(command):
            return
        if " runserver" in command:
            self._serve(command, where)
            return
        ended = self._run(command)
        deadline = time.monotonic() + RECORDS_S
        while " shell " in command and not shows(wanted, ended) and time.monotonic() < deadline:
            ended = self._run(command)
        printed = f"{where}\nended with {ended.returncode} and printed:\n{ended.stdout}{ended.stderr}"
        if wanted:
            assert shows(wanted, ended), f"{printed}\nThe page shows:\n{wanted}"
        else:
            assert ended.returncode == 0, printed

    def _run(self, command: str) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            ["bash", "-c", self._local(command)],
            cwd=self._directory,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_S,
        )
        ended.stdout = ended.stdout.replace(f":{self._port}", f":{PORT}")
        return ended

    def _serve(self, command: str, where: str) -> None:
        """Start the server anew: the reader ends the one before with CONTROL-C."""
        self._stop()
        born = self._directory / "var/bonafide/replay/replay.note"
        if born.exists():
            time.sleep(max(0.0, READING_S - (time.time() - born.stat().st_mtime)))
        log = self._directory / "server.log"
        with log.open("wb") as output:
            self._server = subprocess.Popen(
                ["bash", "-c", f"exec {command} 127.0.0.1:{self._port} --noreload"],
                cwd=self._directory,
                env=environment(),
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + START_S
        while not listens(self._port):
            waits = self._server.poll() is None and time.monotonic() < deadline
            assert waits, f"{where}\ndid not start:\n{log.read_text()}"
            time.sleep(0.05)

    def _stop(self) -> None:
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            self._server.wait(START_S)
            self._server = None

    def _local(self, text: str) -> str:
        return text.replace(f":{PORT}", f":{self._port}")


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a console block with the output below it. A quote that is open goes on on the next line."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = re.sub(r" *\\\n *", " ", part).partition("\n")
        while command.count('"') % 2 and output:
            line, _, output = output.partition("\n")
            command += f"\n{line}"
        yield command, output.strip("\n")


def shows(wanted: str, ended: subprocess.CompletedProcess[str]) -> bool:
    """Tell whether a page shows what a command printed: its output, or that and what it said besides."""
    return matches(wanted, ended.stdout) or matches(wanted, ended.stdout + ended.stderr)


def matches(wanted: str, printed: str) -> bool:
    """Compare what is shown with what was printed; see the rules of this module."""
    lines = [re.escape(line.rstrip()).replace("…", ".*") for line in wanted.splitlines()]
    pattern = "\n".join(r"(?:.*\n)*?.*" if line == ".*" else line for line in lines)
    return re.fullmatch(pattern, "\n".join(line.rstrip() for line in printed.strip("\n").splitlines())) is not None


def environment() -> dict[str, str]:
    """Return an environment as a reader has it: the virtual environment first, and nothing of this test run."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "PYTEST_", "BONAFIDE_"))
    }
    kept.pop("PYTHONPATH", None)
    programs = Path(sys.executable).parent
    return kept | {"PATH": f"{programs}{os.pathsep}{kept.get('PATH', '')}", "PYTHONUNBUFFERED": "1"}


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Tell whether somebody accepts connections at this port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
