"""People decide: bound, distinct, in time, and once."""

from dataclasses import replace
from datetime import timedelta
from threading import Barrier, Thread

import pytest

from shared.events import ActorType, Verdict
from spine import approvals
from spine.approvals import ApprovalState, Principal, SlaLabel
from spine.errors import ApprovalRefused, IdempotencyConflict, InvalidInput, NotAllowed, NotFound, NotYet
from spine.intents import IntentState
from spine.policy import PolicyTable
from tests.governance.support import EDITED, WORKFLOW, Desk
from tests.governance.test_table import changed


def test_one_yes_makes_an_a1_intent_runnable_and_is_announced_to_its_workflow(desk: Desk) -> None:
    proposed = desk.propose()
    resolution = desk.decide(proposed.approval_id, "ana")
    assert (resolution.state, resolution.intent_state) == (ApprovalState.APPROVED, IntentState.RUNNABLE)
    [event] = desk.events("approval.resolved")
    assert (event["resolution"], event["workflow_id"], event["successor_intent_id"]) == ("approved", resolution.workflow_id, None)
    assert desk.audited(proposed.approval_id) == ["approval.requested", "approval.decided", "approval.approved"]


def test_two_people_have_to_agree_to_an_a3_intent(desk: Desk) -> None:
    proposed = desk.propose("send_contract_for_signature")
    first = desk.decide(proposed.approval_id, "ana")
    assert (first.state, first.approvals_remaining, desk.state(proposed.intent_id)) == (ApprovalState.PENDING, 1, "awaiting_approval")
    assert desk.decide(proposed.approval_id, "bob").state is ApprovalState.APPROVED
    assert desk.state(proposed.intent_id) == "runnable"


def test_the_same_person_twice_is_refused_by_name_with_how_many_are_missing(desk: Desk) -> None:
    proposed = desk.propose("send_contract_for_signature")
    desk.decide(proposed.approval_id, "ana")
    with pytest.raises(ApprovalRefused, match="'ana' has decided this approval already; it needs one approver more"):
        desk.decide(proposed.approval_id, "ana")
    assert desk.state(proposed.intent_id) == "awaiting_approval"


