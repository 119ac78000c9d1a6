"""The gate's file and its route tables as one text, taken when they were last good.

Workers are made from it, so that a file which somebody is editing cannot stop a worker that is started anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from bonafide.codec import json
from bonafide.errors import ConfigurationError, MalformedEvidence
from bonafide.gate import config as configuration
from bonafide.reasons import configuration as reasons

if TYPE_CHECKING:
    from bonafide.gate.config import GateConfig

VARIABLE: Final = "BONAFIDE_GATE_SNAPSHOT"
MAX_BYTES: Final = 96 * 1024
"""What Linux lets one environment variable hold is 128 KiB."""


def take(path: Path) -> tuple[GateConfig, str]:
    """Read the file and all that it names; return its value, and the text from which workers make theirs.

    Raises `ConfigurationError` as `config.load`, and for more than 96 KiB in all.
    """
    base = path.resolve().parent
    text = configuration.read_file(path)
    tables: dict[str, str] = {}

    def read(table: Path) -> str:
        tables[str(table)] = configuration.read_file(table)
        return tables[str(table)]

    value = configuration.parse(text, base=base, read=read)
    taken = json.dump({"text": text, "base": str(base), "tables": tables}).decode("utf-8")
    if len(taken.encode("utf-8")) > MAX_BYTES:
        raise ConfigurationError(reasons.SETTING_MALFORMED, f"the gate's files are longer than {MAX_BYTES} octets")
    return value, taken


def restore(taken: str) -> GateConfig:
    """Return the value of a snapshot. Raises `ConfigurationError` for what is none."""
    try:
        body = json.parse_object(taken.encode("utf-8", "surrogatepass"), max_bytes=2 * MAX_BYTES)
        text, base, tables = body["text"], body["base"], body["tables"]
        if not isinstance(text, str) or not isinstance(base, str) or not isinstance(tables, dict):
            raise TypeError
        return configuration.parse(text, base=Path(base), read=lambda table: str(tables[str(table)]))
    except (KeyError, TypeError, MalformedEvidence):
        raise ConfigurationError(reasons.SETTING_MALFORMED, "not a snapshot of a gate's file") from None
