"""Functions of the approver directory: who may sign, who stands in, who must be among them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events import ActorType, Verdict
from spine import directory, identity
from spine.approvals import ApprovalState, Principal
from spine.audit import Actor
from spine.directory import Capacity, Signers, covers, functions_missing
from spine.errors import ApprovalRefused, InvalidInput, NotAllowed, NotFound
from spine.intents import Proposed
from spine.policy import PolicyTable
from spine.views import approval_detail
from tests.governance.support import WORKFLOW, Desk
from tests.governance.test_table import changed

ADMIN = Actor(ActorType.HUMAN, "root")
DEAL = "crm_deal_create"


def _asking(table: dict[str, Any]) -> None:
    table["actions"]["send_email"].update(approver_roles=["manager"])
    table["actions"][DEAL].pop("amount_tiers")
    table["actions"][DEAL].update(approvers=2, approver_roles=["executive", "legal"], must_include=["legal"])


@pytest.fixture
def office(desk: Desk) -> Desk:
    """A desk whose rules ask for functions, with one person in each of a few, and nobody else in the directory."""
    desk.policy = PolicyTable.of(changed(_asking))
    with desk.database.tenant(desk.tenant) as conn:
        conn.execute("update approvers set active = false where tenant_id = %s", (desk.tenant,))
    for person, function in (("mona", "manager"), ("dina", "director"), ("lea", "legal"), ("eva", "executive"), ("finn", "finance")):
        add(desk, person, function)
    return desk


def propose_deal(desk: Desk, **more: Any) -> Proposed:
    return desk.propose(DEAL, payload={"value": {"amount": "500", "currency": "SAR"}}, automation="contract-signature", **more)


def add(desk: Desk, person: str, function: str, **more: Any) -> None:
    with desk.database.tenant(desk.tenant) as conn:
        directory.add(conn, tenant_id=desk.tenant, person=person, function=function, actor=ADMIN, clock=desk.clock, **more)


def absent(desk: Desk, person: str, delegate: str | None = None, days: int = 3) -> None:
    with desk.database.tenant(desk.tenant) as conn:
        directory.set_absence(
            conn, tenant_id=desk.tenant, person=person, absent_from=desk.clock.now(), absent_until=desk.clock.now() + timedelta(days=days),
            delegate=delegate, actor=ADMIN, clock=desk.clock,
        )  # fmt: skip


def signers(desk: Desk, approval_id: str | None) -> Signers:
    with desk.database.tenant(desk.tenant) as conn:
        return directory.who_can_sign(conn, desk.approval(approval_id), now=desk.clock.now())


def test_a_function_signs_and_an_approvers_or_admins_key_alone_does_not(office: Desk) -> None:
    proposed = office.propose()
    for role in ("approver", "admin"):
        with pytest.raises(NotAllowed, match=r"'somebody' is, by the approver directory, none of manager"):
            office.decide(proposed.approval_id, "somebody", principal=Principal("somebody", role))
    with pytest.raises(NotAllowed, match="takes 'approver'"):
        office.decide(proposed.approval_id, "mona", principal=Principal("mona", "operator"))
    assert office.decide(proposed.approval_id, "mona").state is ApprovalState.APPROVED


def test_a_higher_one_on_the_line_signs_for_a_lower_one_and_nobody_for_those_beside_it(office: Desk) -> None:
    assert office.decide(office.propose().approval_id, "dina").state is ApprovalState.APPROVED
    with pytest.raises(NotAllowed):
        office.decide(office.propose().approval_id, "finn")
    assert covers("board", "manager")
    assert not covers("manager", "head")
    assert not any(covers("board", beside) or covers(beside, "manager") for beside in ("legal", "finance"))
    assert not covers("executive", "founder")
    assert not covers("approver", "manager")


@given(st.sampled_from(directory.FUNCTIONS), st.sampled_from(directory.FUNCTIONS), st.sampled_from(directory.FUNCTIONS))
def test_standing_above_is_an_order(a: str, b: str, c: str) -> None:
    assert covers(a, a)
    assert a == b or not (covers(a, b) and covers(b, a))
    assert covers(a, c) or not (covers(a, b) and covers(b, c))


def test_people_enough_are_not_enough_while_a_function_that_must_be_among_them_is_not(office: Desk) -> None:
    add(office, "eric", "executive")
    proposed = propose_deal(office)
    office.decide(proposed.approval_id, "eva")
    second = office.decide(proposed.approval_id, "eric")
    assert (second.state, second.approvals_remaining) == (ApprovalState.PENDING, 1)
    assert office.state(proposed.intent_id) == "awaiting_approval"
    assert office.approval(proposed.approval_id).functions_missing == ("legal",)
    assert office.decide(proposed.approval_id, "lea").state is ApprovalState.APPROVED
    kept = office.approval(proposed.approval_id).decisions[-1]
    assert kept.capacities == (Capacity("legal", 1),)


def test_those_who_must_be_among_them_are_not_enough_without_one_of_the_authority_that_is_asked(office: Desk) -> None:
    """Two of legal do not bind the company: somebody of the rule's own functions has to be among them too."""
    office.policy = PolicyTable.of(changed(lambda table: (_asking(table), table["actions"][DEAL].update(approver_roles=["executive"]))))
    add(office, "luis", "legal")
    proposed = propose_deal(office)
    office.decide(proposed.approval_id, "lea")
    second = office.decide(proposed.approval_id, "luis")
    assert (second.state, second.approvals_remaining) == (ApprovalState.PENDING, 1)
    assert [one.person for one in signers(office, proposed.approval_id).people] == ["eva"]
    with office.database.tenant(office.tenant) as conn:
        directory.remove(conn, tenant_id=office.tenant, person="eva", actor=ADMIN, clock=office.clock)
    assert signers(office, proposed.approval_id).nobody_for == ("executive",)
    add(office, "eva", "executive")
    assert office.decide(proposed.approval_id, "eva").state is ApprovalState.APPROVED


