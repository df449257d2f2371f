"""What every step of a commitment stands on: business time, short writes to our own database, and a cancellation that is never lost."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orchestration.governed.messages import Commitment, PublishEvent
    from orchestration.options import BOOKKEEPING, ActivityOptions
    from shared.events import EventData
    from spine.clock import BusinessClock

T = TypeVar("T")

Condition = Callable[[], bool]


def never() -> bool:
    return False


class Steps:
    """Names that begin with an underscore are for the classes of this package."""

    def __init__(self, automation: str, given: Commitment) -> None:
        self.automation = automation
        self.given = given
        self.clock = BusinessClock.parse(given.clock)
        self._owes_cancellation = False

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

    async def _bookkeep(self, name: str, argument: Any, answer: type[Any] | None) -> Any:
        """Short and never abandoned: an intent that was written and whose id is not known could not be closed."""
        return await self._whole(workflow.start_local_activity(name, argument, result_type=answer, **BOOKKEEPING.kwargs()))

    async def _whole(self, work: Awaitable[T]) -> T:
        """Its result, whatever comes meanwhile; a cancellation is owed from then on."""
        begun = asyncio.ensure_future(work)
        try:
            return await asyncio.shield(begun)
        except asyncio.CancelledError:
            result = await begun
            self._owes_cancellation = True
            return result

    def _meet_cancellation(self) -> None:
        """Raise the cancellation that came while something could not be interrupted."""
        if self._owes_cancellation:
            self._owes_cancellation = False
            raise asyncio.CancelledError

    def _origin(self) -> dict[str, Any]:
        return {
            "tenant_id": self.given.tenant_id,
            "automation": self.automation,
            "workflow_id": workflow.info().workflow_id,
            "correlation_id": self.given.correlation_id,
            "causation_id": self.given.causation_id,
            "traceparent": self.given.traceparent,
        }
