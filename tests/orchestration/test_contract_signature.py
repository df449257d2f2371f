"""The contract signature's own decisions: who is believed about an envelope, and what is taken back."""

from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from orchestration.governed.messages import EffectEnd
from tests.orchestration.standins import ScriptedLedger, play, staged, until

ENVELOPE = "ref-send_contract_for_signature"
SENT = "send_contract_for_signature"


def report(status: str, envelope_id: str = ENVELOPE) -> dict[str, Any]:
    return {"deal_id": "D1", "envelope_id": envelope_id, "status": status, "reported_by": "webhook"}


def test_a_signed_contract_updates_the_crm_and_tells_the_owner(temporal: str) -> None:
    async def scene() -> None:
        async with staged(temporal, rate=1_000) as stage:
            handle = await stage.start_contract()
            await until(lambda: stage.ledger.executed)
            await handle.signal("envelope-reported", report("completed"))
            result = await handle.result()
            assert (result["outcome"], result["envelope_id"], result["left_undone"]) == ("signed", ENVELOPE, [])
            assert stage.ledger.executed == [SENT, "crm_deal_update", "notify_owner"]
            assert stage.ledger.published() == ["signature.requested", "signature.completed", "workflow.ended"]
            first = stage.ledger.proposed[0]
            assert (first.evidence_id, str(first.amount)) == ("evidence", "4,514.00 USD")

    play(scene())


@pytest.mark.parametrize("status", ["declined", "expired"])
def test_a_contract_that_is_not_signed_is_taken_back_and_that_is_said(temporal: str, status: str) -> None:
    async def scene() -> None:
        async with staged(temporal, rate=1_000) as stage:
            handle = await stage.start_contract()
            await until(lambda: stage.ledger.executed)
            await handle.signal("envelope-reported", report(status))
            assert (await handle.result())["outcome"] == status
            assert stage.ledger.executed == [SENT, "void_envelope", "notify_owner"]
            assert stage.ledger.published() == ["signature.requested", "workflow.compensated", "signature.voided", "workflow.ended"]
            assert [asked.compensates for asked in stage.ledger.proposed if asked.action == "void_envelope"] == ["intent-1"]

    play(scene())


def test_when_no_webhook_comes_the_provider_is_asked(temporal: str) -> None:
    def prepare(ledger: ScriptedLedger) -> None:
        ledger.envelope_status = "completed"

    async def scene() -> None:
        async with staged(temporal, prepare=prepare) as stage:
            assert (await (await stage.start_contract()).result())["outcome"] == "signed"

    play(scene())


def test_signers_who_never_answer_lose_the_envelope_after_a_week(temporal: str) -> None:
    def prepare(ledger: ScriptedLedger) -> None:
        ledger.envelope_status = "sent"

    async def scene() -> None:
        async with staged(temporal, prepare=prepare) as stage:
            assert (await (await stage.start_contract()).result())["outcome"] == "expired"
            assert "void_envelope" in stage.ledger.executed

    play(scene())


def test_reports_about_another_envelope_or_about_the_way_there_settle_nothing(temporal: str) -> None:
    async def scene() -> None:
        async with staged(temporal, rate=1_000) as stage:
            handle = await stage.start_contract()
            for early in (report("declined", "an older envelope"), report("delivered"), report("sent")):
                await handle.signal("envelope-reported", early)
            await until(lambda: stage.ledger.executed)
            await handle.signal("envelope-reported", report("completed"))
            await handle.signal("envelope-reported", report("declined"))
            assert (await handle.result())["outcome"] == "signed"

    play(scene())


def test_what_fails_after_the_signature_is_left_to_a_person_and_nothing_is_rolled_back(temporal: str) -> None:
    def prepare(ledger: ScriptedLedger) -> None:
        ledger.envelope_status = "completed"
        refused = EffectEnd(kind="failed", code="provider-refused", why="no such deal")
        done = EffectEnd(kind="completed", reference=ENVELOPE)
        ledger.effect = lambda action, _attempt: refused if action == "crm_deal_update" else done

    async def scene() -> None:
        async with staged(temporal, prepare=prepare) as stage:
            result = await (await stage.start_contract()).result()
            assert (result["outcome"], result["left_undone"]) == ("signed", ["crm_deal_update"])
            assert "void_envelope" not in stage.ledger.executed
            assert "signature.voided" not in stage.ledger.published()

    play(scene())


@pytest.mark.parametrize(("state", "outcome"), [("rejected", "rejected"), ("expired", "expired")])
def test_a_contract_that_nobody_allows_is_never_sent(temporal: str, state: str, outcome: str) -> None:
    def prepare(ledger: ScriptedLedger) -> None:
        ledger.needs_approval = {SENT}

    async def scene() -> None:
        async with staged(temporal, rate=1_000, prepare=prepare) as stage:
            handle, intent = await stage.start_contract(), await stage.ledger.asked()
            stage.ledger.set(intent.intent_id, state=state)
            await handle.signal("approval-resolved", {"approval_id": intent.approval_id, "intent_id": intent.intent_id})
            assert (await handle.result())["outcome"] == outcome
            assert stage.ledger.executed == []
            assert stage.ledger.published() == ["workflow.ended"]  # not in silence
            assert stage.ledger.events[-1].data["outcome"] == outcome

    play(scene())


def test_a_failure_of_the_domain_fails_the_workflow_with_its_code(temporal: str) -> None:
    async def scene() -> None:
        async with staged(temporal) as stage:
            handle = await stage.start_contract(value={"amount": "-1", "currency": "USD"})
            with pytest.raises(WorkflowFailureError) as failed:
                await handle.result()
            assert isinstance(failed.value.cause, ApplicationError)
            assert failed.value.cause.type == "invalid-input"

    play(scene())


def test_an_envelope_that_cannot_be_voided_fails_the_workflow_for_a_person_to_see(temporal: str) -> None:
    def prepare(ledger: ScriptedLedger) -> None:
        ledger.envelope_status = "declined"
        refused = EffectEnd(kind="failed", code="provider-refused", why="signed already")
        done = EffectEnd(kind="completed", reference=ENVELOPE)
        ledger.effect = lambda action, _attempt: refused if action == "void_envelope" else done

    async def scene() -> None:
        async with staged(temporal, prepare=prepare) as stage:
            with pytest.raises(WorkflowFailureError) as failed:
                await (await stage.start_contract()).result()
            assert isinstance(failed.value.cause, ApplicationError)
            assert failed.value.cause.type == "compensation-failed"
            assert stage.ledger.events[-1].data["outcome"] == "compensation_failed"

    play(scene())
