"""The catalogue: every event there is, and what is true between them.

Producers are strict (`check`): an unknown field is an error, nothing is coerced. Readers are tolerant (`data_of`): an
unknown field is a newer producer and is ignored; a field of the wrong type is refused here as there.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Literal

from pydantic import ValidationError

from shared.events import (
    approvals,
    budgets,
    datasets,
    deals,
    governance,
    leads,
    operations,
    outreach,
    signature,
    tasks,
    webhooks,
    workflows,
)
from shared.events.envelope import Envelope, EventData
from shared.events.errors import EventSchemaError, UnknownEvent
from shared.events.wire import NotJson, strictly

_EVENTS: tuple[type[EventData], ...] = (
    leads.LeadQualified,
    outreach.OutreachMessageSent,
    outreach.OutreachReplied,
    outreach.OutreachCompleted,
    outreach.OutreachDeliveryFailed,
    deals.DealWon,
    signature.SignatureRequested,
    signature.SignatureReported,
    signature.SignatureCompleted,
    signature.SignatureVoided,
    approvals.ApprovalRequested,
    approvals.ApprovalResolved,
    approvals.ApprovalSlaEscalated,
    governance.EffectRecorded,
    governance.PolicyViolationDetected,
    operations.KillSwitchEngaged,
    operations.KillSwitchReleased,
    operations.FindingRaised,
    operations.FindingCleared,
    operations.DeadLetterRetried,
    tasks.TaskRequested,
    datasets.DatasetPublished,
    workflows.WorkflowCompensated,
    workflows.WorkflowEnded,
    budgets.BudgetThresholdCrossed,
    webhooks.WebhookPinged,
    webhooks.WebhookEndpointDisabled,
)

CATALOG: Mapping[str, type[EventData]] = MappingProxyType({event.TYPE: event for event in _EVENTS})

ALIASES: Mapping[str, str] = MappingProxyType({event.short_name(): event.TYPE for event in _EVENTS})
"""`deal.won` → the newest version of its type: `_EVENTS` lists versions in their order."""

GUARDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        signature.SignatureCompleted.TYPE: frozenset({signature.SignatureRequested.TYPE}),
        signature.SignatureVoided.TYPE: frozenset({signature.SignatureRequested.TYPE}),
        approvals.ApprovalResolved.TYPE: frozenset({approvals.ApprovalRequested.TYPE}),
        approvals.ApprovalSlaEscalated.TYPE: frozenset({approvals.ApprovalRequested.TYPE}),
    }
)
"""Event → what must have happened before it to the same subject, in the same tenant.

Only what our own planes say is guarded. What a stranger says (`signature.reported`, `outreach.replied`) may overtake our
own record of having asked, and what can also be started by hand (`signature.requested` without `deal.won`) has no past.
"""


def alias(name: str) -> str:
    """`deal.won` or the full type → the full type. Raises UnknownEvent."""
    if name in CATALOG:
        return name
    if name in ALIASES:
        return ALIASES[name]
    raise UnknownEvent(f"no event {name!r} in the catalogue; it knows {', '.join(sorted(ALIASES))}", event_type=name, field="type")


def check(event_type: str, data: Mapping[str, Any]) -> EventData:
    """Judge data before it is published: strict. Raises UnknownEvent, or EventSchemaError naming each field that does not fit."""
    return _read(event_type, data, extra="forbid")


def data_of(envelope: Envelope) -> EventData:
    """Read the data of an event that somebody published: tolerant of unknown fields. Raises as `check` does."""
    return _read(envelope.type, envelope.data, extra="ignore")


def missing_guards(event_type: str, seen_types: Collection[str]) -> frozenset[str]:
    """What should have happened to this subject before `event_type` and is not among `seen_types`. Raises UnknownEvent."""
    return GUARDS.get(_known(event_type).TYPE, frozenset()) - frozenset(seen_types)


def _known(event_type: str) -> type[EventData]:
    if event_type not in CATALOG:
        hint = f"write {ALIASES[event_type]!r}" if event_type in ALIASES else f"there is {', '.join(sorted(CATALOG))}"
        raise UnknownEvent(f"no event type {event_type!r} in the catalogue: {hint}", event_type=event_type, field="type")
    return CATALOG[event_type]


def _read(event_type: str, data: Mapping[str, Any], *, extra: Literal["ignore", "forbid"]) -> EventData:
    model = _known(event_type)
    try:
        return strictly(model, data, extra=extra)
    except ValidationError as error:
        raise EventSchemaError.of(event_type, error) from None
    except NotJson as error:
        raise EventSchemaError.because(event_type, [(error.path, str(error))]) from None
