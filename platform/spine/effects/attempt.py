"""One attempt at an effect, and what every attempt needs to know: what is over already, what goes to the provider, under which span."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, NoReturn
from uuid import UUID

from opentelemetry.trace import Span, SpanKind

from spine.audit import Actor
from spine.contacts import contact_address
from spine.db import Connection
from spine.effects import ledger
from spine.effects.connector import Connector
from spine.effects.results import Completed, Failed
from spine.errors import OutcomeUnknown
from spine.intents.gate import contact_of
from spine.intents.records import Intent
from spine.intents.states import IntentState
from spine.policy import ActionRule
from spine.telemetry import span

DONE = (IntentState.COMPLETED, IntentState.COMPENSATING, IntentState.COMPENSATED, IntentState.COMPENSATION_FAILED)
BEGUN = (IntentState.EXECUTING, IntentState.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt under way: the intent as it is now, the right to write about it, and what goes to the provider."""

    intent: Intent
    token: UUID
    actor: Actor
    connector: Connector
    payload: dict[str, Any]
    is_first: bool


def settled_before(entry: ledger.Entry) -> Completed | Failed | None:
    """What is over stays over: a repeated call gets the first one's answer."""
    if entry.intent.state in DONE:
        return Completed(entry.provider_reference, entry.reconciled)
    if entry.intent.state is IntentState.FAILED:
        return Failed(entry.error_code or "failed", entry.error or "")
    return None


def payload_of(intent: Intent, address: str | None) -> dict[str, Any]:
    added = {"action": intent.action, "idempotency_key": ledger.idempotency_key(intent)}
    return {**intent.payload, **added, **({} if address is None else {"address": address})}


def address_of(conn: Connection, intent: Intent, rule: ActionRule) -> str | None:
    contact_id = contact_of(intent.payload)
    return contact_address(conn, intent.tenant_id, contact_id, rule.channel) if contact_id else None


def calling(what: Literal["perform", "find"], attempt: Attempt) -> AbstractContextManager[Span]:
    return span(
        f"{what} {attempt.intent.action}",
        kind=SpanKind.CLIENT,
        tenant_id=attempt.intent.tenant_id,
        intent_id=attempt.intent.intent_id,
        plugin=attempt.connector.name,
    )


def overtaken(intent: Intent) -> NoReturn:
    """Another attempt holds the right to write now: this one has nothing to tell. Raises OutcomeUnknown."""
    raise OutcomeUnknown(f"another attempt at intent {intent.intent_id!r} has taken over and is under way: ask again later")
