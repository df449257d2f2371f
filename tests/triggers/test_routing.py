"""From an event to what is done about it, by table."""

import pytest

from shared.events import ApprovalResolved, DeadLetterRetried, DealWon, EventData, LeadQualified, SignatureReported, TaskRequested
from spine.registry import Track
from spine.routing import Action, Refuse, RunDataJob, SignalWorkflow, StartWorkflow, event_types, refusal, route, tracks_in_use
from tests.eventlog.events import envelope, won
from tests.triggers.automations import REGISTRY

CLOCK = "2026-11-22T09:00:00+03:00@7200@2026-11-21T00:00:00+00:00"


def routed(data: EventData, track: Track = Track.REVENUE, *, tenant_id: str = "demo") -> tuple[Action, ...]:
    return route(envelope(data, tenant_id=tenant_id), data, REGISTRY, track, clock=CLOCK)


def task(payload: dict[str, object], automation: str = "signing") -> TaskRequested:
    return TaskRequested(automation=automation, key="d-7", payload=payload, requested_by="ana")


def resolved(workflow_id: str) -> ApprovalResolved:
    return ApprovalResolved(approval_id="a", intent_id="i", workflow_id=workflow_id, resolution="approved")


def test_an_event_starts_the_automations_that_are_on_it_under_their_key() -> None:
    [action] = routed(won("d-7"))
    assert action == StartWorkflow(
        automation="signing",
        workflow="signing",
        task_queue="triggers-test",
        workflow_id="demo/signing/d-7",
        input={"tenant_id": "demo", "deal_id": "d-7", "correlation_id": "flow-1", "clock": CLOCK},
    )


def test_an_event_signals_the_running_automations_that_listen_for_it() -> None:
    data = SignatureReported(deal_id="d-7", envelope_id="e-1", status="signed", reported_by="webhook")
    [action] = routed(data)
    assert action == SignalWorkflow(workflow_id="demo/signing/d-7", signal="envelope-reported", argument=data.wire())


def test_a_resolved_approval_goes_to_its_workflow_by_the_trust_track_alone() -> None:
    [action] = routed(resolved("demo/signing/d-7"), Track.TRUST)
    assert isinstance(action, SignalWorkflow)
    assert (action.workflow_id, action.signal) == ("demo/signing/d-7", "approval-resolved")
    assert routed(resolved("demo/signing/d-7"), Track.REVENUE) == ()


@pytest.mark.parametrize("workflow_id", ["other/signing/d-7", "demo", "demonstration/signing/d-7", "/signing/d-7"])
def test_an_event_cannot_address_another_tenants_workflow(workflow_id: str) -> None:
    [action] = routed(resolved(workflow_id), Track.TRUST)
    assert isinstance(action, Refuse)
    assert action.code == "tenant-mismatch"


def test_a_task_starts_the_automation_it_names_within_its_own_tenant() -> None:
    [action] = routed(task({"deal_id": "d-7"}))
    assert isinstance(action, StartWorkflow)
    assert action.workflow_id == "demo/signing/d-7"
    assert action.input == {"tenant_id": "demo", "deal_id": "d-7", "correlation_id": "flow-1", "clock": CLOCK}


def test_a_task_is_the_business_of_its_automations_track_only() -> None:
    assert routed(task({"deal_id": "d-7"}), Track.TRUST) == ()


def test_a_task_that_does_not_fit_is_refused_with_the_field_named() -> None:
    [action] = routed(task({"deal": "d-7"}))
    assert isinstance(action, Refuse)
    assert action.code == "schema-violation"
    assert "deal_id" in action.why


def test_a_task_with_another_tenants_input_is_refused() -> None:
    [action] = routed(task({"deal_id": "d-7", "tenant_id": "other"}))
    assert isinstance(action, Refuse)
    assert action.code == "tenant-mismatch"


def test_a_task_for_nobody_is_refused_once_and_the_message_lists_who_there_is() -> None:
    answers = [routed(task({}, automation="unheard-of"), track) for track in tracks_in_use(REGISTRY)]
    [action] = [action for actions in answers for action in actions]
    assert isinstance(action, Refuse)
    assert "'unheard-of'" in action.why
    assert "signing" in action.why


def test_a_data_job_is_run_once_a_key_with_the_flow_in_its_tags() -> None:
    data = LeadQualified(
        lead_id="l", account="Acme", contact_id="c", product="p", sales_agent="s", score=0.5, band="A", dataset_version="v1"
    )
    [action] = routed(data, Track.DATA)
    assert isinstance(action, RunDataJob)
    assert (action.job, action.run_key) == ("score_leads", "demo/scoring/v1")
    assert action.tags["spine/correlation_id"] == "flow-1"


def test_a_track_sees_the_types_that_its_automations_name_and_the_platforms_own() -> None:
    assert tracks_in_use(REGISTRY) == (Track.DATA, Track.REVENUE, Track.TRUST)
    assert event_types(REGISTRY, Track.REVENUE) == {DealWon.TYPE, SignatureReported.TYPE, TaskRequested.TYPE}
    assert event_types(REGISTRY, Track.TRUST) == {ApprovalResolved.TYPE, DeadLetterRetried.TYPE, TaskRequested.TYPE}


def test_a_bug_in_an_automation_is_refused_without_repeating_its_values() -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        routed(won("poison"))
    assert refusal(raised.value) == Refuse("routing-failed", "the automation's key or payload function raised ZeroDivisionError")
