"""From a runnable intent to the outside world, exactly once in effect.

The guarantee: over crashes, time-outs and repeated calls, a provider is made to do what an intent asks at most once, and the
ledger says whether it did, provided that the provider either honours the idempotency key or can be asked (`find`) what happened
under it. Every attempt after the first asks before it sends, and sends the same key again.

Its limit: a provider that neither honours keys nor can be asked. Then an attempt whose answer was lost stays `unknown` until a
person settles it; it is never sent again blindly. And a provider that can be asked, but does not honour keys, is safe only
while one attempt is over before the next one asks: connectors must time out before the activity's start-to-close time-out does.

Three steps: a transaction that checks everything, spends the approval and marks the intent `executing`; the call, outside any
transaction; a transaction that writes the receipt. A crash between them leaves `executing` behind, which is what makes the next
attempt ask first.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Literal, NoReturn, assert_never
from uuid import UUID

from opentelemetry.trace import Span, SpanKind
from pydantic import ValidationError

from shared.events.classes import may_commit
from spine import audit, budgets
from spine.audit import Actor
from spine.clock import Clock
from spine.contacts import contact_address
from spine.db import Connection, Database
from spine.effects import ledger, settle
from spine.effects.connector import Connector
from spine.effects.permission import Go, Stop, Wait, look
from spine.effects.results import Completed, Failed, NotRunnable, Outcome
from spine.errors import BudgetExceeded, InvalidInput, Misconfigured, NotAllowed, OutcomeUnknown, ProviderRefused, ProviderUnavailable
from spine.intents import store
from spine.intents.gate import contact_of
from spine.intents.records import Intent
from spine.intents.states import IntentState
from spine.policy import ActionRule, PolicyTable
from spine.registry import Budget
from spine.telemetry import span

_DONE = (IntentState.COMPLETED, IntentState.COMPENSATING, IntentState.COMPENSATED, IntentState.COMPENSATION_FAILED)
_BEGUN = (IntentState.EXECUTING, IntentState.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """One attempt under way: the intent as it is now, the right to write about it, and what goes to the provider."""

    intent: Intent
    token: UUID
    actor: Actor
    connector: Connector
    payload: dict[str, Any]
    is_first: bool


class Effects:
    """Carries intents out. Thread-safe; one in each process that runs effects."""

    def __init__(
        self,
        database: Database,
        connectors: Mapping[str, Connector],
        policy: PolicyTable,
        clock: Clock,
        *,
        run_limits: Mapping[str, Budget] | None = None,
    ) -> None:
        """`connectors` by plugin name; `run_limits` by automation: what one run may cost unless a limit was set by hand.

        Raises Misconfigured for a connector that lacks an action which policy gives to it.
        """
        for rule in policy.actions.values():
            connector = connectors.get(rule.plugin or "")
            if connector is not None and rule.action not in connector.actions:
                raise Misconfigured(f"policy gives action {rule.action!r} to plugin {rule.plugin!r}, which does not know it")
        self._database = database
        self._connectors = connectors
        self._policy = policy
        self._clock = clock
        self._run_limits = run_limits or {}

    def execute(self, tenant_id: str, intent_id: str, *, actor: Actor) -> Outcome:
        """Carry out one intent, or find out what became of it. Repeat it as often as you like.

        Raises ProviderUnavailable (nothing happened) and OutcomeUnknown (it may have happened): call again later, and it asks
        the provider before it sends. Raises NotAllowed for an actor who may only observe or recommend, NotFound, and
        Misconfigured when this process has no connector for the action; the intent stays as it was then.
        """
        if not may_commit(actor.type):
            raise NotAllowed(f"{actor.id!r} is a {actor.type.value}: it may propose, and never carries anything out")
        with self._database.tenant(tenant_id) as conn:
            begun = self._begin(conn, tenant_id, intent_id, actor)
        if not isinstance(begun, _Attempt):
            return begun
        if not begun.is_first:
            if found := self._ask(begun):
                return found
            with self._database.tenant(tenant_id) as conn:
                again = self._look_again(conn, begun)
            if not isinstance(again, _Attempt):
                return again
            begun = again
        return self._perform(begun)

    def reconcile(self, tenant_id: str, intent_id: str, *, actor: Actor) -> Outcome:
        """Settle an intent that has begun by asking the provider, and never by sending: for when retries are given up.

        It happened: completed. It certainly did not: failed. Raises as `execute` while the provider cannot say.
        """
        with self._database.tenant(tenant_id) as conn:
            entry = ledger.load(conn, tenant_id, intent_id, lock=True)
            if entry.intent.state not in _BEGUN:
                return _settled(entry) or NotRunnable(entry.intent.state)
            attempt = self._take_over(conn, entry, actor, self._rule(entry.intent))
        if found := self._ask(attempt):
            return found
        return self._settle_failed(attempt, "never-happened", "the provider knows nothing of it, and it was given up")

    def inquire(self, tenant_id: str, intent_id: str) -> Mapping[str, Any] | None:
        """What the provider says now about an effect that was completed, as the connector's `find` answers; None: nothing.

        It changes nothing, here or there: for what goes on at a provider after the effect, such as signers who answer. Raises
        NotFound, Misconfigured and what `find` raises.
        """
        with self._database.tenant(tenant_id) as conn:
            intent = ledger.load(conn, tenant_id, intent_id, lock=False).intent
            if intent.state not in _DONE:
                return None
            rule = self._rule(intent)
            payload = _payload(intent, _address(conn, intent, rule) if rule.address else None)
        return self._connector(rule).find(tenant_id, payload)

    def _begin(self, conn: Connection, tenant_id: str, intent_id: str, actor: Actor) -> _Attempt | Outcome:
        entry = ledger.load(conn, tenant_id, intent_id, lock=True)
        intent, now = entry.intent, self._clock.now()
        if settled := _settled(entry):
            return settled
        rule = self._rule(intent)
        if intent.state in _BEGUN:
            return self._take_over(conn, entry, actor, rule)
        if intent.state is not IntentState.RUNNABLE:
            return NotRunnable(intent.state)
        permission = look(conn, entry, rule, self._policy, self._clock)
        if rule.plugin is None and isinstance(permission, Go):
            permission = Stop(code="no-connector", why=f"policy names no plugin for action {intent.action!r}: nothing can carry it out")
        if isinstance(permission, Go):
            permission = _fits(self._connector(rule), intent, permission)
        if isinstance(permission, Go):
            permission = self._reserved(conn, intent, rule, permission)
        match permission:
            case Stop():
                return self._stop(conn, intent, permission, actor)
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
                now=self._clock.now(),
                low=go.can_wait,
                must=go.is_undo,
                run_limit=self._run_limits.get(intent.automation),
                correlation_id=intent.correlation_id,
                zone=self._policy.contact.zone,
            )
        except BudgetExceeded as error:
            if error.next_allowed_at is not None:
                return Wait(until=error.next_allowed_at, code=error.code)
            return Stop(code=error.code, why=str(error))
        return go

    def _take_over(self, conn: Connection, entry: ledger.Entry, actor: Actor, rule: ActionRule) -> _Attempt:
        """The attempt before this one crashed, timed out or heard no answer: whatever it still does, it writes nothing."""
        intent = entry.intent
        token = ledger.take_over(conn, intent)
        taken = store.about(intent, actor, "effect.retried", detail={"attempt": entry.attempts + 1, "state": intent.state.value})
        audit.record_all(conn, [taken], tenant_id=intent.tenant_id, now=self._clock.now())
        address = _address(conn, intent, rule) if rule.address else None
        return self._attempt(intent, token, actor, rule, address, is_first=False)

    def _ask(self, attempt: _Attempt) -> Outcome | None:
        """What happened before; None: certainly nothing. Raises, and leaves the intent unknown, while nobody can say."""
        try:
            with _calling("find", attempt):
                found = attempt.connector.find(attempt.intent.tenant_id, dict(attempt.payload))
        except (ProviderUnavailable, OutcomeUnknown) as error:
            self._settle_unknown(attempt, error)
            raise
        except ProviderRefused as error:
            unknown = OutcomeUnknown(f"the provider does not say what became of intent {attempt.intent.intent_id!r}: {error}")
            self._settle_unknown(attempt, unknown)
            raise unknown from error
        return None if found is None else self._settle_completed(attempt, found, reconciled=True)

    def _look_again(self, conn: Connection, attempt: _Attempt) -> _Attempt | Outcome:
        """The provider never got it: it is sent as if for the first time, so the gate looks as at the first time."""
        intent = attempt.intent
        entry = ledger.load(conn, intent.tenant_id, intent.intent_id, lock=True)
        if entry.attempt_token != attempt.token:
            return _settled(entry) or _overtaken(intent)
        permission = look(conn, entry, self._rule(intent), self._policy, self._clock)
        now = self._clock.now()
        match permission:
            case Stop(code=code, why=why, severity=severity):
                stopped = settle.failed(
                    conn, entry.intent, attempt.token, code, why, actor=attempt.actor, clock=self._clock, severity=severity
                )
                return stopped or _overtaken(intent)
            case Wait(until=until, code=code):
                return settle.deferred(conn, entry.intent, until, code, actor=attempt.actor, now=now)
            case Go(address=address):
                return replace(attempt, intent=entry.intent, payload=_payload(entry.intent, address))

    def _perform(self, attempt: _Attempt) -> Outcome:
        try:
            with _calling("perform", attempt):
                result = attempt.connector.perform(attempt.intent.tenant_id, dict(attempt.payload))
        except (ProviderRefused, InvalidInput) as error:
            return self._settle_failed(attempt, error.code, str(error))
        except OutcomeUnknown as error:
            self._settle_unknown(attempt, error)
            raise
        except ProviderUnavailable as error:
            with self._database.tenant(attempt.intent.tenant_id) as conn:
                ledger.write(conn, attempt.intent, attempt.token, error_code=error.code, error=str(error))
            raise
        return self._settle_completed(attempt, result, reconciled=False)

    def _settle_completed(self, attempt: _Attempt, result: Mapping[str, Any], *, reconciled: bool) -> Outcome:
        with self._database.tenant(attempt.intent.tenant_id) as conn:
            done = settle.completed(
                conn, attempt.intent, attempt.token, result, attempt.payload, reconciled=reconciled, actor=attempt.actor, clock=self._clock
            )
        return done or self._outcome_now(attempt.intent) or _overtaken(attempt.intent)

    def _settle_failed(self, attempt: _Attempt, code: str, why: str) -> Outcome:
        with self._database.tenant(attempt.intent.tenant_id) as conn:
            failed = settle.failed(conn, attempt.intent, attempt.token, code, why, actor=attempt.actor, clock=self._clock)
        return failed or self._outcome_now(attempt.intent) or _overtaken(attempt.intent)

    def _settle_unknown(self, attempt: _Attempt, error: ProviderUnavailable | OutcomeUnknown) -> None:
        with self._database.tenant(attempt.intent.tenant_id) as conn:
            settle.unknown(conn, attempt.intent, attempt.token, error, actor=attempt.actor, clock=self._clock)

    def _stop(self, conn: Connection, intent: Intent, stop: Stop, actor: Actor) -> Failed:
        return settle.stopped(conn, intent, stop.code, stop.why, stop.severity, actor=actor, clock=self._clock)

    def _outcome_now(self, intent: Intent) -> Outcome | None:
        with self._database.tenant(intent.tenant_id) as conn:
            return _settled(ledger.load(conn, intent.tenant_id, intent.intent_id, lock=False))

    def _attempt(self, intent: Intent, token: UUID, actor: Actor, rule: ActionRule, address: str | None, *, is_first: bool) -> _Attempt:
        return _Attempt(
            intent=intent,
            token=token,
            actor=actor,
            connector=self._connector(rule),
            payload=_payload(intent, address),
            is_first=is_first,
        )

    def _rule(self, intent: Intent) -> ActionRule:
        return self._policy.rule(intent.action)

    def _connector(self, rule: ActionRule) -> Connector:
        """The action that policy judged is the one that selects the connector; nothing in the payload does."""
        connector = self._connectors.get(rule.plugin or "")
        if connector is None:
            raise Misconfigured(
                f"this process has no connector {rule.plugin!r}, which action {rule.action!r} needs: add it to `spine.plugins`"
            )
        return connector


def _settled(entry: ledger.Entry) -> Completed | Failed | None:
    """What is over stays over: a repeated call gets the first one's answer."""
    if entry.intent.state in _DONE:
        return Completed(entry.provider_reference, entry.reconciled)
    if entry.intent.state is IntentState.FAILED:
        return Failed(entry.error_code or "failed", entry.error or "")
    return None


