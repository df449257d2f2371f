"""Time passes: reminders, and the end of waiting. The timers themselves are the workflow's (law 9)."""

from datetime import timedelta
from uuid import UUID

from shared.events import ApprovalSlaEscalated
from spine import audit
from spine.approvals.queries import fetch
from spine.approvals.records import ApprovalState, Resolution, SlaLabel, SlaNote
from spine.approvals.resolve import entry, resolve
from spine.audit import Actor
from spine.clock import Clock
from spine.db import Connection
from spine.errors import NotYet
from spine.intents import announce
from spine.intents.rows import newest_revision
from spine.policy import PolicyTable

_LEVELS = {SlaLabel.WARN: 1, SlaLabel.BREACH: 2, SlaLabel.ESCALATED: 3}
_TIMER_SLACK = timedelta(seconds=1)  # of real time: a timer's server and this process do not share a clock


def expire(conn: Connection, *, tenant_id: str, approval_id: str, actor: Actor, clock: Clock) -> Resolution:
    """Nobody answered in time: the answer is no. A request that ended otherwise stays as it is, and that is returned.

    Raises NotYet while its time is not up; a second of real time early is close enough for a timer that another clock rang.
    """
    approval = fetch(conn, tenant_id, approval_id, lock=True)
    if approval.state is not ApprovalState.PENDING:
        return Resolution(
            approval_id=approval.approval_id,
            intent_id=approval.intent.intent_id,
            workflow_id=approval.intent.workflow_id,
            state=approval.state,
            approvals_remaining=0,
            intent_state=approval.intent.state,
            successor=newest_revision(conn, approval.intent) if approval.state is ApprovalState.EDITED else None,
        )
    if clock.real(approval.expires_at - clock.now()) > _TIMER_SLACK:
        raise NotYet(
            f"approval {approval_id!r} waits until {approval.expires_at.isoformat()}: expire it then", not_before=approval.expires_at
        )
    return resolve(conn, approval, ApprovalState.EXPIRED, actor=actor, clock=clock, why="nobody answered in time")


def note_sla(
    conn: Connection, *, tenant_id: str, approval_id: str, label: SlaLabel, actor: Actor, policy: PolicyTable, clock: Clock
) -> SlaNote:
    """Raise the escalation level of a request that still waits, and announce it. Levels only rise: late timers change nothing.

    Within the cool-down after the last notice the level rises silently, so that nobody is told twice in one breath.
    """
    approval, level, now = fetch(conn, tenant_id, approval_id, lock=True), _LEVELS[label], clock.now()
    if approval.state is not ApprovalState.PENDING or level <= approval.escalation_level:
        return SlaNote(level=approval.escalation_level, announced=False)
    conn.execute(
        "update approvals set escalation_level = %s where tenant_id = %s and approval_id = %s", (level, tenant_id, UUID(approval_id))
    )
    last = conn.execute(
        "select max(occurred_at) as at from audit_log where tenant_id = %s and subject_id = %s and action = 'approval.sla_escalated' "
        "and (detail->>'announced')::boolean",
        (tenant_id, approval.approval_id),
    ).fetchone()
    announced = last is None or last["at"] is None or now - last["at"] >= policy.notice_cooldown
    noted = entry(approval, actor, "approval.sla_escalated", {"label": label.value, "level": level, "announced": announced})
    audit.record_all(conn, [noted], tenant_id=tenant_id, now=now)
    if announced:
        data = ApprovalSlaEscalated(approval_id=approval.approval_id, intent_id=approval.intent.intent_id, level=level, label=label.value)
        announce.write(conn, announce.envelope(approval.intent, data, approval.approval_id, label.value, actor=actor, now=now))
    return SlaNote(level=level, announced=announced)
