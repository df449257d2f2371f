"""Why the gate says what it says, and what would make it say something else. Pure: it asks `decide` about other values.

What would change the verdict is found by changing one thing at a time and judging again, so it can never promise what the gate
would not do. Nothing here lowers a bar: what nobody can change (an opt-out, class C, another tenant) is not offered.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from shared.events import Money
from spine.contacts import Contactable, NotContactable
from spine.policy.decide import (
    Allow,
    BudgetState,
    Canary,
    Decision,
    Deny,
    Facts,
    NeedApproval,
    Reason,
    Subject,
    asks,
    decide,
    denials,
)

Changed = tuple[str, Subject, Facts]
_NEVER_CONTACTABLE = frozenset({"opted-out"})


class Verdict(StrEnum):
    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Change:
    """`when` something were otherwise, `then` this is what the gate would say."""

    when: str
    verdict: Verdict
    then: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    decision: Decision
    verdict: Verdict
    said: str
    decided_by: Reason | None
    """The first reason to deny, or the first of those that ask for the most people; None: nothing is against it."""
    reasons: tuple[Reason, ...]
    """Every reason: all that deny, and else all that ask."""
    changes: tuple[Change, ...]


def explain(subject: Subject, facts: Facts) -> Explanation:
    decision = decide(subject, facts)
    refused = tuple(denials(subject, facts))
    reasons = tuple(one.reason for one in refused)
    decided_by = reasons[0] if reasons else None
    if isinstance(decision, NeedApproval):
        asked = sorted(asks(subject, facts), key=lambda ask: -ask.approvers)
        reasons, decided_by = decision.why, asked[0].reason
    return Explanation(
        decision=decision,
        verdict=verdict_of(decision),
        said=said(decision),
        decided_by=decided_by,
        reasons=reasons,
        changes=tuple(_changes(subject, facts, decision, refused)),
    )


def verdict_of(decision: Decision) -> Verdict:
    match decision:
        case Allow():
            return Verdict.ALLOW
        case NeedApproval():
            return Verdict.ASK
        case Deny():
            return Verdict.DENY


def said(decision: Decision) -> str:
    """A decision in one line, without its reasons; two decisions that bind alike read alike."""
    match decision:
        case Allow():
            return "allow"
        case NeedApproval(approvers, roles, _, must_include):
            people = "1 approver" if approvers == 1 else f"{approvers} approvers"
            among = f", among them {' and '.join(must_include)}" if must_include else ""
            return f"ask {people} of {' | '.join(roles)}{among}"
        case Deny(reason, next_allowed_at):
            return f"deny: {reason.code}" + ("" if next_allowed_at is None else f" until {next_allowed_at.isoformat()}")


def _changes(subject: Subject, facts: Facts, decision: Decision, refused: tuple[Deny, ...]) -> Iterator[Change]:
    now = said(decision)
    mends = [mend for one in refused for mend in _mend(one, subject, facts)]
    for when, other, known in (*mends, *_alternatives(subject, facts)):
        then = decide(other, known)
        if said(then) != now:
            yield Change(when, verdict_of(then), said(then))
    if len(mends) > 1:
        # Every denial mended together: each mend is applied to what the one before it left.
        other, known, whens = subject, facts, list[str]()
        for one in refused:
            for when, mended, mended_facts in _mend(one, other, known):
                other, known = mended, mended_facts
                whens.append(when)
                break
        then = decide(other, known)
        yield Change("all of these: " + "; ".join(whens), verdict_of(then), said(then))


def _mend(denial: Deny, subject: Subject, facts: Facts) -> Iterator[Changed]:
    """What would take this one reason away, if anybody could."""
    match denial.reason.code:
        case "undeclared-effect":
            yield "the automation declares the effect", subject, replace(facts, effects_allowed=None)
        case "no-correlation":
            yield "it names a correlation id", replace(subject, correlation_id="given"), facts
        case "kill-switch":
            yield "the kill switch is released", subject, replace(facts, kill_switch=None)
        case "no-evidence":
            yield "it brings an evidence pack", replace(subject, has_evidence=True), facts
        case "incomplete-bundle":
            yield "it brings the whole bundle", replace(subject, has_evidence=True, bundle_lacks=()), facts
        case "budget-exhausted" | "budget-throttled":
            at = facts.budget_next_allowed_at
            when = "there is budget left" if at is None else f"it is sent at {at.isoformat()}"
            yield when, subject, replace(facts, budget=BudgetState.WITHIN)
        case code if isinstance(facts.contact, NotContactable) and code == facts.contact.code and code not in _NEVER_CONTACTABLE:
            at = facts.contact.next_allowed_at
            when = f"{code} is no more" if at is None else f"it is sent at {at.isoformat()}"
            yield when, subject, replace(facts, contact=Contactable())


def _alternatives(subject: Subject, facts: Facts) -> Iterator[Changed]:
    """What the number of people depends on, one at a time."""
    rule = subject.rule
    if rule.high_stakes and (subject.confidence is None or subject.confidence < facts.confidence_threshold):
        sure = replace(subject, confidence=facts.confidence_threshold)
        yield f"confidence is {facts.confidence_threshold} or more", sure, facts
    if facts.canary is Canary.OUTSIDE:
        yield "the tenant is inside the canary group", subject, replace(facts, canary=Canary.INSIDE)
    else:
        yield "the tenant is outside an enforced canary group", subject, replace(facts, canary=Canary.OUTSIDE)
    if rule.undo_reference is not None and not subject.is_undo:
        yield "it compensates a completed intent", replace(subject, is_undo=True), facts
    for tier in rule.amount_tiers:
        at = f"{tier.above} {tier.currency}"
        yield f"the amount is at most {at}", replace(subject, amount=Money(amount=tier.above, currency=tier.currency)), facts
        above = Money(amount=tier.above + Decimal("0.01"), currency=tier.currency)
        yield f"the amount is above {at}", replace(subject, amount=above), facts
    for ratio in rule.ratio_tiers:
        yield f"{rule.ratio_field} is at most {ratio.above}", replace(subject, ratio=ratio.above), facts
        yield f"{rule.ratio_field} is above {ratio.above}", replace(subject, ratio=ratio.above + Decimal("0.0001")), facts
