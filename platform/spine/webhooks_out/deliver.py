"""From the log to those who asked: each event once in the books for each endpoint, then posted until it is taken or given up.

- **Nothing is lost.** A consumer group of the log writes one row for each (endpoint, event) before its offset moves; a row is `waiting`
  until its receiver answered 2xx, or the attempts are spent, which makes a dead letter. A process that dies in the middle leaves a row
  whose lease runs out after a minute; it is then sent again.
- **Never twice with different ids.** `webhook-id` is the event's id in every attempt, by whomever: a receiver that keeps the ids it has
  seen acts once. That it may be posted twice is the price of never losing one.
- **Nobody blocks.** Endpoints do not wait for each other: what fails waits by itself, for 5 seconds at first, for 10 hours at last.

Several senders at once are harmless: a claim is a row lock, and only the newest claim of a row may write what came of it.
"""

import json
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event as Flag
from threading import Thread
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from shared.events import CATALOG, ActorType, WebhookEndpointDisabled, WebhookPinged
from spine import audit, deadletters, eventlog
from spine.audit import Actor
from spine.clock import Clock
from spine.db import Connection, Database
from spine.errors import InvalidInput, Misconfigured
from spine.eventlog.groups import ConsumerGroup
from spine.eventlog.outcomes import Delivered, Event, Lane, Outcome, Report
from spine.webhooks_out.addresses import Resolve, resolve, target_of
from spine.webhooks_out.endpoints import secrets_of
from spine.webhooks_out.post import Answered, NotReached, Poster

GROUP = "webhooks"
DELAYS = tuple(timedelta(seconds=s) for s in (5, 60, 300, 1800, 7200, 18_000, 36_000))
"""After the first attempt, the second and so on; eight attempts over about eighteen hours."""
GIVEN_UP_IN_A_ROW = 3
"""Deliveries of one endpoint that were given up with none taken in between: then it is disabled."""

_LEASE = timedelta(seconds=60)  # longer than an attempt can take
_AT_ONCE = 8
_LOOK_SECONDS = 0.5
_SYSTEM = Actor(ActorType.EXECUTOR_SYSTEM, "webhooks")

_SUBSCRIBED = """
select tenant_id, endpoint_id, event_types, since::text::bigint as since from webhook_endpoints
where state = 'active' and tenant_id = any(%s)
"""
_ENTER = """
insert into webhook_deliveries (tenant_id, endpoint_id, event_id, event_type, position)
select tenant_id, endpoint_id, event_id, event_type, position
from jsonb_to_recordset(%s) as r (tenant_id text, endpoint_id uuid, event_id uuid, event_type text, position bigint)
on conflict do nothing
"""
_CLAIM = """
with due as (
    select w.tenant_id, w.endpoint_id, w.event_id from webhook_deliveries w join webhook_endpoints e using (tenant_id, endpoint_id)
    where w.state = 'waiting' and w.next_attempt_at <= clock_timestamp() and e.state = 'active'
    order by w.next_attempt_at limit %(limit)s for update of w skip locked
), claimed as (
    update webhook_deliveries d set attempts = attempts + 1, next_attempt_at = clock_timestamp() + %(lease)s
    from due where (d.tenant_id, d.endpoint_id, d.event_id) = (due.tenant_id, due.endpoint_id, due.event_id)
    returning d.*
)
select c.tenant_id, c.endpoint_id, c.event_id, c.attempts, e.url, v.envelope
from claimed c join webhook_endpoints e using (tenant_id, endpoint_id) join events v using (position)
"""
# A person asked for a retry: the dead letter says so, the delivery is still dead.
_REVIVE = """
update webhook_deliveries d set state = 'waiting', attempts = 0, next_attempt_at = clock_timestamp(), finished_at = null
from dead_letters l
where d.state = 'dead' and l.plane = 'delivery' and l.state = 'retried' and l.tenant_id = d.tenant_id
  and l.consumer = %(prefix)s || d.endpoint_id::text and l.reference = d.event_id::text
"""
_CONSUMER = "webhooks/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One attempt under way. `attempts` is the right to write about it: another claim has another number."""

    tenant_id: str
    endpoint_id: UUID
    event_id: UUID
    attempts: int
    url: str
    envelope: dict[str, Any]


