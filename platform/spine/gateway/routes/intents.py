"""Intents: what somebody wants done to the outside world, and what became of it."""

from typing import Annotated

from fastapi import APIRouter, Query

from spine import intents
from spine.gateway import bodies
from spine.gateway.auth import Visiting
from spine.identity import Role
from spine.intents import IntentState
from spine.views import IntentView, View

router = APIRouter(tags=["intents"])


class IntentQuery(bodies.Query):
    state: IntentState | None = None
    automation: str | None = None
    correlation_id: str | None = None


class Intents(View):
    """`next` is null on the last page."""

    items: tuple[IntentView, ...]
    next: str | None


@router.get("/intents")
def get_intents(query: Annotated[IntentQuery, Query()], visit: Visiting) -> Intents:
    """The newest first, without payloads."""
    with visit.reading() as work:
        wanted = query.model_dump(exclude={"tenant_id"})
        page = intents.listing(work.conn, tenant_id=work.tenant_id, **wanted)
    return Intents(items=tuple(IntentView.of(intent) for intent in page.items), next=page.next)


@router.get("/intents/{intent_id}")
def get_intent(intent_id: str, visit: Visiting) -> IntentView:
    with visit.reading() as work:
        intent = intents.read(work.conn, work.tenant_id, intent_id)
    return IntentView.of(intent, whole=work.principal.role.covers(Role.OPERATOR))
