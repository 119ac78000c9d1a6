"""Reasons of the area `sealed`: an answer is not the one that was sealed for this question.

They are the client's: a server seals, and an app opens.
"""

from __future__ import annotations

from typing import Final

from bonafide.reasons._reason import Reason

_CHANGED: Final = "A proxy, a cache or a compressing server between API and app that touches bodies."
_LEAVE_ALONE: Final = "Let nothing between API and app change or keep what is `application/bonafide-sealed`."

NOT_SEALED: Final = Reason(
    code="sealed.not_sealed",
    meaning="The caller wants a sealed answer, and this one is in clear or says nothing about itself.",
    honest_cause="A route without `seal`, a refusal before admission, or an error page of a proxy.",
    likely_attack="A proxy that answers in the API's place, or leads the request to a route that does not seal.",
    remedy="Say `seal = true` for the route, or ask for an answer in clear; look up the record of a refusal.",
    spec="PROTOCOL section 5",
)

UNEXPECTED: Final = Reason(
    code="sealed.unexpected",
    meaning="The answer is sealed and the caller has not asked for that.",
    honest_cause="A call that was not told about the route.",
    likely_attack="None.",
    remedy="Ask for a sealed answer in this call.",
    spec="PROTOCOL section 5",
)

HEADER_REFUSED: Final = Reason(
    code="sealed.header_refused",
    meaning="The header before the records is not of the one form: record size 65536, key id of 16 octets.",
    honest_cause=_CHANGED,
    likely_attack="Another form of RFC 8188, in search of a reader that is not strict.",
    remedy=_LEAVE_ALONE,
    spec="RFC 8188 section 2.1, ADR 15",
)

SESSION_MISMATCH: Final = Reason(
    code="sealed.session_mismatch",
    meaning="The answer is sealed under another session than the one that the request was made with.",
    honest_cause="A cache that answers one caller with what was meant for another.",
    likely_attack="An answer that was recorded before, or made for another phone.",
    remedy=_LEAVE_ALONE,
    spec="PROTOCOL section 5",
)

RECORD_INVALID: Final = Reason(
    code="sealed.record_invalid",
    meaning="A record does not verify: for this question, this status, this place in the answer, or at all.",
    honest_cause=_CHANGED,
    likely_attack="An edited body, swapped records, an answer to another question or with another status.",
    remedy=_LEAVE_ALONE,
    spec="RFC 8188 section 2.3, PROTOCOL section 5",
)

TRUNCATED: Final = Reason(
    code="sealed.truncated",
    meaning="The answer ends before its last record does.",
    honest_cause="A connection that broke.",
    likely_attack="A proxy that cuts off what the app should not learn.",
    remedy="Ask again.",
    spec="RFC 8188 section 2",
)

PADDING_MALFORMED: Final = Reason(
    code="sealed.padding_malformed",
    meaning="Delimiter or padding are not those of the one form, or something follows the last record.",
    honest_cause="A server of another version.",
    likely_attack="None without the key, but for octets that were appended.",
    remedy="Bring service, gates and APIs to one version.",
    spec="RFC 8188 section 2, ADR 15",
)

FIELDS_MALFORMED: Final = Reason(
    code="sealed.fields_malformed",
    meaning="What stands before the body inside is not the list of fields that it must be.",
    honest_cause="A server of another version.",
    likely_attack="None without the key.",
    remedy="Bring service, gates and APIs to one version.",
    spec="ADR 15",
)

TOO_LARGE: Final = Reason(
    code="sealed.too_large",
    meaning="The answer is larger than the caller takes.",
    honest_cause="A download that was asked for as if it were short.",
    likely_attack="A proxy that fills the phone's memory.",
    remedy="Have large answers written to a file.",
    spec="ADR 15",
)

KEY_MISUSED: Final = Reason(
    code="sealed.key_misused",
    meaning="The code that seals brought a key, a status or fields that no answer has.",
    honest_cause="A mistake of the project.",
    likely_attack="None.",
    remedy="Look at the detail in the log.",
    spec="PROTOCOL section 5",
    status=500,
)

ANSWER_UNFIT: Final = Reason(
    code="sealed.answer_unfit",
    meaning="The application gave an answer that cannot be sealed: a part of one, a coded one, an event stream.",
    honest_cause="A view or a middleware that compresses, streams events or answers ranges on a sealed route.",
    likely_attack="None.",
    remedy="Leave `seal` off this route, or the coding, the range, the event stream out of the view.",
    spec="PROTOCOL section 5, ADR 15",
    status=500,
)

KEY_MISSING: Final = Reason(
    code="sealed.key_missing",
    meaning="An answer has to be sealed and nothing says under which key: the request was not admitted with a session.",
    honest_cause="A view marked `sealed` on a route that the gate's table does not mark, or one that only observes.",
    likely_attack="A request that came past admission.",
    remedy="Say `seal = true` for the route, in the gate's table as well.",
    spec="PROTOCOL section 5",
    status=500,
)
