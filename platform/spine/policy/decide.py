"""The gate's judgement: a pure function from what is proposed and what is known to allow, ask or deny.

First every reason to deny, in a fixed order, the first one wins. Then every reason to ask; the strictest number of people
wins, and all reasons are listed. Else allow. The order is that of architecture.md §6 (after domain.md §1.5).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from shared.events import ActionClass, ApprovalClass, Money, ReversibilityClass, SensitivityClass, SideEffectClass
from shared.events.classes import is_external, rank
from spine.contacts import Contactable, NotContactable
from spine.policy.functions import authority
from spine.policy.rules import ActionRule, AmountTier, RatioTier, Requires


class Canary(StrEnum):
    """Whether this tenant is among the first. An enforced canary asks a person for everything outside it."""

    NOT_ENFORCED = "not_enforced"
    INSIDE = "inside"
    OUTSIDE = "outside"


class BudgetState(StrEnum):
    NOT_METERED = "not_metered"
    WITHIN = "within"
    THROTTLED = "throttled"
    """Nearly spent: what is left is kept for what cannot wait."""
    EXHAUSTED = "exhausted"


@dataclass(frozen=True, slots=True)
class Reason:
    """`code` is stable, `text` is for people; neither holds payload values."""

    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is proposed, with the classes it is judged by: the rule's own, or graver ones."""

    tenant_id: str
    automation: str
    action: str
    rule: ActionRule
    approval: ApprovalClass | None
    reversibility: ReversibilityClass | None
    sensitivity: SensitivityClass | None
    side_effect: SideEffectClass
    correlation_id: str | None = None
    has_evidence: bool = False
    bundle_lacks: tuple[str, ...] = ("memo", "risk_register")
    """What the class B bundle has to show besides the evidence, and does not."""
    confidence: Decimal | None = None
    amount: Money | None = None
    ratio: Decimal | None = None
    is_undo: bool = False
    """The declared compensation of a completed intent, aimed at what that intent brought about."""


