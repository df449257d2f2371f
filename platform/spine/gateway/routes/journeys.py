"""GET /v1/journeys/{correlation_id}: one timeline over all planes."""

from fastapi import APIRouter

from spine.gateway.auth import Visiting
from spine.journey import Journey, journey, with_links

router = APIRouter(tags=["journeys"])


@router.get("/journeys/{correlation_id:path}")
def get_journey(correlation_id: str, visit: Visiting) -> Journey:
    """What happened in one business flow, in its order, from the first event to the last effect."""
    with visit.reading() as work:
        found = journey(work.conn, work.tenant_id, correlation_id, clock=work.services.clock)
    return with_links(found, visit.services.settings)
