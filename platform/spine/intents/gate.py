"""The gate: an intent is judged with the facts of the moment, and entered in the books with whatever follows from that."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg import sql
from pydantic import ValidationError

from shared.events import Money, Severity
from spine import audit
from spine.audit import Actor, Entry
from spine.contacts import NotContactable
from spine.db import Connection
from spine.errors import InvalidInput
from spine.ids import new_id
from spine.intents import announce, at_once, bundle, internal, store
from spine.intents.records import RESERVED, Intent, Proposed
from spine.intents.rows import COLUMNS, reasons_json, values_of
from spine.intents.states import IntentState
from spine.policy import ActionRule, Allow, BudgetState, Decision, Deny, Facts, NeedApproval, PolicyTable, Requires, Subject, decide, gather
from spine.policy.decide import can_wait
from spine.policy.facts import without_waits

_NAMES = COLUMNS.split(", ")
_INSERT = (
    sql.SQL("insert into intents ({}) values ({}) on conflict (tenant_id, automation, key, revision) do nothing")
    .format(sql.SQL(COLUMNS), sql.SQL(", ").join(map(sql.Placeholder, _NAMES)))
    .as_bytes()
)

# Somebody tried what is not allowed. The other denials (consent, switch, budget) are the business working as it should.
_VIOLATIONS = {
    "tenant-mismatch": Severity.V3,
    "forbidden": Severity.V2,
    "empty-action": Severity.V1,
    "undeclared-effect": Severity.V2,
    "unclassified": Severity.V1,
    "no-correlation": Severity.V1,
    "no-evidence": Severity.V1,
    "incomplete-bundle": Severity.V1,
}


def judge(
    conn: Connection,
    intent: Intent,
    rule: ActionRule,
    *,
    policy: PolicyTable,
    now: datetime,
    effects_allowed: Collection[str] | None,
    is_undo: bool = False,
) -> tuple[Decision, datetime | None]:
    """The gate's decision on an intent as it stands, and the time before which it may not be sent."""
    facts = gather(
        conn,
        tenant_id=intent.tenant_id,
        automation=intent.automation,
        rule=rule,
        policy=policy,
        now=now,
        effects_allowed=effects_allowed,
        contact_id=contact_of(intent.payload),
        workflow_id=intent.workflow_id,
        template=template_of(intent.payload),
    )
    subject = subject_of(intent, rule, is_undo=is_undo)
    return decide(subject, without_waits(facts)), _not_before(subject, facts)


def _not_before(subject: Subject, facts: Facts) -> datetime | None:
    """The latest of the times that the contact and the budget name, as far as they are asked."""
    times = []
    if subject.rule.channel and isinstance(facts.contact, NotContactable):
        times.append(facts.contact.next_allowed_at)
    if facts.budget is BudgetState.THROTTLED and can_wait(subject):
        times.append(facts.budget_next_allowed_at)
    return max((time for time in times if time is not None), default=None)


def reclassified(intent: Intent, rule: ActionRule, policy: PolicyTable) -> Intent:
    """The same intent under today's table."""
    return replace(
        intent,
        action_class=rule.action_class,
        approval_class=rule.approval,
        reversibility_class=rule.reversibility,
        sensitivity_class=rule.sensitivity,
        side_effect_class=rule.side_effect,
        policy_version=policy.version,
    )


def undoes(conn: Connection, intent: Intent, rule: ActionRule, original: Intent, policy: PolicyTable) -> bool:
    """Is this the declared compensation of that intent, aimed at the very thing which that intent brought about?"""
    if rule.undo_reference is None or policy.rule(original.action).compensation != intent.action:
        return False
    row = conn.execute(
        "select provider_reference from effects where tenant_id = %s and intent_id = %s and state = 'completed'",
        (intent.tenant_id, UUID(original.intent_id)),
    ).fetchone()
    made = None if row is None else row["provider_reference"]
    return made is not None and made == intent.payload.get(rule.undo_reference)


def subject_of(intent: Intent, rule: ActionRule, *, is_undo: bool = False) -> Subject:
    """The intent as the gate looks at it."""
    return Subject(
        tenant_id=intent.tenant_id,
        automation=intent.automation,
        action=intent.action,
        rule=rule,
        approval=intent.approval_class,
        reversibility=intent.reversibility_class,
        sensitivity=intent.sensitivity_class,
        side_effect=intent.side_effect_class,
        correlation_id=intent.correlation_id,
        has_evidence=intent.evidence is not None,
        bundle_lacks=bundle.lacks(intent) if rule.requires is Requires.BUNDLE else (),
        confidence=intent.confidence,
        amount=money_of(intent.payload, rule),
        ratio=ratio_of(intent.payload, rule),
        is_undo=is_undo,
    )


def money_of(payload: Mapping[str, Any], rule: ActionRule) -> Money | None:
    """The money that people are shown and an amount limit judges; what cannot be read as money counts as above every limit."""
    if rule.amount_field is None:
        return None
    given = payload.get(rule.amount_field)
    if rule.currency_field is not None:
        given = {"amount": given, "currency": payload.get(rule.currency_field)}
    try:
        return Money.model_validate(given)
    except ValidationError:
        return None


def ratio_of(payload: Mapping[str, Any], rule: ActionRule) -> Decimal | None:
    """The share of one that the rule's tiers judge; what is no decimal string from 0 to 1 counts as above every tier."""
    given = payload.get(rule.ratio_field) if rule.ratio_field is not None else None
    if not isinstance(given, str) or not re.fullmatch(r"[01](\.\d{1,6})?|0?\.\d{1,6}", given):
        return None
    ratio = Decimal(given)
    return ratio if ratio <= 1 else None


