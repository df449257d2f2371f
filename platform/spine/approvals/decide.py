"""A person decides: approve as proposed, edit, or reject.

All in the caller's transaction, with request and intent locked: decisions on one request come one after the other. Nothing of
a refused decision remains.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from shared.events import Verdict
from spine.approvals.decision import GivenDecision, first_answer
from spine.approvals.obstacles import refuse
from spine.approvals.queries import fetch
from spine.approvals.records import Principal, Resolution
from spine.approvals.verdicts import approve, edit, reject
from spine.clock import Clock
from spine.db import Connection
from spine.errors import InvalidInput
from spine.ids import derived_id
from spine.intents.gate import acceptable
from spine.policy import PolicyTable

Validate = Callable[[str, Mapping[str, Any]], None]
"""(action, payload) → None, or raises InvalidInput: the connector's own model of the payload, where it is at hand."""


def decide(
    conn: Connection,
    *,
    tenant_id: str,
    approval_id: str,
    decision_id: str,
    verdict: Verdict,
    principal: Principal,
    reason: str | None,
    policy: PolicyTable,
    clock: Clock,
    edited_payload: Mapping[str, Any] | None = None,
    digest: str | None = None,
    validate: Validate | None = None,
    minted_by: str | None = None,
) -> Resolution:
    """Take one person's decision. A repeated `decision_id` returns the first answer; it may be any text of the caller's.

    approve: counts once a person; the last one needed makes the intent runnable. `digest`, when given, is what the approver
    saw and has to be what is asked. reject: closes request and intent at once, whoever else agreed. edit: a new revision with
    `edited_payload`, judged afresh; the old one is superseded. At A1 the edit is the editor's own approval unless the
    judgement asks for more people; from A2 the editor has become the requester, and others must approve.

    Where the rule asks for functions, the approver directory says who has them at this moment, and the decision keeps as what it was
    taken; whoever asked may still withdraw by a reject. `minted_by` is who had the token made with which it is taken, if it was one.

    Raises NotFound; NotAllowed for a role, function or kind of actor that may not decide; ApprovalRefused for the requester, a person
    who has decided already, an approval that has ended or run out, another digest, a policy that has changed since, or an edit
    of what the table says is fixed; InvalidInput for an edit without a payload, or one that cannot be proposed; SchemaViolation
    for an edited amount that is none; IdempotencyConflict for a decision id used for something else.
    """
    given = GivenDecision(
        decision_id=derived_id("decision", tenant_id, decision_id), verdict=verdict, principal=principal, reason=reason, now=clock.now(),
        minted_by=minted_by,
    )  # fmt: skip
    approval = fetch(conn, tenant_id, approval_id, lock=True)
    if repeated := first_answer(conn, approval, given, decision_id):
        return repeated
    given = replace(given, capacities=refuse(conn, approval, given, digest, policy))
    match verdict:
        case Verdict.APPROVE:
            return approve(conn, approval, given, clock)
        case Verdict.REJECT:
            return reject(conn, approval, given, clock)
        case Verdict.EDIT:
            if edited_payload is None:
                raise InvalidInput("an edit brings the whole edited payload")
            payload = acceptable(edited_payload)
            if validate is not None:
                validate(approval.intent.action, payload)
            return edit(conn, approval, given, payload, policy, clock)
