"""GET /v1/automations: what is plugged in."""

from fastapi import APIRouter

from spine.gateway.auth import Visiting
from spine.inventory import AutomationView, Finding, check, inventory
from spine.views import View

router = APIRouter(tags=["automations"])


class Automations(View):
    """`findings` is what `spine automations check` would say; empty is good."""

    items: tuple[AutomationView, ...]
    findings: tuple[Finding, ...]


@router.get("/automations")
def get_automations(visit: Visiting) -> Automations:
    services = visit.services
    with visit.reading():
        return Automations(items=tuple(inventory(services.registry)), findings=tuple(check(services.registry, services.policy)))