def recorded_amount(payload: Mapping[str, Any], rule: ActionRule, said: Money | None) -> Money | None:
    """The amount that is kept with the intent: the payload's own wherever the table knows the field, else what was said.

    Raises InvalidInput for one that the books cannot hold exactly.
    """
    money = said if rule.amount_field is None else money_of(payload, rule)
    if money is not None and (money.amount != round(money.amount, 2) or abs(money.amount) >= 10**12):
        raise InvalidInput(f"amount {money.amount} has more than 12 digits before, or 2 after, the decimal point")
    return money


def enter(
    conn: Connection, intent: Intent, decision: Decision, rule: ActionRule, *, actor: Actor, at_last: bool = False
) -> Proposed | None:
    """Write a judged intent, its request, audit rows and events. None: the key's revision is taken, nothing was written.

    With `at_last`, what is carried out at once is left for the end of the transaction: see `at_once.revision_free`.
    """
    now = intent.created_at
    match decision:
        case Allow(why):
            intent = replace(intent, state=IntentState.RUNNABLE, reasons=why)
        case NeedApproval(_, _, why):
            intent = replace(bundle.with_papers(intent, rule, decision), state=IntentState.AWAITING_APPROVAL, reasons=why)
        case Deny(reason, next_allowed_at):
            intent = replace(intent, state=IntentState.DENIED, reasons=(reason,), not_before=next_allowed_at)
    finished = internal.done(intent, actor=actor, now=now)
    if finished is None and not conn.execute(_INSERT, values_of(intent)).rowcount:
        return None
    codes = [reason.code for reason in intent.reasons]
    entries = [
        store.about(intent, actor, "intent.proposed", detail={"automation": intent.automation, "revision": intent.revision}),
        store.about(
            intent,
            actor,
            "intent.judged",
            _VIOLATIONS.get(codes[0], Severity.V0) if intent.state is IntentState.DENIED else Severity.V0,
            {"from": IntentState.PROPOSED.value, "to": intent.state.value, "why": codes, "policy": intent.policy_version},
        ),
    ]
    proposed = Proposed(
        intent_id=intent.intent_id,
        revision=intent.revision,
        state=finished.intent.state if finished else intent.state,
        approval_id=None,
        approvers_needed=0,
        reasons=intent.reasons,
        not_before=intent.not_before,
    )
    if finished:
        told = [*entries, *finished.entries]
        return proposed if at_once.write(conn, finished, told, now=now, at_last=at_last) else None
    if isinstance(decision, NeedApproval):
        proposed = _ask(conn, intent, decision, rule, proposed, actor, now)
        entries.append(_requested_entry(intent, proposed, actor))
    elif intent.state is IntentState.DENIED and codes[0] in _VIOLATIONS:
        violation = announce.violation(intent, codes[0], _VIOLATIONS[codes[0]], intent.reasons[0].text)
        announce.write(conn, announce.envelope(intent, violation, codes[0], actor=actor, now=now))
    audit.record_all(conn, entries, tenant_id=intent.tenant_id, now=now)
    return proposed


def contact_of(payload: Mapping[str, Any]) -> str | None:
    contact_id = payload.get("contact_id")
    return contact_id if isinstance(contact_id, str) else None


def template_of(payload: Mapping[str, Any]) -> str | None:
    """The approved template that a message names; without one it is free text."""
    template = payload.get("template")
    return None if template is None else str(template)


def acceptable(payload: Mapping[str, Any]) -> dict[str, Any]:
    """A payload that may be proposed. Raises InvalidInput for the keys that the platform itself fills in."""
    if taken := sorted(RESERVED & payload.keys()):
        raise InvalidInput(f"payload brings {', '.join(map(repr, taken))}, which the platform fills in inside the effect: leave it out")
    return dict(payload)


def _ask(
    conn: Connection, intent: Intent, decision: NeedApproval, rule: ActionRule, proposed: Proposed, actor: Actor, now: datetime
) -> Proposed:
    approval_id, sla = new_id(), rule.sla
    asked = replace(
        proposed,
        approval_id=str(approval_id),
        approvers_needed=decision.approvers,
        warn_at=now + sla.warn,
        breach_at=now + sla.breach,
        escalate_at=now + sla.escalate,
        expires_at=now + sla.expire,
    )
    conn.execute(
        "insert into approvals (tenant_id, approval_id, intent_id, action, digest, policy_version, approvers_needed, roles, why, state, "
        "requested_by, requested_at, warn_at, breach_at, escalate_at, expires_at, must_include) "
        "values (%s, %s, %s, %s, %s, %s, %s, %s, %s, 'pending', %s, %s, %s, %s, %s, %s, %s)",
        (
            *(intent.tenant_id, approval_id, UUID(intent.intent_id), intent.action, intent.digest, intent.policy_version),
            *(decision.approvers, list(decision.roles), reasons_json(decision.why), intent.requested_by.id, now),
            *(asked.warn_at, asked.breach_at, asked.escalate_at, asked.expires_at, list(decision.must_include)),
        ),
    )
    data = announce.requested(
        intent, approval_id=str(approval_id), approvers=decision.approvers, roles=decision.roles, expires_at=now + sla.expire
    )
    announce.write(conn, announce.envelope(intent, data, str(approval_id), actor=actor, now=now))
    return asked


def _requested_entry(intent: Intent, proposed: Proposed, actor: Actor) -> Entry:
    return Entry(
        actor=actor,
        action="approval.requested",
        subject_type="approval",
        subject_id=proposed.approval_id or "",
        correlation_id=intent.correlation_id,
        digest=intent.digest,
        detail={"intent_id": intent.intent_id, "approvers_needed": proposed.approvers_needed, "why": [r.code for r in intent.reasons]},
    )
