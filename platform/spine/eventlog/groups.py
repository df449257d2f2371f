"""Consumer groups: every event of a group's types is acted on, at least once, in the order of its key, whoever dies meanwhile.

- **Order.** Events of one partition key (within a tenant) are handed on in the order of the log; keys do not wait for each other.
- **Nothing is stepped over.** Reading goes by (xid, position) and stops before the oldest transaction that could still commit.
- **Nothing is lost.** Offset and deliveries are written after the dispatch, in one transaction. A crash between the two means
  the events come again, which a dispatcher must make harmless; it may not mean that they never come.
- **One member works.** The lease is a session advisory lock, and the books are written by the session that holds it: a member
  that has lost the lease has lost its pen. The others wait for it in the database. A member works a few seconds, then hands over.
- **A bad deploy kills little.** When many events of one cause are given up at once its circuit opens (`spine.deadletters.circuits`)
  and the rest wait, with their keys, until a probe succeeds or a person resets it. What the same turn had already handed on of such a
  key went first, as it would have with a dead letter.
- **Nobody blocks.** An event that fails waits with backoff in `deliveries`, and only its own key waits behind it; one that can
  never succeed becomes a dead letter and its key goes on. While the engine itself is away nothing counts as an attempt.

Limits: places are those of one PostgreSQL cluster, so a log restored elsewhere from a dump needs its offsets set anew. One long
transaction that writes, anywhere in the cluster, delays every reader; roles carry time limits for that reason.
"""

import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, assert_never

import psycopg
from psycopg.rows import dict_row

from shared.events import Envelope, EventError, data_of
from spine.clock import BusinessClock, Clock
from spine.db import Connection, Database
from spine.deadletters.circuits import CircuitRule
from spine.errors import Misconfigured
from spine.eventlog.append import refusal_of
from spine.eventlog.books import Books, Burial, Entry
from spine.eventlog.outcomes import Delivered, Dispatcher, Event, Failed, Outcome, Refused, Report, RetryRule, Unavailable
from spine.eventlog.read import Place

CHANNEL = "spine_events"
_IDLE_SECONDS = 5.0  # a lost notification costs at most this
_RETRY_LOOK_SECONDS = 0.25  # how often waiting events are looked at
_HORIZON_LOOK_SECONDS = (0.002, 0.05)  # how often what is not yet safe is looked at, first and at most
_PROBE = 32  # events that are tried on an engine that was away
_PAUSE_SECONDS = 2.0  # how long an engine that is away is left alone


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerGroup:
    """The definition of a group; `take_turn` makes the caller a member of it for one turn. Thread-safe: a turn's state is its own."""

    database: Database
    name: str
    types: frozenset[str]
    dispatch: Dispatcher
    clock: Clock = field(default_factory=BusinessClock)
    retry: RetryRule = field(default_factory=RetryRule)
    circuit: CircuitRule = field(default_factory=CircuitRule)
    window: int = 1000  # events of a batch: what a crash may hand on again, and what is dispatched without a pause

    def take_turn(self, *, standby: timedelta = timedelta(seconds=20), work: timedelta = timedelta(seconds=10)) -> Report:
        """Wait for the lease for at most `standby`, work for about `work`, hand over. Raises psycopg.Error when the database is
        away, and whatever the dispatcher raises; either way nothing is lost and the lease is free.
        """
        with self._connection() as conn:
            conn.execute(f"listen {CHANNEL}")  # before the first look, so that no announcement falls between
            if not _lease(conn, self.name, standby):
                return Report(group=self.name, held_lease=False)
            return _Turn(self, Books(conn, self.name, sorted(self.types), self.circuit)).work(work)

    def drain(self, *, at_most: timedelta = timedelta(seconds=30)) -> Report:
        """Work until there is nothing left to do now, then hand over: for tests, tools and a last sweep."""
        with self._connection() as conn:
            if not _lease(conn, self.name, at_most):
                return Report(group=self.name, held_lease=False)
            return _Turn(self, Books(conn, self.name, sorted(self.types), self.circuit)).work(at_most, until_idle=True)

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        if self.database.relay_url is None:
            raise Misconfigured("SPINE_DATABASE_RELAY_URL is not set: this process may not be a member of a consumer group")
        # Not from the pool: the lease belongs to the session, and must end with it.
        conn = psycopg.connect(self.database.relay_url, autocommit=True, row_factory=dict_row, application_name=f"spine group {self.name}")
        try:
            yield conn
        finally:
            conn.close()


