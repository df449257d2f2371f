"""POST /v1/events: tell a fact. GET /v1/events: read the log."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, ConfigDict, Discriminator, Field, Tag

from spine import eventlog
from spine.eventlog import Place, Recorded
from spine.gateway import bodies
from spine.gateway.auth import Visiting, Work, answered
from spine.gateway.bodies import Body, CorrelationId, Cursor, Line, Strict
from spine.gateway.idempotency import Answer
from spine.identity import Role
from spine.intake import Fact, event_type_of, publish_fact
from spine.views import View

router = APIRouter(tags=["events"])

Traceparent = Annotated[str, Field(pattern=r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")]


class FactBody(Body):
    """A fact in our own terms."""

    type: Line = Field(description="`deal.won`, or the full `spine.deal.won.v1`")
    data: dict[str, Any]
    subject: Line | None = Field(default=None, description="may be left out: the data says whom it is about")
    correlation_id: CorrelationId | None = None
    causation_id: Line | None = None
    partition_key: Line | None = None
    occurred_at: AwareDatetime | None = None

    def fact(self, correlation_id: str | None) -> Fact:
        named = self.model_dump(exclude={"tenant_id", "correlation_id"})
        return Fact(**named, correlation_id=correlation_id)


class CloudEventBody(Strict):
    """The same as CloudEvents 1.0 in structured mode; attributes of other people's extensions are ignored, as the standard asks."""

    model_config = ConfigDict(extra="ignore")

    specversion: Literal["1.0"]
    id: Line
    source: Line
    type: Line
    data: dict[str, Any]
    subject: Line | None = None
    time: AwareDatetime | None = None
    datacontenttype: Literal["application/json"] | None = None
    tenantid: str | None = None
    correlationid: CorrelationId | None = None
    causationid: Line | None = None
    partitionkey: Line | None = None
    traceparent: Traceparent | None = None

    @property
    def correlation_id(self) -> str | None:
        return self.correlationid

    def fact(self, correlation_id: str | None) -> Fact:
        return Fact(
            type=self.type,
            data=self.data,
            correlation_id=correlation_id,
            subject=self.subject,
            causation_id=self.causationid,
            partition_key=self.partitionkey,
            occurred_at=self.time,
            source=self.source,
            external_id=self.id,
            traceparent=self.traceparent,
        )


def _form(given: Any) -> str:
    """Which of the two it is: a CloudEvent says so itself. So a refusal speaks of that form's fields and not of both."""
    is_cloud_event = isinstance(given, CloudEventBody) or (isinstance(given, Mapping) and "specversion" in given)
    return "cloudevent" if is_cloud_event else "fact"


EventBody = Annotated[
    Annotated[CloudEventBody, Tag("cloudevent")] | Annotated[FactBody, Tag("fact")],
    Discriminator(_form),
]


class EventAccepted(View):
    """`new` is False when this source had told this event before."""

    event_id: str
    type: str
    correlation_id: str
    new: bool


@router.post("/events", status_code=202, response_model=EventAccepted)
def post_event(body: EventBody, visit: Visiting) -> JSONResponse:
    """Tell a fact: in our terms, or as a CloudEvent in structured mode. 202: it is on the log, and nothing has come of it yet."""
    request_id = visit.correlate(body.correlation_id)

    def tell(work: Work) -> Answer:
        taken = publish_fact(
            work.conn,
            body.fact(request_id if visit.names_its_flow else None),
            principal=work.principal,
            registry=work.services.registry,
            clock=work.services.clock,
            call_id=work.call_id,
            new_flow=request_id,
        )
        visit.correlate(taken.correlation_id)
        accepted = EventAccepted(event_id=taken.event_id, type=taken.event_type, correlation_id=taken.correlation_id, new=taken.new)
        return Answer(status=202, body=accepted.model_dump(mode="json"), headers={"Location": f"/v1/journeys/{taken.correlation_id}"})

    said = body.model_dump(mode="json")
    if isinstance(body, CloudEventBody):
        said["tenant_id"] = body.tenantid
    return answered(visit.once(Role.OPERATOR, said, tell))


class EventQuery(bodies.Query):
    type: str | None = None
    correlation_id: str | None = None
    subject: str | None = None
    cursor: Cursor | None = Field(
        default=None, description="`next` of the page before, or the `place` of any event; without it, from the beginning"
    )


class EventView(View):
    place: str
    recorded_at: datetime
    event: dict[str, Any]


class Events(View):
    """`next` is null on the last page so far. Whoever wants what comes later keeps the last `place`, which is a cursor too."""

    items: tuple[EventView, ...]
    next: str | None


@router.get("/events")
def get_events(query: Annotated[EventQuery, Query()], visit: Visiting) -> Events:
    """The log in its order, oldest first."""
    after = Place.parse(query.cursor) if query.cursor is not None else None
    wanted = None if query.type is None else event_type_of(query.type)
    with visit.reading() as work:
        found = eventlog.read(
            work.conn,
            tenant_id=work.tenant_id,
            correlation_id=query.correlation_id,
            event_type=wanted,
            subject=query.subject,
            after=after,
            limit=query.limit + 1,
        )
    shown = found[: query.limit]
    return Events(items=tuple(_view(one) for one in shown), next=str(shown[-1].place) if len(found) > len(shown) else None)


def _view(recorded: Recorded) -> EventView:
    event = recorded.envelope.model_dump(mode="json", exclude_none=True)
    return EventView(place=str(recorded.place), recorded_at=recorded.recorded_at, event=event)
