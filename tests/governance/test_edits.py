"""An edit is a new payload: a revision that is judged afresh, by people who did not write it where that counts."""

from typing import Any

import pytest

from shared.events import Money, Verdict
from spine import contacts, identity
from spine.approvals import ApprovalState
from spine.errors import ApprovalRefused, InvalidInput
from spine.intents import IntentState
from spine.views import approval_detail
from tests.governance.support import CONTRACT, EDITED, EVIDENCE, Desk


def test_an_edit_at_a1_is_a_new_revision_judged_afresh_and_the_editors_own_approval(desk: Desk) -> None:
    proposed = desk.propose()
    resolution = desk.decide(proposed.approval_id, "ana", Verdict.EDIT, edited_payload=EDITED, decision_id="edit")
    assert (resolution.state, resolution.intent_state) == (ApprovalState.EDITED, IntentState.SUPERSEDED)
    successor = resolution.successor
    assert successor is not None
    assert (successor.revision, successor.state) == (2, IntentState.RUNNABLE)
    new, old = desk.intent(successor.intent_id), desk.intent(proposed.intent_id)
    assert (new.payload, new.supersedes, old.state) == (EDITED, old.intent_id, IntentState.SUPERSEDED)
    assert new.digest != old.digest
    assert [decided.decided_by for decided in desk.approval(successor.approval_id).decisions] == ["ana"]
    assert [event["resolution"] for event in desk.events("approval.resolved")] == ["edited", "approved"]
    assert desk.events("approval.resolved")[0]["successor_intent_id"] == successor.intent_id
    again = desk.decide(proposed.approval_id, "ana", Verdict.EDIT, edited_payload=EDITED, decision_id="edit")
    assert again == resolution
    assert type(desk.execute(proposed.intent_id)).__name__ == "NotRunnable"
    assert type(desk.execute(successor.intent_id)).__name__ == "Completed"
    assert [asked["subject"] for asked in desk.provider.happened.values()] == ["Good morning"]


def test_an_edit_that_no_longer_may_be_sent_is_denied(desk: Desk) -> None:
    proposed = desk.propose()
    with desk.database.tenant(desk.tenant) as conn:
        contacts.opt_out(conn, tenant_id=desk.tenant, contact_id="contact/1", channel="email", source="reply", now=desk.clock.now())
    resolution = desk.decide(proposed.approval_id, "ana", Verdict.EDIT, edited_payload=EDITED)
    assert resolution.successor is not None
    assert (resolution.successor.state, resolution.successor.reasons[0].code) == (IntentState.DENIED, "opted-out")


@pytest.mark.parametrize(
    ("action", "field", "value"),
    [
        ("send_contract_for_signature", "deal_id", "D2"),
        ("send_contract_for_signature", "account", "Globex"),
        ("send_contract_for_signature", "contact_id", "contact/2"),
        ("send_contract_for_signature", "currency", "XXX"),
        ("send_email", "contact_id", "contact/2"),
        ("send_email", "contact_id", None),
    ],
)
def test_an_edit_that_would_reach_somebody_else_or_be_about_something_else_is_refused(
    desk: Desk, action: str, field: str, value: str | None
) -> None:
    desk.contact("contact/2")
    proposed = desk.propose(action)
    payload = desk.intent(proposed.intent_id).payload
    edited = {**payload, field: value} if value else {name: kept for name, kept in payload.items() if name != field}
    with pytest.raises(ApprovalRefused, match=f"may not change '{field}': reject this and propose anew"):
        desk.decide(proposed.approval_id, "ana", Verdict.EDIT, edited_payload=edited)
    assert (desk.state(proposed.intent_id), desk.approval(proposed.approval_id).decisions) == ("awaiting_approval", ())


def test_the_amount_that_approvers_see_is_the_one_in_the_payload_at_first_and_after_every_edit(desk: Desk) -> None:
    proposed = desk.propose("send_contract_for_signature", amount=Money.of("1", "USD"))
    assert desk.approval(proposed.approval_id).intent.amount == Money.of("4514.00", "USD")
    successor = desk.decide(proposed.approval_id, "ana", Verdict.EDIT, edited_payload={**CONTRACT, "amount": "9000.00"}).successor
    assert successor is not None
    assert desk.approval(successor.approval_id).intent.amount == Money.of("9000.00", "USD")
    with desk.database.tenant(desk.tenant) as conn:
        admin = identity.Principal(tenant_id=desk.tenant, id="root", role=identity.Role.ADMIN)
        assert approval_detail(conn, admin, str(successor.approval_id)).amount == {"amount": "9000.00", "currency": "USD"}


