"""Who did what, and how far the record of it is sealed."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from spine import audit, sweeper
from spine.audit.tail import standing
from spine.console.listing import ROWS, given, named, show
from spine.console.session import Visiting
from spine.identity import Role

router = APIRouter()

_FINDINGS = 20


@router.get("/audit")
def get_audit(
    request: Request,
    visit: Visiting,
    actor: Annotated[str, Query(max_length=200)] = "",
    action: Annotated[str, Query(max_length=200)] = "",
    subject: Annotated[str, Query(max_length=300)] = "",
    correlation: Annotated[str, Query(max_length=300)] = "",
    cursor: Annotated[str, Query(max_length=500)] = "",
) -> Response:
    """The newest first. For operators and above, as over HTTP; a viewer is told where else to look."""
    wanted = {"actor_id": given(actor), "action": given(action), "subject_id": given(subject), "correlation_id": given(correlation)}
    with visit.reading() as work:
        may_read = work.principal.role.covers(Role.OPERATOR)
        found = audit.listing(work.conn, tenant_id=work.tenant_id, cursor=given(cursor), limit=ROWS, **wanted) if may_read else None
        sealed = standing(work.conn, work.tenant_id) if may_read else None
        findings = sweeper.listing(work.conn, tenant_id=work.tenant_id, limit=_FINDINGS).items
    return show(
        request,
        work.visitor,
        "audit.html",
        found=found,
        sealed=sealed,
        findings=findings,
        filters=named(
            actor=wanted["actor_id"], action=wanted["action"], subject=wanted["subject_id"], correlation=wanted["correlation_id"]
        ),
    )
