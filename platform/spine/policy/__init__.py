"""The gate's judgement: the table of actions, the facts of the moment, and a pure decision from both."""

from spine.policy.decide import Allow, BudgetState, Canary, Decision, Deny, Facts, NeedApproval, Reason, Subject, decide, deny
from spine.policy.facts import gather, standing
from spine.policy.rules import ActionRule, AmountTier, RatioTier, Requires, SlaHours
from spine.policy.switches import engage, engaged, release
from spine.policy.table import PolicyTable

__all__ = [
    "ActionRule",
    "Allow",
    "AmountTier",
    "BudgetState",
    "Canary",
    "Decision",
    "Deny",
    "Facts",
    "NeedApproval",
    "PolicyTable",
    "RatioTier",
    "Reason",
    "Requires",
    "SlaHours",
    "Subject",
    "decide",
    "deny",
    "engage",
    "engaged",
    "gather",
    "release",
    "standing",
]
