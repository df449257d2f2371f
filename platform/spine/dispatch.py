"""Doing what the router said, at Temporal: starts and signals, 32 in flight, each harmless when done again.

A start is idempotent by the workflow's id: while it runs and after it has ended a second start is `already known` (for as long
as the namespace keeps closed workflows; the effect ledger remembers longer). The conflict policy is FAIL rather than
USE_EXISTING, because then the answer itself says whether this call was the one that started it. A signal is idempotent by its
request id, derived from the event: the server drops the second one.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, assert_never

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import SpanKind
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.common import Priority, SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from spine.errors import ProviderUnavailable
from spine.eventlog.outcomes import Delivered, Event, Failed, Lane, Outcome, Refused, Unavailable, must_wait
from spine.ids import derived_id
from spine.registry import Registry, Track
from spine.resetting import reset
from spine.routing import Action, Refuse, ResetWorkflow, RunDataJob, SignalWorkflow, StartWorkflow, refusal, route
from spine.telemetry import parent_context, span
from spine.temporal import AUTOMATION, CORRELATION_ID, TENANT_ID, TemporalLoop

RunJob = Callable[[RunDataJob], Outcome]

_RPC_TIMEOUT = timedelta(seconds=5)
_AWAY = {RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED} | {
    RPCStatusCode.UNAUTHENTICATED,  # the installation's fault, not the event's: it will pass for all of them or for none
    RPCStatusCode.PERMISSION_DENIED,
}


class TemporalDispatcher:
    """The dispatcher of one track: a `spine.eventlog` Dispatcher. Thread-safe; makes nothing until it is called."""

    def __init__(
        self,
        temporal: TemporalLoop,
        registry: Registry,
        track: Track,
        *,
        clock: str = "",
        run_data_job: RunJob | None = None,
        in_flight: int = 32,
    ) -> None:
        self._temporal = temporal
        self._registry = registry
        self._track = track
        self._clock = clock
        self._run_data_job = run_data_job or _nowhere_to_run
        self._in_flight = in_flight

    def __call__(self, lanes: Sequence[Lane], stop_at: float) -> Sequence[Sequence[Outcome]]:
        try:
            return self._temporal.run(lambda client: self._dispatch(client, lanes, stop_at))
        except ProviderUnavailable as error:
            return [[Unavailable(str(error))] for _ in lanes]

    async def _dispatch(self, client: Client, lanes: Sequence[Lane], stop_at: float) -> list[list[Outcome]]:
        batch = _Batch(client, asyncio.Semaphore(self._in_flight), stop_at)
        async with asyncio.TaskGroup() as tasks:
            answered = [tasks.create_task(self._lane(batch, lane)) for lane in lanes]
        return [task.result() for task in answered]

    async def _lane(self, batch: "_Batch", lane: Lane) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for event in lane:
            async with batch.gate:
                if time.monotonic() >= batch.stop_at:
                    break
                outcome = batch.away or await self._handle(batch.client, event)
            if isinstance(outcome, Unavailable):
                batch.away = outcome  # the rest of the batch need not find out one by one
            outcomes.append(outcome)
            if must_wait(outcome):
                break
        return outcomes

    async def _handle(self, client: Client, event: Event) -> Outcome:
        """All that the event asks for is tried, so that one automation's refusal is not another's loss; the worst outcome counts."""
        try:
            actions = route(event.envelope, event.data, self._registry, self._track, clock=self._clock)
        except Exception as error:  # noqa: BLE001 - an automation's own code on this one event: the event becomes a dead letter
            actions = (refusal(error),)
        outcomes = [await self._act(client, event, action) for action in actions]
        return max(outcomes, key=_gravity, default=Delivered("ignored"))

    async def _act(self, client: Client, event: Event, action: Action) -> Outcome:
        """Inside the trace that the event came with. The span of a start is the client plugin's own: it is the hot path."""
        parent = parent_context(event.envelope.traceparent)
        try:
            if isinstance(action, StartWorkflow):
                with _attached(parent):
                    return await start(client, action, tenant_id=event.tenant_id, correlation_id=event.envelope.correlationid)
            with span(
                f"{type(action).__name__} {event.envelope.type}", parent=parent, kind=SpanKind.CONSUMER, event_id=str(event.event_id)
            ):
                return await self._perform(client, event, action)
        except RPCError as error:
            return outcome_of(error)
        except Exception as error:  # noqa: BLE001 - one event must not stop the others: it waits, and in the end is a dead letter
            return Failed("dispatch-failed", f"{type(error).__name__}: {error}")

    async def _perform(self, client: Client, event: Event, action: SignalWorkflow | ResetWorkflow | RunDataJob | Refuse) -> Outcome:
        match action:
            case SignalWorkflow():
                return await signal(client, action, event_id=str(event.event_id))
            case ResetWorkflow():
                return await reset(client, action, event_id=str(event.event_id))
            case RunDataJob():
                return await asyncio.to_thread(self._run_data_job, action)
            case Refuse(code, why):
                return Refused(code, why)
            case _:
                assert_never(action)


