"""Approvals: people are asked, decide, or are late.

An approval is bound to tenant, action, payload digest and policy version, and is consumed once, by the effect. Approvers are
distinct, the requester is none of them, what expired was never approved, and an edit is a new payload that is judged again.
"""

from spine.approvals.decide import decide
from spine.approvals.queries import listing, show
from spine.approvals.records import Approval, ApprovalState, Decided, Principal, Resolution, SlaLabel, SlaNote
from spine.approvals.timers import expire, note_sla

__all__ = [
    "Approval",
    "ApprovalState",
    "Decided",
    "Principal",
    "Resolution",
    "SlaLabel",
    "SlaNote",
    "decide",
    "expire",
    "listing",
    "note_sla",
    "show",
]
