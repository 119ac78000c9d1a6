"""Each proxy as the tests start it: our text, and the least of a site around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bonafide.gate.proxies import caddy, haproxy, nginx
from tests.gate.proxies import programs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.gate.proxies.programs import Program
    from tests.gate.proxies.stage import Stage

HAPROXY_DEFAULTS: Final = """
defaults
    mode http
    timeout client 10s
    timeout connect 2s
    timeout server 10s
"""


def start_nginx(stage: Stage, program: Path, *, before: str = "", inside: str = "") -> Program:
    """Return Nginx with the whole snippet, and what a site adds in http { } and in server { }."""
    servers = "\n".join(
        f"server {{ listen 127.0.0.1:{stage.http}; listen 127.0.0.1:{stage.h2} http2;"
        f" server_name {' '.join(site.server_names)};\n{nginx.server_level(stage.front, site)}\n{inside}\n}}"
        for site in stage.front.sites
    )
    http = f"{before}\n{nginx.http_level(stage.front)}"
    return programs.nginx(program, stage.directory, http=http, servers=servers, ports=(stage.http, stage.h2))


def start_caddy(stage: Stage, program: Path) -> Program:
    """Return Caddy with the snippets of both APIs; the first takes every host that the second does not."""
    stage.h2 = stage.http
    first, second = stage.front.sites
    (named,) = second.server_names
    file = stage.directory / "Caddyfile"
    file.write_text(
        "{\n\tadmin off\n\tauto_https off\n\tservers {\n\t\tprotocols h1 h2 h2c\n\t}\n}\n"
        f"{caddy.snippets(stage.front)}\n"
        f"http://{named}:{stage.http} {{\n\timport bonafide_{second.identifier}\n}}\n"
        f"http://:{stage.http} {{\n\timport bonafide_{first.identifier}\n}}\n"
    )
    command = [str(program), "run", "--adapter", "caddyfile", "--config", str(file)]
    home = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(stage.directory))
    return programs.Program(command, [stage.http], stage.directory / "caddy.log", home)


def start_haproxy(stage: Stage, program: Path) -> Program:
    """Return HAProxy with the Lua file and the front end."""
    stage.h2 = stage.http
    lua, file = stage.directory / "bonafide.lua", stage.directory / "haproxy.cfg"
    lua.write_text(haproxy.lua())
    file.write_text(HAPROXY_DEFAULTS + haproxy.configuration(stage.front, str(lua), bind=f"127.0.0.1:{stage.http}"))
    return programs.Program([str(program), "-db", "-f", str(file)], [stage.http], stage.directory / "haproxy.log")


STARTS: Final[Mapping[str, tuple[Callable[[Stage, Path], Program], str]]] = {
    "nginx": (start_nginx, "nginx-light"),
    "caddy": (start_caddy, "caddy"),
    "haproxy": (start_haproxy, "haproxy"),
}
"""By the name of the program: how it is started, and Debian's package."""
