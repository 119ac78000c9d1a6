"""Every trick of the front line, as octets, with who refuses it behind each proxy.

A verdict is `PROXY` (refused before the gate is asked), the gate's reason, or `ALIKE`: it reaches the API exactly as
the gate judged it. `API` is what reaches the API as it was judged, with a body that is not the one that was signed:
whoever reads the body refuses it. `BROKEN` is a request that ends in the middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bonafide.gate.proxies import GATE_HEADERS, ORIGINAL_HEADERS
from tests.gate.proxies.judging import HOST, OTHER_HOST, having, octets, signed, without

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.gate.proxies.wire import Message

PROXY: Final = "the proxy"
ALIKE: Final = "nobody: judged alike"
API: Final = "whoever reads the body"
BROKEN: Final = "the proxy, which may have begun to hand it on"

TARGET: Final = "request.target_not_canonical"
HOST_UNKNOWN: Final = "request.host_unknown"
METHOD: Final = "request.method_malformed"
FRAMING: Final = "request.body_framing"
REPEATED: Final = "request.field_repeated"
SIGNATURE: Final = "proof.signature_invalid"


@dataclass(frozen=True, slots=True)
class Trick:
    """One request, and who refuses it behind Nginx; behind Caddy and HAProxy the same, unless it is said."""

    name: str
    sent: bytes
    nginx: str
    caddy: str = ""
    haproxy: str = ""

    def by(self, proxy: str) -> str:
        """Return the verdict behind a proxy."""
        return str(getattr(self, proxy)) or self.nginx


@dataclass(frozen=True, slots=True)
class TrickH2:
    """The same over HTTP/2."""

    name: str
    fields: Sequence[tuple[str, str]]
    nginx: str
    caddy: str = ""
    haproxy: str = ""
    body: bytes | None = None
    trailers: Sequence[tuple[str, str]] | None = None

    def by(self, proxy: str) -> str:
        """Return the verdict behind a proxy."""
        return str(getattr(self, proxy)) or self.nginx


GET: Final = signed()
POST: Final = signed(method="POST", body=b"hello")
LENGTHLESS: Final = without(POST, "content-length")
CHUNKS: Final = ("Transfer-Encoding", "chunked")
CHUNKED: Final = having(LENGTHLESS, CHUNKS, body=b"5\r\nhello\r\n0\r\n\r\n")
COOKIE: Final = signed(cookie="a=1; b=2")
SMUGGLED: Final = b"GET /api/config HTTP/1.1\r\nHost: api.example.com\r\n\r\n"


def at(target: str) -> bytes:
    """Return the signed request with another target."""
    return octets(having(GET, start=f"GET {target} HTTP/1.1"))


def on(line: str) -> bytes:
    """Return the signed request with another first line."""
    return octets(having(GET, start=line))


def host(*values: str) -> bytes:
    """Return the signed request with these Hosts."""
    return octets(having(without(GET, "host"), *(("Host", value) for value in values)))


def also(*fields: tuple[str, str], to: Message = GET) -> bytes:
    """Return a signed request with more fields."""
    return octets(having(to, *fields))


TRICKS: Final = (
    # Targets: only one spelling is signed, and only what came is judged.
    Trick("dot segment", at("/api/./config"), TARGET),
    Trick("dot dot segment", at("/api/x/../config"), TARGET),
    Trick("dot dot at the top", at("/../api/config"), PROXY, TARGET, TARGET),
    Trick("empty segment", at("/api//config"), TARGET),
    Trick("two slashes first", at("//api/config"), TARGET),
    Trick("encoded dots", at("/api/%2e%2e/config"), TARGET),
    Trick("encoded slash", at("/api%2Fconfig"), TARGET),
    Trick("encoded NUL", at("/api/%00config"), PROXY, TARGET, TARGET),
    Trick("encoded letter", at("/api/con%66ig"), TARGET),
    Trick("escape in lower case", at("/api/%c3%a9"), TARGET),
    Trick("encoded twice", at("/api/con%2566ig"), TARGET),
    Trick("broken escape", at("/api/%zz"), PROXY, PROXY, TARGET),
    Trick("backslash", at("/api\\config"), TARGET),
    Trick("semicolon", at("/api/config;x=1"), TARGET),
    Trick("bare question mark", at("/api/config?"), TARGET),
    Trick("fragment", at("/api/config#x"), TARGET, TARGET, PROXY),
    Trick("absolute form", at(f"http://{HOST}/api/config"), TARGET),
    Trick("absolute form of another host", at(f"http://{OTHER_HOST}/api/config"), HOST_UNKNOWN, TARGET, PROXY),
    Trick("asterisk", at("*"), PROXY, TARGET, TARGET),
    Trick("no slash", at("api/config"), PROXY),
    Trick("space", at("/api/con fig"), PROXY),
    Trick("9 KiB", at("/api/" + "x" * 9000), TARGET),
    Trick("query added", at("/api/config?x=1"), SIGNATURE),
    # Host picks an API and never makes one.
    Trick("host twice", host(HOST, OTHER_HOST), PROXY),
    Trick("foreign host", host("evil.example.com"), HOST_UNKNOWN),
    Trick("host with a dot at its end", host(f"{HOST}."), HOST_UNKNOWN),
    Trick("host at another port", host(f"{HOST}:8443"), HOST_UNKNOWN),
    Trick("host with its port", host(f"{HOST}:443"), ALIKE),
    Trick("host in capitals", host(HOST.upper()), ALIKE),
    Trick("two hosts in one field", host(f"{HOST},{OTHER_HOST}"), HOST_UNKNOWN),
    Trick("a foreign host in one field", host(f"evil.example.com,{HOST}"), HOST_UNKNOWN),
    Trick("no host", host(), PROXY, PROXY, HOST_UNKNOWN),
    Trick("no host in HTTP/1.0", octets(having(without(GET, "host"), start="GET /api/config HTTP/1.0")), HOST_UNKNOWN),
    # First lines and methods.
    Trick("method in lower case", on("get /api/config HTTP/1.1"), PROXY, METHOD, METHOD),
    Trick("method with an underscore", on("G_T /api/config HTTP/1.1"), METHOD),
    Trick("TRACE", on("TRACE /api/config HTTP/1.1"), PROXY, SIGNATURE, SIGNATURE),
    Trick("another method", on("DELETE /api/config HTTP/1.1"), SIGNATURE),
    Trick("method override", also(("X-HTTP-Method-Override", "DELETE")), "request.method_override"),
    Trick("HTTP/0.9", b"GET /api/config\r\n", HOST_UNKNOWN, PROXY, PROXY),
    Trick("something after the version", on("GET /api/config HTTP/1.1 x"), PROXY),
    # What the gate says, said by a client.
    Trick("forged and replayed admissions", also(*((name, "forged") for name in GATE_HEADERS * 2)), ALIKE),
    Trick("forged originals", also(*((name, "forged") for name in ORIGINAL_HEADERS)), ALIKE),
    Trick(
        "underscores",
        also(("Bonafide_Admission", "forged"), ("Original_Target", "forged"), ("OAuth_Client_Attestation", "forged")),
        ALIKE,
    ),
    Trick(
        "attestation with underscores alone",
        also(
            ("OAuth_Client_Attestation", GET.one("oauth-client-attestation")),
            to=without(GET, "oauth-client-attestation"),
        ),
        "client_attestation.missing",
    ),
    # Fields sent twice.
    Trick("signature twice", also(("Signature", GET.one("signature"))), "proof.signature_malformed"),
    Trick("attestation twice", also(("OAuth-Client-Attestation", "x")), "client_attestation.malformed"),
    Trick("digest twice", also(("Content-Digest", "x")), "proof.digest_malformed"),
    Trick("authorization twice", also(("Authorization", "Bearer x")), PROXY, REPEATED, REPEATED),
    Trick("content type twice", also(("Content-Type", "x"), to=signed(content_type="a/b")), ALIKE, REPEATED, REPEATED),
    Trick("cookies added", also(("Cookie", "c=3"), to=COOKIE), SIGNATURE),
    # Bodies.
    Trick("chunked", octets(CHUNKED), ALIKE),
    Trick("body added", octets(having(GET, ("Content-Length", "5"), body=b"added")), API),
    Trick("next request as a body", octets(having(GET, ("Content-Length", str(len(SMUGGLED))), body=SMUGGLED)), API),
    Trick("length and chunks", also(CHUNKS, to=having(POST, body=b"0\r\n\r\n")), PROXY, API, API),
    Trick("chunks in HTTP/1.0", octets(having(CHUNKED, start="POST /api/config HTTP/1.0")), PROXY, API, PROXY),
    Trick("two lengths", also(("Content-Length", "3"), to=POST), PROXY),
    Trick("one length twice", also(("Content-Length", "5"), to=POST), PROXY, ALIKE, ALIKE),
    Trick("a list of lengths", also(("Content-Length", "5, 5"), to=LENGTHLESS), PROXY, PROXY, ALIKE),
    Trick("length with a sign", also(("Content-Length", "+5"), to=LENGTHLESS), PROXY),
    Trick("codings in two fields", also(("Transfer-Encoding", "identity"), to=CHUNKED), PROXY),
    Trick("two codings", also(("Transfer-Encoding", "gzip, chunked"), to=LENGTHLESS), PROXY),
    Trick("unknown coding", also(("Transfer-Encoding", "xchunked"), to=LENGTHLESS), PROXY),
    Trick("coding behind a control", also(("Transfer-Encoding", "\x0bchunked"), to=LENGTHLESS), PROXY),
    Trick("space before the colon", also(("Transfer-Encoding ", "chunked"), to=POST), PROXY),
    Trick("content coding", also(("Content-Encoding", "gzip"), to=POST), "request.content_coding"),
    Trick(
        "announced trailer",
        octets(having(CHUNKED, ("Trailer", "X"), body=b"5\r\nhello\r\n0\r\nX: forged\r\n\r\n")),
        "request.trailers",
        ALIKE,
        "request.trailers",
    ),
    Trick("trailer", octets(having(CHUNKED, body=b"5\r\nhello\r\n0\r\nBonafide-Admission: forged\r\n\r\n")), ALIKE),
    # Lines.
    Trick("carriage return in a value", also(("X-A", "1\rBonafide-Admission: forged")), PROXY),
    Trick("line feed in a value", also(("X-A", "1\nBonafide-Admission: forged")), ALIKE),
    Trick("folded value", also(("X-A", "1\r\n forged")), PROXY, ALIKE, ALIKE),
    Trick("line feeds alone", octets(GET).replace(b"\r\n", b"\n"), ALIKE),
    Trick("17 KiB in one field", also(("X-Big", "x" * 17_000)), PROXY, ALIKE, ALIKE),
    Trick("2 MiB of fields", also(*((f"X-{number}", "x" * 15_000) for number in range(140))), PROXY),
    # The connection.
    Trick(
        "upgrade",
        also(
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ),
        "request.upgrade",
    ),
    Trick("upgrade to TLS", also(("Upgrade", "TLS/1.2"), ("Connection", "Upgrade")), "request.upgrade"),
    Trick("admission named as of this hop", also(("Connection", "Bonafide-Admission")), ALIKE),
    Trick("signature named as of this hop", also(("Connection", "Signature")), ALIKE),
    Trick("original named as of this hop", also(("Connection", ", ".join(ORIGINAL_HEADERS))), ALIKE),
)


def h2(message: Message, *more: tuple[str, str], drop: str = "", **pseudo: str | None) -> list[tuple[str, str]]:
    """Return a request's fields for HTTP/2."""
    said = {"method": message.method, "scheme": "https", "authority": HOST, "path": message.target} | pseudo
    first = [(f":{name}", value) for name, value in said.items() if value is not None]
    return [*first, *((name.lower(), value) for name, value in message.headers if name not in {"Host", drop}), *more]


