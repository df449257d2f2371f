"""Defect 4: actions were built from raw output before anybody had judged it, dispatched although escalated, and compliance looked
after the message had gone. Here nothing reaches a provider before the verdict, and consent is judged at the moment of sending.
"""

import pytest

from shared.events import Verdict
from spine import contacts
from spine.effects import Failed, NotRunnable
from tests.governance.support import Desk


def test_what_waits_for_a_person_reaches_no_provider(desk: Desk) -> None:
    asked = desk.propose()
    assert isinstance(desk.execute(asked.intent_id), NotRunnable)
    assert desk.provider.performed == 0


@pytest.mark.parametrize("verdict", [Verdict.REJECT, Verdict.EDIT])
def test_what_a_person_stopped_or_changed_is_not_what_goes_out(desk: Desk, verdict: Verdict) -> None:
    asked = desk.propose()
    edited = {**desk.intent(asked.intent_id).payload, "subject": "Amended"} if verdict is Verdict.EDIT else None
    resolution = desk.decide(asked.approval_id, "ana", verdict, edited_payload=edited, reason="as discussed")
    assert isinstance(desk.execute(asked.intent_id), NotRunnable)
    assert desk.provider.performed == 0
    if resolution.successor is not None:
        desk.execute(resolution.successor.intent_id)
        assert [asked["subject"] for asked in desk.provider.happened.values()] == ["Amended"]


def test_an_opt_out_after_the_approval_still_stops_the_message(desk: Desk) -> None:
    approved = desk.runnable()
    with desk.database.tenant(desk.tenant) as conn:
        contacts.opt_out(
            conn, tenant_id=desk.tenant, contact_id="contact/1", channel="email", source="unsubscribe-link", now=desk.clock.now()
        )
    outcome = desk.execute(approved.intent_id)
    assert isinstance(outcome, Failed)
    assert outcome.code == "opted-out"
    assert desk.provider.performed == 0
