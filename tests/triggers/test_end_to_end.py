"""From the log to Temporal and back into the books, with a crash where it hurts."""

import pytest
from temporalio.client import Client

from shared.events import SignatureReported
from spine.db import Database
from spine.dispatch import TemporalDispatcher
from spine.eventlog.books import Books
from spine.eventlog.groups import ConsumerGroup
from spine.ids import new_id
from spine.registry import Track
from spine.routing import event_types
from spine.temporal import TemporalLoop
from tests.eventlog.events import envelope, write
from tests.triggers.automations import REGISTRY

STARTED, SIGNALED = "workflow_execution_started_event_attributes", "workflow_execution_signaled_event_attributes"


def group(database: Database, loop: TemporalLoop) -> ConsumerGroup:
    dispatch = TemporalDispatcher(loop, REGISTRY, Track.REVENUE)
    return ConsumerGroup(database=database, name="revenue", types=event_types(REGISTRY, Track.REVENUE), dispatch=dispatch)


def arrived(loop: TemporalLoop, workflow_id: str) -> list[str]:
    """What the workflow's history says happened to it from outside."""

    async def fetch(client: Client) -> list[str]:
        history = await client.get_workflow_handle(workflow_id).fetch_history()
        kinds = [event.WhichOneof("attributes") for event in history.events]
        return [kind for kind in kinds if kind in (STARTED, SIGNALED)]

    return loop.run(fetch)


def test_a_crash_after_the_dispatch_and_before_the_commit_neither_loses_nor_doubles(
    database: Database, loop: TemporalLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    deal = str(new_id())
    reported = SignatureReported(deal_id=deal, envelope_id="e", status="signed", reported_by="webhook")
    write(database, envelope(deal), envelope(reported))

    def crash(*_arguments: object, **_more: object) -> None:
        raise KeyboardInterrupt("killed before the commit")

    with monkeypatch.context() as patch:
        patch.setattr(Books, "write", crash)
        with pytest.raises(KeyboardInterrupt):
            group(database, loop).drain()
    report = group(database, loop).drain()
    assert report.outcomes == {"already known": 1, "signalled": 1}
    assert arrived(loop, f"demo/signing/{deal}") == [STARTED, SIGNALED]


def test_a_start_and_what_happens_next_arrive_in_that_order_in_one_batch(database: Database, loop: TemporalLoop) -> None:
    deals = [str(new_id()) for _ in range(20)]
    reports = [SignatureReported(deal_id=deal, envelope_id="e", status="signed", reported_by="poll") for deal in deals]
    write(database, *(envelope(data) for data in (*deals, *reports)))
    assert group(database, loop).drain().outcomes == {"started": 20, "signalled": 20}
