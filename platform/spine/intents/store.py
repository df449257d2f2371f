from spine.audit import Actor
from spine.clock import Clock
from spine.db import Connection
from spine.intents.records import Intent, Page
from spine.intents.states import IntentState


def read(conn: Connection, tenant_id: str, intent_id: str) -> Intent:
    raise NotImplementedError


def listing(
    conn: Connection,
    *,
    tenant_id: str,
    state: IntentState | None = None,
    automation: str | None = None,
    correlation_id: str | None = None,
    page: str | None = None,
    limit: int = 50,
) -> Page:
    raise NotImplementedError


def move(conn: Connection, intent: Intent, to: IntentState, *, actor: Actor, clock: Clock, why: str | None = None) -> Intent:
    raise NotImplementedError


def cancel(conn: Connection, *, tenant_id: str, intent_id: str, actor: Actor, reason: str, clock: Clock) -> Intent:
    raise NotImplementedError
