"""A person says what became of an effect whose provider cannot be asked.

The last resort: `unknown` stays unknown until the provider is asked (`Effects.reconcile`), and some can never be. What is declared is
a fact that somebody looked up, not a decision, so one admin suffices: the effect itself was approved by as many as it took. It is
audited as V1, with the reason. The waiting workflow learns of it at its next attempt, which asks the ledger before anything else.
"""

from datetime import timedelta
from typing import Literal, assert_never

from shared.events import ActorType, Severity
from spine import audit
from spine.audit import Actor
from spine.clock import Clock
from spine.db import Connection
from spine.effects import ledger, settle
from spine.errors import Conflict, IllegalMove, InvalidInput, NotAllowed
from spine.intents import store
from spine.intents.records import Intent
from spine.intents.states import IntentState
from spine.redact import redact

UNDER_WAY = timedelta(minutes=3)
"""Real time in which an attempt may still be with the provider; the worker bounds it at two minutes."""

DECLARED = "declared-failed"


def declare_outcome(
    conn: Connection,
    *,
    tenant_id: str,
    intent_id: str,
    outcome: Literal["completed", "failed"],
    reason: str,
    reference: str | None = None,
    actor: Actor,
    clock: Clock,
) -> Intent:
    """Settle an unknown intent by a person's word, in the caller's transaction. Returns it as it is then.

    `reference` is the provider's id of what happened; `completed` takes one, since it is what a compensation would aim at.
    Declaring the same again changes nothing. Raises NotFound; NotAllowed for whoever is no person; InvalidInput without reason or
    reference; IllegalMove for an intent that is not unknown; Conflict while an attempt may still be under way.
    """
    if actor.type is not ActorType.HUMAN:
        raise NotAllowed(f"{actor.id!r} is a {actor.type.value}: people declare outcomes, programs ask the provider")
    if not reason.strip():
        raise InvalidInput("an outcome is declared for a reason: say where you looked and what you found")
    if outcome == "completed" and not (reference or "").strip():
        raise InvalidInput("what happened has a reference at the provider (a message id, an envelope id): give it")
    entry = ledger.load(conn, tenant_id, intent_id, lock=True)
    intent = entry.intent
    if intent.state.value == outcome and (outcome == "failed" or entry.provider_reference == reference):
        return intent
    if intent.state is not IntentState.UNKNOWN:
        raise IllegalMove(f"intent {intent_id!r} is {intent.state.value!r}: only an outcome that is unknown can be declared")
    refuse_under_way(conn, intent, clock)
    token = ledger.take_over(conn, intent)  # an attempt that comes back later writes nothing any more
    declared = store.about(
        intent, actor, "effect.outcome_declared", Severity.V1, {"outcome": outcome, "reference": reference, "why": redact(reason)}
    )
    audit.record_all(conn, [declared], tenant_id=tenant_id, now=clock.now())
    match outcome:
        case "completed":
            receipt = {"reference": reference, "declared_by": actor.id, "why": redact(reason)}
            settle.completed(conn, intent, token, receipt, {}, reconciled=False, actor=actor, clock=clock)
        case "failed":
            settle.failed(conn, intent, token, DECLARED, f"declared by {actor.id}: {redact(reason)}", actor=actor, clock=clock)
        case other:
            assert_never(other)
    return store.read(conn, tenant_id, intent_id)


def refuse_under_way(conn: Connection, intent: Intent, clock: Clock) -> None:
    """Raises Conflict while the newest attempt may still be with the provider: "unknown to it" may mean "not yet" till then."""
    begun = ledger.last_attempt_at(conn, intent)
    if begun is not None and clock.real(clock.now() - begun) < UNDER_WAY:
        raise Conflict(
            f"an attempt at intent {intent.intent_id!r} began at {begun.isoformat()} and may still be with the provider: "
            f"try {UNDER_WAY.seconds // 60} minutes after that"
        )
