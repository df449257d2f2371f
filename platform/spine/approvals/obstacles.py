"""What stands between a person and a verdict: raised for one who decides, told to pages that offer only what would be taken."""

from datetime import datetime

from shared.events import ActorType, Verdict
from spine.approvals.decision import GivenDecision
from spine.approvals.records import Approval, ApprovalState, Principal
from spine.db import Connection
from spine.directory import Capacity, requesters_of, signs_as
from spine.errors import ApprovalRefused, NotAllowed, SpineError
from spine.ids import new_id
from spine.intents import internal
from spine.policy import PolicyTable

_MAY_DECIDE = ("approver", "admin")  # roles of keys; what else it takes is the rule's to say


def obstacle(
    conn: Connection, approval: Approval, principal: Principal, verdict: Verdict, *, policy: PolicyTable, now: datetime
) -> SpineError | None:
    """The refusal that this verdict would meet at `now`, by the very rules of `decide`; None when it would be taken.

    Of this moment only, and nothing is locked: deciding asks again.
    """
    given = GivenDecision(decision_id=new_id(), verdict=verdict, principal=principal, reason=None, now=now)
    try:
        refuse(conn, approval, given, None, policy)
    except SpineError as error:
        return error
    return None


def refuse(conn: Connection, approval: Approval, given: GivenDecision, digest: str | None, policy: PolicyTable) -> tuple[Capacity, ...]:
    """Raise what stands against this decision; else say as what it is taken."""
    principal, verdict, which = given.principal, given.verdict, f"approval {approval.approval_id!r}"
    if principal.actor_type is not ActorType.HUMAN:
        raise NotAllowed(f"{principal.id!r} is a {principal.actor_type.value}: people decide approvals")
    requesters = requesters_of(conn, approval.intent)
    withdraws = verdict is Verdict.REJECT and principal.id in requesters
    if principal.role not in _MAY_DECIDE:
        raise NotAllowed(f"{principal.id!r} has role {principal.role!r}; {which} takes 'approver' or 'admin'")
    capacities = signs_as(conn, approval, principal.id, principal.role, now=given.now)
    if capacities is None and not withdraws and principal.id not in requesters:
        wanted = ", ".join(dict.fromkeys((*approval.roles, *approval.must_include)))
        raise NotAllowed(
            f"{principal.id!r} is, by the approver directory, none of {wanted} now, whom {which} takes: `spine approvers list`"
        )
    if approval.state is not ApprovalState.PENDING:
        raise ApprovalRefused(f"{which} is {approval.state.value!r} already: nothing is left to decide")
    if given.now >= approval.expires_at:
        raise ApprovalRefused(f"{which} ran out at {approval.expires_at.isoformat()}: it has to be proposed again")
    remaining = approval.approvals_remaining
    if any(decided.decided_by == principal.id for decided in approval.decisions):
        raise ApprovalRefused(f"{principal.id!r} has decided this approval already; it needs {_people(remaining)} more")
    if stood_in := next(
        (one.decided_by for one in approval.decisions for held in one.capacities if held.on_behalf_of == principal.id), None
    ):
        raise ApprovalRefused(
            f"{stood_in!r} has signed in the name of {principal.id!r} already, and one seat signs once; it needs {_people(remaining)} more"
        )
    if verdict is not Verdict.REJECT and principal.id in requesters:
        raise ApprovalRefused(
            f"{principal.id!r} asked for this and cannot approve it; it needs {_people(remaining)} other than the requester"
        )
    if given.minted_by is not None and given.minted_by in requesters | {one.decided_by for one in approval.decisions}:
        raise ApprovalRefused(f"{given.minted_by!r} let the token be made and asked for this, or has decided it: somebody else has to")
    if digest is not None and digest != approval.digest:
        raise ApprovalRefused(f"{principal.id!r} saw digest {digest!r}, but {approval.digest!r} is asked: look at it again")
    if verdict is Verdict.APPROVE and approval.policy_version != policy.version:
        raise ApprovalRefused(
            f"{which} was asked under policy {approval.policy_version!r}, now it is {policy.version!r}: "
            "edit it, if need be with the same payload, to have it judged by today's policy"
        )
    if verdict is not Verdict.REJECT:
        internal.refuse_while_stopped(conn, approval.intent, policy=policy, now=given.now)
    return capacities or ()


def _people(count: int) -> str:
    return "one approver" if count == 1 else f"{count} approvers"