def test_a_person_with_two_functions_is_one_person_who_fills_both(office: Desk) -> None:
    add(office, "eva", "legal")
    proposed = propose_deal(office)
    first = office.decide(proposed.approval_id, "eva")
    assert (first.state, first.approvals_remaining) == (ApprovalState.PENDING, 1)
    assert office.approval(proposed.approval_id).functions_missing == ()
    with pytest.raises(ApprovalRefused, match="has decided this approval already"):
        office.decide(proposed.approval_id, "eva")


def test_the_delegate_of_an_absent_person_signs_on_record_as_on_behalf_of(office: Desk) -> None:
    absent(office, "lea", "sam")
    proposed = propose_deal(office)
    with pytest.raises(NotAllowed):
        office.decide(proposed.approval_id, "lea")
    office.decide(proposed.approval_id, "sam")
    office.decide(proposed.approval_id, "eva")
    assert office.state(proposed.intent_id) == "runnable"
    assert office.approval(proposed.approval_id).decisions[0].capacities == (Capacity("legal", 1, "lea"),)
    [row] = office.sql("select detail from audit_log where action = 'approval.decided' and actor_id = 'sam'")
    assert (row["detail"]["functions"], row["detail"]["on_behalf_of"]) == (["legal"], ["lea"])


def test_a_delegate_signs_neither_before_the_absence_nor_after_it_nor_while_away_himself(office: Desk) -> None:
    with office.database.tenant(office.tenant) as conn:
        directory.set_delegate(conn, tenant_id=office.tenant, person="mona", delegate="sam", actor=ADMIN, clock=office.clock)
    proposed = office.propose()
    with pytest.raises(NotAllowed):
        office.decide(proposed.approval_id, "sam")
    absent(office, "mona", days=1)
    add(office, "sam", "finance")
    absent(office, "sam", days=1)
    with pytest.raises(NotAllowed):
        office.decide(proposed.approval_id, "sam")
    office.clock.advance(days=1)
    with pytest.raises(NotAllowed):
        office.decide(proposed.approval_id, "sam")
    assert office.decide(proposed.approval_id, "mona").state is ApprovalState.APPROVED


def test_whoever_asked_signs_in_nobodys_name_and_nobody_signs_in_his(office: Desk) -> None:
    absent(office, "lea", "sam")
    by_delegate = propose_deal(office, actor=replace(WORKFLOW, type=ActorType.HUMAN, id="sam"))
    with pytest.raises(ApprovalRefused, match="'sam' asked for this"):
        office.decide(by_delegate.approval_id, "sam")
    by_absent = propose_deal(office, actor=replace(WORKFLOW, type=ActorType.HUMAN, id="lea"))
    with pytest.raises(NotAllowed):
        office.decide(by_absent.approval_id, "sam")
    assert office.decide(by_delegate.approval_id, "sam", Verdict.REJECT).state is ApprovalState.REJECTED, "withdrawn"


def test_a_person_and_the_delegate_do_not_sign_twice_for_one_seat(office: Desk) -> None:
    proposed = propose_deal(office)
    office.decide(proposed.approval_id, "lea")
    absent(office, "lea", "sam")
    with pytest.raises(NotAllowed):
        office.decide(proposed.approval_id, "sam")


def test_whoever_comes_back_does_not_sign_again_for_the_seat_in_whose_name_the_delegate_signed(office: Desk) -> None:
    add(office, "eric", "executive", delegate="sam")
    absent(office, "eric")
    proposed = propose_deal(office)
    office.decide(proposed.approval_id, "sam")
    with office.database.tenant(office.tenant) as conn:
        directory.set_absence(
            conn, tenant_id=office.tenant, person="eric", absent_from=None, absent_until=None, actor=ADMIN, clock=office.clock
        )
    with pytest.raises(ApprovalRefused, match="has signed in the name of 'eric'"):
        office.decide(proposed.approval_id, "eric")