class FanOut:
    """A dispatcher of the log that writes down who is to be told of what; doing it again changes nothing."""

    def __init__(self, database: Database, wake: Flag | None = None) -> None:
        self._database = database
        self._wake = wake

    def __call__(self, lanes: Sequence[Lane], stop_at: float) -> list[list[Outcome]]:  # noqa: ARG002 - it is one statement
        events = [event for lane in lanes for event in lane]
        with self._database.relay() as conn:
            subscribed = conn.execute(_SUBSCRIBED, (sorted({event.tenant_id for event in events}),)).fetchall()
            wanted = [(event, row["endpoint_id"]) for event in events for row in subscribed if _wants(row, event)]
            if wanted:
                conn.execute(_ENTER, (Jsonb([_row(event, endpoint_id) for event, endpoint_id in wanted]),))
        if wanted and self._wake is not None:
            self._wake.set()
        told = {(event.tenant_id, event.event_id) for event, _ in wanted}
        return [[Delivered("requested" if (one.tenant_id, one.event_id) in told else "ignored") for one in lane] for lane in lanes]


class Sender:
    """Posts what is due. Thread-safe."""

    def __init__(self, database: Database, poster: Poster, clock: Clock, *, may_be_private: bool, lookup: Resolve = resolve) -> None:
        self._database = database
        self._poster = poster
        self._clock = clock
        self._may_be_private = may_be_private
        self._lookup = lookup

    def deliver_due(self, *, at_most: int = 64) -> int:
        """One attempt at each delivery that is due, several at a time; returns how many. Raises psycopg.Error."""
        with self._database.relay() as conn:
            conn.execute(_REVIVE, {"prefix": _CONSUMER})
            claims = [Claim(**row) for row in conn.execute(_CLAIM, {"limit": at_most, "lease": _LEASE}).fetchall()]
        if claims:
            with ThreadPoolExecutor(min(_AT_ONCE, len(claims)), thread_name_prefix="webhook") as threads:
                list(threads.map(self._attempt, claims))
        return len(claims)

    def _attempt(self, claim: Claim) -> None:
        try:
            with self._database.tenant(claim.tenant_id) as conn:
                secrets = secrets_of(conn, tenant_id=claim.tenant_id, endpoint_id=claim.endpoint_id)
            answer = self._post(claim, secrets)
        except Misconfigured as error:  # a secret that does not open fails its own delivery, and holds up no other
            answer = NotReached(str(error))
        with self._database.tenant(claim.tenant_id) as conn:
            self._settle(conn, claim, answer)

    def _post(self, claim: Claim, secrets: list[str]) -> Answered | NotReached:
        if not secrets:
            return NotReached("the endpoint has no secret: nothing is sent unsigned")
        try:
            target = target_of(claim.url, may_be_private=self._may_be_private, lookup=self._lookup)
        except InvalidInput as error:
            return NotReached(str(error))
        except OSError as error:
            return NotReached(f"the host has no address: {type(error).__name__}")
        body = json.dumps(claim.envelope, ensure_ascii=False, separators=(",", ":"))
        return self._poster.post(target, webhook_id=str(claim.event_id), body=body, secrets=secrets, now=datetime.now(UTC))

    def _settle(self, conn: Connection, claim: Claim, answer: Answered | NotReached) -> None:
        status = answer.status if isinstance(answer, Answered) else None
        error = answer.why if isinstance(answer, NotReached) else f"HTTP {answer.status}"
        if isinstance(answer, Answered) and answer.accepted:
            if _write(conn, claim, "delivered", status, None, timedelta()):
                conn.execute(
                    "update webhook_endpoints set given_up_in_a_row = 0 "
                    "where tenant_id = %s and endpoint_id = %s and given_up_in_a_row > 0",
                    (claim.tenant_id, claim.endpoint_id),
                )
        elif isinstance(answer, Answered) and answer.gone:
            if _write(conn, claim, "waiting", status, error, DELAYS[-1]):
                self._disable(conn, claim, "gone")
        elif claim.attempts <= len(DELAYS):
            _write(conn, claim, "waiting", status, error, DELAYS[claim.attempts - 1] * random.uniform(0.8, 1.2))
        elif _write(conn, claim, "dead", status, error, timedelta()):
            self._give_up(conn, claim, error)

    def _give_up(self, conn: Connection, claim: Claim, error: str) -> None:
        deadletters.add(
            conn,
            tenant_id=claim.tenant_id,
            plane="delivery",
            reference=str(claim.event_id),
            consumer=f"{_CONSUMER}{claim.endpoint_id}",
            correlation_id=claim.envelope.get("correlationid"),
            error_code="not-taken",
            error=error,
            attempts=claim.attempts,
            body=claim.envelope,
            now=self._clock.now(),
        )
        row = conn.execute(
            "update webhook_endpoints set given_up_in_a_row = given_up_in_a_row + 1 where tenant_id = %s and endpoint_id = %s "
            "returning given_up_in_a_row as n",
            (claim.tenant_id, claim.endpoint_id),
        ).fetchone()
        if row is not None and row["n"] >= GIVEN_UP_IN_A_ROW:
            self._disable(conn, claim, "given-up")

    def _disable(self, conn: Connection, claim: Claim, why: Any) -> None:
        changed = conn.execute(
            "update webhook_endpoints set state = 'disabled', why_disabled = %s "
            "where tenant_id = %s and endpoint_id = %s and state = 'active'",
            (why, claim.tenant_id, claim.endpoint_id),
        ).rowcount
        if not changed:
            return
        now, endpoint_id = self._clock.now(), str(claim.endpoint_id)
        eventlog.publish(
            conn,
            WebhookEndpointDisabled(endpoint_id=endpoint_id, why=why),
            tenant_id=claim.tenant_id,
            source="/webhooks",
            correlation_id=f"webhook-endpoint/{endpoint_id}",
            now=now,
            actor_type=_SYSTEM.type,
        )
        audit.record(
            conn,
            tenant_id=claim.tenant_id,
            actor=_SYSTEM,
            action="webhook_endpoint.disabled",
            subject_type="webhook_endpoint",
            subject_id=endpoint_id,
            now=now,
            detail={"why": why},
        )


