"""A request for approval as the inbox and its page show it to one person."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from shared.events import ApprovalClass, ReversibilityClass, Verdict
from spine import approvals
from spine.approvals import Approval
from spine.approvals.obstacles import obstacle
from spine.console.plain import Accounts, sentence
from spine.console.session import PageWork
from spine.console.words import Words, say
from spine.errors import SpineError
from spine.identity import Role
from spine.policy import ActionRule


class Urgency(StrEnum):
    OVERDUE = "overdue"  # it has run out, and its timer is about to say so
    BREACH = "breach"
    WARN = "warn"
    CALM = "calm"


URGENCIES: dict[Urgency, tuple[str, str]] = {
    Urgency.OVERDUE: (say("ran out"), "bad"),
    Urgency.BREACH: (say("promise broken"), "bad"),
    Urgency.WARN: (say("due soon"), "warn"),
    Urgency.CALM: (say("in time"), ""),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request. `obstacles` say why this person cannot give a verdict, of those that were asked about; None: it would be taken."""

    approval: Approval
    sentence: str
    urgency: Urgency
    left: timedelta
    obstacles: Mapping[Verdict, SpineError | None]
    in_bulk: bool

    @property
    def is_mine(self) -> bool:
        """May this person bring it nearer to its end by saying yes?"""
        return self.obstacles[Verdict.APPROVE] is None

    @property
    def signed(self) -> tuple[str, ...]:
        return tuple(one.decided_by for one in self.approval.decisions if one.verdict is Verdict.APPROVE)

    @property
    def elsewhere(self) -> int:
        """How many other people are needed, should this person approve."""
        return self.approval.approvals_remaining - (1 if self.is_mine else 0)


def urgency_of(approval: Approval, now: datetime) -> Urgency:
    passed = ((approval.expires_at, Urgency.OVERDUE), (approval.breach_at, Urgency.BREACH), (approval.warn_at, Urgency.WARN))
    return next((urgency for at, urgency in passed if now >= at), Urgency.CALM)


def may_go_in_bulk(approval: Approval, rule: ActionRule) -> bool:
    """Several at once only where a single signature is routine: A1 or less, nothing irreversible, nothing that is never automatic."""
    intent = approval.intent
    routine = intent.approval_class in (ApprovalClass.A0, ApprovalClass.A1) and approval.approvers_needed == 1
    return routine and intent.reversibility_class is not ReversibilityClass.R3 and not rule.never_automatic and not rule.unknown_to_table


def asked_of(work: PageWork, words: Words, found: Sequence[Approval], *, verdicts: Collection[Verdict] = (Verdict.APPROVE,)) -> list[Asked]:
    """Requests as this person sees them. Viewers see no payload, so their sentences are shorter.

    Each verdict asked about is some queries a request: a list needs to know only who may approve.
    """
    whole = work.principal.role.covers(Role.OPERATOR)
    accounts = Accounts.of(work.conn, work.tenant_id, [one.intent.payload for one in found] if whole else [])
    return [_asked(work, words, one, accounts, whole, {Verdict.APPROVE, *verdicts}) for one in found]


def _asked(work: PageWork, words: Words, approval: Approval, accounts: Accounts, whole: bool, verdicts: Collection[Verdict]) -> Asked:
    intent, policy, now = approval.intent, work.services.policy, work.services.clock.now()
    me = approvals.Principal(work.principal.id, work.principal.role.value, work.principal.actor_type)
    obstacles = {verdict: _obstacle(work, approval, me, verdict, now) for verdict in verdicts}
    money = words.money(intent.amount.amount, intent.amount.currency) if intent.amount else ""
    return Asked(
        approval=approval,
        sentence=sentence(words, intent.action, intent.payload if whole else None, accounts, money),
        urgency=urgency_of(approval, now),
        left=approval.expires_at - now,
        obstacles=obstacles,
        in_bulk=obstacles[Verdict.APPROVE] is None and may_go_in_bulk(approval, policy.rule(intent.action)),
    )


def _obstacle(work: PageWork, approval: Approval, me: approvals.Principal, verdict: Verdict, now: datetime) -> SpineError | None:
    try:
        work.principal.require(Role.APPROVER)
    except SpineError as error:
        return error
    return obstacle(work.conn, approval, me, verdict, policy=work.services.policy, now=now)
