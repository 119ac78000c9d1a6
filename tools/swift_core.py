"""What the Swift core may lean on: which modules it names, and what a program that uses it alone links.

    python tools/swift_core.py [BUILD_DIRECTORY]

Without a directory it reads sources only; with one it also reads, with binutils, the dynamic section and the symbols of
the `core-alone` that was built there.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCES: Final = ROOT / "swift" / "Sources"

ALLOWED: Final = {
    "BonafideCore": {"Darwin", "Glibc"},
    "Bonafide": {"BonafideCore", "CryptoKit", "DeviceCheck", "Foundation", "FoundationNetworking", "Security"}
    | {"Darwin", "Glibc"},
    "BonafideTestSupport": {"BonafideCore", "CLibcrypto", "CryptoKit", "Foundation"},
}
"""The modules that each target may import; a new one is a decision, made here."""

KEYCHAIN: Final = SOURCES / "Bonafide" / "Keychain.swift"
"""The one file with Keychain calls."""

DEBUG: Final = SOURCES / "Bonafide" / "DebugEvidence.swift"
"""The one file with debug evidence, which does not compile into release builds: it is one `#if DEBUG`."""

_IMPORT: Final = re.compile(
    r"^[ \t]*(?:@[\w()]+[ \t]+)*(?:(?:public|package|internal|fileprivate|private)[ \t]+)?"
    r"import[ \t]+(?:(?:struct|class|enum|protocol|func|var|let|typealias)[ \t]+)?(\w+)",
    re.MULTILINE,
)
_KEYCHAIN_CALL: Final = re.compile(r"\bSecItem(?:Add|CopyMatching|Update|Delete)\b")
_FORBIDDEN_LIBRARY: Final = re.compile(r"Foundation|UIKit|DeviceCheck|CryptoKit|Security|libcrypto|libcurl|libxml2")
_FORBIDDEN_SYMBOL: Final = re.compile(r"Foundation|URLSession|EVP_")


def imports() -> list[str]:
    """Return what offends against the rules about sources, one line each."""
    offences = []
    for path in sorted(SOURCES.rglob("*.swift")):
        target = path.relative_to(SOURCES).parts[0]
        text = path.read_text(encoding="utf-8")
        offences += [
            f"{path.relative_to(ROOT)}: {target} must not import {name}"
            for name in _IMPORT.findall(text)
            if name not in ALLOWED[target]
        ]
        if path != KEYCHAIN and _KEYCHAIN_CALL.search(text):
            offences.append(f"{path.relative_to(ROOT)}: Keychain calls belong into {KEYCHAIN.name}")
        if path != DEBUG and re.search(r"^(?!\s*//).*\bDebugAttestor\b", text, re.MULTILINE):
            offences.append(f"{path.relative_to(ROOT)}: debug evidence belongs into {DEBUG.name}")
    lines = DEBUG.read_text(encoding="utf-8").strip().splitlines()
    if lines[0] != "#if DEBUG" or lines[-1] != "#endif" or any(line.startswith("#else") for line in lines):
        offences.append(f"{DEBUG.relative_to(ROOT)}: is not one #if DEBUG")
    return offences


def linkage(program: Path) -> list[str]:
    """Return what `program`, which uses the core alone, links and should not, one line each."""
    dynamic = _run("readelf", "--dynamic", "--wide", str(program))
    needed = re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic)
    if not any("swiftCore" in name for name in needed):
        return [f"{program.name} does not look like a Swift program: it needs {needed}"]
    offences = [f"{program.name} links {name}" for name in needed if _FORBIDDEN_LIBRARY.search(name)]
    symbols = _run("nm", "--undefined-only", str(program))
    return offences + [f"{program.name} uses {line.split()[-1]}" for line in symbols.splitlines() if _bad(line)]


def _bad(line: str) -> bool:
    return _FORBIDDEN_SYMBOL.search(line) is not None


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main(arguments: list[str]) -> int:
    """Print every offence; return 1 where there is one."""
    offences = imports()
    if arguments:
        program = Path(arguments[0]) / "core-alone"
        offences += linkage(program) if program.exists() else [f"{program} is not built"]
    for offence in offences:
        print(offence, file=sys.stderr)
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
