"""What passes between a governed workflow and its activities. All of it ends up in histories: references, never payloads of people."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from shared.events import Envelope, Money


class Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Commitment(Message):
    """What the input of every commitment carries, whatever it is about."""

    tenant_id: str
    correlation_id: str
    causation_id: str | None = None
    traceparent: str | None = None
    clock: str = ""
    """`BusinessClock.describe()`: workflow code reads no configuration, so its time comes with the input."""

    @staticmethod
    def origin(envelope: Envelope) -> dict[str, Any]:
        """These fields, of a commitment that an event starts."""
        return {
            "tenant_id": envelope.tenantid,
            "correlation_id": envelope.correlationid,
            "causation_id": envelope.id,
            "traceparent": envelope.traceparent,
        }


class ProposeEffect(Message):
    """An effect that a step of a commitment wants. The payload is document `document_id`, or `payload` if it is nobody's secret."""

    tenant_id: str
    automation: str
    workflow_id: str
    key: str
    action: str
    document_id: str | None = None
    payload: dict[str, Any] | None = None
    evidence_id: str | None = None
    bundle_id: str | None = None
    confidence: float | None = None
    amount: Money | None = None
    compensates: str | None = None
    correlation_id: str
    causation_id: str | None = None
    traceparent: str | None = None


class Drafted(Message):
    """Where a draft is kept: the payload that will be proposed, and what it rests on."""

    document_id: str
    digest: str
    evidence_id: str | None = None
    bundle_id: str | None = None
    """Memo, evidence pack and risk register in one document, for an action whose rule requires the bundle."""
    confidence: float | None = None


class IntentRef(Message):
    tenant_id: str
    intent_id: str
    reason: str = ""


class WhatIsStopped(Message):
    """Is there a kill switch on what a step wants to do?"""

    tenant_id: str
    automation: str
    action: str


class ApprovalNotice(Message):
    """`level` 1 warns, 2 is a breach, 3 escalates."""

    tenant_id: str
    approval_id: str
    intent_id: str
    level: Literal[1, 2, 3]


Notice = Literal["warn", "breach", "escalate", "expire"]


class IntentView(Message):
    """What the ledger says about an intent. `state` is one of spine.intents; an unknown one is refused, not guessed at."""

    intent_id: str
    state: Literal[
        "proposed",
        "awaiting_approval",
        "runnable",
        "executing",
        "completed",
        "failed",
        "unknown",
        "denied",
        "rejected",
        "expired",
        "superseded",
        "cancelled",
        "compensating",
        "compensated",
        "compensation_failed",
    ]
    approval_id: str | None = None
    successor_id: str | None = None
    reference: str | None = None
    code: str = ""
    reasons: tuple[str, ...] = ()
    not_before: datetime | None = None
    warn_at: datetime | None = None
    breach_at: datetime | None = None
    escalate_at: datetime | None = None
    expires_at: datetime | None = None

    def deadlines(self) -> Iterator[tuple[datetime, Notice]]:
        """When what is due if nobody has answered, in order; the last one is the end."""
        for at, notice in (
            (self.warn_at, "warn"),
            (self.breach_at, "breach"),
            (self.escalate_at, "escalate"),
            (self.expires_at, "expire"),
        ):
            if at is not None:
                yield at, notice  # type: ignore[misc]


class EffectEnd(Message):
    """How an attempt to carry out an intent ended: done, refused for good, to be tried after `not_before`, or no longer wanted."""

    kind: Literal["completed", "failed", "deferred", "not_runnable"]
    reference: str = ""
    code: str = ""
    why: str = ""
    state: str = ""
    not_before: datetime | None = None


class PublishEvent(Message):
    """An event of the workflow's own. `event_key` makes its id: the same key publishes once, however often it is tried."""

    tenant_id: str
    workflow_id: str
    automation: str
    event_key: str
    type: str
    data: dict[str, Any]
    partition_key: str
    correlation_id: str
    causation_id: str | None = None
    traceparent: str | None = None


class Decision(Message):
    """Argument of update `resolve-approval` and of signal `approval-resolved`. A wake-up: what was decided is in the ledger."""

    approval_id: str
    intent_id: str


class Noted(Message):
    approval_id: str
    intent_id: str


class Progress(Message):
    """Answer of query `progress`, for people."""

    step: str
    waiting_for: dict[str, str]
    """approval → intent"""
    undo: tuple[str, ...]
    """Intents whose effects would be undone if the commitment failed now."""
