"""One timeline out of all planes: read, given its causes, ordered, and with an end."""

from collections.abc import Iterable, Iterator
from itertools import islice

from spine.clock import BusinessClock
from spine.db import Connection
from spine.errors import NotFound
from spine.journey import planes
from spine.journey.records import Journey, Step, place_in_time

MOST = 1000
"""Steps of one plane. A flow has tens; this is against one that somebody made by mistake."""


def journey(conn: Connection, tenant_id: str, correlation_id: str, *, clock: BusinessClock | None = None) -> Journey:
    """Everything that carries this correlation id. Raises NotFound when nothing does, also when it is another tenant's."""
    given = {"tenant": tenant_id, "correlation": correlation_id, "most": MOST + 1}
    read = [
        list(islice(plane, MOST + 1))
        for plane in (
            planes.events(conn, given),
            planes.deliveries(conn, given, clock or BusinessClock()),
            planes.intents(conn, given),
            planes.requests(conn, given),
            planes.decisions(conn, given),
            planes.effects(conn, given),
            planes.audit(conn, given),
        )
    ]
    steps = [step for plane in read for step in plane[:MOST]]
    if not steps:
        raise NotFound(f"tenant {tenant_id!r} has nothing with correlation id {correlation_id!r}: `spine events tail` shows those of late")
    steps += _runs(steps)
    steps.sort(key=place_in_time)
    return Journey(
        tenant_id=tenant_id,
        correlation_id=correlation_id,
        trace_ids=tuple(dict.fromkeys(step.trace_id for step in steps if step.trace_id)),
        workflow_ids=tuple(dict.fromkeys(step.ids["workflow_id"] for step in steps if "workflow_id" in step.ids)),
        run_ids=tuple(dict.fromkeys(step.ids["run_id"] for step in steps if "run_id" in step.ids)),
        steps=tuple(_caused(steps)),
        is_cut=any(len(plane) > MOST for plane in read),
    )


def _caused(steps: list[Step]) -> Iterator[Step]:
    """A cause that is not on this line, or that only points back at itself, is none. A revision comes of the edit that made it."""
    known = {step.step_id for step in steps}
    edits = {step.ids["intent_id"]: step.step_id for step in steps if step.kind == "decision" and step.detail.get("verdict") == "edit"}
    for step in steps:
        cause = edits.get(step.ids.get("supersedes", "")) if step.kind == "intent" else None
        cause = cause or step.because_of
        if cause not in known or cause == step.step_id:
            cause = None
        yield step if cause == step.because_of else step.model_copy(update={"because_of": cause})


def _runs(steps: Iterable[Step]) -> list[Step]:
    """The Dagster runs that events say they come from, each at its first event."""
    first: dict[str, Step] = {}
    for step in steps:
        if step.kind == "event" and "run_id" in step.ids:
            known = first.get(step.ids["run_id"])
            if known is None or step.time < known.time:
                first[step.ids["run_id"]] = step
    return [
        Step(
            step_id=f"run:{run_id}",
            time=step.time,
            plane="dagster",
            kind="run",
            what=f"Dagster run {run_id} published it",
            ids={"run_id": run_id},
            trace_id=step.trace_id,
        )
        for run_id, step in first.items()
    ]
