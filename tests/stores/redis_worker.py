"""A process of its own that uses one replay store: `python -m tests.stores.redis_worker ADDRESS`.

Each line of its input is a name and a time; each line of its output the answer. The first line that it
writes says that it is ready: what is sent after that races.
"""

from __future__ import annotations

import sys

from tests.stores.redis_uses import open_store, use


def main(address: str) -> None:
    """Answer until the input ends."""
    store = open_store(address)
    print("ready", flush=True)  # noqa: T201 - it speaks on its standard output
    for line in sys.stdin:
        name, at = line.split()
        print(use(store, name, int(at)), flush=True)  # noqa: T201 - likewise
    store.close()


if __name__ == "__main__":
    main(sys.argv[1])
