"""Writes measured results into `docs/explanation/performance.md`: its figures come from JSON, never by hand."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench._rounds import OUTPUT
from bench.gate import interfaces, projection, report
from bench.gate.processes import require

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PAGE: Final = Path("docs/explanation/performance.md")
ROOT: Final = Path(__file__).resolve().parents[2]
_BLOCK: Final = re.compile(r"<!-- begin (\w+) -->\n```text\n(.*?)\n```\n<!-- end \1 -->", re.DOTALL)


def rewrite() -> None:
    """Replace each block whose JSON is there."""
    path = ROOT / PAGE
    text = path.read_text(encoding="utf-8")
    for name, write in BLOCKS.items():
        try:
            text = with_block(text, name, write())
        except FileNotFoundError as missing:
            print(f"{name}: left as it was, for want of {Path(missing.filename).name}")
    path.write_text(text, encoding="utf-8")


def blocks(text: str) -> dict[str, str]:
    """Return the page's blocks by name."""
    return {found[1]: found[2] for found in _BLOCK.finditer(text)}


def with_block(text: str, name: str, body: str) -> str:
    """Return the page with this block replaced."""
    fenced = f"<!-- begin {name} -->\n```text\n{body}\n```\n<!-- end {name} -->"
    return _BLOCK.sub(lambda found: fenced if found[1] == name else found[0], text)


def _entries(name: str) -> Any:
    return json.loads((OUTPUT / f"{name}.json").read_text(encoding="ascii"))


def _machine() -> str:
    models = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="ascii"), re.MULTILINE)
    nginx = subprocess.run([require("nginx", "nginx-light"), "-v"], capture_output=True, text=True, check=True)  # noqa: S603 - a fixed question
    said = [f"{name} {version(name)}" for name in ("granian", "cryptography", "PyJWT", "pydpop", "Django")]
    return ", ".join(
        [
            f"{os.cpu_count()} x {models[0]}",
            f"Python {platform.python_version()}",
            nginx.stderr.strip().split(": ")[-1],
            *said,
        ]
    )


def _gate() -> str:
    entries = _entries("gate")
    return f"{_machine()}\n\n{report.table(entries)}\n\n{report.judgement(entries)}"


def _swift() -> str:
    """What `make bench-swift` wrote: microseconds of CPU for one, and above the raw signature."""
    entries = _entries("swift")
    lines = [f"{'us of CPU a request':<30}{'in all':>8}{'above raw':>11}"]
    for entry in entries:
        above = "" if entry["above_us"] is None else f"{entry['above_us']:11.1f}"
        lines.append(f"{entry['name']:<30}{entry['us_per_op']:8.1f}{above}")
    return "\n".join(lines)


def _sealing() -> str:
    """What `make bench` wrote of sealed answers: microseconds of CPU, and times the row that it is set beside."""
    lines = [f"{'us of CPU':<42}{'in all':>8}{'ratio':>8}"]
    lines += [f"{entry['name']:<42}{entry['us_per_op']:8.1f}{entry['ratio']:8.2f}" for entry in _entries("sealing")]
    return "\n".join(lines)


def _projection() -> str:
    for name in ("gate", "control_plane"):
        _entries(name)
    return projection.text(projection.read())


def _soak() -> str:
    said = _entries("soak")
    sizes = ", ".join(
        f"{min(found) / 1e6:.1f} to {max(found) / 1e6:.1f} MB" for found in said["private_bytes"].values()
    )
    sent = f"{said['requests']:,} requests in {said['seconds']:.0f} s, of them {said['attacks']:,} attacks"
    wrong = f"false accepts {said['false_accepts']}, false refusals {said['false_refusals']}"
    return "\n".join(
        [
            f"{sent} of {len(said['kinds'])} kinds; seed {said['seed']}",
            f"{wrong}, refusals that are not the stored one {said['wrong_refusals']}",
            f"private memory of the gate's workers over that time: {sizes}",
        ]
    )


BLOCKS: Final[Mapping[str, Callable[[], str]]] = {
    "gate": _gate,
    "gate_interfaces": lambda: interfaces.text(_entries("gate_interfaces")),
    "projection": _projection,
    "sealing": _sealing,
    "soak": _soak,
    "swift": _swift,
}
