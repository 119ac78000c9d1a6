"""What a proxy in front of a gate must be told, written as its own configuration.

One `Front` (where the gate and the service are, and the sites behind them) makes the text for each proxy. The
texts are pure functions of it: nothing here reads a file or starts a program.
"""

from bonafide.gate.proxies.front import (
    GATE_HEADERS,
    ORIGINAL_HEADERS,
    Address,
    Front,
    Service,
    Site,
    parse_address,
)

__all__ = ["GATE_HEADERS", "ORIGINAL_HEADERS", "Address", "Front", "Service", "Site", "parse_address"]