def _class_approvers() -> Mapping[ApprovalClass, int]:
    return {ApprovalClass.A0: 0, ApprovalClass.A1: 1, ApprovalClass.A2: 2, ApprovalClass.A3: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known at the moment of judging. The defaults are the safe meaning of "nobody looked" wherever there is one."""

    tenant_id: str
    """The wall that the transaction runs in."""
    effects_allowed: frozenset[str] | None = frozenset()
    """The actions that the automation declares; None: not an automation's (an operator's own) proposal."""
    kill_switch: str | None = None
    """The scope and reason of an engaged switch that covers this action."""
    contact: Contactable | NotContactable = field(default_factory=lambda: NotContactable("no-consent"))
    """Asked only of an action with a channel."""
    budget: BudgetState = BudgetState.NOT_METERED
    budget_next_allowed_at: datetime | None = None
    """When there is more to spend; None: waiting does not help."""
    canary: Canary = Canary.OUTSIDE
    confidence_threshold: Decimal = Decimal("0.6")
    class_approvers: Mapping[ApprovalClass, int] = field(default_factory=_class_approvers)


@dataclass(frozen=True, slots=True)
class Allow:
    why: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class NeedApproval:
    """So many distinct people; any one of `roles` may be one of them, and each function of `must_include` has to be among them."""

    approvers: int
    roles: tuple[str, ...]
    why: tuple[Reason, ...]
    must_include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deny:
    reason: Reason
    next_allowed_at: datetime | None = None


Decision = Allow | NeedApproval | Deny


@dataclass(frozen=True, slots=True)
class Ask:
    """One reason to ask, and whom. No roles: those of the line."""

    approvers: int
    reason: Reason
    roles: tuple[str, ...] = ()
    must_include: tuple[str, ...] = ()


def decide(subject: Subject, facts: Facts) -> Decision:
    """Judge one proposal. Pure: the same values give the same answer, and nothing is looked up."""
    if denial := deny(subject, facts):
        return denial
    asked = tuple(asks(subject, facts))
    return asked_for(subject.rule, asked) if asked else Allow()


def asked_for(rule: ActionRule, asked: tuple[Ask, ...]) -> NeedApproval:
    """All reasons as one request: the most people, the highest authority, and everybody who must be among them."""
    roles = max((rule.approver_roles, *(ask.roles for ask in asked)), key=authority)
    must = tuple(dict.fromkeys((*rule.must_include, *(name for ask in asked for name in ask.must_include))))
    return NeedApproval(max(len(must), max(ask.approvers for ask in asked)), roles, tuple(ask.reason for ask in asked), must)


def deny(subject: Subject, facts: Facts) -> Deny | None:
    """The first reason to say no; asked again at the moment of sending, with the facts of that moment."""
    return next(denials(subject, facts), None)


def denials(subject: Subject, facts: Facts) -> Iterator[Deny]:
    """Every reason to say no, in the order of architecture.md §6."""
    rule, external = subject.rule, is_external(subject.side_effect)
    if not subject.tenant_id.strip() or subject.tenant_id != facts.tenant_id:
        yield _no("tenant-mismatch", f"proposed for tenant {subject.tenant_id!r}, judged inside {facts.tenant_id!r}")
    if rule.action_class is ActionClass.C:
        yield _no("forbidden", f"action {subject.action!r} is class C: nobody can approve it")
    if not subject.action.strip():
        yield _no("empty-action", "the action has no name")
    if facts.effects_allowed is not None and subject.action not in facts.effects_allowed:
        yield _no("undeclared-effect", f"automation {subject.automation!r} does not declare the effect {subject.action!r}")
    if subject.approval is None or subject.reversibility is None or subject.sensitivity is None:
        yield _no("unclassified", "approval, reversibility and sensitivity class must all be given")
    if external and not (subject.correlation_id or "").strip():
        yield _no("no-correlation", f"{subject.side_effect.value} needs a correlation id")
    if facts.kill_switch is not None:
        yield _no("kill-switch", f"stopped: {facts.kill_switch}")
    if rule.channel is not None and isinstance(facts.contact, NotContactable):
        why = f"the contact may not be written to by {rule.channel} for {rule.purpose}: {facts.contact.code}"
        yield Deny(Reason(facts.contact.code, why), facts.contact.next_allowed_at)
    if lacks := _lacks(subject):
        if rule.requires is Requires.BUNDLE:
            yield _no("incomplete-bundle", f"action {subject.action!r} needs the whole bundle; missing: {', '.join(lacks)}")
        else:
            yield _no("no-evidence", "A2 and above, R3, and actions that say so need an evidence pack")
    if facts.budget is BudgetState.EXHAUSTED and not subject.is_undo:  # an undo ends an expense
        exhausted = Reason("budget-exhausted", f"the budget of automation {subject.automation!r} is spent")
        yield Deny(exhausted, facts.budget_next_allowed_at)
    if facts.budget is BudgetState.THROTTLED and can_wait(subject):
        throttled = Reason("budget-throttled", f"the budget of automation {subject.automation!r} is nearly spent, and this can wait")
        yield Deny(throttled, facts.budget_next_allowed_at)


def asks(subject: Subject, facts: Facts) -> Iterator[Ask]:
    """Every reason to ask people, of what nothing denies."""
    rule = subject.rule
    assert subject.approval is not None, "what is not classified was denied"
    class_minimum = max(rule.approvers, facts.class_approvers[subject.approval])
    if rule.never_automatic:
        yield Ask(max(2, class_minimum), Reason("never-automatic", "this action never runs by itself: two people"))
    if subject.reversibility is ReversibilityClass.R3:
        yield Ask(max(1, class_minimum), Reason("irreversible", "R3 cannot be undone"))
    if subject.reversibility is ReversibilityClass.R2:
        yield Ask(max(1, class_minimum), Reason("costly-to-undo", "R2 waits for a person"))
    if subject.sensitivity is SensitivityClass.S3 and rule.lawful_basis is None:
        yield Ask(1, Reason("no-lawful-basis", "S3 data without a lawful basis on record"))
    if rule.high_stakes and (subject.confidence is None or subject.confidence < facts.confidence_threshold):
        known = "no confidence is stated" if subject.confidence is None else f"confidence {subject.confidence} is under the threshold"
        yield Ask(1, Reason("low-confidence", f"{known} ({facts.confidence_threshold}) on a high-stakes action"))
    if facts.canary is Canary.OUTSIDE and not subject.is_undo:  # to undo is never the risk that a canary is for
        yield Ask(1, Reason("outside-canary", f"tenant {subject.tenant_id!r} is outside the canary group"))
    if rule.unknown_to_table:
        yield Ask(class_minimum, Reason("unknown-action", f"action {subject.action!r} is not in the policy table"))
    if rule.undo_reference is not None and not subject.is_undo:
        yield Ask(1, Reason("not-an-undo", f"{subject.action!r} runs by itself only as the compensation of a completed intent"))
    if rule.action_class is ActionClass.B:
        yield Ask(max(1, class_minimum), Reason("class-b", "class B is approval-gated"))
    if class_minimum:
        yield Ask(class_minimum, Reason("approval-class", f"{subject.approval.value} takes {class_minimum}"))
    if (amount := amount_tier(rule, subject.amount)) is not None:
        why = Reason("amount", f"above {amount.above} {amount.currency}, or not comparable with it")
        yield Ask(amount.approvers, why, amount.roles, amount.must_include)
    if (ratio := ratio_tier(rule, subject.ratio)) is not None:
        why = Reason("ratio", f"{rule.ratio_field} above {ratio.above}, or none that can be read")
        yield Ask(ratio.approvers, why, ratio.roles, ratio.must_include)


def amount_tier(rule: ActionRule, amount: Money | None) -> AmountTier | None:
    """The highest tier that an amount passes; one that is missing or in another currency passes them all."""
    passed = None
    for tier in rule.amount_tiers:
        if amount is not None and amount.currency == tier.currency and amount.amount <= tier.above:
            break
        passed = tier
    return passed


def ratio_tier(rule: ActionRule, ratio: Decimal | None) -> RatioTier | None:
    """The same for a share of one; a missing one passes them all."""
    passed = None
    for tier in rule.ratio_tiers:
        if ratio is not None and ratio <= tier.above:
            break
        passed = tier
    return passed


def can_wait(subject: Subject) -> bool:
    """Low work, which a budget that is nearly spent holds back: what at most one person has to agree to, and undoes nothing."""
    return subject.approval in (ApprovalClass.A0, ApprovalClass.A1) and not subject.is_undo


def _lacks(subject: Subject) -> tuple[str, ...]:
    """What has to be brought and is not: nothing, the evidence, or whatever the bundle lacks."""
    rule = subject.rule
    evidence = () if subject.has_evidence else ("evidence_pack",)
    if rule.requires is Requires.BUNDLE:
        return (*evidence, *subject.bundle_lacks)
    high = subject.approval is not None and rank(subject.approval) >= rank(ApprovalClass.A2)
    needed = high or subject.reversibility is ReversibilityClass.R3 or rule.requires is Requires.EVIDENCE
    return evidence if needed else ()


def _no(code: str, text: str) -> Deny:
    return Deny(Reason(code, text))
