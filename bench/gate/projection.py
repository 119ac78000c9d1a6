"""What a fleet of phones needs, from unit costs that were measured. Every figure is one line of arithmetic."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from bench._rounds import OUTPUT
from bonafide.ports import REPLAY_HORIZON_S

if TYPE_CHECKING:
    from pathlib import Path

FLEETS: Final = (1_000_000, 100_000_000)
"""Devices that are active at the same time."""

REQUESTS_A_MINUTE: Final = 20
RENEWED_EVERY_S: Final = 240
"""A client attestation lives five minutes; apps renew a minute before its end."""

NEW_A_DAY: Final = 0.01
"""Of the active devices, how many enrol in a day. Launch day has its governor (50 a second)."""

BUSY: Final = 0.5
"""How much of a processor is planned to be used."""

CORES_A_MACHINE: Final = 8
SHARD_BYTES: Final = 16 * 2**30
_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """Measured costs: microseconds of CPU, and octets."""

    nginx_us: float
    gate_us: float
    redis_us: float
    nonce_bytes: float
    renewal_us: float
    renewal_sql_us: float
    enrolment_us: float
    enrolment_sql_us: float


def read(directory: Path = OUTPUT) -> Units:
    """Read the costs from the JSON of `python -m bench.gate` and `python -m bench.gate control-plane`."""
    found = {entry["name"]: entry for name in ("gate", "control_plane") for entry in _entries(directory, name)}
    session = found["session, Redis"]
    return Units(
        nginx_us=session["nginx_us"],
        gate_us=session["server_us"],
        redis_us=session["redis_us"],
        nonce_bytes=found["a live nonce in Redis"]["bytes"],
        renewal_us=found["a renewal, service"]["us_per_op"],
        renewal_sql_us=found["a renewal, PostgreSQL"]["us_per_op"],
        enrolment_us=found["an enrolment, service"]["us_per_op"],
        enrolment_sql_us=found["an enrolment, PostgreSQL"]["us_per_op"],
    )


def _entries(directory: Path, name: str) -> list[dict[str, Any]]:
    path = directory / f"{name}.json"
    try:
        entries: list[dict[str, Any]] = json.loads(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        message = f"{path} is missing: run python -m bench.gate and python -m bench.gate control-plane first"
        raise SystemExit(message) from None
    return entries


def text(units: Units) -> str:
    """Return the costs, the assumptions and the arithmetic for each fleet."""
    costs = (f"{field.name} = {getattr(units, field.name):g}" for field in fields(units))
    return "\n".join([_ASSUMED, *costs, *(line for devices in FLEETS for line in ("", *_fleet(devices, units)))])


_ASSUMED: Final = f"""\
{REQUESTS_A_MINUTE} requests a minute; an attestation is renewed every {RENEWED_EVERY_S} s; {NEW_A_DAY:.0%} of the \
devices enrol in a day;
processors are {BUSY:.0%} busy; machines have {CORES_A_MACHINE} of them.
"""


def _fleet(devices: int, units: Units) -> tuple[str, ...]:
    rate = devices * REQUESTS_A_MINUTE / 60
    renewals, enrolments = devices / RENEWED_EVERY_S, devices * NEW_A_DAY / _DAY_S
    front = rate * (units.nginx_us + units.gate_us)
    by_cpu = rate * units.redis_us / 1e6 / BUSY
    live_bytes = rate * REPLAY_HORIZON_S * units.nonce_bytes
    shards = ceil(max(by_cpu, live_bytes / SHARD_BYTES))
    service = renewals * units.renewal_us + enrolments * units.enrolment_us
    database = renewals * units.renewal_sql_us + enrolments * units.enrolment_sql_us
    gates = f"{rate:,.0f} x ({units.nginx_us:g} + {units.gate_us:g}) us / {BUSY:g} = {_cores(front)} processors"
    kept = f"{rate:,.0f} x {REPLAY_HORIZON_S} s x {units.nonce_bytes:g} octets = {live_bytes / 2**30:,.1f} GiB live"
    served = f"{renewals:,.0f} x {units.renewal_us:g} us + {enrolments:,.1f} x {units.enrolment_us:g} us"
    stored = f"{renewals:,.0f} x {units.renewal_sql_us:g} us + {enrolments:,.1f} x {units.enrolment_sql_us:g} us"
    return (
        f"{devices:,} devices",
        f"  requests    {devices:,} x {REQUESTS_A_MINUTE} / 60 = {rate:,.0f} a second",
        f"  gates       {gates}: {_machines(front)} machines with Nginx and gate",
        f"  Redis       {rate:,.0f} x {units.redis_us:g} us / {BUSY:g} = {by_cpu:,.1f} processors",
        f"              {kept}: {shards:,} shards",
        f"  renewals    {devices:,} / {RENEWED_EVERY_S} s = {renewals:,.0f} a second",
        f"  enrolments  {devices:,} x {NEW_A_DAY:g} / {_DAY_S:,} s = {enrolments:,.1f} a second",
        f"  service     ({served}) / {BUSY:g} = {_cores(service)} processors: {_machines(service)} machines",
        f"  PostgreSQL  ({stored}) / {BUSY:g} = {_cores(database)} processors",
    )


def _cores(microseconds: float) -> str:
    return f"{microseconds / 1e6 / BUSY:,.0f}"


def _machines(microseconds: float) -> str:
    return f"{ceil(microseconds / 1e6 / BUSY / CORES_A_MACHINE):,}"
