"""The bookkeeping side of commitments: the activities that know the ledger, the gate and the effects.

All but `execute-effect` are local activities: short transactions on our own database, safe to repeat. Their clock is the
process's business clock; a workflow's own clock only decides when to ask.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any, assert_never
from uuid import UUID

from temporalio import activity

from orchestration.failures import translated
from orchestration.governed.messages import ApprovalNotice, EffectEnd, IntentRef, IntentView, ProposeEffect, PublishEvent, WhatIsStopped
from orchestration.graphs.pulse import beating
from orchestration.options import EFFECT, HEARTBEAT_EVERY
from shared.events import ActorType, check
from spine import approvals, documents, eventlog, intents
from spine.approvals import SlaLabel
from spine.audit import Actor
from spine.clock import Clock
from spine.db import Connection, Database
from spine.effects import Completed, Deferred, Effects, Failed, NotRunnable
from spine.errors import Conflict, NotFound
from spine.ids import derived_id
from spine.intents.bundle import papers_in
from spine.policy import PolicyTable, switches
from spine.registry import Registry
from spine.telemetry import correlated

_LABELS = {1: SlaLabel.WARN, 2: SlaLabel.BREACH, 3: SlaLabel.ESCALATED}

# One query for all that a workflow wants to know; what an intent is for stays where it is.
_VIEW = """
select i.intent_id, i.state, i.reasons, i.not_before, s.intent_id as successor_id, e.provider_reference as reference,
       e.error_code, e.error, a.approval_id, a.warn_at, a.breach_at, a.escalate_at, a.expires_at
