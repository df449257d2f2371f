"""One business flow on one line, and the box that finds it."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from spine import journey as journeys
from spine.console import story
from spine.console.listing import given, show
from spine.console.render import words_here
from spine.console.session import Visiting, redirect
from spine.journey import Journey, Step, run_url, workflow_url
from spine.settings import Settings

router = APIRouter()


@router.get("/journeys")
def get_journeys(request: Request, visit: Visiting, q: Annotated[str, Query(max_length=300)] = "") -> Response:
    """Whatever id somebody has at hand; one that leads to one flow leads there at once. Without any, the flows of late."""
    asked = given(q)
    with visit.reading() as work:
        found = journeys.search(work.conn, work.tenant_id, asked) if asked else journeys.recent(work.conn, work.tenant_id)
    if asked and len(found) == 1:
        return redirect(f"/console/journeys/{quote(found[0].correlation_id, safe='')}")
    return show(request, work.visitor, "journeys.html", asked=asked or "", found=found)


@router.get("/journeys/{correlation_id:path}")
def get_journey(
    request: Request,
    visit: Visiting,
    correlation_id: str,
    all: Annotated[bool, Query()] = False,  # noqa: A002 - the word in the address
) -> Response:
    """The line. `all` brings in the audit rows and announcements that say again what another line says."""
    services = visit.services
    with visit.reading() as work:
        found = journeys.journey(work.conn, work.tenant_id, correlation_id, clock=services.clock)
    words = words_here(request)
    lines = story.told(found, words, everything=all)
    return show(
        request,
        work.visitor,
        "journey.html",
        found=found,
        lines=lines,
        hidden=len(found.steps) - len(lines),
        everything=all,
        subject=_subject(found),
        lasted=story.length(found.steps[-1].time - found.steps[0].time, words),
        runs=[(one, run_url(services.settings, one)) for one in found.run_ids],
        workflows=[(one, workflow_url(services.settings, one)) for one in found.workflow_ids],
        dagster=services.settings.dagster_url is not None,
        page_of=lambda step: page_of(step, services.settings),
    )


def page_of(step: Step, settings: Settings) -> str | None:
    """Where a line leads: the record's own page here, else the engine's."""
    if step.kind == "intent":
        return f"/console/intents/{step.ids['intent_id']}"
    if step.kind == "approval":
        return f"/console/approvals/{step.ids['approval_id']}"
    if step.kind == "effect":
        return f"/console/intents/{step.ids['intent_id']}#effect"
    if step.kind == "run":
        return run_url(settings, step.ids["run_id"])
    if step.kind == "delivery" and "workflow_id" in step.ids:
        return workflow_url(settings, step.ids["workflow_id"])
    if step.kind == "delivery" and "run_id" in step.ids:
        return run_url(settings, step.ids["run_id"])
    return None


def _subject(found: Journey) -> str:
    """What it is all about: the lead or deal of the first fact, else what was proposed first."""
    facts = (step.ids["subject"] for step in found.steps if step.kind == "event" and not story.repeats(step))
    keys = (str(step.detail["key"]) for step in found.steps if step.kind == "intent")
    return next(facts, None) or next(keys, "")
