"""The way in: judge a proposal and record it, with its approval request, audit rows and events, in one transaction."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Any

from shared.events import Severity
from spine import audit, documents
from spine.audit import Actor
from spine.canonical import exact_digest
from spine.clock import Clock
from spine.db import Connection
from spine.errors import IdempotencyConflict, InvalidInput, NotFound
from spine.ids import new_id_text
from spine.intents import announce, store
from spine.intents.gate import acceptable, enter, judge, recorded_amount, undoes
from spine.intents.records import Intent, Proposal, Proposed
from spine.intents.rows import proposed_of, revisions
from spine.intents.states import IntentState
from spine.policy import ActionRule, Deny, PolicyTable, Reason


def propose(
    conn: Connection, proposal: Proposal, *, policy: PolicyTable, clock: Clock, effects_allowed: Collection[str] | None
) -> Proposed:
    """Judge one proposal, in the caller's transaction; it is allowed, waits for people, or is denied, and that is on record.

    Idempotent on (tenant, automation, key): a repeated proposal returns what became of the first, the newest revision of it.
    `effects_allowed` are the actions that the automation declares; None only for what is no automation's. What merely has to
    wait (quiet hours, weekly cap) is proposed with a `not_before` and judged again when it is sent.

    Raises IdempotencyConflict for the same key with another action or payload, InvalidInput for a payload that cannot be
    proposed, NotFound for an unknown document or an unknown intent to compensate, IllegalMove when that is not completed.
    A proposal for another tenant than the transaction's is recorded as a security event in the transaction's own, and denied.
    """
    now = clock.now()
    payload = _payload(conn, proposal)
    digest = exact_digest(payload)
    if known := _known(conn, proposal, digest):
        return known
    rule = policy.rule(proposal.action)
    intent = draft(proposal, payload, digest, rule, policy, now)
    original = None
    if proposal.compensates is not None:
        original = store.read(conn, proposal.tenant_id, proposal.compensates, lock=True)
    is_undo = original is not None and undoes(conn, intent, rule, original, policy)
    decision, not_before = judge(conn, intent, rule, policy=policy, now=now, effects_allowed=effects_allowed, is_undo=is_undo)
    if isinstance(decision, Deny) and decision.reason.code == "tenant-mismatch":
        return _alarm(conn, intent, decision.reason, proposal.actor, now)
    proposed = enter(conn, replace(intent, not_before=not_before), decision, rule, actor=proposal.actor)
    if proposed is None:  # the same proposal, a moment earlier, in another transaction
        return _known(conn, proposal, digest) or _vanished(proposal)
    if original is not None:
        store.move(conn, original, IntentState.COMPENSATING, actor=proposal.actor, clock=clock, why=f"compensation {intent.intent_id}")
        store.close_compensated(conn, replace(intent, state=proposed.state), actor=proposal.actor, clock=clock)
    return proposed


def _payload(conn: Connection, proposal: Proposal) -> dict[str, Any]:
    if (proposal.payload is None) == (proposal.document_id is None):
        raise InvalidInput(f"proposal {proposal.key!r} brings either a payload or the id of a document")
    if proposal.payload is not None:
        return acceptable(proposal.payload)
    return acceptable(documents.get(conn, proposal.tenant_id, proposal.document_id or "").body)


def _known(conn: Connection, proposal: Proposal, digest: str) -> Proposed | None:
    found = revisions(conn, proposal.tenant_id, proposal.automation, proposal.key)
    if not found:
        return None
    first = found[0]
    if (first["action"], first["digest"]) != (proposal.action, digest):
        raise IdempotencyConflict(
            f"{proposal.automation!r} has already proposed {first['action']!r} under key {proposal.key!r}, with another action or payload: "
            "another effect needs another key"
        )
    return proposed_of(found[-1])


def draft(proposal: Proposal, payload: dict[str, Any], digest: str, rule: ActionRule, policy: PolicyTable, now: datetime) -> Intent:
    return Intent(
        tenant_id=proposal.tenant_id,
        intent_id=new_id_text(),
        automation=proposal.automation,
        key=proposal.key,
        revision=1,
        action=proposal.action,
        payload=payload,
        digest=digest,
        amount=recorded_amount(payload, rule, proposal.amount),
        action_class=rule.action_class,
        approval_class=rule.approval,
        reversibility_class=rule.reversibility,
        sensitivity_class=rule.sensitivity,
        side_effect_class=rule.side_effect,
        state=IntentState.PROPOSED,
        reasons=(),
        policy_version=policy.version,
        evidence=proposal.evidence,
        memo=proposal.memo,
        risks=proposal.risks,
        confidence=proposal.confidence,
        requested_by=proposal.actor,
        workflow_id=proposal.workflow_id,
        correlation_id=proposal.correlation_id,
        causation_id=proposal.causation_id,
        traceparent=proposal.traceparent,
        supersedes=None,
        compensates=proposal.compensates,
        not_before=None,
        created_at=now,
        updated_at=now,
    )


def _alarm(conn: Connection, intent: Intent, reason: Reason, actor: Actor, now: datetime) -> Proposed:
    wall = (conn.execute("select current_setting('spine.tenant_id', true) as tenant").fetchone() or {}).get("tenant") or ""
    here = replace(intent, tenant_id=wall, reasons=(reason,))
    entry = store.about(here, actor, "tenant.mismatched", Severity.V3, {"automation": intent.automation, "why": reason.text})
    audit.record_all(conn, [entry], tenant_id=wall, now=now)
    violation = replace(here, correlation_id=None)  # the flow is another tenant's
    data = announce.violation(violation, reason.code, Severity.V3, reason.text)
    announce.write(conn, announce.envelope(violation, data, reason.code, actor=actor, now=now))
    return Proposed(
        intent_id=intent.intent_id, revision=1, state=IntentState.DENIED, approval_id=None, approvers_needed=0, reasons=(reason,)
    )


def _vanished(proposal: Proposal) -> Proposed:
    raise NotFound(
        f"the intent of {proposal.automation!r} under key {proposal.key!r} was taken and is not there: use one transaction a proposal"
    )