TRICKS_H2: Final = (
    TrickH2("untouched", h2(GET), ALIKE),
    TrickH2("body without a length", h2(POST, drop="Content-Length"), ALIKE, body=b"hello"),
    TrickH2("body with its length", h2(POST), ALIKE, body=b"hello"),
    TrickH2("body added without a length", h2(GET), API, body=b"added"),
    TrickH2("more than its length", h2(POST), PROXY, BROKEN, PROXY, body=b"hello, world"),
    TrickH2(
        "chunked",
        h2(POST, ("transfer-encoding", "chunked"), drop="Content-Length"),
        API,
        PROXY,
        PROXY,
        body=b"5\r\nhello\r\n0\r\n\r\n",
    ),
    TrickH2(
        "trailers", h2(POST, drop="Content-Length"), PROXY, ALIKE, ALIKE, body=b"hello", trailers=[("x-a", "forged")]
    ),
    TrickH2("upgrade", h2(GET, ("upgrade", "websocket")), "request.upgrade", PROXY, PROXY),
    TrickH2("extended CONNECT", [*h2(GET, method="CONNECT"), (":protocol", "websocket")], PROXY),
    TrickH2("host besides the authority", h2(GET, ("host", OTHER_HOST)), PROXY, ALIKE, ALIKE),
    TrickH2("two hosts in one authority", h2(GET, authority=f"{HOST},{OTHER_HOST}"), HOST_UNKNOWN),
    TrickH2("foreign authority", h2(GET, authority="evil.example.com"), HOST_UNKNOWN),
    TrickH2("host and no authority", h2(GET, ("host", HOST), authority=None), ALIKE),
    TrickH2("two authorities", [(":authority", OTHER_HOST), *h2(GET)], PROXY),
    TrickH2("two paths", [(":path", "/api/x"), *h2(GET)], PROXY),
    TrickH2("absolute path", h2(GET, path=f"http://{OTHER_HOST}/api/config"), PROXY, TARGET, PROXY),
    TrickH2("line in the path", h2(GET, path="/api/config HTTP/1.1\r\nBonafide-Admission: forged"), PROXY),
    TrickH2("space in the path", h2(GET, path="/api/config forged"), PROXY, TARGET, PROXY),
    TrickH2("space in the method", h2(GET, method="GET /api/secret"), PROXY, METHOD, PROXY),
    TrickH2("method in lower case", h2(GET, method="get"), PROXY, METHOD, METHOD),
    TrickH2("line in a value", h2(GET, ("x-a", "1\r\nbonafide-admission: forged")), PROXY),
    TrickH2("line in a name", h2(GET, ("x-a: 1\r\nbonafide-admission", "forged")), PROXY),
    TrickH2("name in capitals", h2(GET, ("Bonafide-Admission", "forged")), PROXY),
    TrickH2("forged admission", h2(GET, ("bonafide-admission", "forged")), ALIKE),
    TrickH2("forged original", h2(GET, ("originaltarget", "forged")), ALIKE),
    TrickH2("underscore", h2(GET, ("bonafide_admission", "forged")), ALIKE),
    TrickH2("split cookie", h2(COOKIE, ("cookie", "a=1"), ("cookie", "b=2"), drop="Cookie"), ALIKE),
    TrickH2(
        "cookie split and turned round", h2(COOKIE, ("cookie", "b=2"), ("cookie", "a=1"), drop="Cookie"), SIGNATURE
    ),
    TrickH2("HEAD", h2(signed(method="HEAD")), ALIKE),
    TrickH2("unsigned", h2(without(GET, "signature")), "proof.missing"),
)
