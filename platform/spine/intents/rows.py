"""Rows of `intents` as records, and back."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic_core import to_json

from shared.events import ActionClass, ActorType, ApprovalClass, Money, ReversibilityClass, SensitivityClass, SideEffectClass
from shared.events.records import EvidencePack
from spine.audit import Actor
from spine.db import Connection
from spine.errors import NotFound
from spine.intents.bundle import restored, stored
from spine.intents.records import Intent, Proposed
from spine.intents.states import IntentState
from spine.policy.decide import Reason

COLUMNS = (
    "tenant_id, intent_id, automation, key, revision, action, payload, digest, amount, currency, action_class, approval_class, "
    "reversibility_class, sensitivity_class, side_effect_class, state, reasons, policy_version, evidence, confidence, actor_type, "
    "requested_by, workflow_id, correlation_id, causation_id, traceparent, supersedes, compensates, not_before, created_at, updated_at, "
    "bundle"
)
_SAME = (
    *("tenant_id", "automation", "key", "revision", "action", "payload", "digest", "policy_version", "confidence", "workflow_id"),
    *("correlation_id", "causation_id", "traceparent", "not_before", "created_at", "updated_at"),
)


def intent_of(row: Mapping[str, Any]) -> Intent:
    """A row with at least `COLUMNS`."""
    return Intent(
        **{name: row[name] for name in _SAME},
        intent_id=str(row["intent_id"]),
        amount=None if row["amount"] is None else Money(amount=row["amount"], currency=row["currency"]),
        action_class=ActionClass(row["action_class"]),
        approval_class=ApprovalClass(row["approval_class"]),
        reversibility_class=ReversibilityClass(row["reversibility_class"]),
        sensitivity_class=SensitivityClass(row["sensitivity_class"]),
        side_effect_class=SideEffectClass(row["side_effect_class"]),
        state=IntentState(row["state"]),
        reasons=reasons_of(row["reasons"]),
        evidence=None if row["evidence"] is None else EvidencePack.model_validate(row["evidence"]),
        requested_by=Actor(ActorType(row["actor_type"]), row["requested_by"]),
        supersedes=_text(row["supersedes"]),
        compensates=_text(row["compensates"]),
        **restored(row["bundle"]),
    )


def values_of(intent: Intent) -> dict[str, Any]:
    """The values of `COLUMNS`, by name."""
    return {
        **{name: getattr(intent, name) for name in _SAME},
        "intent_id": UUID(intent.intent_id),
        "payload": Jsonb(intent.payload),
        "amount": None if intent.amount is None else intent.amount.amount,
        "currency": None if intent.amount is None else intent.amount.currency,
        "action_class": intent.action_class.value,
        "approval_class": intent.approval_class.value,
        "reversibility_class": intent.reversibility_class.value,
        "sensitivity_class": intent.sensitivity_class.value,
        "side_effect_class": intent.side_effect_class.value,
        "state": intent.state.value,
        "reasons": reasons_json(intent.reasons),
        "evidence": None if intent.evidence is None else Jsonb(intent.evidence.model_dump(mode="json")),
        "actor_type": intent.requested_by.type.value,
        "requested_by": intent.requested_by.id,
        "supersedes": intent.supersedes and UUID(intent.supersedes),
        "compensates": intent.compensates and UUID(intent.compensates),
        "bundle": None if (papers := stored(intent)) is None else Jsonb(papers),
    }


def document_of(intent: Intent) -> str:
    """The values of `COLUMNS` as one JSON object, for `jsonb_populate_record(null::intents, …)`: thirty parameters cost a driver more
    than one text does."""
    return to_json(values_of(intent), fallback=lambda wrapped: wrapped.obj).decode()  # a Jsonb; amounts and times go as exact text


_REVISIONS = """
select i.intent_id, i.revision, i.action, i.digest, i.state, i.reasons, i.not_before,
       a.approval_id, a.approvers_needed, a.warn_at, a.breach_at, a.escalate_at, a.expires_at
from intents i left join approvals a using (tenant_id, intent_id)
where i.tenant_id = %s and i.automation = %s and i.key = %s order by i.revision
"""


def revisions(conn: Connection, tenant_id: str, automation: str, key: str) -> list[dict[str, Any]]:
    """All revisions of one proposal with their approvals, the oldest first, for `proposed_of`."""
    return conn.execute(_REVISIONS, (tenant_id, automation, key)).fetchall()


def newest_revision(conn: Connection, intent: Intent) -> Proposed:
    """What became of a superseded intent."""
    return proposed_of(revisions(conn, intent.tenant_id, intent.automation, intent.key)[-1])


def proposed_of(row: Mapping[str, Any]) -> Proposed:
    """An intent's row joined with its approval's, if it has one."""
    same = ("revision", "not_before", "warn_at", "breach_at", "escalate_at", "expires_at")
    return Proposed(
        **{name: row[name] for name in same},
        intent_id=str(row["intent_id"]),
        state=IntentState(row["state"]),
        approval_id=_text(row["approval_id"]),
        approvers_needed=row["approvers_needed"] or 0,
        reasons=reasons_of(row["reasons"]),
    )


def reasons_json(reasons: tuple[Reason, ...]) -> Jsonb:
    return Jsonb([{"code": reason.code, "text": reason.text} for reason in reasons])


def reasons_of(stored: list[dict[str, str]]) -> tuple[Reason, ...]:
    return tuple(Reason(reason["code"], reason["text"]) for reason in stored)


def uuid_of(kind: str, tenant_id: str, text: str) -> UUID:
    """An id that cannot be one is an id that nobody has. Raises NotFound."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(f"tenant {tenant_id!r} has no {kind} {text!r}") from None


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
