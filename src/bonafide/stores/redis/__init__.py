"""The replay store of several hosts: one Redis, one behind Sentinels, or a cluster.

A use is one round trip of three commands: `SET key 1 NX PXAT …`, `GET record`, `TIME`. The record
(`epoch`) says on which server (run id, replication id, count of evicted keys) this bucket of keys was born, when, and
the newest time that was seen. Nothing is admitted unless the record was there *after* the use, names the server
that the connection leads to, and does not fence the proof.

Why nothing is admitted twice. A first use that is asked for again is either still in Redis, and then `NX` says so,
or it has gone in one of these ways, and then it is fenced:

- *Expired.* Redis forgets a key when its clock says `created` + 330 s. The proof is then more than 300 s
  before Redis's time, and before the recorded newest time, which is at most a second behind the newest that
  any use saw and never moves back. That holds when gates and server step together, too. Where Redis's clock alone
  jumps ahead, every gate is apart from it and admits nothing; the first that notices (30 s are absorbed by the
  distance of 330 and 300) lets the buckets of that server be born anew at the last recorded time. So when the clock
  is right again, what it expired is fenced, and all that is signed from eight seconds after that time is good.
- *Lost*: emptied, restarted, put back from a dump, a slot given away without its keys. The record is gone
  with the keys, for it lies in the same slot, or it names another run id. The use comes before the `GET` in the
  same connection, so a loss between the two shows; a loss before the two shows as well, unless a new birth is on
  record already, and that fences.
- *Failed over* before it was passed on. A new connection reads run id and replication id, a kept one looks
  again, in the same round trip, whenever it is used after more than a second; any change is a new birth.
- *Evicted*. `maxmemory-policy` must be `noeviction`; the same look reads it, for it can be changed under a running
  gate. It reads how many keys the server ever evicted as well, which is part of who the server is: one that
  was a cache for a while is born again, for those who saw it and for those who connect after it was set back.
- *Put back whole*, keys, record and run id, as by a snapshot of its machine. Times of a record only grow, so one
  that is earlier than what a gate saw before it asked lets all buckets of that server be born anew.
- *Recorded by another server*, an old master that does not know yet. It is asked only while others name it
  (`masters`).

Why a birth fences enough. A proof that was used before the birth was created at most 5 s after the earlier
of the gate's clock and Redis's then. The birth is the later of the gate's clock and Redis's, read by the script that
writes it. Clocks are at most 2 s apart, or the gate admits nothing, so `created` is before birth + 6 s + 2 s, which
is what is fenced. A gate whose clock is apart bears nothing. All gates agree, because a record is only ever put in
place of the one that was seen (compare and set).

Failures. A use is never repeated: one whose answer was lost may be on record, and would refuse itself. A silent server
costs one timeout for those who wait, however many addresses its name has; after it everybody is told at once, and one
caller at a time finds out, every 0.2 s, whether it answers. Rights that a user needs: `+set +get +time +info +eval
+select +client|setname ~bf*`, and `+cluster|slots +cluster|myid` in a cluster.

Measured beside it, in us of this process's CPU for one first use over loopback, redis-py 8.1 with hiredis, where
one P-256 verification is 44: commands on a connection (as here) 31 to 38, by a unix socket the same or less,
redis-py's client with a pipeline 60, with a script 58. The server spends 2 on the three commands and 5 on a script that
does the same. A live proof takes 129 octets of Redis's memory.

Not claimed: anything against who may write to Redis, or about keys moved by hand (SWAPDB, RESTORE). A Redis host
whose clock jumps ahead and back within the age that a route allows its proofs, without a single use in between on any
gate, by more than 330 s less that age: 270 s, but only 30 s where a route's `max_age` is 300. Sentinels that learn
of a change later than two seconds after it. One address whose server is replaced behind it while the old one sleeps
and wakes: that wants Sentinels or a cluster. What a server evicts and is asked for again within a second of the
connection's last look; what it evicted, where `CONFIG RESETSTAT` takes the count back before a gate looks. A server
that is put back whole by less than its record's second, or that is found by a gate that saw no later record before
one that did: who puts a Redis back removes its records (`bf*epoch`). Names are looked up by the system, which takes
as long as it takes: addresses in numbers are not looked up. A master without replicas drops its backlog after an
hour (`repl-backlog-ttl`) and takes another replication id: eight seconds of fences for no loss.
"""

from __future__ import annotations

from bonafide.stores.redis.store import RedisReplayStore

__all__ = ["RedisReplayStore"]
