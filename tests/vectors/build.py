"""Write the vectors, and the page that says which vector holds which check.

    .venv/bin/python -m tests.vectors.build

Deterministic: keys come from seeds, signatures from RFC 6979, so that a second run changes nothing. A
vector that is no longer built is removed; folders of areas that are not built here are left alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from bonafide.testing.vectors import load
from tests.vectors import (
    admissions,
    assertions,
    attestations,
    dpop_proofs,
    formats,
    messages,
    page,
    sealed_cases,
    sessions,
    statements,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bonafide.testing.vectors import Vector

ROOT: Final = Path(__file__).resolve().parents[2]
AREAS: Final = (
    "aes128gcm",
    "app_assertion",
    "app_attest",
    "cbor",
    "challenge",
    "client_attestation",
    "client_data",
    "debug",
    "der",
    "dpop",
    "key_agreement",
    "key_schedule",
    "proof",
    "request",
    "route",
    "sealed",
    "session",
    "statement",
)


def build() -> Iterator[Vector]:
    """Yield every vector of these areas."""
    yield from attestations.build()
    yield from assertions.build()
    yield from formats.build()
    yield from admissions.build()
    yield from sessions.build()
    yield from messages.build()
    yield from statements.build()
    yield from sealed_cases.build()
    yield from dpop_proofs.build()


def files() -> dict[str, str]:
    """Return the text of each file, by its path below the directory of vectors."""
    texts: dict[str, str] = {}
    for vector in build():
        path = f"{vector.name}.json"
        if path in texts:
            message = f"two vectors are called {vector.name}"
            raise ValueError(message)
        texts[path] = vector.dump()
    return texts


def main() -> None:
    """Write what differs, and remove what is no longer built."""
    directory, texts = ROOT / "vectors", files()
    for area in AREAS:
        for path in (directory / area).rglob("*.json"):
            if path.relative_to(directory).as_posix() not in texts:
                path.unlink()
    for name, text in texts.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    page_path = ROOT / page.PATH
    page_path.parent.mkdir(parents=True, exist_ok=True)
    vectors = [vector for area in AREAS for vector in load(directory, area)]
    page_path.write_text(page.text(vectors), encoding="utf-8")


if __name__ == "__main__":
    main()
