"""What waits for people."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from spine import approvals
from spine.console.render import page
from spine.console.session import Visiting

router = APIRouter()


@router.get("/")
def get_inbox(request: Request, visit: Visiting) -> Response:
    with visit.reading() as work:
        found = approvals.listing(work.conn, tenant_id=work.tenant_id)
        return page(request, work.visitor, "inbox.html", items=found.items)