from intents i
left join intents s on s.tenant_id = i.tenant_id and s.supersedes = i.intent_id
left join approvals a on a.tenant_id = i.tenant_id and a.intent_id = i.intent_id and i.state = 'awaiting_approval'
left join effects e on e.tenant_id = i.tenant_id and e.intent_id = i.intent_id
where i.tenant_id = %s and i.intent_id = %s
"""


class GovernedActivities:
    """One in each worker; its methods run on many threads at once."""

    def __init__(self, *, database: Database, registry: Registry, policy: PolicyTable, clock: Clock, effects: Effects) -> None:
        self._database = database
        self._registry = registry
        self._policy = policy
        self._clock = clock
        self._effects = effects

    def all(self) -> list[Callable[..., Any]]:
        return [self.propose, self.stopped, self.read, self.cancel, self.note_sla, self.expire, self.publish, self.execute]

    @activity.defn(name="propose-intent")
    @translated
    def propose(self, asked: ProposeEffect) -> IntentView:
        """Have the gate judge it. Proposing the same step again finds what became of the first time."""
        automation = self._registry.automation(asked.automation)
        with correlated(asked.correlation_id), self._database.tenant(asked.tenant_id) as conn:
            evidence = documents.get(conn, asked.tenant_id, asked.evidence_id).body if asked.evidence_id else None
            papers = documents.get(conn, asked.tenant_id, asked.bundle_id).body if asked.bundle_id else {"evidence_pack": evidence}
            memo, pack, risks = papers_in(papers)
            proposed = intents.propose(
                conn,
                intents.Proposal(
                    tenant_id=asked.tenant_id,
                    automation=asked.automation,
                    key=asked.key,
                    action=asked.action,
                    workflow_id=asked.workflow_id,
                    actor=_workflow(asked.workflow_id),
                    payload=asked.payload,
                    document_id=asked.document_id,
                    correlation_id=asked.correlation_id,
                    evidence=pack,
                    memo=memo,
                    risks=risks,
                    confidence=None if asked.confidence is None else Decimal(str(asked.confidence)),
                    amount=asked.amount,
                    causation_id=asked.causation_id,
                    traceparent=asked.traceparent,
                    compensates=asked.compensates,
                ),
                policy=self._policy,
                clock=self._clock,
                effects_allowed=automation.effects,
            )
        reasons = proposed.reasons
        return IntentView(
            intent_id=proposed.intent_id,
            state=proposed.state.value,
            approval_id=proposed.approval_id,
            code=reasons[0].code if reasons else "",
            reasons=tuple(reason.text for reason in reasons),
            not_before=proposed.not_before,
            warn_at=proposed.warn_at,
            breach_at=proposed.breach_at,
            escalate_at=proposed.escalate_at,
            expires_at=proposed.expires_at,
        )

    @activity.defn(name="read-switches")
    @translated
    def stopped(self, asked: WhatIsStopped) -> bool:
        """Is a kill switch engaged that covers this?"""
        plugin = self._policy.rule(asked.action).plugin
        with self._database.tenant(asked.tenant_id) as conn:
            switch = switches.covering(conn, tenant_id=asked.tenant_id, automation=asked.automation, action=asked.action, plugin=plugin)
        return switch is not None

    @activity.defn(name="read-intent")
    @translated
    def read(self, asked: IntentRef) -> IntentView:
        with self._database.tenant(asked.tenant_id) as conn:
            return view(conn, asked.tenant_id, asked.intent_id)

    @activity.defn(name="cancel-intent")
    @translated
    def cancel(self, asked: IntentRef) -> IntentView:
        """Close it if nothing has begun; otherwise leave it. The answer is what the ledger says then."""
        actor = self._actor()
        # A Conflict: it has ended, or is under way; that is the answer.
        with suppress(Conflict), self._database.tenant(asked.tenant_id) as conn:
            intents.cancel(conn, tenant_id=asked.tenant_id, intent_id=asked.intent_id, actor=actor, reason=asked.reason, clock=self._clock)
        return self.read(asked)

    @activity.defn(name="note-sla")
    @translated
    def note_sla(self, asked: ApprovalNotice) -> None:
        """Say that people are late. An approval that was resolved meanwhile is nobody's delay."""
        with suppress(Conflict), self._database.tenant(asked.tenant_id) as conn:
            approvals.note_sla(
                conn,
                tenant_id=asked.tenant_id,
                approval_id=asked.approval_id,
                label=_LABELS[asked.level],
                actor=self._actor(),
                policy=self._policy,
                clock=self._clock,
            )

    @activity.defn(name="expire-approval")
    @translated
    def expire(self, asked: IntentRef) -> IntentView:
        """Close what nobody answered. If somebody just did, or it is too early, the ledger's word stands."""
        with suppress(Conflict), self._database.tenant(asked.tenant_id) as conn:
            if (open_now := view(conn, asked.tenant_id, asked.intent_id).approval_id) is not None:
                approvals.expire(conn, tenant_id=asked.tenant_id, approval_id=open_now, actor=self._actor(), clock=self._clock)
        return self.read(asked)

    @activity.defn(name="publish-event")
    @translated
    def publish(self, asked: PublishEvent) -> None:
        """Put an event on the log, once: its id is derived from the workflow and the event's key."""
        with self._database.tenant(asked.tenant_id) as conn:
            eventlog.publish(
                conn,
                check(asked.type, asked.data),
                tenant_id=asked.tenant_id,
                source=f"/orchestration/{asked.automation}",
                correlation_id=asked.correlation_id,
                causation_id=asked.causation_id,
                now=self._clock.now(),
                event_id=derived_id(asked.tenant_id, asked.workflow_id, asked.event_key),
                traceparent=asked.traceparent,
                partition_key=asked.partition_key,
            )

    # A send is never interrupted by an exception thrown into its thread: it ends with what the provider said.
    @activity.defn(name="execute-effect", no_thread_cancel_exception=True)
    @translated
    def execute(self, asked: IntentRef) -> EffectEnd:
        """Carry out one intent, if the gate still says yes. Raises what a retry may mend (ProviderUnavailable, OutcomeUnknown)."""
        until = time.monotonic() + (EFFECT.start_to_close_timeout - timedelta(seconds=5)).total_seconds()
        with beating(activity.heartbeat, every=HEARTBEAT_EVERY, until=until):
            outcome = self._effects.execute(asked.tenant_id, asked.intent_id, actor=Actor(ActorType.EXECUTOR_SYSTEM, "worker"))
        match outcome:
            case Completed(reference):
                return EffectEnd(kind="completed", reference=reference or "")
            case Failed(code, why):
                return EffectEnd(kind="failed", code=code, why=why)
            case Deferred(not_before, code):
                return EffectEnd(kind="deferred", not_before=not_before, code=code)
            case NotRunnable(state):
                return EffectEnd(kind="not_runnable", state=state.value)
            case other:
                assert_never(other)

    def _actor(self) -> Actor:
        return _workflow(activity.info().workflow_id or "worker")


def _workflow(workflow_id: str) -> Actor:
    return Actor(ActorType.AUTOMATED_WORKFLOW, workflow_id)


def view(conn: Connection, tenant_id: str, intent_id: str) -> IntentView:
    """Raises NotFound, also for another tenant's intent."""
    row: Mapping[str, Any] | None = conn.execute(_VIEW, (tenant_id, UUID(intent_id))).fetchone()
    if row is None:
        raise NotFound(f"tenant {tenant_id!r} has no intent {intent_id!r}")
    reasons = row["reasons"] or []
    failure = row["error"] if row["state"] == "failed" else None
    return IntentView(
        intent_id=str(row["intent_id"]),
        state=row["state"],
        approval_id=None if row["approval_id"] is None else str(row["approval_id"]),
        successor_id=None if row["successor_id"] is None else str(row["successor_id"]),
        reference=row["reference"],
        code=(row["error_code"] if failure else None) or (reasons[0]["code"] if reasons else ""),
        reasons=(failure,) if failure else tuple(reason["text"] for reason in reasons),
        **{name: row[name] for name in ("not_before", "warn_at", "breach_at", "escalate_at", "expires_at")},
    )
