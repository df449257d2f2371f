"""Actions that the platform carries out itself, in the transaction in which they become runnable.

Nothing outside is touched, so there is nothing to wait for and nothing that can be half done: such an intent goes from runnable
through executing to completed at once, with the events that are its whole effect. Allowed outright, that is the transaction of the
proposal; after an approval, the one of the last decision, which consumes the approval too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from shared.events import Envelope, TaskRequested
from spine import audit
from spine.audit import Actor, Entry
from spine.clock import Clock
from spine.db import Connection
from spine.errors import ApprovalRefused, IllegalMove
from spine.intents import announce, store
from spine.intents.records import Intent
from spine.intents.states import IntentState
from spine.policy import PolicyTable, gather

START_AUTOMATION = "start_automation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What an internal action writes; `intent` is as it is afterwards."""

    intent: Intent
    entries: tuple[Entry, ...]
    envelopes: tuple[Envelope, ...]


def is_internal(action: str) -> bool:
    return action in INTERNAL


def done(intent: Intent, *, actor: Actor, now: datetime) -> Done | None:
    """What carrying out a runnable intent writes. None: it is an effect on the outside, which is for `spine.effects`."""
    if intent.state is not IntentState.RUNNABLE or (carry_out := INTERNAL.get(intent.action)) is None:
        return None
    envelopes, entries = carry_out(intent, actor, now)
    moved = store.moved_entry(intent, IntentState.COMPLETED, actor, "carried out in the transaction that allowed it")
    return Done(intent=replace(intent, state=IntentState.COMPLETED, updated_at=now), entries=(moved, *entries), envelopes=envelopes)


def carry_out(conn: Connection, intent: Intent, *, actor: Actor, clock: Clock) -> Intent:
    """Carry out an approved intent, if it is internal, and consume its approval. Returns it as it is now; raises IllegalMove."""
    now = clock.now()
    if (finished := done(intent, actor=actor, now=now)) is None:
        return intent
    which = (intent.tenant_id, UUID(intent.intent_id))
    changed = conn.execute(
        "update intents set state = 'completed', updated_at = %s where tenant_id = %s and intent_id = %s and state = 'runnable'",
        (now, *which),
    ).rowcount
    spent = conn.execute(
        "update approvals set state = 'consumed', consumed_at = %s where tenant_id = %s and intent_id = %s and state = 'approved'",
        (now, *which),
    ).rowcount
    if (changed, spent) != (1, 1):
        raise IllegalMove(f"intent {intent.intent_id!r} is not runnable by an approval of its own any more: look at it again")
    audit.record_all(conn, finished.entries, tenant_id=intent.tenant_id, now=now)
    announce.write(conn, *finished.envelopes)
    return finished.intent


def refuse_while_stopped(conn: Connection, intent: Intent, *, policy: PolicyTable, now: datetime) -> None:
    """An approval would carry it out at once, so a kill switch that holds it back is asked for now; it goes on waiting.

    Raises ApprovalRefused. Effects on the outside ask for themselves, right before they are made.
    """
    if not is_internal(intent.action):
        return
    facts = gather(
        conn,
        tenant_id=intent.tenant_id,
        automation=intent.automation,
        rule=policy.rule(intent.action),
        policy=policy,
        now=now,
        effects_allowed=None,
    )
    if facts.kill_switch is not None:
        raise ApprovalRefused(f"stopped: {facts.kill_switch}; release the switch, then approve: until then it waits as it is")


def _start_automation(intent: Intent, actor: Actor, now: datetime) -> tuple[tuple[Envelope, ...], tuple[Entry, ...]]:
    """The task is on the log; whoever routes the log starts what it asks for. Told in the name of whoever asked."""
    task, requester = intent.payload, intent.requested_by
    envelope = Envelope.of(
        # Not judged here: the log judges what is written, and once is enough.
        TaskRequested.model_construct(automation=task["automation"], key=task["key"], payload=task["input"], requested_by=requester.id),
        tenant_id=intent.tenant_id,
        source=f"/gateway/{requester.id}",
        correlation_id=intent.correlation_id or intent.intent_id,
        event_id=intent.intent_id,  # it is what became of the intent, and there is one
        time=now,
        causation_id=intent.causation_id,
        traceparent=intent.traceparent,
        actor_type=requester.type,
    )
    entry = Entry(
        actor=actor,
        action="task.requested",
        subject_type="event",
        subject_id=envelope.id,
        correlation_id=intent.correlation_id,
        digest=intent.digest,
        detail={"automation": task["automation"], "key": task["key"], "intent_id": intent.intent_id},
    )
    return (envelope,), (entry,)


Internal = Callable[[Intent, Actor, datetime], tuple[tuple[Envelope, ...], tuple[Entry, ...]]]

INTERNAL: Mapping[str, Internal] = MappingProxyType({START_AUTOMATION: _start_automation})
