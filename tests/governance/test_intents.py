"""Proposals, the table of states, and moves."""

from dataclasses import replace
from threading import Barrier, Thread
from typing import Any

import pytest

from shared.events import Money
from spine import documents, intents
from spine.errors import IdempotencyConflict, IllegalMove, InvalidInput, NotFound
from spine.intents import MOVES, TERMINAL, IntentState, Proposed
from spine.policy import engage, release
from spine.policy.switches import Scope
from tests.governance.support import EFFECTS, NOON, POLICY, WORKER, WORKFLOW, Desk


def test_every_state_has_its_moves_and_terminal_states_have_none() -> None:
    assert set(MOVES) == set(IntentState)
    assert {IntentState.COMPLETED, IntentState.RUNNABLE} & TERMINAL == set()
    assert {"denied", "rejected", "expired", "superseded", "cancelled", "failed", "compensated", "compensation_failed"} == TERMINAL
    assert MOVES[IntentState.RUNNABLE] == {"executing", "cancelled"}
    assert {state for state, onward in MOVES.items() if "runnable" in onward} == {"proposed", "awaiting_approval"}


def test_the_database_knows_the_same_states(desk: Desk) -> None:
    proposed = desk.propose()
    for state in IntentState:
        desk.sql("update intents set state = %s where intent_id = %s", state.value, proposed.intent_id)


@pytest.mark.parametrize("before", list(IntentState))
def test_a_move_that_is_not_in_the_table_is_refused_and_names_what_is(desk: Desk, before: IntentState) -> None:
    proposed = desk.propose()
    desk.sql("update intents set state = %s where intent_id = %s", before.value, proposed.intent_id)
    intent = desk.intent(proposed.intent_id)
    for to in set(IntentState) - MOVES[before]:
        with (
            desk.database.tenant(desk.tenant) as conn,
            pytest.raises(IllegalMove, match=f"is '{before.value}' and cannot become '{to.value}'"),
        ):
            intents.move(conn, intent, to, actor=WORKER, clock=desk.clock)
    assert desk.state(proposed.intent_id) == before.value


def test_an_allowed_proposal_is_runnable_with_its_audit_rows(desk: Desk) -> None:
    proposed = desk.propose("crm_deal_update")
    assert (proposed.state, proposed.approval_id, proposed.revision) == (IntentState.RUNNABLE, None, 1)
    assert desk.audited(proposed.intent_id) == ["intent.proposed", "intent.judged runnable"]
    intent = desk.intent(proposed.intent_id)
    assert (intent.policy_version, intent.requested_by, intent.created_at) == (POLICY.version, WORKFLOW, NOON)


def test_a_gated_proposal_waits_and_announces_who_has_to_agree_by_when(desk: Desk) -> None:
    proposed = desk.propose("send_contract_for_signature")
    assert (proposed.state, proposed.approvers_needed) == (IntentState.AWAITING_APPROVAL, 2)
    assert proposed.warn_at is not None
    assert proposed.expires_at is not None
    assert ((proposed.warn_at - NOON).total_seconds(), (proposed.expires_at - NOON).total_seconds()) == (4 * 3600, 48 * 3600)
    [event] = desk.events("approval.requested")
    intent = desk.intent(proposed.intent_id)
    assert (event["approval_id"], event["digest"], event["workflow_id"]) == (proposed.approval_id, intent.digest, intent.workflow_id)
    assert (event["approvers_needed"], event["roles"]) == (2, ["executive", "founder", "board"])


def test_a_denied_proposal_is_on_record_and_a_violation_is_announced(desk: Desk) -> None:
    denied = desk.propose("bypass_auth")
    assert denied.state is IntentState.DENIED
    with desk.database.tenant(desk.tenant) as conn:
        undeclared = intents.propose(conn, desk.proposal("notify_owner"), policy=POLICY, clock=desk.clock, effects_allowed=("send_email",))
    assert [reason.code for reason in undeclared.reasons] == ["undeclared-effect"]
    assert [event["kind"] for event in desk.events("governance.policy_violation_detected")] == ["forbidden", "undeclared-effect"]
    assert desk.audited(denied.intent_id) == ["intent.proposed", "intent.judged denied"]
    assert desk.sql("select 1 as n from approvals") == []


def test_without_consent_it_is_denied_and_that_is_no_violation(desk: Desk) -> None:
    desk.contact("contact/2", consent=False)
    denied = desk.propose(payload={"contact_id": "contact/2", "subject": "Hello"})
    assert (denied.state, denied.reasons[0].code) == (IntentState.DENIED, "no-consent")
    assert desk.propose(payload={"subject": "to whom?"}).reasons[0].code == "no-consent"
    assert desk.events("governance.policy_violation_detected") == []


