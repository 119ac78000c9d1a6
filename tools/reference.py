"""Write the reference pages that code can write better than a person, and record new reason codes.

    .venv/bin/python tools/reference.py

Exits with 1 where a page was out of date, so that what is committed is what the code says. A second run
finds nothing to do.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bonafide import reasons

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bonafide.reasons import Reason

ROOT: Final = Path(__file__).resolve().parent.parent
SNAPSHOT: Final = Path("tests/house/reason_codes.txt")
GENERATED: Final = "<!-- Written by `make docs` from the code. Edit the code. -->"
CODE: Final = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*\.[a-z][a-z0-9]*(?:_[a-z0-9]+)*")


def named_reasons(tree: ast.Module) -> Iterator[str]:
    """Yield the code of each reason that a module names as `area.CONSTANT`, however it imports the area."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    areas = {
        alias.asname or alias.name: alias.name
        for node in imports
        if node.module == "bonafide.reasons"
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in areas:
            yield f"{areas[node.value.id]}.{node.attr.lower()}"


def places(*tops: str) -> Mapping[str, list[str]]:
    """Map each reason code to the files under `tops` that name it, as a constant or by its code; not to its own."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(path for top in tops for path in (ROOT / top).rglob("*") if path.suffix in {".py", ".json"}):
        text = path.read_text(encoding="utf-8")
        named = set(CODE.findall(text.replace("\\.", ".")))  # also where a test matches it as a pattern
        if path.suffix == ".py":
            named.update(named_reasons(ast.parse(text)))
        for code in named & reasons.by_code().keys() if path.parent.name != "reasons" else ():
            found[code].append(str(path.relative_to(ROOT)))
    return found


def reasons_page() -> str:
    """One heading for each reason: what an operator reads when a refusal's record names it."""
    parts = [
        "# Reasons",
        GENERATED,
        (
            "Every refusal has one code. Codes are append-only: a code keeps its spelling and its meaning. A refused"
            " client sees the status and the action; code and detail are in the operator's record."
        ),
    ]
    for area in reasons.AREAS:
        of_area = [reason for code, reason in reasons.by_code().items() if code.startswith(f"{area}.")]
        parts += [f"## {area}"] * bool(of_area) + [_reason(reason) for reason in of_area]
    return "\n\n".join(parts) + "\n"


def _reason(reason: Reason) -> str:
    return "\n".join(
        [
            f"### {reason.code}",
            "",
            reason.meaning,
            "",
            f"- Honest cause: {reason.honest_cause}",
            f"- Likely attack: {reason.likely_attack}",
            f"- Remedy: {reason.remedy}",
            f"- Standard: {reason.spec}",
            f"- Answer: {reason.status}, `{reason.action}`",
        ]
    )


def standards_page() -> str:
    """For each standard the sections that are enforced, by which reason, in which file, shown by which test."""
    code, tests = places("src"), places("tests", "vectors")
    rows: dict[str, list[str]] = defaultdict(list)
    for reason in reasons.by_code().values():
        for demand in reason.spec.split("; "):
            standard, section = split_demand(demand)
            in_code = ", ".join(f"`{path}`" for path in code.get(reason.code, []))
            in_tests = ", ".join(f"`{path}`" for path in tests.get(reason.code, []))
            anchor = reason.code.replace(".", "")
            rows[standard].append(f"| {section} | [`{reason.code}`](reasons.md#{anchor}) | {in_code} | {in_tests} |")
    parts = [
        "# Standards",
        GENERATED,
        "What each standard demands, under which reason it is enforced, in which file, and which tests expect it.",
    ]
    for standard in sorted(rows, key=_numerically):
        table = ["| section | reason | code | tests and vectors |", "|---|---|---|---|"]
        parts += [f"## {standard}", "\n".join(table + sorted(rows[standard], key=_numerically))]
    return "\n\n".join(parts) + "\n"


def split_demand(demand: str) -> tuple[str, str]:
    """Split `RFC 9421 section 3.2` into the standard and what is demanded of it."""
    match = re.fullmatch(r"(.+?)(?:,? (sections? .+|preamble|steps? .+|prohibition .+|Scale))?", demand)
    standard, section = match.groups() if match else (demand, None)
    return standard, section or "whole"


def _numerically(text: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


def codes_snapshot() -> str:
    """Every code that was ever recorded, in that order, and the new ones after them."""
    path = ROOT / SNAPSHOT
    recorded = path.read_text().splitlines() if path.exists() else []
    return "\n".join([*recorded, *sorted(reasons.by_code().keys() - set(recorded))]) + "\n"


PAGES: Final[Mapping[Path, Callable[[], str]]] = {
    Path("docs/reference/reasons.md"): reasons_page,
    Path("docs/reference/standards.md"): standards_page,
    SNAPSHOT: codes_snapshot,
}


def write(pages: Mapping[Path, Callable[[], str]]) -> int:
    """Write what differs, name it, and say by the exit status whether anything did."""
    stale = [path for path, page in pages.items() if not _is(ROOT / path, page())]
    for path in stale:
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(pages[path](), encoding="utf-8")
        print(f"{path} was out of date, and is written anew: commit it")
    return 1 if stale else 0


def _is(path: Path, content: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == content


if __name__ == "__main__":
    sys.exit(write(PAGES))
