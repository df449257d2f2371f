"""Events for the tests of the log, its groups and the triggers."""

from datetime import UTC, datetime
from decimal import Decimal

import psycopg

from shared.events import DealWon, Envelope, EventData, Money
from spine.db import Database
from spine.eventlog import append
from spine.eventlog.outcomes import Delivered, Event, Lane, Outcome, one_after_the_other
from spine.ids import new_id

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
WON = DealWon.TYPE


def won(deal_id: str = "d-1") -> DealWon:
    return DealWon(
        deal_id=deal_id,
        account="Acme",
        contact_id="c-1",
        product="GTX Pro",
        sales_agent="Sara",
        value=Money(amount=Decimal("1250.00"), currency="SAR"),
        closed_on=NOW.date(),
    )


def envelope(data: EventData | str = "d-1", *, tenant_id: str = "demo", correlation_id: str = "flow-1", **changes: object) -> Envelope:
    """An envelope around some data, or around a deal won by its id; `changes` go in unchecked."""
    data = won(data) if isinstance(data, str) else data
    made = Envelope.of(data, tenant_id=tenant_id, source="/tests", correlation_id=correlation_id, event_id=new_id(), time=NOW)
    return made.model_copy(update=changes)


def write(database: Database, *envelopes: Envelope) -> None:
    for one in envelopes:
        with database.tenant(one.tenantid) as conn:
            append(conn, [one])


def write_unchecked(owner_url: str, one: Envelope) -> None:
    """What an older or a foreign producer may have left in the log: no catalogue, no schema."""
    with psycopg.connect(owner_url) as conn:
        conn.execute("select set_config('spine.tenant_id', %s, true)", (one.tenantid,))
        conn.execute("set role spine_app")
        conn.execute(
            "insert into events (tenant_id, event_id, source, type, subject, partition_key, correlation_id, occurred_at, envelope) "
            "values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (one.tenantid, one.id, one.source, one.type, one.subject, one.partitionkey, one.correlationid, one.time, one.to_json()),
        )


class ScriptedDispatcher:
    """Remembers what it was handed; answers by subject from the script, the last answer for ever, else `started`."""

    def __init__(self, **script: list[Outcome]) -> None:
        self.seen: list[str] = []
        self.script = script
        self._dispatch = one_after_the_other(self._handle)

    def __call__(self, lanes: list[Lane], stop_at: float) -> object:
        return self._dispatch(lanes, stop_at)

    def _handle(self, event: Event) -> Outcome:
        self.seen.append(event.envelope.subject)
        answers = self.script.get(event.envelope.subject.replace("-", "_"), [])
        answer = answers.pop(0) if len(answers) > 1 else answers[0] if answers else Delivered("started", f"demo/x/{event.envelope.subject}")
        if isinstance(answer, Exception):
            raise answer
        return answer
