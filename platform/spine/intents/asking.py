"""Asking the gate without proposing: why an intent would be judged as it would now, or what would become of one that nobody made.

Nothing is written. The facts are those of the moment, so the answer may differ from what was recorded, and from what comes next.
"""

from collections.abc import Collection
from datetime import datetime

from spine.canonical import exact_digest
from spine.db import Connection
from spine.errors import IncompleteProposal, PolicyDenied, SpineError
from spine.intents import store
from spine.intents.gate import acceptable, contact_of, reclassified, subject_of, template_of, undoes
from spine.intents.propose import draft
from spine.intents.records import Intent, Proposal
from spine.policy import PolicyTable, Reason, gather
from spine.policy.explain import Explanation, explain

_INCOMPLETE = frozenset({"no-correlation", "no-evidence", "incomplete-bundle", "unclassified"})


def what_if(
    conn: Connection, proposal: Proposal, *, policy: PolicyTable, now: datetime, effects_allowed: Collection[str] | None
) -> Explanation:
    """What the gate would say to a proposal. Raises InvalidInput for a payload that could not be proposed, NotFound for an unknown
    intent to compensate."""
    payload = acceptable(proposal.payload or {})
    intent = draft(proposal, payload, exact_digest(payload), policy.rule(proposal.action), policy, now)
    return _explained(conn, intent, policy, now, effects_allowed)


def why(conn: Connection, tenant_id: str, intent_id: str, *, policy: PolicyTable, now: datetime) -> Explanation:
    """What the gate would say to a recorded intent now, under today's table. Raises NotFound."""
    recorded = store.read(conn, tenant_id, intent_id)
    return _explained(conn, reclassified(recorded, policy.rule(recorded.action), policy), policy, now, None)


def refusal(reason: Reason) -> SpineError:
    """A denial as an error: 422 for what the proposer left out, 403 for what is not allowed."""
    if reason.code in _INCOMPLETE:
        return IncompleteProposal(f"{reason.code}: {reason.text}")
    return PolicyDenied(f"{reason.code}: {reason.text}")


def _explained(
    conn: Connection, intent: Intent, policy: PolicyTable, now: datetime, effects_allowed: Collection[str] | None
) -> Explanation:
    rule = policy.rule(intent.action)
    is_undo = False
    if intent.compensates is not None:
        is_undo = undoes(conn, intent, rule, store.read(conn, intent.tenant_id, intent.compensates), policy)
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
        intent_id=intent.intent_id,
        template=template_of(intent.payload),
    )
    return explain(subject_of(intent, rule, is_undo=is_undo), facts)