def _lease(conn: Connection, group: str, patience: timedelta) -> bool:
    """Wait in the database, not by asking again and again. The lock ends with the session, however the session ends."""
    conn.execute("select set_config('lock_timeout', %s, false)", (f"{max(1, int(patience.total_seconds() * 1000))}ms",))
    try:
        conn.execute("select pg_advisory_lock(hashtextextended('spine.consumer_group/' || %s, 0))", (group,))
    except psycopg.errors.LockNotAvailable:
        return False
    return True


class _Turn:
    """One member's turn with the lease. Nobody else moves the offset or the waiting events meanwhile, so both may be remembered."""

    def __init__(self, group: ConsumerGroup, books: Books) -> None:
        self.group = group
        self.books = books
        self.place = self.written = Place()
        self.blocked: dict[tuple[str, str], bool] = {}  # True: a circuit holds it
        self.doubtful = False
        self.counts: Counter[str] = Counter()
        self.dead: list[str] = []
        self.recovered: set[tuple[str, str]] = set()
        self.unavailable: str | None = None
        self.deadline = math.inf

    def work(self, span: timedelta, *, until_idle: bool = False) -> Report:
        began = time.monotonic()
        self.deadline = deadline = began + span.total_seconds()
        self.place = self.written = self.books.open()
        self.books.revive()
        self.blocked = self.books.blocked_keys()
        self.doubtful = bool(self.blocked) and self.books.is_doubtful()
        look_again = _HORIZON_LOOK_SECONDS[0]
        while time.monotonic() < deadline:
            worked, held_back = self._step()
            if self.unavailable:
                time.sleep(max(0.0, min(_PAUSE_SECONDS, deadline - time.monotonic())))
                break  # the tick says so; the next member tries again
            if worked:
                look_again = _HORIZON_LOOK_SECONDS[0]
                continue
            if until_idle and not held_back and all(self.blocked.values()):
                break
            left = deadline - time.monotonic()
            if held_back:
                time.sleep(max(0.0, min(look_again, left)))
                look_again = min(look_again * 2, _HORIZON_LOOK_SECONDS[1])
            elif self._wait(min(_RETRY_LOOK_SECONDS if self.blocked else _IDLE_SECONDS, left)) and self.books.revive():
                self.blocked = self.books.blocked_keys()
        if self.place != self.written:
            self.books.write([], [], self.place, now=self.group.clock.now())
        return Report(
            group=self.group.name,
            held_lease=True,
            outcomes=self.counts,
            dead=tuple(self.dead[:5]),
            waiting=self.books.waiting() if self.blocked else 0,
            lag=self.books.lag(self.place),
            unavailable=self.unavailable,
            seconds=time.monotonic() - began,
        )

    def _wait(self, seconds: float) -> bool:
        """Until something is announced or the time is up. One look serves all announcements that have arrived."""
        announced = any(True for _ in self.books.conn.notifies(timeout=max(0.0, seconds), stop_after=1))
        for _ in self.books.conn.notifies(timeout=0):
            pass
        return announced

    def _step(self) -> tuple[bool, bool]:
        """Look, dispatch, write. Was there anything, and does the horizon hold something of ours back?"""
        if any(self.blocked.values()) and not self.doubtful and self.books.probe(now=self.group.clock.now()):
            self.blocked = self.books.blocked_keys()
        # An engine that was away is tried with a few of the events that wait for it before anything new is taken in.
        due = self.books.due(_PROBE if self.doubtful else self.group.window) if self.blocked else []
        rows = [] if self.doubtful else self.books.window(self.place, self.group.window)
        safe = [row for row in rows if row["is_safe"]]
        held_back = any(row["is_ours"] and not row["is_safe"] for row in rows)
        if safe:
            self.place = Place(safe[-1]["xid"], safe[-1]["position"])

        entries: list[Entry] = []
        burials: list[Burial] = []
        self.recovered.clear()
        lanes: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for row in (*due, *(row for row in safe if row["is_ours"] and _key(row) not in self.blocked)):
            lanes.setdefault(_key(row), []).append(row)
        entries += [_behind(row) for row in safe if row["is_ours"] and _key(row) in self.blocked]
        self._dispatch(lanes, entries, burials)
        self.doubtful = self.unavailable is not None

        if entries or burials:
            died = self.books.write(entries, burials, self.place, now=self.group.clock.now(), recovered=self.recovered)
            self.written = self.place
            self._count(died, held=len(burials) - len(died))
            if self.blocked or len(died) < len(burials) or any(entry.state == "waiting" for entry in entries):
                self.blocked = self.books.blocked_keys()
        return bool(lanes or len(safe) == self.group.window), held_back

    def _dispatch(self, lanes: dict[tuple[str, str], list[dict[str, Any]]], entries: list[Entry], burials: list[Burial]) -> None:
        readable: list[tuple[list[dict[str, Any]], list[Event]]] = []
        for rows in lanes.values():
            kept, events = [], []
            for row in rows:
                event = _read(row)
                if isinstance(event, Refused):
                    self._settle(row, event, entries, burials)
                else:
                    kept.append(row)
                    events.append(event)
            if events:
                readable.append((kept, events))
        if not readable:
            return
        answered = self.group.dispatch([events for _, events in readable], self.deadline)
        for (rows, _), outcomes in zip(readable, answered, strict=True):
            for row, outcome in zip(rows, outcomes, strict=False):
                self._settle(row, outcome, entries, burials)
            entries += [_behind(row) for row in rows[len(outcomes) :]]

    def _settle(self, row: dict[str, Any], outcome: Outcome, entries: list[Entry], burials: list[Burial]) -> None:
        failures = row["attempts"]
        match outcome:
            case Delivered(done, target):
                self.counts[done] += 1
                if held_by := row.get("held_by"):
                    self.recovered.add((row["tenant_id"], held_by))  # the probe: what broke the others is mended
                if target is not None or "key_due_at" in row:  # what was nobody's business leaves no row, unless it had one
                    entries.append(_entry(row, "delivered", done, target=target, attempts=failures + 1))
            case Refused(code, why):
                self.counts["refused"] += 1
                burials.append(_burial(row, code, why, failures + 1))
            case Failed(code, why):
                self.counts["failed"] += 1
                delay = self.group.retry.drawn(failures + 1)
                if delay is None:
                    burials.append(_burial(row, code, why, failures + 1))
                else:
                    entries.append(_entry(row, "waiting", code, attempts=failures + 1, delay=delay, detail=why))
            case Unavailable(why):
                self.counts["unavailable"] += 1
                self.unavailable = why
                entries.append(_entry(row, "waiting", "unavailable", attempts=failures, detail=why))
            case _:
                assert_never(outcome)

    def _count(self, died: Sequence[Burial], *, held: int) -> None:
        self.counts += Counter(dead=len(died), held=held)  # which drops what is zero
        self.dead += [f"event {str(b.entry.event_id)!r} after {b.entry.attempts} attempt(s): {b.code}: {b.why}" for b in died]


