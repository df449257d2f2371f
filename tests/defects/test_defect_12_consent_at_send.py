"""Defect 12: the old system's consent check was built without its database, so that nothing was ever sent; mended the obvious way it
would have passed everything. And it was asked when a sequence began, never again after the days that a sequence waits.

Ours is asked of the records, inside the effect, in the transaction that begins it: what was allowed when it was proposed and approved is
refused when the person has said no meanwhile, and no record is a no.
"""

from datetime import timedelta

import pytest

from spine import contacts
from spine.effects import Completed, Deferred, Failed
from tests.governance.support import Desk


def test_consent_on_record_lets_an_approved_message_go(desk: Desk) -> None:
    assert isinstance(desk.execute(desk.runnable().intent_id), Completed)


def test_no_record_is_a_no_already_when_it_is_proposed(desk: Desk) -> None:
    desk.contact("contact/silent", consent=False)
    proposed = desk.propose(payload={"contact_id": "contact/silent", "subject": "Hi", "body": "…"})
    assert (proposed.state.value, proposed.reasons[0].code) == ("denied", "no-consent")


@pytest.mark.parametrize("change", ["opted-out", "consent-expired", "quiet-hours", "weekly-cap"])
def test_what_changed_between_the_yes_and_the_send_is_seen_by_the_send(desk: Desk, change: str) -> None:
    approved = desk.runnable()
    match change:
        case "opted-out":
            with desk.database.tenant(desk.tenant) as conn:
                contacts.opt_out(conn, tenant_id=desk.tenant, contact_id="contact/1", channel="email", source="link", now=desk.clock.now())
        case "consent-expired":
            desk.clock.advance(days=365)
        case "quiet-hours":
            desk.clock.advance(hours=10)
        case "weekly-cap":
            for _ in range(2):
                assert isinstance(desk.execute(desk.runnable().intent_id), Completed)
    sent = desk.provider.performed
    outcome = desk.execute(approved.intent_id)
    assert isinstance(outcome, Failed | Deferred)
    assert outcome.code == change
    assert desk.provider.performed == sent


def test_what_merely_waits_is_asked_again_when_the_wait_is_over_and_the_answer_may_be_no(desk: Desk) -> None:
    approved = desk.runnable()
    desk.clock.advance(hours=10)
    waits = desk.execute(approved.intent_id)
    assert isinstance(waits, Deferred)
    with desk.database.tenant(desk.tenant) as conn:
        contacts.opt_out(conn, tenant_id=desk.tenant, contact_id="contact/1", channel="email", source="link", now=desk.clock.now())
    desk.clock.at = waits.not_before + timedelta(minutes=1)
    outcome = desk.execute(approved.intent_id)
    assert isinstance(outcome, Failed)
    assert (outcome.code, desk.provider.performed) == ("opted-out", 0)
