"""What was done can be undone: by itself where it was approved, by people where it is something else."""

import pytest

from spine.effects import Completed, Failed
from spine.errors import IllegalMove
from spine.intents import IntentState
from tests.governance.support import Desk


def sent_contract(desk: Desk) -> tuple[str, str]:
    """A contract that went out: its intent, and the envelope."""
    proposed = desk.runnable("send_contract_for_signature", payload={"contact_id": "contact/1", "terms": "net 30"})
    outcome = desk.execute(proposed.intent_id)
    assert isinstance(outcome, Completed)
    return proposed.intent_id, outcome.reference or ""


def test_undoing_an_approved_commitment_runs_by_itself_and_closes_the_original(desk: Desk) -> None:
    original, envelope = sent_contract(desk)
    undo = desk.propose("void_envelope", payload={"envelope_id": envelope}, compensates=original)
    assert (undo.state, desk.state(original)) == (IntentState.RUNNABLE, "compensating")
    assert isinstance(desk.execute(undo.intent_id), Completed)
    assert (desk.state(undo.intent_id), desk.state(original)) == ("completed", "compensated")
    assert [event["outcome"] for event in desk.events("effect.recorded")] == ["completed", "completed", "compensated"]
    again = desk.execute(original)
    assert again == Completed(envelope)


def test_a_compensation_that_fails_is_told_of_the_original(desk: Desk) -> None:
    original, envelope = sent_contract(desk)
    undo = desk.propose("void_envelope", payload={"envelope_id": envelope}, compensates=original)
    desk.provider.perform_script = ["refuse"]
    assert isinstance(desk.execute(undo.intent_id), Failed)
    assert (desk.state(undo.intent_id), desk.state(original)) == ("failed", "compensation_failed")


def test_undoing_something_else_asks_a_person(desk: Desk) -> None:
    original, _envelope = sent_contract(desk)
    stray = desk.propose("void_envelope", payload={"envelope_id": "somebody-elses"}, compensates=original)
    assert (stray.state, stray.approvers_needed) == (IntentState.AWAITING_APPROVAL, 1)
    assert "not-an-undo" in {reason.code for reason in stray.reasons}
    bare = desk.propose("void_envelope", payload={"envelope_id": "x"})
    assert bare.state is IntentState.AWAITING_APPROVAL


def test_a_denied_compensation_leaves_the_original_marked_and_what_is_not_done_cannot_be_undone(desk: Desk) -> None:
    original, envelope = sent_contract(desk)
    denied = desk.propose("void_envelope", payload={"envelope_id": envelope}, compensates=original, correlation_id=None)
    assert (denied.state, desk.state(original)) == (IntentState.DENIED, "compensation_failed")
    waiting = desk.propose("send_contract_for_signature")
    with pytest.raises(IllegalMove, match="cannot become 'compensating'"):
        desk.propose("void_envelope", payload={"envelope_id": "x"}, compensates=waiting.intent_id)
