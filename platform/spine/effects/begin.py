"""The transaction in which an attempt begins: everything is looked at, the cost is held, the approval spent, the intent marked."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import assert_never
from uuid import UUID

from pydantic import ValidationError

from spine import audit, budgets
from spine.audit import Actor
from spine.clock import Clock
from spine.db import Connection
from spine.effects import ledger, settle
from spine.effects.attempt import BEGUN, Attempt, address_of, overtaken, payload_of, settled_before
from spine.effects.connector import Connector
from spine.effects.permission import Go, Stop, Wait, look
from spine.effects.results import NotRunnable, Outcome
from spine.errors import BudgetExceeded, InvalidInput, Misconfigured
from spine.intents import store
from spine.intents.gate import contact_of
from spine.intents.records import Intent
from spine.intents.states import IntentState
from spine.policy import ActionRule, PolicyTable
from spine.registry import Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """What has to be passed before a connector is called; each method in the caller's transaction, with the intent locked."""

    connectors: Mapping[str, Connector]
    policy: PolicyTable
    clock: Clock
    run_limits: Mapping[str, Budget]

    def begin(self, conn: Connection, tenant_id: str, intent_id: str, actor: Actor) -> Attempt | Outcome:
        """A first attempt, the taking over of one that had begun, or why there is neither: over already, not runnable, stopped, to wait.

        Raises NotFound, and Misconfigured when this process has no connector for the action.
        """
        entry = ledger.load(conn, tenant_id, intent_id, lock=True)
        intent, now = entry.intent, self.clock.now()
        if settled := settled_before(entry):
            return settled
        rule = self.rule(intent)
        if intent.state in BEGUN:
            return self.take_over(conn, entry, actor, rule)
        if intent.state is not IntentState.RUNNABLE:
            return NotRunnable(intent.state)
        permission = look(conn, entry, rule, self.policy, self.clock)
        if rule.plugin is None and isinstance(permission, Go):
            permission = Stop(code="no-connector", why=f"policy names no plugin for action {intent.action!r}: nothing can carry it out")
        if isinstance(permission, Go):
            permission = _fits(self.connector(rule), intent, permission)
        if isinstance(permission, Go):
            permission = self._reserved(conn, intent, rule, permission)
        match permission:
            case Stop(code=code, why=why, severity=severity):
                return settle.stopped(conn, intent, code, why, severity, actor=actor, clock=self.clock)
            case Wait(until=until, code=code):
                return settle.deferred(conn, intent, until, code, actor=actor, now=now)
            case Go(address=address):
                pass
            case _:
                assert_never(permission)
        token = ledger.open_line(conn, intent, rule.plugin or "", now)
        executing = store.compare_and_set(conn, intent, IntentState.EXECUTING, now=now)
        entries = [store.moved_entry(intent, IntentState.EXECUTING, actor)]
        if entry.approval_id is not None:
            entries.append(settle.consume_approval(conn, intent, entry.approval_id, actor, now))
        if rule.channel is not None and (contact_id := contact_of(intent.payload)):
            ledger.count_message(conn, intent, contact_id, rule.channel, now)
        audit.record_all(conn, entries, tenant_id=tenant_id, now=now)
        return self._attempt(executing, token, actor, rule, address, is_first=True)

    def take_over(self, conn: Connection, entry: ledger.Entry, actor: Actor, rule: ActionRule) -> Attempt:
        """The attempt before this one crashed, timed out or heard no answer: whatever it still does, it writes nothing."""
        intent = entry.intent
        token = ledger.take_over(conn, intent)
        taken = store.about(intent, actor, "effect.retried", detail={"attempt": entry.attempts + 1, "state": intent.state.value})
        audit.record_all(conn, [taken], tenant_id=intent.tenant_id, now=self.clock.now())
        address = address_of(conn, intent, rule) if rule.address else None
        return self._attempt(intent, token, actor, rule, address, is_first=False)

    def look_again(self, conn: Connection, attempt: Attempt) -> Attempt | Outcome:
        """The provider never got it: it is sent as if for the first time, so the gate looks as at the first time."""
        intent = attempt.intent
        entry = ledger.load(conn, intent.tenant_id, intent.intent_id, lock=True)
        if entry.attempt_token != attempt.token:
            return settled_before(entry) or overtaken(intent)
        rule, now = self.rule(intent), self.clock.now()
        permission = look(conn, entry, rule, self.policy, self.clock)
        if isinstance(permission, Go):  # what it costs is held already, unless a person gave it back meanwhile
            permission = self._reserved(conn, entry.intent, rule, permission)
        match permission:
            case Stop(code=code, why=why, severity=severity):
                stopped = settle.failed(
                    conn, entry.intent, attempt.token, code, why, actor=attempt.actor, clock=self.clock, severity=severity
                )
                return stopped or overtaken(intent)
            case Wait(until=until, code=code):
                return settle.deferred(conn, entry.intent, until, code, actor=attempt.actor, now=now)
            case Go(address=address):
                return replace(attempt, intent=entry.intent, payload=payload_of(entry.intent, address))

    def rule(self, intent: Intent) -> ActionRule:
        return self.policy.rule(intent.action)

    def connector(self, rule: ActionRule) -> Connector:
        """The action that policy judged is the one that selects the connector; nothing in the payload does."""
        connector = self.connectors.get(rule.plugin or "")
        if connector is None:
            raise Misconfigured(
                f"this process has no connector {rule.plugin!r}, which action {rule.action!r} needs: add it to `spine.plugins`"
            )
        return connector

    def _reserved(self, conn: Connection, intent: Intent, rule: ActionRule, go: Go) -> Go | Wait | Stop:
        """Hold what it costs, in the transaction that begins it: between the look and this another one may have taken the rest."""
        try:
            budgets.reserve_effect(
                conn,
                tenant_id=intent.tenant_id,
                intent_id=intent.intent_id,
                automation=intent.automation,
                workflow_id=intent.workflow_id,
                price=budgets.price_of(rule.action, channel=rule.channel, plugin=rule.plugin),
                now=self.clock.now(),
                low=go.can_wait,
                must=go.is_undo,
                run_limit=self.run_limits.get(intent.automation),
                correlation_id=intent.correlation_id,
                zone=self.policy.contact.zone,
            )
        except BudgetExceeded as error:
            if error.next_allowed_at is not None:
                return Wait(until=error.next_allowed_at, code=error.code)
            return Stop(code=error.code, why=str(error))
        return go

    def _attempt(self, intent: Intent, token: UUID, actor: Actor, rule: ActionRule, address: str | None, *, is_first: bool) -> Attempt:
        return Attempt(
            intent=intent,
            token=token,
            actor=actor,
            connector=self.connector(rule),
            payload=payload_of(intent, address),
            is_first=is_first,
        )


def _fits(connector: Connector, intent: Intent, permission: Go) -> Go | Stop:
    """The payload is the connector's before anything begins: what it cannot read is stopped, not tried."""
    try:
        connector.actions[intent.action].model_validate(intent.payload)
    except ValidationError as error:
        fields = ", ".join(sorted({".".join(map(str, found["loc"])) for found in error.errors(include_input=False)}))
        return Stop(code=InvalidInput.code, why=f"the payload does not fit what {connector.name!r} takes for {intent.action!r}: {fields}")
    return permission
