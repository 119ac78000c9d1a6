"""Reasons of the area `request`: what is refused before any route is looked up."""

from __future__ import annotations

from typing import Final

from bonafide.reasons._reason import Action, Reason

HOST_UNKNOWN: Final = Reason(
    code="request.host_unknown",
    meaning="The Host header names no origin of the configured list.",
    honest_cause="A new domain, or a health check by address, that is missing from ORIGINS.",
    likely_attack="Signing for one host and sending to another.",
    remedy="Add the origin to ORIGINS if it is yours.",
    spec="PROTOCOL section 4, Target",
    status=400,
)

TARGET_NOT_CANONICAL: Final = Reason(
    code="request.target_not_canonical",
    meaning="The request target is not in the one spelling that is admitted.",
    honest_cause="A client that builds URLs by hand: doubled slashes, lower-case escapes, a bare final `?`.",
    likely_attack="Two parsers made to see two different paths, to slip past a route rule.",
    remedy="Let the SDK build the target; the detail names the rule that was broken.",
    spec="PROTOCOL section 4, Target; RFC 3986 section 6.2.2",
    status=400,
)

METHOD_MALFORMED: Final = Reason(
    code="request.method_malformed",
    meaning="The method is not 1 to 16 upper-case letters.",
    honest_cause="None known.",
    likely_attack="A method that routers and proxies read differently.",
    remedy="None: no SDK sends this.",
    spec="RFC 9110 section 9.1",
    status=400,
)

FIELD_REPEATED: Final = Reason(
    code="request.field_repeated",
    meaning="A single-valued header field holds a comma: it was sent twice, or is a list.",
    honest_cause="A proxy that adds its own Authorization or Content-Type beside the app's.",
    likely_attack="Two values, of which the verifier reads one and the application the other.",
    remedy="Find the proxy that adds the field. The detail names it.",
    spec="PROTOCOL section 4; RFC 9110 section 5.3",
    status=400,
)

FIELD_TOO_LARGE: Final = Reason(
    code="request.field_too_large",
    meaning="A header field that the proof covers is longer than 8 KiB.",
    honest_cause="An API that keeps state in cookies.",
    likely_attack="Exhausting the verifier.",
    remedy="Shorten the cookie.",
    spec="PROTOCOL, preamble",
    status=400,
)

FIELD_NOT_ASCII: Final = Reason(
    code="request.field_not_ascii",
    meaning="A covered header field is empty, holds an octet outside visible ASCII, or has space at its ends.",
    honest_cause="A cookie with raw UTF-8, which some servers hand on as an empty value.",
    likely_attack="Octets that servers decode differently.",
    remedy="Encode the value.",
    spec="RFC 9421 section 2.1",
    status=400,
)

CONTENT_CODING: Final = Reason(
    code="request.content_coding",
    meaning="The request body has a content coding.",
    honest_cause="A networking library set to compress uploads.",
    likely_attack="A digest over one form of the body, and another form for the application.",
    remedy="Send the body as it is.",
    spec="PROTOCOL section 4",
    status=400,
)

METHOD_OVERRIDE: Final = Reason(
    code="request.method_override",
    meaning="A header asks the application to treat the request as another method.",
    honest_cause="An old client library.",
    likely_attack="A signed POST that the application runs as DELETE.",
    remedy="Send the method itself.",
    spec="PROTOCOL section 4",
    status=400,
)

UPGRADE: Final = Reason(
    code="request.upgrade",
    meaning="The request asks to change protocol, and the route does not allow it.",
    honest_cause="A WebSocket on a route without `upgrade = true`.",
    likely_attack="Tunnelling past admission (h2c smuggling).",
    remedy="Allow it on that one route.",
    spec="PROTOCOL section 4",
    status=400,
)

TRAILERS: Final = Reason(
    code="request.trailers",
    meaning="The request announces trailers.",
    honest_cause="None known.",
    likely_attack="Fields that arrive after they were judged.",
    remedy="None: no SDK sends this.",
    spec="PROTOCOL section 4",
    status=400,
)

BODY_TOO_LARGE: Final = Reason(
    code="request.body_too_large",
    meaning="The body is longer than the route's `max_body`, or the endpoint's 64 KiB.",
    honest_cause="A larger upload than foreseen.",
    likely_attack="Exhausting disk or memory.",
    remedy="Raise `max_body` on that route.",
    spec="PROTOCOL sections 1 and 6",
    status=413,
)

BODY_INCOMPLETE: Final = Reason(
    code="request.body_incomplete",
    meaning="The body ended before its announced length.",
    honest_cause="A connection lost in the middle of an upload.",
    likely_attack="None.",
    remedy="The client sends it again.",
    spec="RFC 9112 section 8",
    status=400,
    action=Action.SIGN_AGAIN,
)

BODY_FRAMING: Final = Reason(
    code="request.body_framing",
    meaning="Where the body ends is announced twice, in a form that readers differ on, or not as this server reads.",
    honest_cause="A chunked upload to a server that does not decode chunks, such as runserver.",
    likely_attack="Request smuggling: a proxy and a server made to see two different requests.",
    remedy="Use another server for chunked uploads; the detail names the field.",
    spec="RFC 9112 section 6.3",
    status=400,
)

BODY_MALFORMED: Final = Reason(
    code="request.body_malformed",
    meaning="The body of a service request is not the JSON object that the endpoint takes.",
    honest_cause="A client of another protocol version.",
    likely_attack="Probing the parser.",
    remedy="Update the SDK.",
    spec="PROTOCOL section 2",
    status=400,
    action=Action.UPDATE_APP,
)

BODY_UNCHECKED: Final = Reason(
    code="request.body_unchecked",
    meaning="A request with a body for an API beside which nobody compares bodies with the covered digest.",
    honest_cause='An upstream declared `body = "unchecked"`, on a route that takes bodies.',
    likely_attack="A proxy on the phone's own network that edits the body and leaves the proof as it is.",
    remedy="Put Bonafide's middleware beside the API, or accept it aloud: `unchecked_bodies = true`.",
    spec="PROTOCOL section 4, Body",
    status=403,
)

RATE_EXCEEDED: Final = Reason(
    code="request.rate_exceeded",
    meaning="One client network sends more requests to an unauthenticated endpoint than NETWORK_LIMITS allows.",
    honest_cause="A carrier or a company that puts thousands of phones behind one address.",
    likely_attack="Exhausting the service with enrolments that will not verify.",
    remedy="Raise the endpoint's limit; the detail names it.",
    spec="PROTOCOL section 2",
    status=429,
    action=Action.BACK_OFF,
)