class _Batch:
    def __init__(self, client: Client, gate: asyncio.Semaphore, stop_at: float) -> None:
        self.client = client
        self.gate = gate
        self.stop_at = stop_at
        self.away: Unavailable | None = None


async def start(client: Client, action: StartWorkflow, *, tenant_id: str, correlation_id: str) -> Outcome:
    """Start a workflow unless it was started before. Raises RPCError."""
    attributes = [
        SearchAttributePair(TENANT_ID, tenant_id),
        SearchAttributePair(AUTOMATION, action.automation),
        SearchAttributePair(CORRELATION_ID, correlation_id),
    ]
    try:
        await client.start_workflow(
            action.workflow,
            dict(action.input),
            id=action.workflow_id,
            task_queue=action.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            search_attributes=TypedSearchAttributes(attributes),
            priority=Priority(fairness_key=tenant_id),
            rpc_timeout=_RPC_TIMEOUT,
        )
    except WorkflowAlreadyStartedError:
        return Delivered("already known", action.workflow_id)
    return Delivered("started", action.workflow_id)


async def signal(client: Client, action: SignalWorkflow, *, event_id: str) -> Outcome:
    """Signal a running workflow once for an event; one that has ended, or never was, is `ignored`. Raises RPCError.

    The service is called directly because the client's own `signal` draws a new request id each time. The trace context does
    not travel in the header then; the workflow goes on in its own trace, which is the one the flow started in.
    """
    request = SignalWorkflowExecutionRequest(
        namespace=client.namespace,
        workflow_execution=WorkflowExecution(workflow_id=action.workflow_id),
        signal_name=action.signal,
        identity=client.identity,
        request_id=str(derived_id("signal", event_id, action.workflow_id, action.signal)),
    )
    request.input.payloads.extend(await client.data_converter.encode([dict(action.argument)]))
    try:
        await client.workflow_service.signal_workflow_execution(request, retry=True, timeout=_RPC_TIMEOUT)
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND and not _is_about_namespace(error):
            return Delivered("ignored", action.workflow_id)
        raise
    return Delivered("signalled", action.workflow_id)


def outcome_of(error: RPCError) -> Outcome:
    """Whom a failed call blames: the engine, the event, or chance."""
    why = f"Temporal answered {error.status.name}: {error.message}"
    if error.status in _AWAY or _is_about_namespace(error):
        return Unavailable(why)
    if error.status == RPCStatusCode.INVALID_ARGUMENT and "search attribute" not in error.message:  # those appear after a while: trap 29
        return Refused("temporal-invalid-argument", why)
    return Failed(f"temporal-{error.status.name.lower().replace('_', '-')}", why)


def _is_about_namespace(error: RPCError) -> bool:
    return error.status == RPCStatusCode.NOT_FOUND and error.message.lower().startswith("namespace")


@contextmanager
def _attached(context: Context) -> Iterator[None]:
    token = attach(context)
    try:
        yield
    finally:
        detach(token)


def _gravity(outcome: Outcome) -> tuple[int, int]:
    order: Mapping[type[Any], int] = {Delivered: 0, Refused: 1, Failed: 2, Unavailable: 3}
    done = ("ignored", "already known", "requested", "signalled", "started")
    return order[type(outcome)], done.index(outcome.outcome) if isinstance(outcome, Delivered) else 0


def _nowhere_to_run(action: RunDataJob) -> Outcome:
    return Refused("not-startable", f"automation {action.automation!r} runs data job {action.job!r}, which this dispatcher cannot start")
