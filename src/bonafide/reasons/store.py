"""Reasons of the area `store`: the place where first uses are remembered."""

from __future__ import annotations

from typing import Final

from bonafide.reasons._reason import Action, Reason

UNAVAILABLE: Final = Reason(
    code="store.unavailable",
    meaning="The replay store did not answer, is full, or cannot see all the workers that ask it.",
    honest_cause="A full disk, a store smaller than the load, a memory store in a forked worker.",
    likely_attack="A flood of fresh proofs by genuine phones, to fill the store.",
    remedy="The log says why. Make the store larger, or limit the instance that floods it.",
    spec="PROTOCOL section 7",
    status=503,
    action=Action.BACK_OFF,
)

CLOCK_APART: Final = Reason(
    code="store.clock_apart",
    meaning="This gate's clock is more than 2 s off its replay store's.",
    honest_cause="A host whose time service does not run.",
    likely_attack="Moving a gate's clock, to make old proofs fresh.",
    remedy="Mend the time service of the gate or of the store.",
    spec="PROTOCOL section 4, Freshness",
    status=503,
    action=Action.BACK_OFF,
)

USE_MALFORMED: Final = Reason(
    code="store.use_malformed",
    meaning="A replay store was asked with a key that is not 32 octets, or with a time that is none.",
    honest_cause="A mistake in the program that calls the store.",
    likely_attack="None: no input of a client can cause this.",
    remedy="Pass what the pending admission carries, and the time in seconds since the epoch.",
    spec="PROTOCOL section 4, Freshness",
    status=500,
)

DIRECTORY_UNSAFE: Final = Reason(
    code="store.directory_unsafe",
    meaning="Somebody else may write where the replay store lies, and could empty it or put back an older one.",
    honest_cause="A directory made by root, or with a group's permissions.",
    likely_attack="A local user who wants a used proof to count as new.",
    remedy="Give the service a directory of its own: its owner, mode 0700, below directories that only root may write.",
    spec="ARCHITECTURE, Scale",
    status=500,
)

BOOT_UNKNOWN: Final = Reason(
    code="store.boot_unknown",
    meaning="The system does not say which boot this is, so a torn store could pass for a whole one.",
    honest_cause="A system other than Linux, or one without /proc.",
    likely_attack="None: only the operator can cause this.",
    remedy="Mount /proc, pass `boot_id`, or use the memory store with one process.",
    spec="PROTOCOL section 4, Freshness",
    status=500,
)

COPY_STALE: Final = Reason(
    code="store.copy_stale",
    meaning="This process could not read the apps or the bans from the database for more than a minute.",
    honest_cause="A database that is down or cannot be reached.",
    likely_attack="Cutting a host off its database, so that a ban does not reach it.",
    remedy="Mend the database; the log of `bonafide.revisions` names the error.",
    spec="ARCHITECTURE, prohibition 4",
    status=503,
    action=Action.BACK_OFF,
)

DATABASE_UNAVAILABLE: Final = Reason(
    code="store.database_unavailable",
    meaning="The database of the service did not take an enrolment or a renewal.",
    honest_cause="A database that is down, or SQLite without the options of `bonafide.django.databases`.",
    likely_attack="A flood of enrolments.",
    remedy="Mend the database; on SQLite set SQLITE_OPTIONS (bonafide.W010).",
    spec="ARCHITECTURE, Scale",
    status=503,
    action=Action.BACK_OFF,
)

SEALING_KEY_UNAVAILABLE: Final = Reason(
    code="store.sealing_key_unavailable",
    meaning="The token that holds the sealing key did not do what it was asked.",
    honest_cause="An HSM that is restarting, unreachable, or out of sessions.",
    likely_attack="Cutting the service off its HSM; keys at hand go on serving until they are due.",
    remedy="Mend the token. The detail is the PKCS#11 error.",
    spec="ARCHITECTURE, Scale",
    status=503,
    action=Action.BACK_OFF,
)

EVICTS: Final = Reason(
    code="store.evicts",
    meaning="The Redis server may throw away keys before they expire, and a forgotten proof would count as new.",
    honest_cause="A Redis that was set up as a cache: its `maxmemory-policy` is not `noeviction`.",
    likely_attack="Filling a shared Redis, so that a used proof is evicted and can be sent again.",
    remedy="Set `maxmemory-policy noeviction`, or give the replay store a Redis of its own.",
    spec="PROTOCOL section 4, Freshness",
    status=503,
    action=Action.BACK_OFF,
)

SERVER_UNSUITED: Final = Reason(
    code="store.server_unsuited",
    meaning="What answers at the replay store's address cannot keep first uses, or is not what the address calls it.",
    honest_cause="A replica, a cluster behind a plain address, Redis before 6.2, a password or ACL that is refused.",
    likely_attack="None: only the operator can cause this.",
    remedy="The detail says which; correct the address or the server.",
    spec="ARCHITECTURE, Scale",
    status=503,
    action=Action.BACK_OFF,
)
