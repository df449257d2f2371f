"""The base class of commitments: every effect of theirs goes through `carry_out`, and what was done can be undone.

Guarantees. Nothing is sent without a yes of the gate, asked afresh at the moment of each attempt. Who decides is the ledger;
updates and signals only say "look now", so a lost, doubled or forged one changes nothing. Reject, expiry, withdrawal and
cancellation leave no runnable intent behind. Limits: an effect that has begun is not interrupted; cancellation waits for its end.

History: an effect that is allowed outright costs one marker and one activity.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any, Protocol, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from orchestration.governed.intents import SeesIntentsThrough
from orchestration.governed.steps import Condition, never

with workflow.unsafe.imports_passed_through():
    from orchestration.failures import code_of
    from orchestration.governed.messages import Commitment, Decision, Drafted, Noted, Progress, ProposeEffect
    from orchestration.governed.outcomes import Done, Outcome
    from shared.events import Money, WorkflowCompensated, WorkflowEnded

_SAYS_ITS_END = "says-its-end"  # the name of a patch: histories that ended without it stay as they are
_COMPENSATION_FAILED = "compensation-failed"  # the code of the error
_NOT_UNDONE = "compensation_failed"  # the outcome
_LONGEST = 2000  # characters of an event's text


class Ended(Protocol):
    """What every commitment's result says of itself."""

    @property
    def outcome(self) -> str: ...

    @property
    def why(self) -> str: ...


Result = TypeVar("Result", bound=Ended)


class GovernedWorkflow(SeesIntentsThrough):
    def __init__(self, automation: str, given: Commitment) -> None:
        super().__init__(automation, given)
        self._undo: list[ProposeEffect] = []

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

        A cancellation waits for its end: what was half undone would be neither done nor undone. Raises ApplicationError
        `compensation-failed` when one of them could not be: a person has to look.
        """
        undone: list[str] = []
        while self._undo:
            request = self._undo.pop()
            outcome = await self._whole(self._propose(request, never))
            if not isinstance(outcome, Done):
                raise ApplicationError(
                    f"{request.action!r}, which undoes intent {request.compensates!r}, ended as {type(outcome).__name__}: {reason}",
                    type=_COMPENSATION_FAILED,
                    non_retryable=True,
                )
            undone.append(request.compensates or outcome.intent_id)
        if undone:
            await self.publish(
                WorkflowCompensated(
                    workflow_id=workflow.info().workflow_id, automation=self.automation, effects=tuple(undone), reason=_told(reason)
                )
            )
        return tuple(undone)

    async def to_its_end(self, body: Awaitable[Result]) -> Result:
        """Run the commitment. If it fails or is cancelled after it had effects, they are undone before that shows.

        However it ends, `workflow.ended` says so on the log, as its last word: no commitment ends in silence. Limit: of one that is
        terminated, or whose time Temporal ends, only Temporal knows. One that is reset ends again, and the last word counts.
        """
        try:
            result = await body
        except asyncio.CancelledError:
            await self._undone("cancelled", workflow.cancellation_reason() or "no reason given")
            raise
        except Exception as error:
            if not workflow.is_failure_exception(error):
                raise  # a bug: the workflow task is retried until the code is mended, and nothing is undone on its account
            await self._undone(_NOT_UNDONE if code_of(error) == _COMPENSATION_FAILED else "failed", code_of(error))
            raise
        await self._say_ended(result.outcome, result.why)
        return result

    async def _undone(self, outcome: str, why: str) -> None:
        try:
            await self.compensate(f"{outcome}: {why}")
        except Exception as error:
            if not workflow.is_failure_exception(error):
                raise
            await self._say_ended(_NOT_UNDONE, code_of(error))
            raise
        await self._say_ended(outcome, why)

    async def _say_ended(self, outcome: str, why: str) -> None:
        if workflow.patched(_SAYS_ITS_END):
            which = workflow.info()
            ended = WorkflowEnded(workflow_id=which.workflow_id, automation=self.automation, outcome=outcome, why=_told(why) or None)
            await self.publish(ended, about=f"{which.run_id}/{outcome}")


def _told(text: str) -> str:
    """As an event can hold it: the last word must not fail for somebody's choice of words."""
    return text.encode(errors="replace").decode().replace("\0", "")[:_LONGEST]
