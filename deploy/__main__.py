"""`python -m deploy`: start everything on loopback, say where it is, and end it with CONTROL-C."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.cluster import STORES, Cluster
from deploy.machines import ORIGIN, PREFIX
from deploy.processes import HOST, Failed

if TYPE_CHECKING:
    from collections.abc import Sequence


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    options = argparse.ArgumentParser(prog="python -m deploy", description=__doc__)
    options.add_argument("--directory", type=Path, metavar="DIR", help="an empty one (default: a temporary one)")
    options.add_argument("--store", choices=STORES, default="redis", help="the form of Redis (default: one server)")
    options.add_argument("--gates", type=int, default=3, metavar="N", help="gate machines (default: 3)")
    options.add_argument("--services", type=int, default=2, metavar="N", help="service machines (default: 2)")
    options.add_argument("--once", action="store_true", help="start, send a request, and end")
    return options


def main(words: Sequence[str] | None = None) -> int:
    """Run it; return 0 unless something did not start."""
    options = parser().parse_args(words)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if options.directory is not None:
            return _run(options, options.directory.resolve())
        with tempfile.TemporaryDirectory(prefix="bonafide-") as directory:
            return _run(options, Path(directory))
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def _run(options: argparse.Namespace, directory: Path) -> int:
    cluster = Cluster(directory, gates=options.gates, services=options.services, store=options.store)
    with cluster, cluster.phone() as phone:
        phone.enrol()
        print(_places(cluster))
        answers = [cluster.send(cluster.signed(phone), gate=n).status_code for n in range(len(cluster.gates))]
        print(f"a software iPhone enrolled; its requests were answered {', '.join(map(str, answers))}", flush=True)
        if not options.once:
            print("CONTROL-C ends everything.", flush=True)
            signal.pause()
    return 0


def _places(cluster: Cluster) -> str:
    lines = [f"{ORIGIN} on this machine, in {cluster.directory}"]
    lines += [
        f"  {gate.name}      http://{HOST}:{gate.port}  (Nginx), {gate.directory / 'gate.sock'}"
        for gate in cluster.gates
    ]
    lines += [
        f"  {each.name}   http://{HOST}:{each.port}{PREFIX}, console http://{HOST}:{each.console_port}/admin/"
        for each in cluster.services
    ]
    lines += [f"  replay store {cluster.redis.url}", f"  database     {cluster.postgresql.url}"]
    return "\n".join([*lines, f"  to command   bonafide check --home {cluster.services[0].home}"])


if __name__ == "__main__":
    sys.exit(main())
