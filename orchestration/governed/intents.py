"""One intent of a commitment, from the proposal to its end: wait for a yes, for the right time, for a release; then do it, once.

Who decides is the ledger; updates and signals only say "look now", so a lost, doubled or forged one changes nothing.
"""

import asyncio
from datetime import timedelta
from typing import Literal, assert_never

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from orchestration.governed.steps import Condition, Steps, never

with workflow.unsafe.imports_passed_through():
    from orchestration.failures import code_of
    from orchestration.governed.messages import (
        ApprovalNotice,
        Commitment,
        EffectEnd,
        IntentRef,
        IntentView,
        Notice,
        ProposeEffect,
        WhatIsStopped,
    )
    from orchestration.governed.outcomes import Denied, Done, Expired, Failed, Outcome, Rejected, Withdrawn
    from orchestration.options import EFFECT

_LEVELS: dict[Notice, Literal[1, 2, 3]] = {"warn": 1, "breach": 2, "escalate": 3}
_STOPPED = "kill-switch"
_WAITS_FOR_RELEASE = "waits-for-release"  # the name of a patch: commitments that began before it take the denial
_LOOK_AGAIN = timedelta(minutes=15)  # business time between two looks at a kill switch, as in spine.effects.permission
_BRIEFLY = timedelta(minutes=1)  # business time between two looks at something that should have moved


class SeesIntentsThrough(Steps):
    def __init__(self, automation: str, given: Commitment) -> None:
        super().__init__(automation, given)
        self._step = "start"
        self._asked: dict[str, str] = {}  # approvals that are open, and the intent each is about
        self._answered: set[str] = set()
        self._news: set[str] = set()

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

    def _ref(self, intent_id: str, reason: str = "") -> IntentRef:
        return IntentRef(tenant_id=self.given.tenant_id, intent_id=intent_id, reason=reason)
