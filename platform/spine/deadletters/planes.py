"""What trying again means, plane by plane.

- `event`: back to its consumer group, which sees the letter's state and takes the event up within seconds.
- `delivery`: back to the sender of webhooks, which sees the letter's state likewise.
- `activity`, `graph`: the workflow is set back to the step that failed, by an event that the trust track turns into a reset at
  Temporal. Refused for a workflow that has undone what it did: its history would say done where the world says undone.
- `webhook`: the report is read once more, now, by today's code.
- `data_job`: the job is launched again, with the tags of the run that failed, by the same event.

An edit makes a new event (`event`), or applies the mended report (`webhook`). The other planes hold no input of their own.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, assert_never

from shared.events import DeadLetterRetried, EventError, check
from spine import eventlog
from spine.audit import Actor
from spine.canonical import exact_digest
from spine.db import Connection
from spine.deadletters.records import DeadLetter
from spine.errors import Conflict, InvalidInput
from spine.eventlog.append import refusal_of
from spine.ids import derived_id
from spine.telemetry import current_traceparent

SOURCE = "/spine/dead-letters"
_UNDONE = (
    "select 1 from intents where tenant_id = %s and workflow_id = %s and state in ('compensating', 'compensated', 'compensation_failed')"
)
_MANY_JOBS = "__ASSET_JOB"  # Dagster's name for "some assets, chosen by hand": which ones is not in the name


def retry(conn: Connection, letter: DeadLetter, *, actor: Actor, now: datetime) -> None:
    """Have it tried again; the letter is the caller's to close. Raises Conflict with the cure when that cannot be."""
    match letter.plane:
        case "event" | "delivery":
            conn.execute("select pg_notify('spine_events', '')")  # whoever waits on the log looks at once
        case "activity" | "graph":
            if conn.execute(_UNDONE, (letter.tenant_id, letter.body.get("workflow_id"))).fetchone():
                raise Conflict(
                    f"workflow {letter.body.get('workflow_id')!r} has undone what it did, so its step cannot be repeated: "
                    "discard this letter and request the task anew, under another key"
                )
            names = ("workflow_id", "run_id", "activity_id")
            _announce(conn, letter, actor, now, **{name: str(letter.body[name]) for name in names if letter.body.get(name)})
        case "data_job":
            if letter.body.get("job") in (None, _MANY_JOBS):
                raise Conflict(f"run {letter.reference!r} was of assets chosen by hand: materialize them in Dagster, then discard this")
            tags = letter.body.get("tags")
            _announce(conn, letter, actor, now, job=str(letter.body["job"]), tags=tags if isinstance(tags, dict) else {})
        case "webhook":
            _apply(conn, letter, letter.body, now)
        case other:
            assert_never(other)


def replace(conn: Connection, letter: DeadLetter, body: Mapping[str, Any], *, actor: Actor, now: datetime) -> str:
    """Put a mended copy in its place. Returns the new event's id. Raises Conflict, InvalidInput and SchemaViolation."""
    match letter.plane:
        case "event":
            return _publish_mended(conn, letter, body, actor, now)
        case "webhook":
            return _apply(conn, letter, body, now)
        case "delivery" | "activity" | "graph" | "data_job":
            raise Conflict(
                f"dead letter {str(letter.dead_letter_id)!r} is of plane {letter.plane!r}, whose input is not in the letter: "
                "retry it once the cause is mended, or discard it and publish what should have been"
            )
        case other:
            assert_never(other)


def _publish_mended(conn: Connection, letter: DeadLetter, body: Mapping[str, Any], actor: Actor, now: datetime) -> str:
    changed = sorted(name for name in {*body, *letter.body} if name != "data" and body.get(name) != letter.body.get(name))
    if changed:
        raise InvalidInput(f"an edit of an event changes its 'data' only, and {', '.join(map(repr, changed))} differ: publish a new event")
    if body.get("data") == letter.body.get("data"):
        raise InvalidInput("nothing was edited: retry it instead")
    row = conn.execute(
        "select type, source, partition_key, correlation_id, envelope from events where tenant_id = %s and event_id = %s",
        (letter.tenant_id, letter.reference),
    ).fetchone()
    if row is None:
        raise Conflict(f"event {letter.reference!r} is not on the log: publish what should have been as a new event, and discard this")
    data = _restored(body.get("data"), letter.body.get("data"), row["envelope"].get("data"))
    if not isinstance(data, dict):
        raise InvalidInput("'data' of an event is a JSON object")
    try:
        event = check(row["type"], data)
    except EventError as error:
        raise refusal_of(error) from error
    if event.subject() != row["envelope"].get("subject"):
        raise InvalidInput(
            f"the edit is about {event.subject()!r}, the event about {row['envelope'].get('subject')!r}: publish a new event"
        )
    published = eventlog.publish(
        conn,
        event,
        tenant_id=letter.tenant_id,
        source=row["source"],
        partition_key=row["partition_key"],
        correlation_id=row["correlation_id"],
        causation_id=letter.reference,
        event_id=derived_id("edited", str(letter.dead_letter_id), exact_digest(data)),
        now=now,
        traceparent=row["envelope"].get("traceparent") or current_traceparent(),
        actor_type=actor.type,
    )
    return published.id


def _restored(edited: Any, shown: Any, original: Any) -> Any:
    """What an editor meant who saw the event redacted: a text that he left as it was shown is the original's own.

    Without this a mark such as "[email]" would be published as somebody's address.
    """
    if edited == shown:
        return original
    match edited, shown, original:
        case dict(), dict(), dict():
            return {name: _restored(item, shown.get(name), original.get(name)) for name, item in edited.items()}
        case list(), list(), list() if len(edited) == len(shown) == len(original):
            return [_restored(*three) for three in zip(edited, shown, original, strict=True)]
        case _:
            return edited


def _announce(conn: Connection, letter: DeadLetter, actor: Actor, now: datetime, **how: Any) -> None:
    plane: Any = letter.plane
    eventlog.publish(
        conn,
        DeadLetterRetried(dead_letter_id=str(letter.dead_letter_id), plane=plane, consumer=letter.consumer, **how),
        tenant_id=letter.tenant_id,
        source=SOURCE,
        correlation_id=letter.correlation_id or str(letter.dead_letter_id),
        partition_key=how.get("workflow_id") or letter.reference,
        # `attempts` grows each time it dies again, so each retry is an event of its own and a repeated one is not.
        event_id=derived_id("retried", str(letter.dead_letter_id), str(letter.attempts)),
        now=now,
        traceparent=current_traceparent(),
        actor_type=actor.type,
    )


def _apply(conn: Connection, letter: DeadLetter, body: Mapping[str, Any], now: datetime) -> str:
    from spine.intake.webhooks import publish_report  # that module writes letters too

    provider = letter.consumer.rpartition("/")[2]
    taken = publish_report(conn, tenant_id=letter.tenant_id, provider=provider, webhook_id=letter.reference, body=body, now=now)
    return taken.event_id or ""
