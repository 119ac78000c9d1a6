"""A process of its own that uses one replay store: `python -m tests.stores.replay_worker DIRECTORY`.

Each line of its input is a name and a time; each line of its output the answer. The first line that it
writes says that it is ready: what is sent after that races.
"""

from __future__ import annotations

import sys

from bonafide.stores.lmdb import LmdbReplayStore
from bonafide.testing.replay_store import replay_key


def main(directory: str) -> None:
    """Answer until the input ends."""
    store = LmdbReplayStore(directory, max_bytes=8 * 1024 * 1024)
    print("ready", flush=True)  # noqa: T201 - it speaks on its standard output
    for line in sys.stdin:
        name, at = line.split()
        answer = store.remember(replay_key(name), created=int(at), now=int(at))
        print(answer, flush=True)  # noqa: T201 - likewise


if __name__ == "__main__":
    main(sys.argv[1])
