"""The outreach sequence's own decisions: when it goes on, when it ends, and as what."""

from typing import Any

import pytest
from temporalio.client import WorkflowHandle

from orchestration.governed.messages import EffectEnd
from orchestration.workflows.outreach_sequence.messages import Qualified
from tests.orchestration.standins import HOUR, ScriptedLedger, Stage, play, staged, until

REPLY = {"lead_id": "L1", "contact_id": "contact/isdom", "channel": "email", "message_ref": "m-1"}


def test_without_a_reply_it_writes_four_times_each_with_its_own_draft_and_key_and_then_stops(temporal: str) -> None:
    async def scene() -> None:
        async with staged(temporal) as stage:
            started = stage.ledger.clock.now()
            handle = await stage.start_outreach()
            assert await handle.result() == {"outcome": "exhausted", "messages_sent": 4, "why": ""}
            assert [asked.key for asked in stage.ledger.proposed] == [f"L1:step-{step}" for step in range(4)]
            assert [asked.document_id for asked in stage.ledger.proposed] == [f"doc-{step}" for step in range(4)]
            assert stage.ledger.published() == ["outreach.message_sent"] * 4 + ["outreach.completed", "workflow.ended"]
            assert stage.ledger.clock.now() - started > (48 + 72 + 168) * HOUR

    play(scene())


@pytest.mark.parametrize("moment", ["before approval", "between messages"])
def test_a_reply_ends_it_wherever_it_is(temporal: str, moment: str) -> None:
    def prepare(ledger: ScriptedLedger) -> None:
        if moment == "before approval":
            ledger.needs_approval = {"send_email"}
            ledger.sla = (90_000 * HOUR,) * 4

    async def scene() -> None:
        async with staged(temporal, rate=2_000, prepare=prepare) as stage:
            handle = await stage.start_outreach()
            await until(lambda: stage.ledger.open_approval() or stage.ledger.executed)
            await handle.signal("replied", REPLY)
            sent = 0 if moment == "before approval" else 1
            assert await handle.result() == {"outcome": "replied", "messages_sent": sent, "why": ""}
            assert stage.ledger.states() == (["cancelled"] if sent == 0 else ["completed"])
            assert stage.ledger.published()[-2:] == ["outreach.completed", "workflow.ended"]

    play(scene())


def test_a_reply_that_comes_while_a_message_is_put_off_withdraws_it(temporal: str) -> None:
    async def scene() -> None:
        async with staged(temporal, rate=2_000) as stage:
            put_off = EffectEnd(kind="deferred", not_before=stage.ledger.clock.now() + 900 * HOUR, code="weekly-cap")
            stage.ledger.effect = lambda _action, _attempt: put_off
            handle = await stage.start_outreach()
            await until(lambda: stage.ledger.proposed)
            await handle.signal("replied", REPLY)
            assert (await handle.result())["outcome"] == "replied"
            assert stage.ledger.states() == ["cancelled"]
            assert stage.ledger.executed == []

    play(scene())


def test_a_lead_that_the_graph_does_not_propose_is_never_written_to(temporal: str) -> None:
    def prepare(ledger: ScriptedLedger) -> None:
        ledger.verdict = Qualified(outcome="escalated", reasons=("20 to 39 points: a person looks",), escalate_to="sales_manager")

    async def scene() -> None:
        async with staged(temporal, prepare=prepare) as stage:
            handle = await stage.start_outreach()
            result = await handle.result()
            assert (result["outcome"], result["why"]) == ("disqualified", "20 to 39 points: a person looks")
            assert stage.ledger.proposed == []

    play(scene())


async def _ended(stage: Stage) -> dict[str, Any]:
    handle: WorkflowHandle[Any, Any] = await stage.start_outreach()
    result: dict[str, Any] = await handle.result()
    return result


@pytest.mark.parametrize(
    ("code", "outcome"), [("no-consent", "not_contactable"), ("opted-out", "not_contactable"), ("undeclared-effect", "denied")]
)
def test_what_the_gate_denies_ends_the_sequence_by_its_reason(temporal: str, code: str, outcome: str) -> None:
    def prepare(ledger: ScriptedLedger) -> None:
        ledger.denies["send_email"] = (code, "because")

    async def scene() -> None:
        async with staged(temporal, prepare=prepare) as stage:
            assert await _ended(stage) == {"outcome": outcome, "messages_sent": 0, "why": "because"}

    play(scene())


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("opted-out", "not_contactable"),
        ("consent-expired", "not_contactable"),
        ("follow-up-cap", "exhausted"),
        ("provider-refused", "failed"),
    ],
)
def test_what_fails_at_the_moment_of_sending_ends_it_by_its_reason(temporal: str, code: str, outcome: str) -> None:
    def prepare(ledger: ScriptedLedger) -> None:
        sends: list[str] = []

        def effect(action: str, _attempt: int) -> EffectEnd:
            sends.append(action)  # the first goes out; by the second the world has changed
            return EffectEnd(kind="completed", reference="r") if len(sends) == 1 else EffectEnd(kind="failed", code=code, why="because")

        ledger.effect = effect

    async def scene() -> None:
        async with staged(temporal, prepare=prepare) as stage:
            result = await _ended(stage)
            assert (result["outcome"], result["messages_sent"]) == (outcome, 1)

    play(scene())
