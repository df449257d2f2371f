"""The audit log, its seals and its export."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse

from spine import audit
from spine.audit import Actor, export, seals
from spine.audit.shown import AuditRowView, ProofView, SealView
from spine.gateway import bodies
from spine.gateway.auth import Visiting
from spine.identity import Role
from spine.views import View

router = APIRouter(tags=["audit"])


class AuditQuery(bodies.Query):
    correlation_id: str | None = None
    subject_id: str | None = None
    actor_id: str | None = None
    action: str | None = None


class AuditRows(View):
    """`next` is null on the last page."""

    items: tuple[AuditRowView, ...]
    next: str | None


class Seals(View):
    """`next` is null on the last page."""

    items: tuple[SealView, ...]
    next: str | None


@router.get("/audit")
def get_audit(query: Annotated[AuditQuery, Query()], visit: Visiting) -> AuditRows:
    """Who did what to which record, the newest first. For operators."""
    with visit.reading(Role.OPERATOR) as work:
        page = audit.listing(work.conn, tenant_id=work.tenant_id, **query.model_dump(exclude={"tenant_id"}))
    return AuditRows(items=tuple(AuditRowView.of(row) for row in page.items), next=page.next)


@router.get("/audit/seals")
def get_seals(query: Annotated[bodies.Query, Query()], visit: Visiting) -> Seals:
    """The batches that the log was sealed in, the newest first; the first one's `root` is the head to keep elsewhere."""
    with visit.reading(Role.OPERATOR) as work:
        page = seals.listing(work.conn, tenant_id=work.tenant_id, limit=query.limit, cursor=query.cursor)
    return Seals(items=tuple(SealView.of(seal) for seal in page.items), next=page.next)


@router.get("/audit/export", response_class=StreamingResponse, responses={200: {"content": {"application/x-ndjson": {}}}})
def get_export(visit: Visiting) -> StreamingResponse:
    """The whole log with its seals, as JSON lines for `spine audit verify FILE`. For admins; taking it is itself on record."""
    with visit.reading(Role.ADMIN) as work:
        tenant_id, now = work.tenant_id, work.services.clock.now()
        export.recorded(work.conn, tenant_id=tenant_id, actor=Actor(work.principal.actor_type, work.principal.id), now=now)
        database = work.services.database
    lines = export.lines(lambda: database.tenant(tenant_id), tenant_id=tenant_id, now=now)
    headers = {"Content-Disposition": f'attachment; filename="audit-{tenant_id}.jsonl"'}
    return StreamingResponse(lines, media_type="application/x-ndjson", headers=headers)


@router.get("/audit/{position}/proof")
def get_proof(position: Annotated[int, Path(ge=1, lt=2**63)], visit: Visiting) -> ProofView:
    """One row with the hashes that lead from it to the root of its batch (RFC 6962 §2.1.1)."""
    with visit.reading(Role.OPERATOR) as work:
        return ProofView.of(seals.prove(work.conn, tenant_id=work.tenant_id, position=position))
