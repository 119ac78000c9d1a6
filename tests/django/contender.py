"""One of several processes that enrol and renew at once: started by `test_enrolment_store_processes`.

For each story it says `ready`, waits for a line, plays, and in the end prints what it was answered.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final

import django

if TYPE_CHECKING:
    from collections.abc import Callable

    from bonafide.django.enrolment_store import DjangoEnrolmentStore
    from bonafide.ports import InstanceRecord, Registration, RegistrationRefusal

ROUNDS: Final = 25


def enrol_devices(store: DjangoEnrolmentStore, me: str) -> list[str]:
    """Enrol devices of one's own: nothing stands in the way of any."""
    from bonafide.testing.enrolment_trial import registration

    return [_answer(_register(store, registration(f"device {me} {n}"))) for n in range(ROUNDS)]


def enrol_sign_keys(store: DjangoEnrolmentStore, me: str) -> list[str]:
    """Enrol `sign` keys that all others enrol as well, each with an App Attest key of one's own."""
    from bonafide.testing.enrolment_trial import registration

    keys = [registration(f"sign key {n}").jkt for n in range(ROUNDS)]
    return [_answer(_register(store, registration(f"phone {me} {n}", jkt=jkt))) for n, jkt in enumerate(keys)]


def enrol_key_ids(store: DjangoEnrolmentStore, me: str) -> list[str]:
    """Enrol App Attest keys that all others claim as well, each under a `sign` key of one's own."""
    from bonafide.testing.enrolment_trial import registration

    keys = [f"key id {n}" for n in range(ROUNDS)]
    return [_answer(_register(store, registration(f"thief {me} {key_id}", key_id=key_id))) for key_id in keys]


def spend_challenges(store: DjangoEnrolmentStore, me: str) -> list[str]:
    """Present challenges that all others present as well, each with a body of one's own."""
    from bonafide.testing.enrolment_trial import NOW, digest

    spent = [
        store.spend_challenge(digest(f"shared {n}"), body_digest=digest(me), expires_at=NOW) for n in range(ROUNDS)
    ]
    return ["first" if answer.body_digest == digest(me) else "second" for answer in spent]


def renew(store: DjangoEnrolmentStore, me: str) -> list[str]:
    """Renew one instance with challenges and counters that all others use as well."""
    from bonafide.testing.enrolment_trial import APP, ENVIRONMENT, digest, instance_id, renewal

    record = store.instance(instance_id("shared"), app=APP, environment=ENVIRONMENT)
    if record is None:
        return []
    rounds = range(1, ROUNDS + 1)
    return [store.renew(renewal(record, order, body_digest=digest(me))).value for order in rounds]


def _register(store: DjangoEnrolmentStore, new: Registration) -> InstanceRecord | RegistrationRefusal:
    from django.db import connections

    from bonafide.testing.enrolment_trial import NOW, digest

    store.spend_challenge(new.challenge_digest, body_digest=digest("body"), expires_at=NOW)
    connections.close_all()  # as between two requests, where CONN_MAX_AGE is 0
    return store.register(new)


def _answer(answer: InstanceRecord | RegistrationRefusal) -> str:
    from bonafide.ports import InstanceRecord

    return answer.instance if isinstance(answer, InstanceRecord) else answer.value


STORIES: Final[dict[str, Callable[[DjangoEnrolmentStore, str], list[str]]]] = {
    story.__name__: story for story in (enrol_devices, enrol_sign_keys, enrol_key_ids, spend_challenges, renew)
}


def main() -> None:
    """Play every story as the contender of that name."""
    django.setup()
    from django.db import connections

    from bonafide.django.enrolment_store import DjangoEnrolmentStore

    store, me, answers = DjangoEnrolmentStore(), sys.argv[1], {}
    for name, story in STORIES.items():
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        answers[name] = story(store, me)
        connections.close_all()
    sys.stdout.write(json.dumps(answers))


if __name__ == "__main__":
    main()
