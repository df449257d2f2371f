"""GET /v1/automations: what is plugged in."""

from typing import Annotated

from fastapi import APIRouter, Query

from spine.gateway import bodies
from spine.gateway.auth import Visiting
from spine.inventory import AutomationView, Finding, check, listing
from spine.views import View

router = APIRouter(tags=["automations"])


class Automations(View):
    """`next` is null on the last page. `findings` is what `spine automations check` would say of all of them; empty is good."""

    items: tuple[AutomationView, ...]
    next: str | None
    findings: tuple[Finding, ...]


@router.get("/automations")
def get_automations(query: Annotated[bodies.Query, Query()], visit: Visiting) -> Automations:
    """Every automation that an installed package declares, by name."""
    services = visit.services
    with visit.reading():
        page = listing(services.registry, cursor=query.cursor, limit=query.limit)
        return Automations(items=page.items, next=page.next, findings=tuple(check(services.registry, services.policy)))
