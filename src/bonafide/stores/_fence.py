"""What a replay store may vouch for, as one pure function that every store asks.

A store knows its *birth* (the first time it was asked after it was new, emptied or lost) and the
*newest* time that it has seen. Both come from the callers' `now`; neither ever moves back.

Why nothing is admitted twice, whatever clocks do: an entry may be forgotten once `created` + 330 s is
not after the newest time on record. By then its `created` lies 330 s behind that time, the fence
refuses all that lies more than 300 s behind it, and the newest time only grows. The present time takes
no part in that argument, so a clock may step in either direction.

What a step costs is availability. A clock that jumps ahead by more than 300 s and is put right again
leaves a newest time in the future: every proof is fenced until the true time has come within 300 s of
it. Smaller jumps cost nothing. An operator who cannot wait removes the store: it is born again, and
vouches for proofs created from 6 s later on. What was admitted *during* the jump with a `created`
in the future is then forgotten (genuine phones follow a server's clock by 5 min at most).

Not claimed: anything about a proof that was admitted by a store which does not share this one's
clock to within a second; a store for several hosts adds the skew that it tolerates.
"""

from __future__ import annotations

from typing import Final

from bonafide.errors import Misuse
from bonafide.ports import BIRTH_FENCE_S, NEWEST_FENCE_S
from bonafide.proof.http_signature import MAX_AHEAD_S
from bonafide.reasons import store as reasons

KEY_OCTETS: Final = 32

_TIMES_END: Final = 2**39
"""Seconds since the epoch stay below this, so that a horizon fits into five octets."""


def fence(*, created: int, now: float, birth: float, newest: float) -> bool:
    """Tell whether a store must refuse a proof because it cannot know whether it is new.

    All times are seconds since the epoch. `newest` includes the present call's `now`. True where the
    proof was created before `birth` + 6 s (a store that is gone may have seen it), more than 300 s
    before `newest` (it may have been forgotten), or more than 5 s after `now` (a store that is lost in
    the meantime would not fence it).
    """
    return created < birth + BIRTH_FENCE_S or created < newest - NEWEST_FENCE_S or created > now + MAX_AHEAD_S


def require_use(key: bytes, created: int, now: float) -> None:
    """Refuse what no pending admission carries: a key that is not 32 octets, a time that is none.

    Raises `Misuse` (`store.use_malformed`).
    """
    if type(key) is not bytes or len(key) != KEY_OCTETS:
        raise Misuse(reasons.USE_MALFORMED, "the key is not 32 octets")
    if type(created) is not int:
        raise Misuse(reasons.USE_MALFORMED, "created is not in whole seconds")
    if not 0 <= now < _TIMES_END:
        raise Misuse(reasons.USE_MALFORMED, "now is not in seconds since the epoch")