def test_whoever_left_the_directory_signs_no_longer_and_what_was_signed_stays(office: Desk) -> None:
    proposed = propose_deal(office)
    office.decide(proposed.approval_id, "lea")
    with office.database.tenant(office.tenant) as conn:
        for person in ("lea", "eva"):
            directory.remove(conn, tenant_id=office.tenant, person=person, actor=ADMIN, clock=office.clock)
    with pytest.raises(NotAllowed):
        office.decide(proposed.approval_id, "eva")
    add(office, "eric", "executive")
    assert office.decide(proposed.approval_id, "eric").state is ApprovalState.APPROVED


def test_a_request_that_nobody_can_give_says_for_which_function_nobody_is_there(office: Desk) -> None:
    proposed = propose_deal(office)
    able = signers(office, proposed.approval_id)
    assert ([one.person for one in able.people], able.nobody_for, able.enough) == (["eva", "lea"], (), True)
    with office.database.tenant(office.tenant) as conn:
        directory.remove(conn, tenant_id=office.tenant, person="lea", actor=ADMIN, clock=office.clock)
        approval = office.approval(proposed.approval_id)
        assert not directory.someone_can_decide(conn, approval, now=office.clock.now())
        root = identity.Principal(tenant_id=office.tenant, id="root", role=identity.Role.ADMIN)
        waiting = approval_detail(conn, root, str(proposed.approval_id), now=office.clock.now()).waiting_for
    assert (waiting.must_include, waiting.nobody_for, waiting.can_be_given) == (("legal",), ("legal",), False)
    assert [(one.person, one.functions) for one in waiting.people or ()] == [("eva", ("executive",))]


def test_too_few_people_are_nobody_either_and_absent_ones_do_not_count(office: Desk) -> None:
    proposed = propose_deal(office)
    absent(office, "eva")
    assert (signers(office, proposed.approval_id).enough, signers(office, proposed.approval_id).nobody_for) == (False, ())
    absent(office, "eva", "sam")
    assert signers(office, proposed.approval_id).enough
    only_managers = office.propose()
    for person in ("mona", "dina", "eva"):
        with office.database.tenant(office.tenant) as conn:
            directory.remove(conn, tenant_id=office.tenant, person=person, actor=ADMIN, clock=office.clock)
    found = signers(office, only_managers.approval_id)
    assert (found.people, found.nobody_for, found.enough) == ((), ("manager",), False)


def test_where_any_approvers_key_will_do_the_people_are_those_with_keys_and_those_in_the_directory(desk: Desk) -> None:
    with desk.database.tenant(desk.tenant) as conn:
        conn.execute("update approvers set active = false where tenant_id = %s", (desk.tenant,))
    proposed = desk.propose()
    assert not signers(desk, proposed.approval_id).enough
    with desk.database.tenant(desk.tenant) as conn:
        identity.issue_key(conn, tenant_id=desk.tenant, principal_id="omar", role=identity.Role.OPERATOR)
        revoked = identity.issue_key(conn, tenant_id=desk.tenant, principal_id="gone", role=identity.Role.APPROVER)
        identity.revoke_key(conn, tenant_id=desk.tenant, key_id=revoked.rsplit(".", 2)[1])
    assert not signers(desk, proposed.approval_id).enough
    with desk.database.tenant(desk.tenant) as conn:
        identity.issue_key(conn, tenant_id=desk.tenant, principal_id="vera", role=identity.Role.APPROVER)
    assert [one.person for one in signers(desk, proposed.approval_id).people] == ["vera"]


def test_the_directory_refuses_what_means_nothing_and_keeps_every_change_on_record(desk: Desk) -> None:
    with pytest.raises(InvalidInput, match="none of manager"):
        add(desk, "ana", "wizard")
    with pytest.raises(InvalidInput, match="no name of a person"):
        add(desk, "ana@acme.example", "legal")
    with pytest.raises(InvalidInput, match="stand in for himself"):
        add(desk, "zoe", "legal", delegate="zoe")
    with pytest.raises(NotFound, match="'nobody' is not in any function"):
        absent(desk, "nobody")
    add(desk, "zoe", "legal", level=2, delegate="yara")
    absent(desk, "zoe", "sam")
    with desk.database.tenant(desk.tenant) as conn:
        found = directory.listing(conn, tenant_id=desk.tenant, function="legal", limit=50).items
        directory.remove(conn, tenant_id=desk.tenant, person="zoe", actor=ADMIN, clock=desk.clock)
        left = directory.listing(conn, tenant_id=desk.tenant, function="legal", limit=50).items
    assert [(one.person, one.level, one.delegate) for one in found if one.person == "zoe"] == [("zoe", 2, "sam")]
    assert "zoe" not in [one.person for one in left]
    assert desk.audited("zoe") == ["approver.added", "approver.absent", "approver.removed"]


def test_a_function_is_filled_by_whoever_covers_it() -> None:
    assert functions_missing(("manager", "legal"), [[Capacity("director")], [Capacity("finance")]]) == ("legal",)
    assert functions_missing((), []) == ()
