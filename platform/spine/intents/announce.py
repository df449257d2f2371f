"""The events of governed work. Ids are derived, so that nothing is announced twice; order is kept per workflow."""

from datetime import datetime

from shared.events import ApprovalRequested, Envelope, PolicyViolationDetected, Severity
from shared.events.envelope import EventData
from spine import eventlog
from spine.audit import Actor
from spine.db import Connection
from spine.ids import derived_id
from spine.intents.records import Intent

SOURCE = "/spine/governance"


def envelope(intent: Intent, data: EventData, *parts: str, actor: Actor, now: datetime) -> Envelope:
    """One event about an intent. `parts` make its id unique among those of the same type and intent."""
    return Envelope.of(
        data,
        tenant_id=intent.tenant_id,
        source=SOURCE,
        correlation_id=intent.correlation_id or intent.intent_id,
        event_id=derived_id(data.TYPE, intent.tenant_id, intent.intent_id, *parts),
        time=now,
        causation_id=intent.causation_id,
        traceparent=intent.traceparent,
        partition_key=intent.workflow_id,
        actor_type=actor.type,
        approval_class=intent.approval_class,
        reversibility_class=intent.reversibility_class,
        sensitivity_class=intent.sensitivity_class,
    )


def write(conn: Connection, *envelopes: Envelope) -> None:
    eventlog.append(conn, envelopes)


def requested(intent: Intent, *, approval_id: str, approvers: int, roles: tuple[str, ...], expires_at: datetime) -> ApprovalRequested:
    return ApprovalRequested(
        approval_id=approval_id,
        intent_id=intent.intent_id,
        workflow_id=intent.workflow_id,
        automation=intent.automation,
        action=intent.action,
        digest=intent.digest,
        policy_version=intent.policy_version,
        approvers_needed=approvers,
        roles=roles,
        why=tuple(reason.text for reason in intent.reasons),
        expires_at=expires_at,
    )


def violation(intent: Intent, kind: str, severity: Severity, detail: str) -> PolicyViolationDetected:
    return PolicyViolationDetected(kind=kind, severity=severity, detail=detail, intent_id=intent.intent_id)
