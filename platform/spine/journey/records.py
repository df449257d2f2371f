"""A journey as values."""

from datetime import datetime
from itertools import groupby
from typing import Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, JsonValue

from spine.errors import InvalidInput
from spine.paging import page_of, place_of
from spine.settings import Settings

Plane = Literal["dagster", "events", "dispatch", "spending", "intents", "approvals", "effects", "audit"]
PLANES: tuple[Plane, ...] = ("dagster", "events", "dispatch", "spending", "intents", "approvals", "effects", "audit")
"""In the order in which steps of the same moment are told."""


class Step(BaseModel):
    """One thing that happened. `what` says it in a line; `detail` and `state` say it for those who word it themselves.

    `because_of` is the `step_id` of another step of the same journey: the event that started a workflow, the intent that an
    approval is about, the revision that an edit replaced. `until` is when it ended, for what lasted. The `state` of a
    `workflow.ended` is the commitment's outcome, in the automation's own word.
    """

    model_config = ConfigDict(frozen=True)

    step_id: str
    time: datetime
    plane: Plane
    kind: str
    what: str
    ids: dict[str, str]
    who: str | None = None
    state: str | None = None
    until: datetime | None = None
    because_of: str | None = None
    trace_id: str | None = None
    detail: dict[str, JsonValue] = {}


class Link(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str
    url: str


class Journey(BaseModel):
    """`trace_ids` in order of appearance: one, unless somebody outside broke the trace. `next` is the cursor of the following steps.

    `is_cut`: a plane had more than is told.
    """

    model_config = ConfigDict(frozen=True)

    tenant_id: str
    correlation_id: str
    trace_ids: tuple[str, ...]
    workflow_ids: tuple[str, ...]
    run_ids: tuple[str, ...] = ()
    steps: tuple[Step, ...]
    links: tuple[Link, ...] = ()
    next: str | None = None
    is_cut: bool = False


def place_in_time(step: Step) -> tuple[datetime, int]:
    """What a journey is ordered by; steps that share it are in the order in which they were written."""
    return step.time, PLANES.index(step.plane)


def page_of_steps(found: Journey, cursor: str | None, limit: int) -> Journey:
    """The same with at most `limit` steps after a cursor; ids and traces stay those of the whole. Raises InvalidInput."""
    after = None if cursor is None else place_of(cursor, datetime.fromisoformat, int, int)
    if after is not None and after[0].tzinfo is None:
        raise InvalidInput(f"cursor {cursor!r} is not one that this journey gave: leave it out to start from the beginning")
    # What shares moment and plane is in the order in which it was written, so its number there is the third part of its place.
    placed = [((*place, n), step) for place, same in groupby(found.steps, key=place_in_time) for n, step in enumerate(same)]
    later = [(place, step) for place, step in placed if after is None or place > after]
    page = page_of(later[: limit + 1], limit, lambda last: (last[0][0].isoformat(), str(last[0][1]), str(last[0][2])))
    return found.model_copy(update={"steps": tuple(step for _, step in page.items), "next": page.next})


def workflow_url(settings: Settings, workflow_id: str) -> str | None:
    """The workflow's page in Temporal; None where its address is not known."""
    if not settings.temporal_ui_url:
        return None
    namespace = quote(settings.temporal_namespace, safe="")
    return f"{settings.temporal_ui_url.rstrip('/')}/namespaces/{namespace}/workflows/{quote(workflow_id, safe='')}"


def run_url(settings: Settings, run_id: str) -> str | None:
    """The run's page in Dagster; None where its address is not known."""
    return f"{settings.dagster_url.rstrip('/')}/runs/{quote(run_id, safe='')}" if settings.dagster_url else None


def with_links(found: Journey, settings: Settings) -> Journey:
    """The same with the pages of Temporal and Dagster, where their addresses are known."""
    pages = [(f"workflow {one}", workflow_url(settings, one)) for one in found.workflow_ids]
    pages += [(f"Dagster run {one}", run_url(settings, one)) for one in found.run_ids]
    links = [Link(name=name, url=url) for name, url in pages if url]
    if settings.dagster_url:
        tag = quote(f"tag:spine/correlation_id={found.correlation_id}", safe="")
        links.append(Link(name="Dagster runs of this flow", url=f"{settings.dagster_url.rstrip('/')}/runs?q[]={tag}"))
    return found.model_copy(update={"links": tuple(links)})
