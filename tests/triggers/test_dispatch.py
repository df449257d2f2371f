"""The dispatcher on a real Temporal server: idempotent starts and signals, and whom a failure blames."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio.client import Client, WorkflowHistory

from shared.events import ApprovalResolved, EventData, LeadQualified, SignatureReported
from spine.dispatch import TemporalDispatcher
from spine.eventlog import Place
from spine.eventlog.outcomes import Delivered, Event, Failed, Outcome, Refused, Unavailable
from spine.ids import new_id
from spine.registry import Registry, Track
from spine.routing import RunDataJob
from spine.settings import Settings
from spine.telemetry import setup_telemetry
from spine.temporal import TemporalLoop
from tests.eventlog.events import envelope, won
from tests.triggers.automations import REGISTRY, SIGNING


def event(data: EventData | str, **changes: Any) -> Event:
    made = envelope(data, **changes)
    return Event(
        place=Place(1, 1),
        tenant_id=made.tenantid,
        event_id=made.id,
        partition_key=made.partitionkey,
        attempts=0,
        envelope=made,
        data=won(data) if isinstance(data, str) else data,
    )


def reported(deal_id: str) -> SignatureReported:
    return SignatureReported(deal_id=deal_id, envelope_id="e", status="signed", reported_by="webhook")


def dispatcher(
    loop: TemporalLoop, track: Track = Track.REVENUE, registry: Registry = REGISTRY, *, seconds: float = 60, **options: Any
) -> Callable[..., list[list[Outcome]]]:
    made = TemporalDispatcher(loop, registry, track, **options)
    return lambda lanes: made(lanes, time.monotonic() + seconds)


def history(loop: TemporalLoop, workflow_id: str) -> WorkflowHistory:
    async def fetch(client: Client) -> WorkflowHistory:
        return await client.get_workflow_handle(workflow_id).fetch_history()

    return loop.run(fetch)


def terminate(loop: TemporalLoop, workflow_id: str) -> None:
    async def end(client: Client) -> None:
        await client.get_workflow_handle(workflow_id).terminate()

    loop.run(end)


def test_a_start_is_known_while_the_workflow_runs_and_after_it_has_ended(loop: TemporalLoop) -> None:
    dispatch, deal = dispatcher(loop), str(new_id())
    workflow_id = f"demo/signing/{deal}"
    assert dispatch([[event(deal)]]) == [[Delivered("started", workflow_id)]]
    assert dispatch([[event(deal)]]) == [[Delivered("already known", workflow_id)]]
    terminate(loop, workflow_id)
    assert dispatch([[event(deal)]]) == [[Delivered("already known", workflow_id)]]


def test_many_lanes_at_once_are_answered_in_their_order(loop: TemporalLoop) -> None:
    deals = [str(new_id()) for _ in range(80)]
    answers = dispatcher(loop)([[event(deal)] for deal in deals])
    assert answers == [[Delivered("started", f"demo/signing/{deal}")] for deal in deals]


def test_nothing_is_begun_when_the_time_is_up(loop: TemporalLoop) -> None:
    assert dispatcher(loop, seconds=0)([[event("d-1")], [event("d-2")]]) == [[], []]


def test_two_tenants_with_the_same_key_are_two_workflows(loop: TemporalLoop) -> None:
    deal = str(new_id())
    answers = dispatcher(loop)([[event(deal)], [event(deal, tenant_id="other")]])
    assert answers == [[Delivered("started", f"{tenant}/signing/{deal}")] for tenant in ("demo", "other")]


def test_a_signal_that_is_handed_on_again_arrives_once(loop: TemporalLoop) -> None:
    dispatch, deal = dispatcher(loop), str(new_id())
    first, second = event(reported(deal)), event(reported(deal))
    dispatch([[event(deal)]])
    for one in (first, first, second):
        assert dispatch([[one]]) == [[Delivered("signalled", f"demo/signing/{deal}")]]
    signals = [e for e in history(loop, f"demo/signing/{deal}").events if e.HasField("workflow_execution_signaled_event_attributes")]
    assert len(signals) == 2


def test_a_signal_to_a_workflow_that_has_ended_or_never_was_is_ignored_and_counted(loop: TemporalLoop) -> None:
    dispatch, deal = dispatcher(loop), str(new_id())
    ignored = [[Delivered("ignored", f"demo/signing/{deal}")]]
    assert dispatch([[event(reported(deal))]]) == ignored
    dispatch([[event(deal)]])
    terminate(loop, f"demo/signing/{deal}")
    assert dispatch([[event(reported(deal))]]) == ignored


def test_a_signal_across_the_tenants_wall_is_refused_and_nothing_arrives(loop: TemporalLoop) -> None:
    deal = str(new_id())
    dispatcher(loop)([[event(deal, tenant_id="other")]])
    across = ApprovalResolved(approval_id="a", intent_id="i", workflow_id=f"other/signing/{deal}", resolution="approved")
    [[outcome]] = dispatcher(loop, Track.TRUST)([[event(across)]])
    assert isinstance(outcome, Refused)
    assert outcome.code == "tenant-mismatch"
    assert len(history(loop, f"other/signing/{deal}").events) == 2  # started, task scheduled


def test_a_bug_in_an_automation_refuses_its_event_and_the_others_go_on(loop: TemporalLoop) -> None:
    deal = str(new_id())
    [[bad], [good]] = dispatcher(loop)([[event("poison")], [event(deal)]])
    assert isinstance(bad, Refused)
    assert good == Delivered("started", f"demo/signing/{deal}")


def test_an_input_that_the_server_will_not_take_is_not_tried_for_ever(loop: TemporalLoop) -> None:
    """A workflow id has at most a thousand characters."""
    registry = Registry.of([dataclasses.replace(SIGNING, key=lambda data: "x" * 1500)])
    [[outcome]] = dispatcher(loop, registry=registry)([[event("d-1")]])
    assert isinstance(outcome, Refused)
    assert outcome.code == "temporal-invalid-argument"


def test_a_server_that_is_away_blames_no_event_and_is_asked_once(nowhere: TemporalLoop) -> None:
    answers = dispatcher(nowhere)([[event("d-1"), event("d-1")], [event("d-2")]])
    assert [type(outcome) for [outcome] in answers] == [Unavailable, Unavailable]


def test_a_lane_stops_at_the_first_event_that_must_wait(loop: TemporalLoop) -> None:
    lead = LeadQualified(
        lead_id="l", account="Acme", contact_id="c", product="p", sales_agent="s", score=0.5, band="A", dataset_version="v1"
    )
    asked: list[RunDataJob] = []

    def run(action: RunDataJob) -> Outcome:
        asked.append(action)
        return Failed("busy", "later")

    answers = dispatcher(loop, Track.DATA, run_data_job=run)([[event(lead), event(lead)]])
    assert answers == [[Failed("busy", "later")]]
    assert [action.job for action in asked] == ["score_leads"]


def test_a_start_continues_the_trace_of_its_event(loop: TemporalLoop) -> None:
    provider = setup_telemetry("tests", Settings())
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace_id, deal = "0af7651916cd43dd8448eb211c80319c", str(new_id())
    dispatcher(loop)([[event(deal, traceparent=f"00-{trace_id}-b7ad6b7169203331-01")]])
    ours = [span for span in exporter.get_finished_spans() if trace.format_trace_id(span.context.trace_id) == trace_id]
    assert [span.name for span in ours] == ["StartWorkflow:signing"]
    exporter.shutdown()
    started = history(loop, f"demo/signing/{deal}").events[0].workflow_execution_started_event_attributes
    assert trace_id in started.header.fields["_tracer-data"].data.decode()