def _fits(connector: Connector, intent: Intent, permission: Go) -> Go | Stop:
    """The payload is the connector's before anything begins: what it cannot read is stopped, not tried."""
    try:
        connector.actions[intent.action].model_validate(intent.payload)
    except ValidationError as error:
        fields = ", ".join(sorted({".".join(map(str, found["loc"])) for found in error.errors(include_input=False)}))
        return Stop(code=InvalidInput.code, why=f"the payload does not fit what {connector.name!r} takes for {intent.action!r}: {fields}")
    return permission


def _payload(intent: Intent, address: str | None) -> dict[str, Any]:
    added = {"action": intent.action, "idempotency_key": ledger.idempotency_key(intent)}
    return {**intent.payload, **added, **({} if address is None else {"address": address})}


def _address(conn: Connection, intent: Intent, rule: ActionRule) -> str | None:
    contact_id = contact_of(intent.payload)
    return contact_address(conn, intent.tenant_id, contact_id, rule.channel) if contact_id else None


def _calling(what: Literal["perform", "find"], attempt: _Attempt) -> AbstractContextManager[Span]:
    return span(
        f"{what} {attempt.intent.action}",
        kind=SpanKind.CLIENT,
        tenant_id=attempt.intent.tenant_id,
        intent_id=attempt.intent.intent_id,
        plugin=attempt.connector.name,
    )


def _overtaken(intent: Intent) -> NoReturn:
    raise OutcomeUnknown(f"another attempt at intent {intent.intent_id!r} has taken over and is under way: ask again later")
