"""The last look before an effect: what was judged is what runs, who agreed still counts, and nothing forbids it now."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.events import Severity
from spine.canonical import digest
from spine.clock import Clock
from spine.contacts import contact_address
from spine.db import Connection
from spine.effects.ledger import Entry
from spine.errors import InvalidInput
from spine.intents import store
from spine.intents.gate import contact_of, reclassified, subject_of, template_of, undoes
from spine.intents.records import Intent
from spine.intents.states import IntentState
from spine.policy import ActionRule, Deny, Facts, NeedApproval, PolicyTable, Subject, decide, deny, gather
from spine.policy.decide import can_wait
from spine.policy.switches import keep_as_they_are

LOOK_AGAIN = timedelta(minutes=15)
"""Business time after which an effect that a kill switch, or a halted channel, holds back is tried again."""
_UNTIL_A_PERSON_ACTS = frozenset({"kill-switch", "channel-halted"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """It may run, with this address where its rule wants one.

    `can_wait` and `is_undo` say how its cost is reserved: low work leaves the last tenth of a budget alone, an undo is never refused.
    """

    address: str | None
    can_wait: bool
    is_undo: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    until: datetime
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """It may not run, now or later. `severity` above V1: somebody changed what had been judged."""

    code: str
    why: str
    severity: Severity = Severity.V0


def look(conn: Connection, entry: Entry, rule: ActionRule, policy: PolicyTable, clock: Clock) -> Go | Wait | Stop:
    """Judge once more, with the facts of this moment and under today's policy.

    The contact stays locked to the end of the transaction, so that two sends at once cannot both be the last of the week, and no kill
    switch is engaged between this look and the beginning. A first attempt has to find approvals enough for what is asked today; a
    further one has spent them already.
    """
    if stop := _tampered(entry):
        return stop
    intent, now = reclassified(entry.intent, rule, policy), clock.now()
    contact_id = contact_of(intent.payload)
    keep_as_they_are(conn, tenant_id=intent.tenant_id)  # a statement of its own: the look has to come after the lock
    facts = gather(
        conn,
        tenant_id=intent.tenant_id,
        automation=intent.automation,
        rule=rule,
        policy=policy,
        now=now,
        effects_allowed=None,  # judged when it was proposed, by those who know the automation
        contact_id=contact_id,
        workflow_id=intent.workflow_id,
        intent_id=intent.intent_id,
        template=template_of(intent.payload),
        lock_contact=True,
        metered=False,
    )
    subject = _subject(conn, intent, rule, policy)
    if refusal := _refused(entry, subject, policy, facts, now):
        return refusal
    go = Go(address=None, can_wait=can_wait(subject), is_undo=subject.is_undo)
    if not rule.address:
        return go
    address = contact_address(conn, intent.tenant_id, contact_id, rule.channel) if contact_id else None
    if address is None:
        return Stop(code="no-address", why=f"action {intent.action!r} goes to a contact, and no address is known for the one it names")
    return replace(go, address=address)


def _subject(conn: Connection, intent: Intent, rule: ActionRule, policy: PolicyTable) -> Subject:
    is_undo = False
    if intent.compensates is not None:
        is_undo = undoes(conn, intent, rule, store.read(conn, intent.tenant_id, intent.compensates), policy)
    return subject_of(intent, rule, is_undo=is_undo)


def _refused(entry: Entry, subject: Subject, policy: PolicyTable, facts: Facts, now: datetime) -> Wait | Stop | None:
    first = entry.intent.state is IntentState.RUNNABLE
    match decide(subject, facts) if first else deny(subject, facts):
        case Deny(reason, next_allowed_at) if next_allowed_at is not None:
            return Wait(until=next_allowed_at, code=reason.code)
        case Deny(reason) if reason.code in _UNTIL_A_PERSON_ACTS:
            return Wait(until=now + LOOK_AGAIN, code=reason.code)
        case Deny(reason):
            return Stop(code=reason.code, why=reason.text)
        case NeedApproval(why=asks) if [reason.code for reason in asks] == ["outside-canary"] and not _approvals(entry, policy):
            return Wait(until=now + LOOK_AGAIN, code="outside-canary")  # allowed before its group was held: it waits as for a switch
        case NeedApproval(approvers) if approvers > (given := _approvals(entry, policy)):
            if entry.approval_policy not in (None, policy.version) or (
                entry.approval_policy is None and entry.intent.policy_version != policy.version
            ):
                why = f"it was judged under policy {entry.intent.policy_version!r}, now it is {policy.version!r}: propose it again"
                return Stop(code="policy-changed", why=why)
            return Stop(code="not-approved", why=f"{approvers} people must approve exactly this, {given} did", severity=Severity.V3)
        case _:
            return None


def _approvals(entry: Entry, policy: PolicyTable) -> int:
    """The approvals that count today: given, unspent, and for this action, this payload and this policy."""
    bound = (entry.approval_action, entry.approval_digest, entry.approval_policy) == (
        entry.intent.action,
        entry.intent.digest,
        policy.version,
    )
    return entry.approvals_given if entry.approval_state == "approved" and bound else 0


def _tampered(entry: Entry) -> Stop | None:
    intent = entry.intent
    try:
        found = digest(intent.payload)
    except InvalidInput:
        found = "unreadable"
    judged = {intent.digest, entry.approval_digest or intent.digest, entry.effect_digest or intent.digest}
    if judged == {found}:
        return None
    why = f"the payload has digest {found!r}, what was judged had {', '.join(sorted(map(repr, judged)))}"
    return Stop(code="digest-mismatch", why=why, severity=Severity.V3)
