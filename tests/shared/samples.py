"""One real instance of every event of the catalogue."""

from datetime import UTC, date, datetime
from typing import Any

from shared.events import (
    ApprovalRequested,
    ApprovalResolved,
    ApprovalSlaEscalated,
    BudgetThresholdCrossed,
    DatasetPublished,
    DeadLetterRetried,
    DealWon,
    EffectRecorded,
    Envelope,
    EventData,
    FindingCleared,
    FindingRaised,
    KillSwitchEngaged,
    KillSwitchReleased,
    LeadQualified,
    Money,
    OutreachCompleted,
    OutreachDeliveryFailed,
    OutreachMessageSent,
    OutreachReplied,
    PolicyViolationDetected,
    Severity,
    SignatureCompleted,
    SignatureReported,
    SignatureRequested,
    SignatureVoided,
    TaskRequested,
    WebhookEndpointDisabled,
    WebhookPinged,
    WorkflowCompensated,
    WorkflowEnded,
)

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
EVENT_ID = "019a9f3c-7c00-7a00-8000-00000000000a"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

SAMPLES: tuple[EventData, ...] = (
    LeadQualified(
        lead_id="L-1",
        account="Cancity",
        contact_id="contact-1",
        product="GTX Plus Basic",
        sales_agent="agent-7",
        score=0.83,
        band="hot",
        estimated_value=Money.of("1250.00", "SAR"),
        dataset_version="leads_scored@2026-11",
        reasons=("three won deals in the sector",),
    ),
    OutreachMessageSent(lead_id="L-1", intent_id="I-1", step=0, channel="email", provider_message_id="<m-1@mail.example>"),
    OutreachReplied(lead_id="L-1", contact_id="contact-1", channel="email", message_ref="m-2"),
    OutreachCompleted(lead_id="L-1", outcome="replied", messages_sent=2),
    OutreachDeliveryFailed(contact_id="contact-1", channel="email", kind="bounce", message_ref="<m-1@mail.example>"),
    DealWon(
        deal_id="D-1",
        account="Isdom",
        contact_id="contact-2",
        product="MG Special",
        sales_agent="agent-7",
        value=Money.of("55.50", "SAR"),
        closed_on=date(2026, 11, 22),
    ),
    SignatureRequested(deal_id="D-1", envelope_id="env-1", intent_id="I-2"),
    SignatureReported(deal_id="D-1", envelope_id="env-1", status="completed", reported_by="webhook"),
    SignatureCompleted(deal_id="D-1", envelope_id="env-1", signed_at=NOON),
    SignatureVoided(deal_id="D-1", envelope_id="env-1", reason="declined"),
    ApprovalRequested(
        approval_id="A-1",
        intent_id="I-2",
        workflow_id="demo/contract-signature/D-1",
        automation="contract-signature",
        action="send_contract_for_signature",
        digest="sha256:" + "0" * 64,
        policy_version="sha256:" + "1" * 64,
        approvers_needed=2,
        roles=("approver",),
        why=("R3 needs people",),
        expires_at=NOON,
    ),
    ApprovalResolved(
        approval_id="A-1", intent_id="I-2", workflow_id="demo/contract-signature/D-1", resolution="edited", successor_intent_id="I-3"
    ),
    ApprovalSlaEscalated(approval_id="A-1", intent_id="I-2", level=1, label="warn"),
    EffectRecorded(intent_id="I-2", action="send_email", automation="outreach-sequence", outcome="completed", provider_reference="m-1"),
    KillSwitchEngaged(scope="action", target="send_email", reason="bounces", engaged_by="olga"),
    KillSwitchReleased(scope="action", target="send_email", reason="mended", released_by="ana"),
    FindingRaised(finding_id="F-1", code="unknown-too-long", about="I-1", severity=Severity.V2, detail="unknown for two hours"),
    FindingCleared(finding_id="F-1", code="unknown-too-long", about="I-1"),
    DeadLetterRetried(
        dead_letter_id="L-1", plane="activity", consumer="worker/qualify-lead", workflow_id="acme/outreach-sequence/L-1", activity_id="1"
    ),
    DeadLetterRetried(dead_letter_id="L-2", plane="data_job", consumer="dagster/nightly", job="nightly", tags={"spine/tenant": "acme"}),
    PolicyViolationDetected(kind="tenant-mismatch", severity=Severity.V3, detail="an intent of another tenant was named", intent_id="I-9"),
    TaskRequested(automation="outreach-sequence", key="L-1", payload={"lead": {"id": "L-1", "tags": ["a", 1, None]}}, requested_by="key-3"),
    DatasetPublished(dataset="leads_scored", version="2026-11", partition="2026-11-01", rows=120, events_published=14),
    WorkflowCompensated(
        workflow_id="demo/contract-signature/D-1", automation="contract-signature", effects=("I-2",), reason="CRM refused the deal"
    ),
    WorkflowEnded(
        workflow_id="demo/contract-signature/D-1", automation="contract-signature", outcome="expired", why="nobody decided in time"
    ),
    BudgetThresholdCrossed(budget="automation-day:outreach-sequence", period="2026-11-22", level="warn", percent=71),
    WebhookPinged(endpoint_id="019a9f3c-7c00-7a00-8000-00000000000b"),
    WebhookEndpointDisabled(endpoint_id="019a9f3c-7c00-7a00-8000-00000000000b", why="gone"),
)


def enveloped(data: EventData, **changes: Any) -> Envelope:
    values: dict[str, Any] = {
        "tenant_id": "demo",
        "source": "/data_jobs/crm",
        "correlation_id": "corr-1",
        "event_id": EVENT_ID,
        "time": NOON,
        "traceparent": TRACEPARENT,
    }
    return Envelope.of(data, **(values | changes))


def named(event: EventData) -> str:
    return event.short_name()
