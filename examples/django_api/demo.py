#!/usr/bin/env python
"""First the shop's API as it was: a rogue client takes everything. Then with Bonafide, attack after attack.

    python demo.py [--json] [--only NAME ...] [--behind-nginx]

Everything is real: HTTP over TLS on loopback, servers with several processes, SQLite, LMDB, mitmproxy. Only
Apple is not: the phones are software, and the locked API believes their maker's root besides Apple's.
Exits 0 only if every row of attacks.toml came to what stands there.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent))

from demonstration import report, rogue
from demonstration.rows import ATTACKS, read_rows
from demonstration.world import CUSTOMERS, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from demonstration.trial import Outcome, Row

    Faults = dict[str, list[str]]
    Say = Callable[[str], None]


def main() -> int:
    """Run the demo; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the outcomes as JSON, and nothing else")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="run these rows alone")
    parser.add_argument("--behind-nginx", action="store_true", help="put Nginx and a gate in front of the locked API")
    options = parser.parse_args()
    say: Say = (lambda _: None) if options.json else _print
    began = time.monotonic()
    rows = [row.behind_nginx() if options.behind_nginx else row for row in read_rows()]
    if unknown := sorted(set(options.only or []) - {row.name for row in rows}):
        parser.error(f"no row is called {unknown[0]}")
    faults = report.missing_and_extra([row.name for row in rows], list(ATTACKS))
    chosen = [row for row in rows if row.name in ATTACKS and (options.only is None or row.name in options.only)]
    with (
        tempfile.TemporaryDirectory(prefix="bonafide-demo-") as state,
        World(Path(state), behind_nginx=options.behind_nginx) as world,
    ):
        faults |= show_both(world, say)
        outcomes = run_rows(world, chosen, faults, say)
    faults = {name: found for name, found in faults.items() if found}
    if options.json:
        print(json.dumps({"outcomes": [asdict(outcome) for outcome in outcomes], "faults": faults}, indent=1))
    say(report.summary(len(outcomes), faults, time.monotonic() - began))
    return 1 if faults else 0


def show_both(world: World, say: Say) -> Faults:
    """Let the script loose on the API before and after, and the genuine app on the one after."""
    faults: Faults = {}
    say("The API as it was. A script that knows the endpoints, with an account of its own:")
    loot = rogue.take(world, world.open)
    _tell(loot, say)
    faults["rogue_before"] = [] if loot.everything else ["the script did not take everything"]
    world.come_of_age()
    say("\nThe same API with Bonafide. The genuine app, on four phones:")
    for name in CUSTOMERS:
        person = world.log_in(name)
        orders = person.client.get("/api/orders", headers={"Authorization": f"Bearer {person.bearer}"})
        say(f"  {name} enrolled, logged in, and sees {len(orders.json()['orders'])} orders of her own")
    say("\nThe same script:")
    loot = rogue.take(world, world.locked)
    _tell(loot, say)
    faults["rogue_after"] = [] if loot.nothing else ["the script was answered"]
    return faults


def _tell(loot: rogue.Loot, say: Say) -> None:
    say("  " + ", ".join(f"{endpoint} {status}" for endpoint, status in loot.answers.items()))
    say(f"  {len(loot.customers)} customers' addresses, {loot.orders} order placed")


def run_rows(world: World, rows: list[Row], faults: Faults, say: Say) -> list[Outcome]:
    """Run the rows in their order, and print each as it ends."""
    say(f"\n{len(rows)} attacks, each beside the same request untouched, which is answered:\n")
    say(report.heading())
    outcomes = []
    for row in rows:
        outcome = world.judge(row.name, ATTACKS[row.name](world))
        outcomes.append(outcome)
        faults[row.name] = [*faults.get(row.name, []), *row.faults(outcome)]
        say(report.line(row, outcome, faults[row.name]))
    return outcomes


def _print(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
