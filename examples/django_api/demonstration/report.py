"""The demo's table, and what it says at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from demonstration.trial import Outcome, Row

_WIDTHS: Final = (74, 6, 9, 41)


def heading() -> str:
    """Return the table's head."""
    head = _cells("attack", "before", "after", "reason the operator sees", "what the attacker sees")
    return f"{head}\n{'-' * len(head)}"


def line(row: Row, outcome: Outcome, faults: list[str]) -> str:
    """Return one row; one that does not hold says why below."""
    after = "no start" if row.name.startswith("production_") else "no answer"
    sees = ", ".join(filter(None, [str(outcome.after), outcome.action])) if outcome.after else ""
    shown = _cells(row.what, str(outcome.before), str(outcome.after or after), outcome.reason, sees)
    return "\n".join([shown, *(f"    DOES NOT HOLD: {fault}" for fault in faults)])


def missing_and_extra(rows: list[str], attacks: list[str]) -> dict[str, list[str]]:
    """Compare the names of the committed rows with those of the attacks."""
    faults = {name: ["it stands in attacks.toml, and there is no such attack"] for name in rows if name not in attacks}
    faults |= {name: ["it is an attack, and does not stand in attacks.toml"] for name in attacks if name not in rows}
    return faults | {name: ["it stands in attacks.toml twice"] for name in rows if rows.count(name) > 1}


def summary(rows: int, faults: Mapping[str, list[str]], seconds: float) -> str:
    """Say how it went."""
    ended = f"{rows} attacks in {seconds:.0f} s"
    if not faults:
        held = "each request refused for its reason before any view ran, each answer by the app; each twin answered."
        return f"\n{ended}: {held}"
    listed = "\n".join(f"  {name}: {'; '.join(found)}" for name, found in faults.items())
    return f"\n{ended}. What does not hold:\n{listed}"


def _cells(*texts: str) -> str:
    *padded, last = texts
    return "  ".join([*(text.ljust(width) for text, width in zip(padded, _WIDTHS, strict=True)), last]).rstrip()
