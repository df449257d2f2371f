"""The base class of commitments: every effect of theirs goes through `carry_out`, and what was done can be undone.

Guarantees. Nothing is sent without a yes of the gate, asked afresh at the moment of each attempt. Who decides is the ledger;
updates and signals only say "look now", so a lost, doubled or forged one changes nothing. Reject, expiry, withdrawal and
cancellation leave no runnable intent behind. Limits: an effect that has begun is not interrupted; cancellation waits for its end.

History: an effect that is allowed outright costs one marker and one activity.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar, assert_never

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from orchestration.failures import code_of
    from orchestration.governed.messages import (
        ApprovalNotice,
        Commitment,
        Decision,
        Drafted,
        EffectEnd,
        IntentRef,
        IntentView,
        Noted,
        Notice,
        Progress,
        ProposeEffect,
        PublishEvent,
        WhatIsStopped,
    )
    from orchestration.governed.outcomes import Denied, Done, Expired, Failed, Outcome, Rejected, Withdrawn
    from orchestration.options import BOOKKEEPING, EFFECT, ActivityOptions
    from shared.events import EventData, Money, WorkflowCompensated
    from spine.clock import BusinessClock

T = TypeVar("T")

Condition = Callable[[], bool]

_LEVELS: dict[Notice, Literal[1, 2, 3]] = {"warn": 1, "breach": 2, "escalate": 3}
_STOPPED = "kill-switch"
_WAITS_FOR_RELEASE = "waits-for-release"  # the name of a patch: commitments that began before it take the denial
_LOOK_AGAIN = timedelta(minutes=15)  # business time between two looks at a kill switch, as in spine.effects.permission
_BRIEFLY = timedelta(minutes=1)  # business time between two looks at something that should have moved


def never() -> bool:
    return False


class GovernedWorkflow:
    def __init__(self, automation: str, given: Commitment) -> None:
        self.automation = automation
        self.given = given
        self.clock = BusinessClock.parse(given.clock)
        self._step = "start"
        self._asked: dict[str, str] = {}  # approvals that are open, and the intent each is about
        self._answered: set[str] = set()
        self._news: set[str] = set()
        self._undo: list[ProposeEffect] = []
        self._owes_cancellation = False

    # What it hears

    @workflow.update(name="resolve-approval")
    def resolve_approval(self, decision: Decision) -> Noted:
        """Look at the ledger now. The update id is the decision's id, so a repeated call gets the first answer."""
        self._news.add(decision.approval_id)
        return Noted(approval_id=decision.approval_id, intent_id=decision.intent_id)

    @resolve_approval.validator
    def _is_ours(self, decision: Decision) -> None:
        if decision.approval_id in self._answered:
            raise ApplicationError(f"approval {decision.approval_id!r} is resolved already", type="approval-refused", non_retryable=True)
        if decision.approval_id not in self._asked:
            raise ApplicationError(
                f"no approval {decision.approval_id!r} is open here; if it was asked for a moment ago, its event will wake this workflow",
                type="approval-refused",
                non_retryable=True,
            )
        if self._asked[decision.approval_id] != decision.intent_id:
            raise ApplicationError(
                f"approval {decision.approval_id!r} is not about intent {decision.intent_id!r}", type="approval-refused", non_retryable=True
            )

    @workflow.signal(name="approval-resolved")
    def approval_resolved(self, decision: Decision) -> None:
        """The durable path, through the event log: it may come before we have heard of the approval, and after its end."""
        if decision.approval_id not in self._answered:
            self._news.add(decision.approval_id)

    @workflow.query(name="progress")
    def progress(self) -> Progress:
        return Progress(step=self._step, waiting_for=dict(self._asked), undo=tuple(done.compensates or "" for done in self._undo))

    # What a commitment does

    async def carry_out(
        self,
        action: str,
        *,
        key: str,
        draft: Drafted | dict[str, Any],
        amount: Money | None = None,
        unless: Condition = never,
    ) -> Outcome:
        """Propose, wait for a yes, do it. `unless` is looked at during every wait and before the effect: true withdraws it.

        `draft` is a payload on record, or the payload itself where it holds nothing personal. A deferral (quiet hours, weekly
        cap) is waited out durably and everything is judged again then. Raises CancelledError after closing the intent.
        """
        self._meet_cancellation()
        kept = {"document_id", "evidence_id", "bundle_id", "confidence"}
        payload = {"payload": draft} if isinstance(draft, dict) else draft.model_dump(include=kept)
        return await self._propose(ProposeEffect(**self._origin(), key=key, action=action, amount=amount, **payload), unless)

    def undo_with(self, action: str, *, key: str, payload: dict[str, Any], done: Done) -> None:
        """Register how `done` is undone, should the commitment fail later. Itself governed, when its time comes."""
        self._undo.append(ProposeEffect(**self._origin(), key=key, action=action, payload=payload, compensates=done.intent_id))

    def beyond_undoing(self) -> None:
        """From here on nothing may be rolled back: what was done is binding (both sides signed)."""
        self._undo.clear()

    async def compensate(self, reason: str) -> tuple[str, ...]:
        """Undo what was done, newest first, each through the gate; then say so. Returns the intents undone.

        Raises ApplicationError `compensation-failed` when one of them could not be: a person has to look.
        """
        undone: list[str] = []
        while self._undo:
            request = self._undo.pop()
            outcome = await self._propose(request, never)
            if not isinstance(outcome, Done):
                raise ApplicationError(
                    f"{request.action!r}, which undoes intent {request.compensates!r}, ended as {type(outcome).__name__}: {reason}",
                    type="compensation-failed",
                    non_retryable=True,
                )
            undone.append(request.compensates or outcome.intent_id)
        if undone:
            await self.publish(
                WorkflowCompensated(
                    workflow_id=workflow.info().workflow_id, automation=self.automation, effects=tuple(undone), reason=reason
                )
            )
        return tuple(undone)

    async def with_compensation(self, body: Awaitable[T]) -> T:
        """Run the commitment; if it fails or is cancelled after it had effects, undo them before that shows."""
        try:
            return await body
        except asyncio.CancelledError:
            await self.compensate(f"cancelled: {workflow.cancellation_reason() or 'no reason given'}")
            raise
        except Exception as error:
            if not workflow.is_failure_exception(error):
                raise  # a bug: the workflow task is retried until the code is mended, and nothing is undone on its account
            await self.compensate(f"failed: {code_of(error)}")
            raise

    async def publish(self, event: EventData, *, about: str = "", partition_key: str | None = None) -> None:
        """Put an event of ours on the log. `about` tells apart several events of one type; each is published once."""
        origin = self._origin()
        await self._bookkeep(
            "publish-event",
            PublishEvent(
                **origin,
                event_key=f"{event.TYPE}/{about}",
                type=event.TYPE,
                data=event.wire(),
                partition_key=partition_key or event.subject(),
            ),
            None,
        )

    async def run_activity(self, name: str, argument: Any, answer: type[T], options: ActivityOptions) -> T:
        result: T = await workflow.execute_activity(name, argument, result_type=answer, **options.kwargs())
        return result

    async def bookkeep(self, name: str, argument: Any, answer: type[T]) -> T:
        """A short write to our own database, as a local activity."""
        result: T = await self._bookkeep(name, argument, answer)
        return result

    def now(self) -> datetime:
        """Business time."""
        return self.clock.at(workflow.now())

    async def wait_until(self, at: datetime, unless: Condition, *, summary: str) -> bool:
        """Sleep durably to a moment of business time. True when `unless` became true first."""
        self._meet_cancellation()
        remaining = self.clock.real(at - self.now())
        if unless() or remaining <= timedelta(0):
            return unless()
        try:
            await workflow.wait_condition(unless, timeout=remaining, timeout_summary=summary)
        except TimeoutError:
            return unless()
        return True

    # How

    async def _propose(self, request: ProposeEffect, unless: Condition) -> Outcome:
        """A kill switch stops effects, not commitments: what is denied for that reason alone is proposed again after the release.

        Each proposal has its own answer on record, so the second one has a key of its own, `<key>~2`. An undo that were denied would
        be over (`compensation_failed`), so it waits for the release before it is proposed.
        """
        self._step = key = request.key
        turn = 1
        if request.compensates is not None and workflow.patched(_WAITS_FOR_RELEASE):
            await self._until_released(request, never)
        while True:
            intent: IntentView = await self._bookkeep("propose-intent", request, IntentView)
            try:
                outcome = await self._see_through(intent, unless)
            except asyncio.CancelledError:
                await self._close(intent.intent_id, "the workflow was cancelled")
                raise
            if not (isinstance(outcome, Denied) and outcome.code == _STOPPED and workflow.patched(_WAITS_FOR_RELEASE)):
                return outcome
            if not await self._until_released(request, unless):
                return Withdrawn(intent_id=intent.intent_id)
            turn += 1
            request = request.model_copy(update={"key": f"{key}~{turn}"})

    async def _until_released(self, request: ProposeEffect, unless: Condition) -> bool:
        """Wait as long as a kill switch covers this. False: `unless` became true first."""
        asked = WhatIsStopped(tenant_id=request.tenant_id, automation=request.automation, action=request.action)
        while await self._bookkeep("read-switches", asked, bool):
            if await self.wait_until(self.now() + _LOOK_AGAIN, unless, summary="a kill switch is engaged"):
                return False
        return not unless()

    async def _see_through(self, intent: IntentView, unless: Condition) -> Outcome:
        while True:
            match intent.state:
                case "awaiting_approval":
                    intent = await self._decided(intent, unless)
                case "runnable" | "executing" | "unknown" | "proposed":
                    if intent.state == "runnable" and unless():
                        intent = await self._close(intent.intent_id, "no longer wanted")
                        continue
                    ended = await self._execute(intent)
                    match ended.kind:
                        case "completed":
                            return Done(intent_id=intent.intent_id, reference=ended.reference)
                        case "failed":
                            return Failed(intent_id=intent.intent_id, code=ended.code, why=ended.why)
                        case "deferred":
                            await self.wait_until(ended.not_before or self.now() + _BRIEFLY, unless, summary=f"not before: {ended.code}")
                            if unless():
                                intent = await self._close(intent.intent_id, "no longer wanted")
                        case "not_runnable":
                            intent = await self._read(intent.intent_id)
                            if intent.state in ("runnable", "executing", "proposed"):
                                await self.wait_until(self.now() + _BRIEFLY, never, summary="somebody else is at it")
                        case other:
                            assert_never(other)
                case "completed" | "compensated" | "compensating" | "compensation_failed":
                    return Done(intent_id=intent.intent_id, reference=intent.reference or "")
                case "superseded":
                    if intent.successor_id is None:
                        raise ApplicationError(f"intent {intent.intent_id!r} is superseded by nothing", type="internal", non_retryable=True)
                    intent = await self._read(intent.successor_id)
                case "denied":
                    return Denied(intent_id=intent.intent_id, code=intent.code, why="; ".join(intent.reasons))
                case "rejected":
                    return Rejected(intent_id=intent.intent_id)
                case "expired":
                    return Expired(intent_id=intent.intent_id)
                case "cancelled":
                    return Withdrawn(intent_id=intent.intent_id)
                case "failed":
                    return Failed(intent_id=intent.intent_id, code=intent.code, why="; ".join(intent.reasons))
                case other_state:
                    assert_never(other_state)

    async def _decided(self, intent: IntentView, unless: Condition) -> IntentView:
        """Wait until the ledger says something else than "awaiting approval", and keep the clock of the wait meanwhile."""
        approval_id = intent.approval_id
        if approval_id is None:
            raise ApplicationError(f"intent {intent.intent_id!r} awaits no approval that is known", type="internal", non_retryable=True)
        self._asked[approval_id] = intent.intent_id

        def heard() -> bool:
            return approval_id in self._news or unless()

        try:
            for at, notice in intent.deadlines():
                while await self.wait_until(at, heard, summary=f"approval: {notice}"):
                    if unless():
                        return await self._close(intent.intent_id, "no longer wanted")
                    self._news.discard(approval_id)
                    seen = await self._read(intent.intent_id)
                    if seen.state != "awaiting_approval":
                        return seen
                if unless():
                    return await self._close(intent.intent_id, "no longer wanted")
                if notice != "expire":
                    told = ApprovalNotice(
                        tenant_id=self.given.tenant_id,
                        approval_id=approval_id,
                        intent_id=intent.intent_id,
                        level=_LEVELS[notice],
                    )
                    await self._bookkeep("note-sla", told, None)
            while True:  # the ledger decides when it is too late; our timer may be a moment early
                seen = await self._expire(intent.intent_id)
                if seen.state != "awaiting_approval":
                    return seen
                await self.wait_until(self.now() + _BRIEFLY, heard, summary="approval: expire")
                self._news.discard(approval_id)
        finally:
            del self._asked[approval_id]
            self._answered.add(approval_id)
            self._news.discard(approval_id)

    async def _execute(self, intent: IntentView) -> EffectEnd:
        """One effect. Cancelled while it is under way, it waits for the end, so that what was done is known and can be undone."""
        self._meet_cancellation()
        handle = workflow.start_activity(
            "execute-effect", self._ref(intent.intent_id), result_type=EffectEnd, summary=self._step, **EFFECT.kwargs()
        )
        try:
            ended: EffectEnd = await asyncio.shield(handle)
            return ended
        except asyncio.CancelledError:
            handle.cancel()
            try:
                ended = await handle
            except (ActivityError, asyncio.CancelledError):
                raise asyncio.CancelledError from None
            if ended.kind != "completed":
                raise
            self._owes_cancellation = True  # done is done: the caller registers how to undo it, and meets the cancellation next
            return ended
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            code = code_of(error)
            seen = await self._close(intent.intent_id, f"gave up: {code}")
            if seen.state == "completed":
                return EffectEnd(kind="completed", reference=seen.reference or "")
            return EffectEnd(kind="failed", code=code, why=str(error.cause or error))

    async def _close(self, intent_id: str, reason: str) -> IntentView:
        """Cancel it if it can still be cancelled; whatever the ledger says afterwards is the answer."""
        seen: IntentView = await self._bookkeep("cancel-intent", self._ref(intent_id, reason), IntentView)
        return seen

    async def _expire(self, intent_id: str) -> IntentView:
        seen: IntentView = await self._bookkeep("expire-approval", self._ref(intent_id, "nobody decided in time"), IntentView)
        return seen

    async def _read(self, intent_id: str) -> IntentView:
        seen: IntentView = await self._bookkeep("read-intent", self._ref(intent_id), IntentView)
        return seen

    async def _bookkeep(self, name: str, argument: Any, answer: type[Any] | None) -> Any:
        """Short and never abandoned: an intent that was written and whose id is not known could not be closed."""
        handle = workflow.start_local_activity(name, argument, result_type=answer, **BOOKKEEPING.kwargs())
        try:
            return await asyncio.shield(handle)
        except asyncio.CancelledError:
            result = await handle
            self._owes_cancellation = True
            return result

    def _meet_cancellation(self) -> None:
        """Raise the cancellation that came while something could not be interrupted."""
        if self._owes_cancellation:
            self._owes_cancellation = False
            raise asyncio.CancelledError

    def _ref(self, intent_id: str, reason: str = "") -> IntentRef:
        return IntentRef(tenant_id=self.given.tenant_id, intent_id=intent_id, reason=reason)

    def _origin(self) -> dict[str, Any]:
        return {
            "tenant_id": self.given.tenant_id,
            "automation": self.automation,
            "workflow_id": workflow.info().workflow_id,
            "correlation_id": self.given.correlation_id,
            "causation_id": self.given.causation_id,
            "traceparent": self.given.traceparent,
        }
