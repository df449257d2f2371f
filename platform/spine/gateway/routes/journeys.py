"""GET /v1/journeys/{correlation_id}: one timeline over all planes."""

from typing import Annotated

from fastapi import APIRouter, Query

from spine.gateway import bodies
from spine.gateway.auth import Visiting
from spine.journey import Journey, journey, page_of_steps, with_links

router = APIRouter(tags=["journeys"])


class JourneyQuery(bodies.Query):
    limit: bodies.Limit = 200


@router.get("/journeys/{correlation_id:path}")
def get_journey(correlation_id: str, query: Annotated[JourneyQuery, Query()], visit: Visiting) -> Journey:
    """What happened in one business flow, in its order, from the first event to the last effect."""
    with visit.reading() as work:
        found = journey(work.conn, work.tenant_id, correlation_id, clock=work.services.clock)
    return with_links(page_of_steps(found, query.cursor, query.limit), visit.services.settings)
