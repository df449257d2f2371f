"""Workflows: what became of a commitment as a whole."""

from typing import ClassVar

from shared.events.envelope import EventData
from shared.events.wire import Name, Ref, Text


class WorkflowCompensated(EventData):
    """A commitment failed after it had effects, and they were undone, newest first."""

    TYPE: ClassVar[str] = "spine.workflow.compensated.v1"
    SUBJECT: ClassVar[str] = "workflow_id"

    workflow_id: Ref
    automation: Name
    effects: tuple[Ref, ...]
    """The intents whose effects were undone, in the order in which that happened."""
    reason: Text


class WorkflowEnded(EventData):
    """A commitment is over, however it went; the last event of its flow."""

    TYPE: ClassVar[str] = "spine.workflow.ended.v1"
    SUBJECT: ClassVar[str] = "workflow_id"

    workflow_id: Ref
    automation: Name
    outcome: Ref
    """The automation's own word for it (signed, replied, rejected, expired, …), or failed, cancelled, compensation_failed."""
    why: Text | None = None