def test_at_night_it_is_proposed_all_the_same_and_says_when_it_may_go(desk: Desk) -> None:
    desk.clock.advance(hours=12)  # midnight in Riyadh
    proposed = desk.propose()
    assert proposed.state is IntentState.AWAITING_APPROVAL
    assert proposed.not_before is not None
    assert proposed.not_before.isoformat() == "2026-11-23T05:00:00+00:00"


def test_proposing_again_returns_what_became_of_the_first(desk: Desk) -> None:
    proposal = desk.proposal()
    first = desk.propose_exactly(proposal)
    assert desk.propose_exactly(proposal) == first
    desk.decide(first.approval_id, "ana")
    assert desk.propose_exactly(proposal) == replace(first, state=IntentState.RUNNABLE)
    assert len(desk.sql("select 1 as n from intents")) == len(desk.events("approval.requested")) == 1


def test_the_same_key_with_another_payload_or_action_is_a_conflict(desk: Desk) -> None:
    proposal = desk.proposal()
    desk.propose_exactly(proposal)
    for other in (replace(proposal, payload={"contact_id": "contact/1"}), replace(proposal, action="notify_owner")):
        with pytest.raises(IdempotencyConflict, match=proposal.key):
            desk.propose_exactly(other)


def test_the_same_proposal_from_two_transactions_at_once_is_one_intent(desk: Desk) -> None:
    proposal, both, answers = desk.proposal(), Barrier(2), list[Proposed]()

    def one() -> None:
        with desk.database.tenant(desk.tenant) as conn:
            both.wait()
            answers.append(intents.propose(conn, proposal, policy=POLICY, clock=desk.clock, effects_allowed=EFFECTS))

    threads = [Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers[0] == answers[1]
    assert len(desk.sql("select 1 as n from intents")) == len(desk.sql("select 1 as n from approvals")) == 1


def test_of_two_moves_at_once_one_wins_and_the_other_is_told(desk: Desk) -> None:
    proposed, both = desk.propose("crm_deal_update"), Barrier(2)
    intent, outcomes = desk.intent(proposed.intent_id), list[str]()

    def one(to: IntentState) -> None:
        both.wait()
        try:
            with desk.database.tenant(desk.tenant) as conn:
                intents.move(conn, intent, to, actor=WORKER, clock=desk.clock)
            outcomes.append(to.value)
        except IllegalMove as error:
            assert "somebody was first" in str(error)  # noqa: PT017 - in a thread
            outcomes.append("refused")

    threads = [Thread(target=one, args=(to,)) for to in (IntentState.EXECUTING, IntentState.CANCELLED)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes)[-1] == "refused"
    assert desk.state(proposed.intent_id) in outcomes
    assert len(desk.audited(proposed.intent_id)) == 3


def test_the_payload_may_come_from_a_stored_document(desk: Desk) -> None:
    body = {"contact_id": "contact/1", "subject": "From a draft"}
    with desk.database.tenant(desk.tenant) as conn:
        stored = documents.put(conn, tenant_id=desk.tenant, kind="draft", body=body, correlation_id="flow", now=NOON)
    proposed = desk.propose(payload=None, document_id=stored.document_id)
    intent = desk.intent(proposed.intent_id)
    assert (intent.payload, intent.digest) == (body, stored.digest)


def test_a_document_is_kept_once_and_never_changes(desk: Desk) -> None:
    given: dict[str, Any] = {"tenant_id": desk.tenant, "kind": "draft", "correlation_id": "flow", "now": NOON}
    with desk.database.tenant(desk.tenant) as conn:
        first = documents.put(conn, body={"a": 1}, **given)
        assert documents.put(conn, body={"a": 1}, document_id=first.document_id, **given) == first
        with pytest.raises(IdempotencyConflict, match=first.document_id):
            documents.put(conn, body={"a": 2}, document_id=first.document_id, **given)


@pytest.mark.parametrize(
    "changes",
    [
        {"payload": None},
        {"document_id": "01890000-0000-7000-8000-000000000000"},
        {"payload": {"address": "x@y.example"}},
        {"payload": {"action": "nda_send"}},
        {"payload": {"idempotency_key": "mine"}},
        {"payload": {"big": 2**60}},
        {"payload": {"big": 1e16}},
        {"payload": {"text": "a\x00b"}},
        {"payload": {"number": float("nan")}},
        {"amount": Money.of("1.001", "SAR")},
    ],
)
def test_a_proposal_that_cannot_be_kept_exactly_is_refused(desk: Desk, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        desk.propose("crm_deal_update", **changes)
    assert desk.sql("select 1 as n from intents") == []


def test_a_backslash_before_u0000_is_only_text(desk: Desk) -> None:
    proposed = desk.propose("crm_deal_update", payload={"text": "a\\u0000b", "number": 1.5, "arabic": "مرحبا"})
    assert desk.intent(proposed.intent_id).payload["text"] == "a\\u0000b"
    assert type(desk.execute(proposed.intent_id)).__name__ == "Completed"


def test_what_has_not_begun_can_be_withdrawn_with_its_approval(desk: Desk) -> None:
    waiting, approved = desk.propose(), desk.runnable()
    for proposed in (waiting, approved):
        with desk.database.tenant(desk.tenant) as conn:
            for _ in range(2):  # the second changes nothing
                intents.cancel(
                    conn, tenant_id=desk.tenant, intent_id=proposed.intent_id, actor=WORKFLOW, reason="replied", clock=desk.clock
                )
        assert desk.state(proposed.intent_id) == "cancelled"
        assert desk.approval(proposed.approval_id).state.value == "cancelled"
        assert desk.audited(proposed.intent_id)[-1] == "intent.moved cancelled"
    resolutions = [event["resolution"] for event in desk.events("approval.resolved")]
    assert resolutions == ["approved", "cancelled", "cancelled"]


def test_what_is_done_cannot_be_withdrawn(desk: Desk) -> None:
    proposed = desk.runnable()
    desk.execute(proposed.intent_id)
    with desk.database.tenant(desk.tenant) as conn, pytest.raises(IllegalMove, match="'completed' and cannot become 'cancelled'"):
        intents.cancel(conn, tenant_id=desk.tenant, intent_id=proposed.intent_id, actor=WORKFLOW, reason="late", clock=desk.clock)


def test_a_listing_pages_from_the_newest_and_every_intent_comes_once(desk: Desk) -> None:
    made = [desk.propose("crm_deal_update").intent_id for _ in range(7)]
    seen, cursor = [], None
    while True:
        with desk.database.tenant(desk.tenant) as conn:
            found = intents.listing(conn, tenant_id=desk.tenant, state=IntentState.RUNNABLE, cursor=cursor, limit=3)
        seen += [intent.intent_id for intent in found.items]
        if (cursor := found.next) is None:
            break
    assert seen == made[::-1]
    with desk.database.tenant(desk.tenant) as conn, pytest.raises(InvalidInput, match="'nonsense'"):
        intents.listing(conn, tenant_id=desk.tenant, cursor="nonsense")


def test_an_unknown_intent_is_not_found_whatever_its_id_looks_like(desk: Desk) -> None:
    for intent_id in ("01890000-0000-7000-8000-000000000000", "no uuid at all"):
        with desk.database.tenant(desk.tenant) as conn, pytest.raises(NotFound, match=intent_id):
            intents.read(conn, desk.tenant, intent_id)


def test_a_proposal_for_another_tenant_is_denied_and_a_security_event_of_the_one_who_tried(desk: Desk) -> None:
    denied = desk.propose(tenant_id="victim")
    assert (denied.state, denied.reasons[0].code) == (IntentState.DENIED, "tenant-mismatch")
    assert desk.sql("select 1 as n from intents") == []
    [violation] = desk.events("governance.policy_violation_detected")
    assert (violation["kind"], violation["severity"]) == ("tenant-mismatch", "V3")
    assert desk.sql("select severity, tenant_id from audit_log") == [{"severity": "V3", "tenant_id": desk.tenant}]


def test_a_kill_switch_denies_what_is_proposed_while_it_is_engaged(desk: Desk) -> None:
    for scope, target in (
        (Scope.TENANT, desk.tenant),
        (Scope.AUTOMATION, "outreach-sequence"),
        (Scope.ACTION, "send_email"),
        (Scope.PLUGIN, "email"),
    ):
        given: dict[str, Any] = {"tenant_id": desk.tenant, "scope": scope, "target": target, "actor": WORKER, "now": NOON}
        with desk.database.tenant(desk.tenant) as conn:
            engage(conn, reason="drill", **given)
        assert desk.propose().reasons[0].code == "kill-switch"
        with desk.database.tenant(desk.tenant) as conn:
            release(conn, **given)
    assert desk.propose().state is IntentState.AWAITING_APPROVAL
