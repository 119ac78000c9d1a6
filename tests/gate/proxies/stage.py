"""One proxy between a client and three recorders: the gate, the API and the service."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from bonafide.gate.proxies import Address, Front, Service, Site
from bonafide.http import Origins
from bonafide.routes import parse_rules
from tests.gate.proxies.judging import HOST, OTHER_HOST, JudgingGate, octets
from tests.gate.proxies.programs import Program, free_port
from tests.gate.proxies.wire import Message, Recorder, send, send_h2

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PREFIX: Final = "/bonafide/v1"
RULES: Final[tuple[Mapping[str, object], ...]] = (
    {"match": "/api/**", "max_body": "64KiB"},
    {"match": "/ws/quiet", "max_body": "64KiB"},
    {"match": "/ws/*", "methods": ["GET"], "upgrade": True, "max_body": "64KiB"},
)
DEADLINE: Final = timedelta(seconds=1)


@dataclass(slots=True)
class Stage:
    """Use as a context manager. `start` makes the proxy from the facts; `http` and `h2` are its ports.

    `gate_socket` is a real gate's; otherwise one that judges in this process answers.
    """

    start: Callable[[Stage], Program]
    rules: Sequence[Mapping[str, object]] = RULES
    takes_bodies: bool = True
    gate_socket: Path | None = None
    directory: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="bonafide-")))
    judge: JudgingGate = field(init=False)
    gate: Recorder = field(init=False)
    api: Recorder = field(init=False)
    other: Recorder = field(init=False)
    service: Recorder = field(init=False)
    http: int = field(default_factory=free_port)
    h2: int = field(default_factory=free_port)
    program: Program | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        self.judge = JudgingGate(rules=tuple(self.rules))
        self.gate = Recorder(self.directory / "gate.sock", self.judge.answer)
        self.api = Recorder(self.directory / "api.sock")
        self.other = Recorder(self.directory / "other.sock")
        self.service = Recorder(self.directory / "service.sock")

    @property
    def front(self) -> Front:
        """The facts of this stage."""
        return Front(
            gate=Address(path=str(self.gate_socket or self.gate.path)),
            service=Service(address=Address(path=str(self.service.path)), prefix=PREFIX),
            sites=(self._site("api", HOST, self.api), self._site("other", OTHER_HOST, self.other)),
            deadline=DEADLINE,
        )

    def _site(self, name: str, host: str, backend: Recorder) -> Site:
        return Site(
            name=name,
            origins=tuple(Origins([f"https://{host}"])),
            backend=Address(path=str(backend.path)),
            routes=parse_rules(self.rules),
            takes_bodies=self.takes_bodies,
        )

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, self.directory)
            for recorder in (self.gate, self.api, self.other, self.service):
                stack.enter_context(recorder)
            self.program = self.start(self)
            stack.callback(self.program.stop)
            self.program.start()
            self._stack = stack.pop_all()  # nothing is left behind by a proxy that does not start
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def forget(self) -> None:
        """Begin the next test with nothing seen and everybody at their posts."""
        for recorder in (self.gate, self.api, self.other, self.service):
            recorder.reset()
        self.gate.answer = self.judge.answer
        self.judge.refusals.clear()

    def send(self, message: Message | bytes, *, answers: int = 1) -> list[Message]:
        """Send a request over HTTP/1.1."""
        raw = message if isinstance(message, bytes) else octets(message)
        head = isinstance(message, Message) and message.method == "HEAD"
        return send(raw, port=self.http, answers=answers, head=head)

    def ask(self, message: Message | bytes) -> Message:
        """Send a request and return its one answer."""
        (answer,) = self.send(message)
        return answer

    def ask_h2(
        self,
        fields: Sequence[tuple[str, str]],
        *,
        body: bytes | None = None,
        trailers: Sequence[tuple[str, str]] | None = None,
    ) -> int:
        """Send a request over HTTP/2 and return its status."""
        return send_h2(fields, port=self.h2, body=body, trailers=trailers)
