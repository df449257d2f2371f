"""What providers report by webhook, once its signature was verified."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.events import ActorType, DealWon, SignatureReported, SignatureRequested
from spine import audit, deadletters, eventlog
from spine.audit import Actor
from spine.clock import Clock
from spine.db import Connection
from spine.errors import SchemaViolation, TenantMismatch
from spine.ids import derived_id, new_id
from spine.intake.envelopes import checked
from spine.intake.flow import Flow, inside
from spine.telemetry import current_traceparent

WEBHOOK_PROVIDERS = ("esign",)


class _Report(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    envelope_id: str = Field(min_length=1)
    status: str
    deal_id: str = Field(min_length=1)
    tenant_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookTaken:
    """What became of a signed report: an event, nothing (it had come before), or a dead letter for a person to look at."""

    outcome: Literal["published", "known", "dead_letter"]
    event_id: str | None = None
    correlation_id: str | None = None


def take_webhook(
    conn: Connection, *, tenant_id: str, provider: str, webhook_id: str, body: Mapping[str, Any], clock: Clock
) -> WebhookTaken:
    """Turn a report whose signature was verified into `signature.reported`, once per `webhook_id`.

    What cannot be understood is kept as a dead letter instead of being refused: the provider would only send it again.
    Raises TenantMismatch when the report itself names another tenant than the address it came to.
    """
    first = conn.execute(
        "insert into webhooks_received (tenant_id, provider, webhook_id) values (%s, %s, %s) on conflict do nothing",
        (tenant_id, provider, webhook_id),
    ).rowcount
    if not first:
        return WebhookTaken(outcome="known")
    try:
        return publish_report(conn, tenant_id=tenant_id, provider=provider, webhook_id=webhook_id, body=body, now=clock.now())
    except SchemaViolation as error:
        deadletters.add(
            conn,
            tenant_id=tenant_id,
            plane="webhook",
            reference=webhook_id,
            consumer=f"gateway/webhooks/{provider}",
            correlation_id=None,
            error_code=error.code,
            error=str(error),
            attempts=1,
            body=body,
            now=clock.now(),
        )
        return WebhookTaken(outcome="dead_letter")


def publish_report(
    conn: Connection, *, tenant_id: str, provider: str, webhook_id: str, body: Mapping[str, Any], now: datetime
) -> WebhookTaken:
    """The event of one report, once: its id is derived from the webhook's. Raises SchemaViolation, and TenantMismatch as above."""
    try:
        report = _Report.model_validate(body.get("data"))
    except ValidationError as error:
        raise SchemaViolation(_reason(error)) from None
    if report.tenant_id not in (None, tenant_id):
        raise TenantMismatch(f"webhook {webhook_id!r} reports to tenant {tenant_id!r} what belongs to tenant {report.tenant_id!r}")
    data = checked(
        SignatureReported.TYPE,
        {"deal_id": report.deal_id, "envelope_id": report.envelope_id, "status": report.status, "reported_by": "webhook"},
    )
    flow = _flow_of(conn, tenant_id, report)
    speaker = Actor(ActorType.EXECUTOR_SYSTEM, provider)
    with inside(flow, "webhook.take"):
        envelope = eventlog.publish(
            conn,
            data,
            tenant_id=tenant_id,
            source=f"/gateway/webhooks/{provider}",
            correlation_id=flow.correlation_id,
            causation_id=flow.causation_id,
            event_id=derived_id("webhook", tenant_id, provider, webhook_id),
            now=now,
            traceparent=flow.traceparent or current_traceparent(),
            actor_type=speaker.type,
        )
        audit.record(
            conn,
            tenant_id=tenant_id,
            actor=speaker,
            action="webhook.received",
            subject_type="event",
            subject_id=envelope.id,
            now=now,
            correlation_id=flow.correlation_id,
            detail={"webhook_id": webhook_id, "status": report.status},
        )
    return WebhookTaken(outcome="published", event_id=envelope.id, correlation_id=flow.correlation_id)


def _flow_of(conn: Connection, tenant_id: str, report: _Report) -> Flow:
    """The flow that a report belongs to: that of the effect which made the envelope, else the deal's, else one of its own."""
    row = conn.execute(
        "select i.correlation_id, null::uuid as event_id, i.traceparent from effects e join intents i using (tenant_id, intent_id) "
        "where e.tenant_id = %(tenant)s and e.plugin = 'esign' and e.provider_reference = %(envelope)s and i.correlation_id is not null "
        "limit 1",
        {"tenant": tenant_id, "envelope": report.envelope_id},
    ).fetchone()
    # The report may overtake our own receipt: then the deal is all we know.
    row = (
        row
        or conn.execute(
            "select correlation_id, event_id, envelope ->> 'traceparent' as traceparent from events "
            "where tenant_id = %(tenant)s and subject = %(deal)s and type = any(%(types)s) order by position desc limit 1",
            {"tenant": tenant_id, "deal": report.deal_id, "types": [SignatureRequested.TYPE, DealWon.TYPE]},
        ).fetchone()
    )
    if row is None:
        return Flow(correlation_id=str(new_id()))
    causation_id = None if row["event_id"] is None else str(row["event_id"])
    return Flow(correlation_id=row["correlation_id"], causation_id=causation_id, traceparent=row["traceparent"])


def _reason(error: ValidationError) -> str:
    found = error.errors(include_input=False, include_url=False)
    return "; ".join(f"'data.{'.'.join(map(str, one['loc']))}': {one['msg']}" for one in found)
