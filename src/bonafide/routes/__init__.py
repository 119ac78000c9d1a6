"""Which requests need what: the route table and the forms it is written in."""

from bonafide.routes.rules import parse_rules, parse_toml, parse_version
from bonafide.routes.table import OBSERVE_EVERYTHING, Client, Legacy, Route, RouteTable

__all__ = [
    "OBSERVE_EVERYTHING",
    "Client",
    "Legacy",
    "Route",
    "RouteTable",
    "parse_rules",
    "parse_toml",
    "parse_version",
]
