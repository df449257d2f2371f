"""The contracts by which the planes talk: pydantic and the standard library, nothing else.

Publish: `Envelope.of(DealWon(...), ...)`, after `check` if the data came as JSON. Consume: `data_of(Envelope.from_json(text))`.
The records of governed work are in `shared.events.records`, the idempotency keys in `shared.events.keys`.
"""

from shared.events.approvals import ApprovalRequested, ApprovalResolved, ApprovalSlaEscalated
from shared.events.budgets import BudgetThresholdCrossed
from shared.events.catalog import ALIASES, CATALOG, GUARDS, alias, check, data_of, missing_guards
from shared.events.classes import (
    ActionClass,
    ActorType,
    ApprovalClass,
    ReversibilityClass,
    SensitivityClass,
    Severity,
    SideEffectClass,
    Verdict,
)
from shared.events.datasets import DatasetPublished
from shared.events.deals import DealWon
from shared.events.envelope import Envelope, EventData, schema_id, short_name
from shared.events.errors import EventError, EventSchemaError, UnknownEvent
from shared.events.governance import EffectRecorded, PolicyViolationDetected
from shared.events.leads import LeadQualified
from shared.events.operations import DeadLetterRetried, FindingCleared, FindingRaised, KillSwitchEngaged, KillSwitchReleased
from shared.events.outreach import OutreachCompleted, OutreachDeliveryFailed, OutreachMessageSent, OutreachReplied
from shared.events.signature import SignatureCompleted, SignatureReported, SignatureRequested, SignatureVoided
from shared.events.tasks import TaskRequested
from shared.events.webhooks import WebhookEndpointDisabled, WebhookPinged
from shared.events.wire import Money
from shared.events.workflows import WorkflowCompensated, WorkflowEnded

__all__ = [
    "ALIASES",
    "CATALOG",
    "GUARDS",
    "ActionClass",
    "ActorType",
    "ApprovalClass",
    "ApprovalRequested",
    "ApprovalResolved",
    "ApprovalSlaEscalated",
    "BudgetThresholdCrossed",
    "DatasetPublished",
    "DeadLetterRetried",
    "DealWon",
    "EffectRecorded",
    "Envelope",
    "EventData",
    "EventError",
    "EventSchemaError",
    "FindingCleared",
    "FindingRaised",
    "KillSwitchEngaged",
    "KillSwitchReleased",
    "LeadQualified",
    "Money",
    "OutreachCompleted",
    "OutreachDeliveryFailed",
    "OutreachMessageSent",
    "OutreachReplied",
    "PolicyViolationDetected",
    "ReversibilityClass",
    "SensitivityClass",
    "Severity",
    "SideEffectClass",
    "SignatureCompleted",
    "SignatureReported",
    "SignatureRequested",
    "SignatureVoided",
    "TaskRequested",
    "UnknownEvent",
    "Verdict",
    "WebhookEndpointDisabled",
    "WebhookPinged",
    "WorkflowCompensated",
    "WorkflowEnded",
    "alias",
    "check",
    "data_of",
    "missing_guards",
    "schema_id",
    "short_name",
]
