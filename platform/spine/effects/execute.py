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
from typing import Any

from shared.events.classes import may_commit
from spine.audit import Actor
from spine.clock import Clock
from spine.db import Database
from spine.effects import ledger, settle
from spine.effects.attempt import BEGUN, DONE, Attempt, address_of, calling, overtaken, payload_of, settled_before
from spine.effects.begin import Threshold
from spine.effects.connector import Connector
from spine.effects.results import NotRunnable, Outcome
from spine.errors import InvalidInput, Misconfigured, NotAllowed, OutcomeUnknown, ProviderRefused, ProviderUnavailable
from spine.intents.records import Intent
from spine.policy import PolicyTable
from spine.registry import Budget


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
        self._clock = clock
        self._threshold = Threshold(connectors=connectors, policy=policy, clock=clock, run_limits=run_limits or {})

    def execute(self, tenant_id: str, intent_id: str, *, actor: Actor) -> Outcome:
        """Carry out one intent, or find out what became of it. Repeat it as often as you like.

        Raises ProviderUnavailable (nothing happened) and OutcomeUnknown (it may have happened): call again later, and it asks
        the provider before it sends. Raises NotAllowed for an actor who may only observe or recommend, NotFound, and
        Misconfigured when this process has no connector for the action; the intent stays as it was then.
        """
        if not may_commit(actor.type):
            raise NotAllowed(f"{actor.id!r} is a {actor.type.value}: it may propose, and never carries anything out")
        with self._database.tenant(tenant_id) as conn:
            begun = self._threshold.begin(conn, tenant_id, intent_id, actor)
        if not isinstance(begun, Attempt):
            return begun
        if not begun.is_first:
            if found := self._ask(begun):
                return found
            with self._database.tenant(tenant_id) as conn:
                again = self._threshold.look_again(conn, begun)
            if not isinstance(again, Attempt):
                return again
            begun = again
        return self._perform(begun)

    def reconcile(self, tenant_id: str, intent_id: str, *, actor: Actor) -> Outcome:
        """Settle an intent that has begun by asking the provider, and never by sending: for when retries are given up.

        It happened: completed. It certainly did not: failed. Raises as `execute` while the provider cannot say.
        """
        with self._database.tenant(tenant_id) as conn:
            entry = ledger.load(conn, tenant_id, intent_id, lock=True)
            if entry.intent.state not in BEGUN:
                return settled_before(entry) or NotRunnable(entry.intent.state)
            attempt = self._threshold.take_over(conn, entry, actor, self._threshold.rule(entry.intent))
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
            if intent.state not in DONE:
                return None
            rule = self._threshold.rule(intent)
            payload = payload_of(intent, address_of(conn, intent, rule) if rule.address else None)
        return self._threshold.connector(rule).find(tenant_id, payload)

    def _ask(self, attempt: Attempt) -> Outcome | None:
        """What happened before; None: certainly nothing. Raises, and leaves the intent unknown, while nobody can say."""
        try:
            with calling("find", attempt):
                found = attempt.connector.find(attempt.intent.tenant_id, dict(attempt.payload))
        except (ProviderUnavailable, OutcomeUnknown) as error:
            self._settle_unknown(attempt, error)
            raise
        except ProviderRefused as error:
            unknown = OutcomeUnknown(f"the provider does not say what became of intent {attempt.intent.intent_id!r}: {error}")
            self._settle_unknown(attempt, unknown)
            raise unknown from error
        return None if found is None else self._settle_completed(attempt, found, reconciled=True)

    def _perform(self, attempt: Attempt) -> Outcome:
        try:
            with calling("perform", attempt):
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

    def _settle_completed(self, attempt: Attempt, result: Mapping[str, Any], *, reconciled: bool) -> Outcome:
        with self._database.tenant(attempt.intent.tenant_id) as conn:
            done = settle.completed(
                conn, attempt.intent, attempt.token, result, attempt.payload, reconciled=reconciled, actor=attempt.actor, clock=self._clock
            )
        return done or self._outcome_now(attempt.intent) or overtaken(attempt.intent)

    def _settle_failed(self, attempt: Attempt, code: str, why: str) -> Outcome:
        with self._database.tenant(attempt.intent.tenant_id) as conn:
            failed = settle.failed(conn, attempt.intent, attempt.token, code, why, actor=attempt.actor, clock=self._clock)
        return failed or self._outcome_now(attempt.intent) or overtaken(attempt.intent)

    def _settle_unknown(self, attempt: Attempt, error: ProviderUnavailable | OutcomeUnknown) -> None:
        with self._database.tenant(attempt.intent.tenant_id) as conn:
            settle.unknown(conn, attempt.intent, attempt.token, error, actor=attempt.actor, clock=self._clock)

    def _outcome_now(self, intent: Intent) -> Outcome | None:
        with self._database.tenant(intent.tenant_id) as conn:
            return settled_before(ledger.load(conn, intent.tenant_id, intent.intent_id, lock=False))