def take_turn(database: Database, clock: Clock, *, may_be_private: bool, standby: timedelta, work: timedelta) -> Report:
    """A member's turn: read the log when it is ours to read, and post what is due all the while. Raises as `ConsumerGroup.take_turn`."""
    wake = Flag()
    group = ConsumerGroup(database=database, name=GROUP, types=frozenset(CATALOG), dispatch=FanOut(database, wake), clock=clock)
    with Poster() as poster, _sending(Sender(database, poster, clock, may_be_private=may_be_private), wake):
        return group.take_turn(standby=standby, work=work)


@contextmanager
def _sending(sender: Sender, wake: Flag) -> Iterator[None]:
    """Post beside the block, in a thread; what stops the thread is raised when the block ends."""
    stop, failed = Flag(), list[BaseException]()

    def run() -> None:
        try:
            while not stop.is_set():
                if not sender.deliver_due():
                    wake.wait(_LOOK_SECONDS)
                    wake.clear()
        except BaseException as error:  # noqa: BLE001 - handed to the one who waits for this thread
            failed.append(error)

    thread = Thread(target=run, name="webhooks", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        wake.set()
        thread.join()
    if failed:
        raise failed[0]


def _wants(row: dict[str, Any], event: Event) -> bool:
    if row["tenant_id"] != event.tenant_id or row["since"] >= event.place.xid:
        return False
    if isinstance(event.data, WebhookPinged):
        return event.data.endpoint_id == str(row["endpoint_id"])
    return not row["event_types"] or event.envelope.type in row["event_types"]


def _row(event: Event, endpoint_id: UUID) -> dict[str, Any]:
    return {
        "tenant_id": event.tenant_id,
        "endpoint_id": str(endpoint_id),
        "event_id": str(event.event_id),
        "event_type": event.envelope.type,
        "position": event.place.position,
    }


def _write(conn: Connection, claim: Claim, state: str, status: int | None, error: str | None, delay: timedelta) -> bool:
    """False: another claim has taken over, or a person has removed it; nothing was written."""
    return (
        conn.execute(
            "update webhook_deliveries set state = %(state)s, status = %(status)s, error = %(error)s, "
            "next_attempt_at = clock_timestamp() + %(delay)s, finished_at = case when %(state)s <> 'waiting' then clock_timestamp() end "
            "where tenant_id = %(tenant)s and endpoint_id = %(endpoint)s and event_id = %(event)s "
            "and attempts = %(attempts)s and state = 'waiting'",
            {
                "state": state,
                "status": status,
                "error": error and error[:500],
                "delay": delay,
                "attempts": claim.attempts,
                "tenant": claim.tenant_id,
                "endpoint": claim.endpoint_id,
                "event": claim.event_id,
            },
        ).rowcount
        == 1
    )