def _read(row: dict[str, Any]) -> Event | Refused:
    try:
        envelope = Envelope.model_validate(row["envelope"])
        data = data_of(envelope)
    except EventError as error:
        return Refused(refusal_of(error).code, str(error))
    except ValueError as error:  # the envelope itself, by pydantic, whose message may quote values
        return Refused("schema-violation", f"the envelope does not parse: {type(error).__name__}")
    return Event(
        place=Place(row["xid"], row["position"]),
        tenant_id=row["tenant_id"],
        event_id=row["event_id"],
        partition_key=row["partition_key"],
        attempts=row["attempts"],
        envelope=envelope,
        data=data,
    )


def _key(row: dict[str, Any]) -> tuple[str, str]:
    return row["tenant_id"], row["partition_key"]


def _burial(row: dict[str, Any], code: str, why: str, attempts: int) -> Burial:
    return Burial(entry=_entry(row, "dead", code, attempts=attempts, detail=why), envelope=row["envelope"], code=code, why=why)


def _behind(row: dict[str, Any]) -> Entry:
    """Due at once: it is the first event of its key that decides when."""
    return _entry(row, "waiting", "behind", attempts=row["attempts"])


def _entry(
    row: dict[str, Any],
    state: Any,
    outcome: str,
    *,
    target: str | None = None,
    attempts: int,
    delay: timedelta = timedelta(),
    detail: str | None = None,
) -> Entry:
    return Entry(
        position=row["position"],
        tenant_id=row["tenant_id"],
        event_id=row["event_id"],
        partition_key=row["partition_key"],
        state=state,
        outcome=outcome,
        target=target,
        attempts=attempts,
        delay_seconds=delay.total_seconds(),
        detail=detail,
    )