@pytest.mark.parametrize("amount", ["-5.00", "0", "0.00", "much", "1e3", "1.001", "1000000000000", 4514, None])
def test_an_edit_to_an_amount_that_is_none_is_refused(desk: Desk, amount: object) -> None:
    proposed = desk.propose("send_contract_for_signature")
    with pytest.raises(InvalidInput, match="amount"):
        desk.decide(proposed.approval_id, "ana", Verdict.EDIT, edited_payload={**CONTRACT, "amount": amount})
    assert desk.state(proposed.intent_id) == "awaiting_approval"


def test_an_edit_does_not_change_the_currency_inside_an_amount_either(desk: Desk) -> None:
    proposed = desk.propose("crm_deal_create", payload={"value": {"amount": "500", "currency": "SAR"}}, automation="contract-signature")
    with pytest.raises(ApprovalRefused, match="may not change the currency of 'value'"):
        desk.decide(proposed.approval_id, "ana", Verdict.EDIT, edited_payload={"value": {"amount": "500", "currency": "USD"}})


def test_an_edit_that_asks_for_more_makes_the_editor_the_requester(desk: Desk) -> None:
    proposed = desk.propose("crm_deal_create", payload={"value": {"amount": "500", "currency": "SAR"}}, automation="contract-signature")
    resolution = desk.decide(proposed.approval_id, "ana", Verdict.EDIT, edited_payload={"value": {"amount": "500000", "currency": "SAR"}})
    successor = resolution.successor
    assert successor is not None
    assert (successor.state, successor.approvers_needed) == (IntentState.AWAITING_APPROVAL, 2)
    with pytest.raises(ApprovalRefused, match="'ana' asked for this"):
        desk.decide(successor.approval_id, "ana")


def test_from_a2_up_the_editor_has_become_the_requester_and_others_must_approve(desk: Desk) -> None:
    proposed = desk.propose("send_contract_for_signature")
    successor = desk.decide(proposed.approval_id, "ana", Verdict.EDIT, edited_payload=CONTRACT).successor
    assert successor is not None
    assert (successor.state, successor.approvers_needed) == (IntentState.AWAITING_APPROVAL, 2)
    assert desk.intent(successor.intent_id).requested_by.id == "ana"
    with pytest.raises(ApprovalRefused, match="'ana' asked for this and cannot approve it; it needs 2 approvers"):
        desk.decide(successor.approval_id, "ana")
    third = desk.decide(successor.approval_id, "bob", Verdict.EDIT, edited_payload={**CONTRACT, "terms": "net 60"}).successor
    assert third is not None
    for editor in ("ana", "bob"):
        with pytest.raises(ApprovalRefused, match="asked for this"):
            desk.decide(third.approval_id, editor)
    desk.decide(third.approval_id, "cleo")
    assert desk.decide(third.approval_id, "dana").intent_state is IntentState.RUNNABLE


def test_an_edit_rests_on_the_evidence_that_its_class_asks_for_and_on_the_edit(desk: Desk) -> None:
    proposed = desk.propose("send_contract_for_signature")
    successor = desk.decide(proposed.approval_id, "ana", Verdict.EDIT, edited_payload=CONTRACT).successor
    assert successor is not None
    edited = desk.intent(successor.intent_id)
    assert edited.evidence is not None
    assert edited.evidence.sources[:-1] == EVIDENCE.sources
    assert edited.evidence.sources[-1].excerpt_digest == edited.digest


def test_an_edit_without_a_payload_or_with_reserved_or_unfit_fields_changes_nothing(desk: Desk) -> None:
    proposed = desk.propose()

    def refuse(action: str, payload: object) -> None:
        raise InvalidInput(f"{action}: no subject")

    attempts: list[dict[str, Any]] = [
        {},
        {"edited_payload": {"action": "nda_send"}},
        {"edited_payload": {"contact_id": "contact/1"}, "validate": refuse},
    ]
    for attempt in attempts:
        with pytest.raises(InvalidInput):
            desk.decide(proposed.approval_id, "ana", Verdict.EDIT, **attempt)
    assert desk.state(proposed.intent_id) == "awaiting_approval"
    assert desk.approval(proposed.approval_id).decisions == ()
