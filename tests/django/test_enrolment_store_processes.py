"""Several processes enrol and renew on one database at once: no error, and one winner of each race."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Final

from bonafide.django.enrolment_store import DjangoEnrolmentStore
from bonafide.django.models import AttestKey, AuditEvent, Instance, SignKey
from bonafide.ports import RegistrationRefusal, RenewalOutcome
from bonafide.testing.enrolment_trial import NOW, digest, instance_id, registration
from tests.conftest import ROOT
from tests.django.contender import ROUNDS, STORIES

if TYPE_CHECKING:
    from tests.django.databases import Database

CONTENDERS: Final = 4


def contend(database: Database) -> dict[str, list[tuple[str, ...]]]:
    """Play each story in several processes that begin at the same moment; return the answers round by round."""
    environ = (
        os.environ
        | database.environ
        | {
            "DJANGO_SETTINGS_MODULE": "tests.django.settings",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
        }
    )
    command = [sys.executable, "-W", "error", "-m", "tests.django.contender"]
    contenders = [
        subprocess.Popen([*command, str(n)], stdin=-1, stdout=-1, stderr=-1, text=True, env=environ, cwd=ROOT)
        for n in range(CONTENDERS)
    ]
    try:
        for _ in STORIES:
            for contender in contenders:
                assert contender.stdout is not None
                assert contender.stdout.readline() == "ready\n", contender.communicate()[1]
            for contender in contenders:
                assert contender.stdin is not None
                contender.stdin.write("go\n")
                contender.stdin.flush()
        ended = [contender.communicate(timeout=120) for contender in contenders]
    finally:
        for contender in contenders:
            contender.kill()
            contender.wait()
    assert [errors for _, errors in ended] == [""] * CONTENDERS
    answers = [json.loads(answer) for answer, _ in ended]
    return {story: list(zip(*(each[story] for each in answers), strict=True)) for story in STORIES}


def test_processes_at_once_see_no_error_and_one_winner_of_each_race(database: Database) -> None:
    store, shared = DjangoEnrolmentStore(), registration("shared")
    store.spend_challenge(shared.challenge_digest, body_digest=digest("body"), expires_at=NOW)
    store.register(shared)

    answers = contend(database)

    # Everybody's own devices enrol.
    assert answers["enrol_devices"] == [
        tuple(instance_id(f"device {me} {n}") for me in range(CONTENDERS)) for n in range(ROUNDS)
    ]
    # A `sign` key is one instance, whoever was first; each further App Attest key superseded another, on record.
    assert all(len(set(race)) == 1 for race in answers["enrol_sign_keys"])
    assert (
        AuditEvent.objects.count() == AttestKey.objects.exclude(superseded_at=None).count() == (CONTENDERS - 1) * ROUNDS
    )
    # An App Attest key belongs to one, and the others leave nothing behind.
    taken = RegistrationRefusal.KEY_ID_TAKEN.value
    assert [Counter(race)[taken] for race in answers["enrol_key_ids"]] == [CONTENDERS - 1] * ROUNDS
    assert Instance.objects.count() == SignKey.objects.count() == (CONTENDERS + 2) * ROUNDS + 1
    # A challenge is spent by one body.
    assert [Counter(race)["first"] for race in answers["spend_challenges"]] == [1] * ROUNDS
    # A renewal's challenge and counter are good once.
    outcomes = [Counter(race) for race in answers["renew"]]
    assert [race[RenewalOutcome.DONE.value] for race in outcomes] == [1] * ROUNDS
    assert [race[RenewalOutcome.CHALLENGE_SPENT.value] for race in outcomes] == [CONTENDERS - 1] * ROUNDS
    assert Instance.objects.get(pk=shared.instance).counter == ROUNDS
