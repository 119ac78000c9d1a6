"""What a soak runs against: Nginx, a gate with its service, and an API with our middleware, on loopback."""

from __future__ import annotations

import tomllib
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from bench.gate.accounting import cpu_us, family
from bench.gate.contenders import LIMITS
from bench.gate.processes import Program, behind_gate, nginx, python
from tests.gate.world import RunningGate

if TYPE_CHECKING:
    from collections.abc import Mapping

EXAMPLE: Final = Path(__file__).resolve().parents[1] / "examples" / "django_api"


def rules() -> list[Mapping[str, Any]]:
    """Return the demo's rules for its app."""
    listed = tomllib.loads((EXAMPLE / "routes.toml").read_text(encoding="utf-8"))["route"]
    return [rule for rule in listed if "client" not in rule]


def as_toml(listed: list[Mapping[str, Any]]) -> str:
    """Return rules as the text of a route table."""
    return "\n".join(
        "[[route]]\n" + "".join(f"{name} = {_spell(value)}\n" for name, value in rule.items()) for rule in listed
    )


def _spell(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


@dataclass(slots=True)
class Stack:
    """The programs of a soak. Use as a context manager."""

    directory: Path
    workers: int = 2
    gate: RunningGate = field(init=False)
    port: int = 0
    programs: dict[str, Program] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        listed = rules()
        self.gate = RunningGate(
            home=self.directory / "gate",
            workers=self.workers,
            extra=LIMITS,
            routes=as_toml(listed),
            upstream="seals = true\n",
        )
        self._stack.callback(self.gate.stop)
        self.gate.write(poll_every="3")
        self.gate.start()
        api = self.directory / "api.sock"
        words = [str(api), str(self.gate.home / "api.key"), str(self.workers)]
        self._start("api", python("soak.api", words, api, self.directory / "api.log"))
        http, server = behind_gate(self.gate.socket, api, listed)
        program, self.port = nginx(self.directory, "nginx", http=http, server=server)
        self._start("nginx", program)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, name: str, program: Program) -> None:
        self._stack.callback(program.stop)
        program.start()
        self.programs[name] = program

    @property
    def gate_workers(self) -> list[int]:
        """The gate's workers, without their parent."""
        return family(self.gate.pid)[1:]

    def cpu(self) -> dict[str, float]:
        """Return seconds of CPU that each program has taken."""
        pids = {name: program.pids for name, program in self.programs.items()} | {"gate": family(self.gate.pid)}
        return {name: cpu_us(ids) / 1_000_000 for name, ids in pids.items()}
