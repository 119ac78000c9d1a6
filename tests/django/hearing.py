"""Listen to our signals, and keep what they said."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.dispatch import Signal

from bonafide.django import signals

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL: dict[str, Signal] = {name: found for name, found in vars(signals).items() if type(found) is Signal}


@contextmanager
def hearing() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Collect each signal's name and arguments, in the order in which they came."""
    heard: list[tuple[str, dict[str, Any]]] = []
    names = {signal: name for name, signal in ALL.items()}

    def listen(*, signal: Signal, sender: object, **arguments: Any) -> None:
        assert sender is None
        heard.append((names[signal], arguments))

    for signal in ALL.values():
        signal.connect(listen)
    try:
        yield heard
    finally:
        for signal in ALL.values():
            signal.disconnect(listen)
