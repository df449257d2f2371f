"""GET /v1/automations: what is plugged in."""

from typing import Annotated

from fastapi import APIRouter, Query

from spine.gateway import bodies
from spine.gateway.auth import Visiting
from spine.inventory import AutomationView, Finding, check, inventory
from spine.paging import page_of, place_of
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
    after = "" if query.cursor is None else place_of(query.cursor, str)[0]
    with visit.reading():
        found = [one for one in inventory(services.registry) if one.name > after]
        page = page_of(found[: query.limit + 1], query.limit, lambda last: (last.name,))
        return Automations(items=page.items, next=page.next, findings=tuple(check(services.registry, services.policy)))
