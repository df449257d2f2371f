"""Propose, wait, commit, compensate: the part that every workflow shares, in the real workflows, with stand-ins behind activities."""

from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError, CancelledError

from orchestration.governed.messages import Decision, EffectEnd
from tests.orchestration.standins import HOUR, ScriptedLedger, Stage, play, staged, until


def ask(ledger: ScriptedLedger) -> None:
    ledger.needs_approval = {"send_email", "send_contract_for_signature"}
    ledger.sla = (40_000 * HOUR, 50_000 * HOUR, 60_000 * HOUR, 60_000 * HOUR)  # nobody is in a hurry unless the test says so


async def decided(stage: Stage, handle: Any, intent: Any, decision_id: str, state: str) -> None:
    """As the gateway does: the ledger first, then the update."""
    stage.ledger.set(intent.intent_id, state=state)
    argument = Decision(approval_id=intent.approval_id, intent_id=intent.intent_id)
    await handle.execute_update("resolve-approval", argument, id=decision_id)


def test_an_approved_effect_is_carried_out_and_a_rejected_one_is_not(temporal: str) -> None:
    async def scene() -> None:
        async with staged(temporal, prepare=ask) as stage:
            yes, intent = await stage.start_outreach(), await stage.ledger.asked()
            await decided(stage, yes, intent, "d1", "runnable")
            await until(lambda: stage.ledger.executed)
            await yes.signal("replied", {"lead_id": "L1", "contact_id": "contact/isdom", "channel": "email", "message_ref": "m"})
            assert (await yes.result())["outcome"] == "replied"

            no, intent = await stage.start_outreach(), await stage.ledger.asked()
            await decided(stage, no, intent, "d2", "rejected")
            assert (await no.result())["outcome"] == "rejected"
            assert stage.ledger.executed == ["send_email"]

    play(scene())


def test_a_wake_up_that_lies_changes_nothing_the_ledger_decides(temporal: str) -> None:
    async def scene() -> None:
        async with staged(temporal, prepare=ask) as stage:
            handle, intent = await stage.start_outreach(), await stage.ledger.asked()
            argument = Decision(approval_id=intent.approval_id or "", intent_id=intent.intent_id)
            await handle.execute_update("resolve-approval", argument, id="forged")  # nothing was decided
            await handle.signal("approval-resolved", argument)
            progress = await handle.query("progress")
            assert progress["waiting_for"] == {intent.approval_id: intent.intent_id}
            assert stage.ledger.executed == []
            await decided(stage, handle, intent, "real", "rejected")
            assert (await handle.result())["outcome"] == "rejected"

    play(scene())


def test_an_update_about_something_else_is_refused_and_never_enters_history(temporal: str) -> None:
    async def scene() -> None:
        async with staged(temporal, prepare=ask) as stage:
            handle, intent = await stage.start_outreach(), await stage.ledger.asked()
            for wrong in (
                Decision(approval_id="approval-of-nobody", intent_id=intent.intent_id),
                Decision(approval_id=intent.approval_id or "", intent_id="another-intent"),
            ):
                with pytest.raises(WorkflowUpdateFailedError) as refused:
                    await handle.execute_update("resolve-approval", wrong)
                assert isinstance(refused.value.cause, ApplicationError)
                assert refused.value.cause.type == "approval-refused"
            history = await handle.fetch_history()
            assert not [event for event in history.events if "UPDATE" in str(event.event_type)]
            assert not [e for e in history.events if e.HasField("workflow_execution_update_accepted_event_attributes")]
            await decided(stage, handle, intent, "d", "rejected")
            await handle.result()

    play(scene())


def test_the_same_decision_sent_twice_gets_the_first_answer(temporal: str) -> None:
    async def scene() -> None:
        async with staged(temporal, prepare=ask) as stage:
            handle, intent = await stage.start_outreach(), await stage.ledger.asked()
            await decided(stage, handle, intent, "d1", "rejected")
            await handle.result()
            argument = Decision(approval_id=intent.approval_id or "", intent_id=intent.intent_id)
            again = await handle.execute_update("resolve-approval", argument, id="d1")
            assert again["intent_id"] == intent.intent_id

    play(scene())


def test_an_edited_effect_goes_on_as_its_successor_which_is_asked_about_again(temporal: str) -> None:
    async def scene() -> None:
        async with staged(temporal, prepare=ask) as stage:
            handle, intent = await stage.start_contract(), await stage.ledger.asked()
            successor = stage.ledger.supersede(
                intent.intent_id, state="awaiting_approval", approval_id="approval-of-edit", **stage.ledger.deadlines()
            )
            await handle.signal("approval-resolved", {"approval_id": intent.approval_id, "intent_id": intent.intent_id})

            async def waiting_for() -> Any:
                return (await handle.query("progress"))["waiting_for"]

            while await waiting_for() != {"approval-of-edit": successor.intent_id}:
                pass
            await decided(stage, handle, successor, "d2", "rejected")
            assert (await handle.result())["outcome"] == "rejected"
            assert stage.ledger.executed == []

    play(scene())


def test_people_who_are_late_are_told_three_times_and_then_the_answer_is_no(temporal: str) -> None:
    def briefly(ledger: ScriptedLedger) -> None:
        ledger.needs_approval = {"send_email"}
        ledger.sla = (4 * HOUR, 24 * HOUR, 48 * HOUR, 48 * HOUR)

    async def scene() -> None:
        async with staged(temporal, prepare=briefly) as stage:
            handle = await stage.start_outreach()
            assert (await handle.result())["outcome"] == "expired"
            assert stage.ledger.notes == [1, 2, 3]
            assert stage.ledger.executed == []
            assert stage.ledger.states() == ["expired"]

    play(scene())


