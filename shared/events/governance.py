"""Governance: what the gate saw, and what came of what it let through."""

from typing import ClassVar, Literal

from shared.events.classes import Severity
from shared.events.envelope import EventData
from shared.events.wire import Name, Ref, Text


class EffectRecorded(EventData):
    """The ledger knows how an effect ended; `unknown` waits for reconciliation, which publishes again."""

    TYPE: ClassVar[str] = "spine.effect.recorded.v1"
    SUBJECT: ClassVar[str] = "intent_id"

    intent_id: Ref
    action: Name
    automation: Name
    outcome: Literal["completed", "failed", "unknown", "compensated"]
    provider_reference: Ref | None = None


class PolicyViolationDetected(EventData):
    """Somebody tried what is not allowed: a forbidden action, another tenant's record, a payload that differs from its digest."""

    TYPE: ClassVar[str] = "spine.governance.policy_violation_detected.v1"
    SUBJECT: ClassVar[str] = "kind"

    kind: Name
    severity: Severity
    detail: Text
    intent_id: Ref | None = None
