"""Requests for approval, decisions, resolutions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.events import ActorType, Verdict
from spine.directory import Capacity, functions_missing, lacks_authority
from spine.intents.records import Intent, Proposed
from spine.intents.states import IntentState
from spine.policy.decide import Reason


class ApprovalState(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    CONSUMED = "consumed"  # by the effect that it allowed, once
    EDITED = "edited"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller: `role` is viewer, operator, approver or admin."""

    id: str
    role: str
    actor_type: ActorType = ActorType.HUMAN


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    decision_id: str
    verdict: Verdict
    decided_by: str
    role: str
    reason: str | None
    digest: str
    decided_at: datetime
    capacities: tuple[Capacity, ...] = ()
    """As what the person decided, by the directory of that moment; () where any approver's key would do."""
    minted_by: str | None = None
    """Who let the token be made with which it was decided, if it was one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A request as people see it, with the intent it is about (payload included) and the decisions so far."""

    approval_id: str
    intent: Intent
    digest: str
    policy_version: str
    approvers_needed: int
    roles: tuple[str, ...]
    why: tuple[Reason, ...]
    state: ApprovalState
    requested_by: str
    requested_at: datetime
    warn_at: datetime
    breach_at: datetime
    escalate_at: datetime
    expires_at: datetime
    escalation_level: int
    resolved_at: datetime | None
    consumed_at: datetime | None
    decisions: tuple[Decided, ...] = ()
    must_include: tuple[str, ...] = ()
    """Functions each of which has to be among those who approve."""

    @property
    def functions_missing(self) -> tuple[str, ...]:
        """Of `must_include`, those for which nobody has approved yet."""
        return functions_missing(self.must_include, (one.capacities for one in self.decisions if one.verdict is Verdict.APPROVE))

    @property
    def authority_missing(self) -> bool:
        """Whether nobody has approved yet in one of `roles`: those of `must_include` alone do not give it, however many they are."""
        return lacks_authority(self.roles, (one.capacities for one in self.decisions if one.verdict is Verdict.APPROVE))

    @property
    def approvals_remaining(self) -> int:
        """How many more people at least: one even when there are people enough, while a function that must be among them is not."""
        return 0 if self.state is not ApprovalState.PENDING else self.remaining_after(self.decisions)

    def remaining_after(self, decisions: Sequence[Decided]) -> int:
        """The same, had only these decided."""
        approved = [one for one in decisions if one.verdict is Verdict.APPROVE]
        signed = [one.capacities for one in approved]
        lacks_one = bool(functions_missing(self.must_include, signed)) or lacks_authority(self.roles, signed)
        return max(self.approvers_needed - len(approved), 1 if lacks_one else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What a decision (or time, or a withdrawal) made of a request. `successor` is the revision that an edit brought."""

    approval_id: str
    intent_id: str
    workflow_id: str
    state: ApprovalState
    approvals_remaining: int
    intent_state: IntentState
    successor: Proposed | None = None


class SlaLabel(StrEnum):
    WARN = "warn"
    BREACH = "breach"
    ESCALATED = "escalated"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlaNote:
    """`announced` is False when nothing changed, or when the last notice is younger than the cool-down."""

    level: int
    announced: bool