def test_two_approvals_of_one_person_at_the_same_time_count_once(desk: Desk) -> None:
    proposed, both, refused = desk.propose("send_contract_for_signature"), Barrier(2), list[str]()

    def one() -> None:
        both.wait()
        try:
            desk.decide(proposed.approval_id, "ana")
        except ApprovalRefused as error:
            refused.append(str(error))

    threads = [Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert desk.approval(proposed.approval_id).approvals_remaining == 1


def test_two_people_at_the_same_time_both_count(desk: Desk) -> None:
    proposed, both = desk.propose("send_contract_for_signature"), Barrier(2)
    states: list[ApprovalState] = []

    def one(who: str) -> None:
        both.wait()
        states.append(desk.decide(proposed.approval_id, who).state)

    threads = [Thread(target=one, args=(who,)) for who in ("ana", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(states) == [ApprovalState.APPROVED, ApprovalState.PENDING]
    assert desk.state(proposed.intent_id) == "runnable"


def test_the_requester_may_not_approve_or_edit_but_may_withdraw_by_rejecting(desk: Desk) -> None:
    ana = replace(WORKFLOW, type=ActorType.HUMAN, id="ana")
    proposed = desk.propose(actor=ana)
    for verdict in (Verdict.APPROVE, Verdict.EDIT):
        with pytest.raises(ApprovalRefused, match="'ana' asked for this"):
            desk.decide(proposed.approval_id, "ana", verdict, edited_payload=EDITED)
    assert desk.decide(proposed.approval_id, "ana", Verdict.REJECT).intent_state is IntentState.REJECTED


@pytest.mark.parametrize(
    ("principal", "allowed"),
    [
        (Principal("ana", "viewer"), False),
        (Principal("ana", "operator"), False),
        (Principal("ana", "approver"), True),
        (Principal("ana", "admin"), True),
        (Principal("bot", "approver", ActorType.RECOMMENDER_AGENT), False),
        (Principal("bot", "admin", ActorType.EXECUTOR_SYSTEM), False),
    ],
)
def test_only_people_with_the_role_decide(desk: Desk, principal: Principal, allowed: bool) -> None:
    proposed = desk.propose()
    if allowed:
        assert desk.decide(proposed.approval_id, "", principal=principal).state is ApprovalState.APPROVED
    else:
        for verdict in Verdict:
            with pytest.raises(NotAllowed, match=principal.id):
                desk.decide(proposed.approval_id, "", verdict, principal=principal, edited_payload=EDITED)


def test_a_reject_leaves_nothing_runnable_and_its_audit_row_in_the_same_transaction(desk: Desk) -> None:
    proposed = desk.propose("send_contract_for_signature")
    desk.decide(proposed.approval_id, "ana")
    with pytest.raises(RuntimeError, match="the caller failed"), desk.database.tenant(desk.tenant) as conn:  # noqa: PT012 - one transaction
        approvals.decide(
            conn,
            tenant_id=desk.tenant,
            approval_id=proposed.approval_id or "",
            decision_id="one",
            verdict=Verdict.REJECT,
            principal=Principal("bob", "approver"),
            reason="no",
            policy=desk.policy,
            clock=desk.clock,
        )
        raise RuntimeError("the caller failed")
    assert desk.state(proposed.intent_id) == "awaiting_approval"
    assert len(desk.audited(proposed.approval_id)) == 2
    desk.decide(proposed.approval_id, "bob", Verdict.REJECT, reason="no")
    assert desk.state(proposed.intent_id) == "rejected"
    assert desk.audited(proposed.intent_id)[-1] == "intent.moved rejected"
    assert desk.audited(proposed.approval_id)[-2:] == ["approval.decided", "approval.rejected"]
    assert desk.sql("select xmin::text from intents where state = 'rejected'") == desk.sql(
        "select distinct xmin::text from audit_log where action = 'approval.rejected' or detail->>'to' = 'rejected'"
    )
    assert type(desk.execute(proposed.intent_id)).__name__ == "NotRunnable"
    assert desk.provider.performed == 0
    with pytest.raises(ApprovalRefused, match="'rejected' already"):
        desk.decide(proposed.approval_id, "cleo")


def test_a_repeated_decision_returns_the_first_answer_whatever_happened_since(desk: Desk) -> None:
    proposed = desk.propose("send_contract_for_signature")
    first = desk.decide(proposed.approval_id, "ana", decision_id="one")
    second = desk.decide(proposed.approval_id, "bob", decision_id="two")
    desk.execute(proposed.intent_id)
    desk.clock.advance(days=9)
    assert desk.decide(proposed.approval_id, "ana", decision_id="one") == first
    assert desk.decide(proposed.approval_id, "bob", decision_id="two") == second
    assert len(desk.events("approval.resolved")) == 1
    with pytest.raises(IdempotencyConflict, match="'one'"):
        desk.decide(proposed.approval_id, "cleo", decision_id="one")


def test_what_the_approver_saw_is_what_is_approved(desk: Desk) -> None:
    proposed = desk.propose()
    with pytest.raises(ApprovalRefused, match="look at it again"):
        desk.decide(proposed.approval_id, "ana", digest="sha256:" + "0" * 64)
    seen = desk.approval(proposed.approval_id).digest
    assert desk.decide(proposed.approval_id, "ana", digest=seen).state is ApprovalState.APPROVED


def test_what_expired_is_never_approved(desk: Desk) -> None:
    proposed = desk.propose()
    desk.clock.advance(hours=48)
    for verdict in Verdict:
        with pytest.raises(ApprovalRefused, match="ran out"):
            desk.decide(proposed.approval_id, "ana", verdict, edited_payload=EDITED)
    assert expire(desk, proposed.approval_id).state is ApprovalState.EXPIRED
    assert desk.state(proposed.intent_id) == "expired"
    with pytest.raises(ApprovalRefused, match="'expired' already"):
        desk.decide(proposed.approval_id, "ana")
    assert [event["resolution"] for event in desk.events("approval.resolved")] == ["expired"]


def test_expiring_too_early_is_refused_and_a_moment_early_is_not(desk: Desk) -> None:
    proposed = desk.propose()
    desk.clock.advance(hours=47)
    with pytest.raises(NotYet) as refused:
        expire(desk, proposed.approval_id)
    assert refused.value.not_before == proposed.expires_at
    desk.clock.advance(minutes=59, seconds=59.5)
    assert expire(desk, proposed.approval_id).state is ApprovalState.EXPIRED


def test_expiring_what_was_resolved_says_what_it_is(desk: Desk) -> None:
    proposed = desk.runnable()
    desk.clock.advance(hours=49)
    assert expire(desk, proposed.approval_id).state is ApprovalState.APPROVED
    assert desk.state(proposed.intent_id) == "runnable"


def test_reminders_rise_by_level_are_announced_once_and_keep_the_cool_down(desk: Desk) -> None:
    proposed = desk.propose()
    desk.clock.advance(hours=4)
    assert (note(desk, proposed.approval_id, SlaLabel.WARN), note(desk, proposed.approval_id, SlaLabel.WARN)) == ((1, True), (1, False))
    desk.clock.advance(minutes=44)
    assert note(desk, proposed.approval_id, SlaLabel.BREACH) == (2, False)
    desk.clock.advance(minutes=1)
    assert note(desk, proposed.approval_id, SlaLabel.WARN) == (2, False)
    assert note(desk, proposed.approval_id, SlaLabel.ESCALATED) == (3, True)
    assert [(event["level"], event["label"]) for event in desk.events("approval.sla_escalated")] == [(1, "warn"), (3, "escalated")]
    assert desk.approval(proposed.approval_id).escalation_level == 3
    desk.decide(proposed.approval_id, "ana")


def test_an_approval_asked_under_another_policy_is_not_given_but_may_be_edited_into_todays(desk: Desk) -> None:
    proposed = desk.propose()
    desk.policy = PolicyTable.of(changed(lambda table: table["actions"]["send_email"].update(approvers=2)))
    with pytest.raises(ApprovalRefused, match="edit it"):
        desk.decide(proposed.approval_id, "ana")
    same = desk.intent(proposed.intent_id).payload
    successor = desk.decide(proposed.approval_id, "ana", Verdict.EDIT, edited_payload=same).successor
    assert successor is not None
    assert (successor.approvers_needed, desk.intent(successor.intent_id).policy_version) == (2, desk.policy.version)


def test_waiting_requests_are_listed_the_most_urgent_first_page_by_page(desk: Desk) -> None:
    made = []
    for _ in range(5):
        made.append(desk.propose().approval_id or "")
        desk.clock.advance(minutes=1)
    desk.decide(made[1], "ana")
    note(desk, made[4], SlaLabel.BREACH)  # escalated: before those that run out sooner
    with desk.database.tenant(desk.tenant) as conn:
        first = approvals.listing(conn, tenant_id=desk.tenant, limit=2)
        rest = approvals.listing(conn, tenant_id=desk.tenant, cursor=first.next, limit=2)
    assert [approval.approval_id for approval in (*first.items, *rest.items)] == [made[4], made[0], made[2], made[3]]
    assert first.items[0].intent.payload["contact_id"] == "contact/1"
    assert rest.next is None


def test_requests_of_any_state_are_listed_the_newest_first(desk: Desk) -> None:
    made = []
    for _ in range(4):
        made.append(desk.propose().approval_id or "")
        desk.clock.advance(minutes=1)
    desk.decide(made[0], "ana")
    desk.decide(made[2], "ana")
    with desk.database.tenant(desk.tenant) as conn:
        everything = approvals.listing(conn, tenant_id=desk.tenant, state=None, limit=3)
        last = approvals.listing(conn, tenant_id=desk.tenant, state=None, cursor=everything.next, limit=3)
        approved = approvals.listing(conn, tenant_id=desk.tenant, state=ApprovalState.APPROVED)
        with pytest.raises(InvalidInput, match="cursor"):
            approvals.listing(conn, tenant_id=desk.tenant, cursor=everything.next)
    assert [approval.approval_id for approval in (*everything.items, *last.items)] == made[::-1]
    assert [approval.approval_id for approval in approved.items] == [made[2], made[0]]


def test_an_unknown_approval_is_not_found(desk: Desk) -> None:
    with pytest.raises(NotFound, match="'nothing'"):
        desk.decide("nothing", "ana")


def expire(desk: Desk, approval_id: str | None) -> approvals.Resolution:
    with desk.database.tenant(desk.tenant) as conn:
        return approvals.expire(conn, tenant_id=desk.tenant, approval_id=approval_id or "", actor=WORKFLOW, clock=desk.clock)


def note(desk: Desk, approval_id: str | None, label: SlaLabel) -> tuple[int, bool]:
    with desk.database.tenant(desk.tenant) as conn:
        noted = approvals.note_sla(
            conn, tenant_id=desk.tenant, approval_id=approval_id or "", label=label, actor=WORKFLOW, policy=desk.policy, clock=desk.clock
        )
    return noted.level, noted.announced


def test_the_cool_down_is_policy() -> None:
    assert PolicyTable.load().notice_cooldown == timedelta(minutes=45)
