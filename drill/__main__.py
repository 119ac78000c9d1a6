"""Failure drills with real processes: `python -m drill` for all, `python -m drill NAME …` for some, `--list`.

Exits with 1 where a claim did not hold. Each claim and what was measured is in `build/bench/drill.json` as well.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench._rounds import OUTPUT
from deploy.cluster import Cluster
from drill.told import Told
from drill.world import DRILLS, World

if TYPE_CHECKING:
    from collections.abc import Sequence

MODULES: Final = ("stores", "databases", "programs", "clocks", "keys", "rotation")


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    options = argparse.ArgumentParser(prog="python -m drill", description=__doc__)
    options.add_argument("names", nargs="*", metavar="NAME", help="drills to run (default: all)")
    options.add_argument("--list", action="store_true", help="name every drill, and what it breaks")
    options.add_argument("--directory", type=Path, metavar="DIR", help="keep what the processes wrote here")
    return options


def register() -> None:
    """Make every drill known."""
    for name in MODULES:
        import_module(f"drill.{name}")


def main(words: Sequence[str] | None = None) -> int:
    """Run drills, print the table, and return 0 where every claim held."""
    options = parser().parse_args(words)
    register()
    unknown = set(options.names) - DRILLS.keys()
    if unknown:
        print(f"there is no drill {', '.join(sorted(unknown))}: choose from {', '.join(DRILLS)}", file=sys.stderr)
        return 2
    if options.list:
        print("\n".join(f"{each.name:<22}{each.about}" for each in DRILLS.values()))
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if options.directory is not None:
        told = drills(options.names or list(DRILLS), options.directory.resolve())
    else:
        with tempfile.TemporaryDirectory(prefix="bonafide-drill-") as directory:
            told = drills(options.names or list(DRILLS), Path(directory))
    print(told.table(), flush=True)
    told.write(OUTPUT / "drill.json")
    return 0 if told.held else 1


def drills(names: Sequence[str], directory: Path) -> Told:
    """Run these drills on one cluster, one after another; one that breaks down does not stop the next."""
    told = Told()
    with Cluster(directory) as cluster:
        world = World(cluster, told)
        for name in names:
            each = DRILLS[name]
            told.begin(name, each.about)
            try:
                each.run(world)
            except Exception as problem:  # noqa: BLE001 - a claim that did not hold, and shown
                told.broke(problem)
            told.end()
    return told


if __name__ == "__main__":
    sys.exit(main())
