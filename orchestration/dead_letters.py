"""A step whose attempts are spent becomes a dead letter, unless so many fail alike that it is the deploy that is broken.

One place for all activities: an interceptor of the worker. When an attempt fails that Temporal will not follow by another (the error
says that trying again cannot help, the attempts are spent, or the next one would come after the activity's time is up), it writes the
letter: plane `graph` for an activity marked with `runs_graph`, else `activity`. An activity without a limit of attempts is not dead
while Temporal goes on with it: that something takes too long is a finding of the sweeper. The workflow sees the failure as always.

Under an open circuit (`spine.deadletters.circuits`; consumer `worker/<activity>`) such a failure is answered with "later" instead of
"never": the commitment waits, is probed, and goes on when the code is mended. Limits: an activity whose attempts or whose time are
spent cannot wait; and a local activity waits in its worker, so its letters are written and its circuit only counts.

The letter holds where the step is, never its input. If the database cannot be written the failure goes its way without a letter, is
logged, and stays visible in Temporal.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import psycopg
from temporalio import activity
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from spine import deadletters
from spine.clock import Clock
from spine.db import Connection, Database
from spine.deadletters import Plane, circuits
from spine.deadletters.circuits import RULE, Cause, CircuitRule

_MARK = "__spine_graph__"
_MENDED_BY_ITS_WORKFLOW = "__spine_asked_again__"

logger = logging.getLogger(__name__)
F = TypeVar("F", bound=Callable[..., Any])


def runs_graph(name: str) -> Callable[[F], F]:
    """Mark an activity that runs a graph: when it is given up, the letter is of plane `graph`. Above `@activity.defn`."""

    def mark(fn: F) -> F:
        setattr(fn, _MARK, name)
        return fn

    return mark


def asked_again(fn: F) -> F:
    """Mark an activity whose workflow takes its failure for "not now" and asks again later: it is no dead letter."""
    setattr(fn, _MENDED_BY_ITS_WORKFLOW, True)
    return fn


class DeadLetters(Interceptor):
    """For `Worker(interceptors=…)`."""

    def __init__(self, database: Database, clock: Clock, *, circuit: CircuitRule = RULE) -> None:
        self._database = database
        self._clock = clock
        self._circuit = circuit

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        return _Watched(next, self._database, self._clock, self._circuit)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """Where a failing step is."""

    tenant_id: str
    plane: Plane
    consumer: str
    correlation_id: str | None
    intent_id: str | None
    graph: str | None
    info: activity.Info

    def cause(self, code: str) -> Cause:
        return Cause(tenant_id=self.tenant_id, plane=self.plane, consumer=self.consumer, error_code=code)


class _Watched(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, database: Database, clock: Clock, circuit: CircuitRule) -> None:  # noqa: A002
        super().__init__(next)
        self._database = database
        self._clock = clock
        self._circuit = circuit

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        info = activity.info()
        step = step_of(input, info)
        if step is None:
            return await super().execute_activity(input)
        probing: list[Cause] = []
        if info.attempt > 1 and not info.is_local:
            probing, until = await asyncio.to_thread(self._turn, step)
            if until is not None:
                raise _later(until, self._circuit, f"{step.consumer} waits for its circuit")
        try:
            result = await super().execute_activity(input)
        except (CancelledError, asyncio.CancelledError):
            raise
        except Exception as error:
            wait = await asyncio.to_thread(self._failed, step, error) if is_last(info, error, datetime.now(UTC)) else None
            if wait is not None:
                raise _later(wait, self._circuit, str(error), code_of_failure(error)) from error
            raise
        if probing:
            await asyncio.to_thread(self._recovered, probing)
        return result

    def _turn(self, step: _Step) -> tuple[list[Cause], datetime | None]:
        with self._database.tenant(step.tenant_id) as conn:
            return circuits.turn_of(conn, tenant_id=step.tenant_id, plane=step.plane, consumer=step.consumer, rule=self._circuit)

    def _recovered(self, probing: list[Cause]) -> None:
        for cause in probing:
            with self._database.tenant(cause.tenant_id) as conn:
                circuits.close(conn, cause, now=self._clock.now())

    def _failed(self, step: _Step, error: Exception) -> datetime | None:
        """Until when it has to wait; None: it is a letter, and fails."""
        info, code, now = step.info, code_of_failure(error), self._clock.now()
        try:
            with self._database.tenant(step.tenant_id) as conn:
                if can_wait(info, self._circuit) and (until := circuits.hold(conn, step.cause(code), now=now, rule=self._circuit)):
                    return until
                deadletters.add(
                    conn,
                    tenant_id=step.tenant_id,
                    plane=step.plane,
                    reference=f"{info.workflow_id}#{info.activity_id}",
                    consumer=step.consumer,
                    correlation_id=step.correlation_id or _flow_of(conn, step),
                    error_code=code,
                    error=_words(error),
                    attempts=info.attempt,
                    body={
                        "workflow_id": info.workflow_id,
                        "run_id": info.workflow_run_id,
                        "activity_id": info.activity_id,
                        "activity": info.activity_type,
                        "workflow": info.workflow_type,
                        "is_local": info.is_local,
                        **({"graph": step.graph} if step.graph else {}),
                        **({"intent_id": step.intent_id} if step.intent_id else {}),
                    },
                    now=now,
                )
        except psycopg.OperationalError:
            logger.exception("no dead letter for %s of %s: the database cannot be written", info.activity_type, info.workflow_id)
        return None


def step_of(given: ExecuteActivityInput, info: activity.Info) -> _Step | None:
    """None for what is no step of a tenant's commitment, or says that its workflow minds it."""
    argument = given.args[0] if given.args else None
    workflow_id = info.workflow_id or ""
    tenant_id = getattr(argument, "tenant_id", None)
    if getattr(given.fn, _MENDED_BY_ITS_WORKFLOW, False) or not isinstance(tenant_id, str) or not workflow_id.startswith(f"{tenant_id}/"):
        return None
    graph = getattr(given.fn, _MARK, None)
    return _Step(
        tenant_id=tenant_id,
        plane="graph" if graph else "activity",
        consumer=f"worker/{info.activity_type}",
        correlation_id=getattr(argument, "correlation_id", None),
        intent_id=getattr(argument, "intent_id", None),
        graph=graph,
        info=info,
    )


