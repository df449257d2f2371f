"""Facts for the gate, read in the caller's transaction: at the proposal, and again at the moment of sending."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Any, LiteralString

from spine import budgets
from spine.budgets import Level, effect_standing
from spine.contacts import Contactable, NotContactable, contact_facts, judge_contact
from spine.db import Connection, Question, answer_to
from spine.policy.decide import BudgetState, Canary, Facts
from spine.policy.rules import ActionRule
from spine.policy.table import PolicyTable

_STANDING: LiteralString = """
select current_setting('spine.tenant_id', true) as wall, canary_of(%(automation)s, %(now)s::timestamptz) as canary,
(select scope || ' ' || target || ': ' || reason from kill_switches
 where tenant_id = %(tenant)s and (scope, target) in (('tenant', %(tenant)s), ('automation', %(automation)s),
 ('action', %(action)s), ('plugin', %(plugin)s)) order by engaged_at limit 1) as engaged
"""


def standing(*, tenant_id: str, automation: str, rule: ActionRule, now: datetime) -> Question:
    """What stands for or against an automation's action whatever is proposed: canary and kill switches.

    It is the first thing that `gather` asks; who knows the answers to this before a transaction begins may ask it ahead.
    """
    about = {"tenant": tenant_id, "automation": automation, "action": rule.action, "plugin": rule.plugin or ""}
    return Question(_STANDING, {**about, "now": now.isoformat()})


def gather(
    conn: Connection,
    *,
    tenant_id: str,
    automation: str,
    rule: ActionRule,
    policy: PolicyTable,
    now: datetime,
    effects_allowed: Collection[str] | None,
    contact_id: str | None = None,
    workflow_id: str | None = None,
    intent_id: Any = None,
    template: str | None = None,
    lock_contact: bool = False,
    metered: bool = True,
) -> Facts:
    """What the gate needs to know now. Without a contact id, an action with a channel finds no consent.

    `template` is the approved text that the message names, where its channel asks for one. Whoever reserves the cost right after
    this needs no look at the budget (`metered`): the reservation itself is the judgement.
    """
    found = answer_to(conn, standing(tenant_id=tenant_id, automation=automation, rule=rule, now=now))
    assert found is not None, "one row, always"
    facts = Facts(
        tenant_id=found["wall"] or "",
        effects_allowed=None if effects_allowed is None else frozenset(effects_allowed),
        kill_switch=found["engaged"],
        canary=Canary.NOT_ENFORCED if found["canary"] is None else Canary(found["canary"]),
        confidence_threshold=policy.confidence_threshold,
        class_approvers=policy.approvers,
    )
    budget = metered and effect_standing(
        conn,
        tenant_id=tenant_id,
        automation=automation,
        workflow_id=workflow_id,
        intent_id=intent_id,
        price=budgets.price_of(rule.action, channel=rule.channel, plugin=rule.plugin),
        now=now,
        zone=policy.contact.zone,
    )
    if budget:
        level = BudgetState.THROTTLED if budget.level.rank >= Level.THROTTLE.rank else BudgetState.WITHIN
        state = level if budget.fits else BudgetState.EXHAUSTED
        facts = replace(facts, budget=state, budget_next_allowed_at=budget.next_allowed_at)
    if rule.channel is None or rule.purpose is None or contact_id is None:
        return facts
    return replace(
        facts,
        contact=judge_contact(
            contact_facts(
                conn,
                tenant_id=tenant_id,
                contact_id=contact_id,
                purpose=rule.purpose,
                channel=rule.channel,
                now=now,
                workflow_id=workflow_id,
                intent_id=intent_id,
                template=template,
                rules=policy.contact,
                lock=lock_contact,
            ),
            now,
            rules=policy.contact,
            channel=rule.channel,
        ),
    )


def without_waits(facts: Facts) -> Facts:
    """The same facts for a proposal: what only time forbids is no reason to deny, it is asked again when it is sent."""
    if isinstance(facts.contact, NotContactable) and facts.contact.next_allowed_at is not None:
        facts = replace(facts, contact=Contactable())
    if facts.budget is BudgetState.THROTTLED:
        facts = replace(facts, budget=BudgetState.WITHIN)
    return facts
