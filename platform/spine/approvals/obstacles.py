"""What stands between a person and a verdict, without trying it: for pages that offer only what would be taken."""

from datetime import datetime

from shared.events import Verdict
from spine.approvals.decide import _Decision, _refuse
from spine.approvals.records import Approval, Principal
from spine.db import Connection
from spine.errors import SpineError
from spine.ids import new_id
from spine.policy import PolicyTable


def obstacle(
    conn: Connection, approval: Approval, principal: Principal, verdict: Verdict, *, policy: PolicyTable, now: datetime
) -> SpineError | None:
    """The refusal that this verdict would meet at `now`, by the very rules of `decide`; None when it would be taken.

    Of this moment only, and nothing is locked: deciding asks again.
    """
    given = _Decision(decision_id=new_id(), verdict=verdict, principal=principal, reason=None, now=now)
    try:
        _refuse(conn, approval, given, None, policy)
    except SpineError as error:
        return error
    return None
