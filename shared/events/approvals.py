"""Approvals: a person is asked, answers, or is late."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.events.envelope import EventData
from shared.events.wire import Digest, Instant, Name, Ref, Text


class ApprovalRequested(EventData):
    """The gate asked for people. What they decide is bound to `digest` and `policy_version`."""

    TYPE: ClassVar[str] = "spine.approval.requested.v1"
    SUBJECT: ClassVar[str] = "approval_id"

    approval_id: Ref
    intent_id: Ref
    workflow_id: Ref
    automation: Name
    action: Name
    digest: Digest
    policy_version: Ref
    approvers_needed: Annotated[int, Field(ge=1, le=10)]
    roles: tuple[Name, ...]
    why: tuple[Text, ...]
    expires_at: Instant


class ApprovalResolved(EventData):
    """An approval reached its end. Edited: `successor_intent_id` is the revision that the gate judged afresh."""

    TYPE: ClassVar[str] = "spine.approval.resolved.v1"
    SUBJECT: ClassVar[str] = "approval_id"

    approval_id: Ref
    intent_id: Ref
    workflow_id: Ref
    resolution: Literal["approved", "edited", "rejected", "expired", "cancelled"]
    successor_intent_id: Ref | None = None


class ApprovalSlaEscalated(EventData):
    """Nobody answered in time; the next level is told."""

    TYPE: ClassVar[str] = "spine.approval.sla_escalated.v1"
    SUBJECT: ClassVar[str] = "approval_id"

    approval_id: Ref
    intent_id: Ref
    level: Annotated[int, Field(ge=1, le=3)]
    label: Literal["warn", "breach", "escalated"]
