"""Run every benchmark: `make bench`, or `python -m bench NAME …` for some. Exits with 1 where a promise is broken."""

from __future__ import annotations

import sys
from importlib import import_module

NAMES = ("admission", "sealing", "evidence", "lmdb_replay", "renewal", "middleware")


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all."""
    unknown = set(names) - set(NAMES)
    if unknown:
        print(f"there is no benchmark {', '.join(sorted(unknown))}: choose from {', '.join(NAMES)}")
        return 2
    kept = [import_module(f"bench.{name}").run() for name in names or NAMES]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