def test_a_deferred_effect_is_tried_again_when_its_time_has_come(temporal: str) -> None:
    async def scene() -> None:
        async with staged(temporal) as stage:
            opens = stage.ledger.clock.now()
            tried: list[bool] = []

            def effect(_action: str, _attempt: int) -> EffectEnd:
                nonlocal opens
                if not tried:  # from the first attempt on: a busy machine may take hours of this clock until then
                    opens = stage.ledger.clock.now() + timedelta(hours=30)
                early = stage.ledger.clock.now() < opens
                tried.append(early)
                return (
                    EffectEnd(kind="deferred", not_before=opens, code="quiet-hours")
                    if early
                    else EffectEnd(kind="completed", reference="r")
                )

            stage.ledger.effect = effect
            handle = await stage.start_outreach()
            await until(lambda: stage.ledger.executed)
            assert tried == [True, False]
            await handle.cancel()
            with pytest.raises(WorkflowFailureError):
                await handle.result()

    play(scene())


def test_cancelling_a_workflow_that_waits_closes_its_intent(temporal: str) -> None:
    async def scene() -> None:
        async with staged(temporal, prepare=ask) as stage:
            handle, _intent = await stage.start_outreach(), await stage.ledger.asked()
            await handle.cancel()
            with pytest.raises(WorkflowFailureError) as ended:
                await handle.result()
            assert isinstance(ended.value.cause, CancelledError)
            assert stage.ledger.states() == ["cancelled"]
            assert stage.ledger.executed == []

    play(scene())


def test_cancelling_during_a_send_waits_for_its_end_and_then_undoes_it(temporal: str) -> None:
    async def scene() -> None:
        async with staged(temporal) as stage:
            begun, go_on = Event(), Event()

            def effect(action: str, _attempt: int) -> EffectEnd:
                if action == "send_contract_for_signature":
                    begun.set()
                    assert go_on.wait(20)
                return EffectEnd(kind="completed", reference=f"ref-{action}")

            stage.ledger.effect = effect
            handle = await stage.start_contract()
            await until(begun.is_set)
            await handle.cancel()
            await until(lambda: True)
            go_on.set()
            with pytest.raises(WorkflowFailureError):
                await handle.result()
            assert stage.ledger.executed == ["send_contract_for_signature", "void_envelope"]
            undo = stage.ledger.proposed[-1]
            assert (undo.action, undo.compensates) == ("void_envelope", "intent-1")
            assert stage.ledger.published()[-2:] == ["workflow.compensated", "workflow.ended"]
            assert stage.ledger.events[-1].data["outcome"] == "cancelled"

    play(scene())


def test_cancelling_while_an_undo_waits_for_people_waits_for_the_undo(temporal: str) -> None:
    def prepare(ledger: ScriptedLedger) -> None:
        ledger.needs_approval = {"void_envelope"}
        ledger.envelope_status = "declined"

    async def scene() -> None:
        async with staged(temporal, prepare=prepare) as stage:
            handle, undo = await stage.start_contract(), await stage.ledger.asked()
            await handle.cancel(reason="x" * 2500)
            stage.ledger.set(undo.intent_id, state="runnable")
            await handle.signal("approval-resolved", {"approval_id": undo.approval_id, "intent_id": undo.intent_id})
            with pytest.raises(WorkflowFailureError) as failed:
                await handle.result()
            assert isinstance(failed.value.cause, CancelledError)
            assert stage.ledger.executed == ["send_contract_for_signature", "void_envelope"]
            assert "workflow.compensated" in stage.ledger.published()
            last = stage.ledger.events[-1]
            assert (last.type, last.data["outcome"]) == ("spine.workflow.ended.v1", "cancelled")
            assert len(last.data["why"]) == 2000, "the last word does not fail for the length of a reason"

    play(scene())


def test_a_commitment_that_is_reset_says_again_how_it_ended(temporal: str) -> None:
    async def scene() -> None:
        async with staged(temporal) as stage:
            stage.ledger.envelope_status = "declined"
            handle = await stage.start_contract()
            await handle.result()
            begun = next(
                e.event_id for e in (await handle.fetch_history()).events if e.HasField("workflow_task_completed_event_attributes")
            )
            stage.ledger.envelope_status = "completed"
            await stage.client.workflow_service.reset_workflow_execution(
                ResetWorkflowExecutionRequest(
                    namespace=stage.client.namespace,
                    workflow_execution=WorkflowExecution(workflow_id=handle.id),
                    workflow_task_finish_event_id=begun,
                    request_id="once",
                )
            )
            await stage.client.get_workflow_handle(handle.id).result()
            words = [event for event in stage.ledger.events if event.type == "spine.workflow.ended.v1"]
            assert [word.data["outcome"] for word in words] == ["declined", "signed"]
            assert len({word.event_key for word in words}) == 2, "the log keeps one event a key"

    play(scene())


def test_an_effect_that_is_allowed_outright_costs_one_marker_and_one_activity(temporal: str) -> None:
    async def scene() -> None:
        async with staged(temporal) as stage:
            stage.ledger.envelope_status = "completed"
            handle = await stage.start_contract()
            assert (await handle.result())["outcome"] == "signed"
            events = (await handle.fetch_history()).events
            scheduled = [
                e.activity_task_scheduled_event_attributes.activity_type.name
                for e in events
                if e.HasField("activity_task_scheduled_event_attributes")
            ]
            assert scheduled.count("execute-effect") == 3
            markers = [e for e in events if e.HasField("marker_recorded_event_attributes")]
            # draft, three proposals, three events of the workflow's own and the patch that one of them comes by: nothing else is
            # written for an effect
            assert len(markers) == 8

    play(scene())