def is_last(info: activity.Info, error: Exception, now: datetime) -> bool:
    """Will Temporal not try again after this failure? `now` is real time."""
    if isinstance(error, ApplicationError) and error.non_retryable:
        return True
    policy = info.retry_policy
    if policy is None:  # an old server does not say: no letter is better than one for a step that goes on
        return False
    if isinstance(error, ApplicationError) and error.type in (policy.non_retryable_error_types or ()):
        return True
    if policy.maximum_attempts and info.attempt >= policy.maximum_attempts:
        return True
    return info.schedule_to_close_timeout is not None and _ends(info) <= now + _pause(info, error)


def can_wait(info: activity.Info, rule: CircuitRule) -> bool:
    """Does Temporal leave room for another attempt after the next probe?"""
    policy = info.retry_policy
    if info.is_local or policy is None or (policy.maximum_attempts and info.attempt >= policy.maximum_attempts):
        return False
    return info.schedule_to_close_timeout is None or _ends(info) > datetime.now(UTC) + rule.longest


def code_of_failure(error: BaseException) -> str:
    return (error.type or "internal") if isinstance(error, ApplicationError) else type(error).__name__


def _flow_of(conn: Connection, step: _Step) -> str | None:
    """The flow of the intent that the step is about, so that the letter leads to its journey."""
    row = conn.execute(
        "select correlation_id from intents where tenant_id = %s and intent_id::text = %s", (step.tenant_id, step.intent_id)
    ).fetchone()
    return None if row is None else row["correlation_id"]


def _ends(info: activity.Info) -> datetime:
    assert info.schedule_to_close_timeout is not None, "asked before"
    return info.scheduled_time + info.schedule_to_close_timeout


def _pause(info: activity.Info, error: Exception) -> timedelta:
    """How long Temporal waits before the next attempt."""
    if isinstance(error, ApplicationError) and error.next_retry_delay is not None:
        return error.next_retry_delay
    policy = info.retry_policy
    assert policy is not None, "asked before"
    pause = policy.initial_interval * policy.backoff_coefficient ** min(info.attempt - 1, 30)
    longest = policy.maximum_interval or policy.initial_interval * 100
    return min(pause, longest)


def _later(until: datetime, rule: CircuitRule, why: str, code: str = "circuit-open") -> ApplicationError:
    """Temporal tries again then: a retryable failure that says when."""
    wait = min(max(until - datetime.now(UTC), timedelta(milliseconds=50)), rule.longest) + rule.first_probe * 0.1
    return ApplicationError(why, type=code, next_retry_delay=wait)


def _words(error: Exception) -> str:
    """Messages of ours carry no payload values; a stranger's may, so only its kind is told."""
    return str(error.message) if isinstance(error, ApplicationError) else f"{type(error).__name__}; the worker's log has the place"
