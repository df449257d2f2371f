"""Memo and risk register for tests that propose class B work."""

from shared.events import Severity
from shared.events.records import DecisionMemo, Risk, RiskRegister

RISKS = RiskRegister(risks=(Risk(risk="it is the wrong one", severity=Severity.V1, mitigation="somebody looks first"),))


def memo(pack_id: str) -> DecisionMemo:
    """A memo that rests on this pack."""
    return DecisionMemo.model_validate(
        {
            "memo_id": "memo_1",
            "objective": "have it done",
            "decision_context": "it was asked for",
            "inputs_used": ["crm://deals/1"],
            "assumptions": [],
            "recommendation": "do it",
            "alternatives_considered": ["wait"],
            "confidence_score": 90,
            "required_approvals": ["approver"],
            "next_best_action": "look what came of it",
            "rollback_plan": "none",
            "evidence_links": [pack_id],
            "audit_metadata": {
                "verified": False,
                "policy_check_passed": False,
                "agent_id": "outreach",
                "timestamp": "2026-11-22T08:00:00Z",
            },
        }
    )
