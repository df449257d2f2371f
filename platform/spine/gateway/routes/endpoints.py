"""Webhooks out: who is told of which events."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from spine import webhooks_out
from spine.audit import Actor
from spine.gateway import bodies
from spine.gateway.auth import Visiting, Work, answered
from spine.gateway.bodies import Body
from spine.gateway.idempotency import Answer
from spine.identity import Role
from spine.paging import page_of, place_of
from spine.views import View
from spine.webhooks_out.views import DeliveryView, EndpointView

router = APIRouter(tags=["webhooks"])


class EndpointQuery(bodies.Query):
    pass


class Endpoints(View):
    """`next` is None on the last page."""

    items: tuple[EndpointView, ...]
    next: str | None


class EndpointBody(Body):
    url: Annotated[str, Field(min_length=1, max_length=2000)] = Field(
        description="https, at a public address", examples=["https://hooks.example.com/spine"]
    )
    event_types: Annotated[tuple[Annotated[str, Field(max_length=200)], ...], Field(max_length=200)] = Field(
        default=(), description="full types or short names; empty: every event", examples=[["approval.requested"]]
    )


class RotateBody(Body):
    overlap_hours: Annotated[int, Field(ge=0, le=168)] = Field(default=24, description="how long the old secret goes on signing beside it")


class EndpointAnswer(EndpointView):
    """`secret` is there the first time only: it is kept sealed and is not shown again."""

    secret: str | None = None


class Pinged(View):
    """The event that is on its way to the endpoint."""

    endpoint_id: str
    event_id: str


class DeliveryQuery(bodies.Query):
    state: Literal["waiting", "delivered", "dead"] | None = None


class Deliveries(View):
    """`next` is None on the last page."""

    items: tuple[DeliveryView, ...]
    next: str | None


@router.get("/webhook-endpoints")
def get_webhook_endpoints(query: Annotated[EndpointQuery, Query()], visit: Visiting) -> Endpoints:
    """All that were not removed, the oldest first."""
    after = place_of(query.cursor, datetime.fromisoformat, UUID) if query.cursor else None
    with visit.reading() as work:
        found = webhooks_out.endpoints(work.conn, tenant_id=work.tenant_id)
    rest = [one for one in found if after is None or (one.created_at, one.endpoint_id) > after]
    page = page_of(rest[: query.limit + 1], query.limit, lambda one: (one.created_at.isoformat(), str(one.endpoint_id)))
    return Endpoints(items=tuple(EndpointView.of(one) for one in page.items), next=page.next)


@router.post("/webhook-endpoints", status_code=201, response_model=EndpointAnswer)
def post_webhook_endpoint(body: EndpointBody, visit: Visiting) -> JSONResponse:
    """Tell an address of what happens from now on, signed by Standard Webhooks 1.0. Takes an admin."""
    secrets: list[str] = []

    def add(work: Work) -> Answer:
        endpoint_id, secret = webhooks_out.add_endpoint(
            work.conn,
            tenant_id=work.tenant_id,
            url=body.url,
            event_types=body.event_types,
            actor=_by(work),
            now=work.services.clock.now(),
            may_be_private=work.services.settings.webhooks_may_be_private,
        )
        secrets.append(secret)
        return Answer(status=201, body=_shown(work, endpoint_id))

    return _told(visit, body, add, secrets)


@router.get("/webhook-endpoints/{endpoint_id}")
def get_webhook_endpoint(endpoint_id: UUID, visit: Visiting) -> EndpointView:
    with visit.reading() as work:
        return EndpointView.of(webhooks_out.show_endpoint(work.conn, tenant_id=work.tenant_id, endpoint_id=endpoint_id))


@router.delete("/webhook-endpoints/{endpoint_id}", response_model=EndpointView)
def delete_webhook_endpoint(endpoint_id: UUID, visit: Visiting) -> JSONResponse:
    """Tell it nothing any more, not even what waits for it. Takes an admin."""

    def remove(work: Work) -> Answer:
        shown = _shown(work, endpoint_id)
        webhooks_out.remove_endpoint(
            work.conn, tenant_id=work.tenant_id, endpoint_id=endpoint_id, actor=_by(work), now=work.services.clock.now()
        )
        return Answer(status=200, body={**shown, "state": "removed"})

    return answered(visit.once(Role.ADMIN, {}, remove))


@router.post("/webhook-endpoints/{endpoint_id}/rotate", response_model=EndpointAnswer)
def post_webhook_endpoint_rotation(endpoint_id: UUID, body: RotateBody, visit: Visiting) -> JSONResponse:
    """A new secret; the old one goes on signing beside it for the overlap. Takes an admin."""
    secrets: list[str] = []

    def rotate(work: Work) -> Answer:
        secret = webhooks_out.rotate_secret(
            work.conn,
            tenant_id=work.tenant_id,
            endpoint_id=endpoint_id,
            actor=_by(work),
            now=work.services.clock.now(),
            overlap=timedelta(hours=body.overlap_hours),
        )
        secrets.append(secret)
        return Answer(status=200, body=_shown(work, endpoint_id))

    return _told(visit, body, rotate, secrets)


@router.post("/webhook-endpoints/{endpoint_id}/enable", response_model=EndpointView)
def post_webhook_endpoint_enabling(endpoint_id: UUID, body: Body, visit: Visiting) -> JSONResponse:
    """After it was disabled: what waits for it is delivered now. Takes an admin."""

    def enable(work: Work) -> Answer:
        webhooks_out.enable_endpoint(
            work.conn, tenant_id=work.tenant_id, endpoint_id=endpoint_id, actor=_by(work), now=work.services.clock.now()
        )
        return Answer(status=200, body=_shown(work, endpoint_id))

    return answered(visit.once(Role.ADMIN, body.model_dump(mode="json"), enable))


@router.post("/webhook-endpoints/{endpoint_id}/ping", status_code=202, response_model=Pinged)
def post_webhook_endpoint_ping(endpoint_id: UUID, body: Body, visit: Visiting) -> JSONResponse:
    """Send it an event of its own, the way that every event goes. Takes an operator."""

    def ping(work: Work) -> Answer:
        event_id = webhooks_out.ping(
            work.conn, tenant_id=work.tenant_id, endpoint_id=endpoint_id, actor=_by(work), now=work.services.clock.now()
        )
        return Answer(status=202, body=Pinged(endpoint_id=str(endpoint_id), event_id=event_id).model_dump(mode="json"))

    return answered(visit.once(Role.OPERATOR, body.model_dump(mode="json"), ping))


@router.get("/webhook-endpoints/{endpoint_id}/deliveries")
def get_webhook_deliveries(endpoint_id: UUID, query: Annotated[DeliveryQuery, Query()], visit: Visiting) -> Deliveries:
    """What it was told or is to be told, the newest first."""
    before = place_of(query.cursor, datetime.fromisoformat, UUID) if query.cursor else None
    with visit.reading() as work:
        webhooks_out.show_endpoint(work.conn, tenant_id=work.tenant_id, endpoint_id=endpoint_id)
        found = webhooks_out.deliveries(
            work.conn, tenant_id=work.tenant_id, endpoint_id=endpoint_id, state=query.state, limit=query.limit + 1, before=before
        )
    page = page_of(found, query.limit, lambda one: (one.created_at.isoformat(), str(one.event_id)))
    return Deliveries(items=tuple(DeliveryView.of(one) for one in page.items), next=page.next)


def _told(visit: Visiting, body: Body, do: Callable[[Work], Answer], secrets: list[str]) -> JSONResponse:
    """The secret goes out with the first answer and is no part of the recorded one, which a repeated call gets."""
    answer = visit.once(Role.ADMIN, body.model_dump(mode="json"), do)
    return answered(answer, secret=secrets[0] if secrets else None)


def _shown(work: Work, endpoint_id: UUID) -> dict[str, object]:
    found = webhooks_out.show_endpoint(work.conn, tenant_id=work.tenant_id, endpoint_id=endpoint_id)
    return EndpointView.of(found).model_dump(mode="json")


def _by(work: Work) -> Actor:
    return Actor(work.principal.actor_type, work.principal.id)
