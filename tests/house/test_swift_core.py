"""The script that holds the Swift core to its imports and its linkage sees what it is there to see."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tools import swift_core


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sources that may be spoilt."""
    sources = tmp_path / "swift" / "Sources"
    shutil.copytree(swift_core.SOURCES, sources)
    monkeypatch.setattr(swift_core, "ROOT", tmp_path)
    monkeypatch.setattr(swift_core, "SOURCES", sources)
    monkeypatch.setattr(swift_core, "KEYCHAIN", sources / "Bonafide" / "Keychain.swift")
    monkeypatch.setattr(swift_core, "DEBUG", sources / "Bonafide" / "DebugEvidence.swift")
    return sources


def test_the_sources_keep_the_rules() -> None:
    assert swift_core.imports() == []


@pytest.mark.parametrize(
    "line",
    [
        "import Foundation",
        "public import Foundation",
        "    @preconcurrency import FoundationNetworking",
        "@_exported public import UIKit",
        "import struct Foundation.Data",
        "import CryptoKit",
    ],
)
def test_a_module_that_the_core_may_not_have_is_seen(copy: Path, line: str) -> None:
    path = copy / "BonafideCore" / "Ports.swift"
    path.write_text(f"{line}\n{path.read_text()}")
    assert len(swift_core.imports()) == 1


@pytest.mark.parametrize("line", ["let status = SecItemDelete(query)", "let attestor = DebugAttestor(app: a)"])
def test_what_belongs_into_one_file_is_seen_elsewhere(copy: Path, line: str) -> None:
    path = copy / "Bonafide" / "AppAttest.swift"
    path.write_text(f"{path.read_text()}\n{line}\n")
    assert len(swift_core.imports()) == 1


@pytest.mark.parametrize("text", ["struct A {}\n#if DEBUG\n#endif\n", "#if DEBUG\n#endif\nstruct A {}\n"])
def test_debug_evidence_outside_its_condition_is_seen(copy: Path, text: str) -> None:
    (copy / "Bonafide" / "DebugEvidence.swift").write_text(text)
    assert len(swift_core.imports()) == 1


def test_a_program_that_links_foundation_is_seen(swift: Path, tmp_path: Path) -> None:
    source = tmp_path / "main.swift"
    source.write_text("import Foundation\nprint(Date().timeIntervalSince1970)\n")
    program = tmp_path / "core-alone"
    subprocess.run([str(swift) + "c", str(source), "-o", str(program)], check=True)
    found = swift_core.linkage(program)
    assert any("libFoundation" in line for line in found)
    assert any(" uses " in line for line in found)


def test_a_program_that_is_not_swift_proves_nothing() -> None:
    assert swift_core.linkage(Path("/bin/true")) != []
