"""Setting an ended workflow back to a step that failed: what the retry of a dead letter of a commitment comes to.

Temporal takes the history up to the workflow task that scheduled the step, and runs the workflow on from there: what was done before
keeps its results, signals that came later are delivered again, and the step is scheduled anew. The ledger makes that safe, not the
reset: an intent is found by its key, an effect asks before it sends. A workflow that still runs has taken the failure its own way, and
is left alone; one that has undone what it did was refused before the event was written (`spine.deadletters.planes`).
"""

from datetime import timedelta

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from spine.eventlog.outcomes import Delivered, Outcome, Refused
from spine.ids import derived_id
from spine.routing import ResetWorkflow

_RPC_TIMEOUT = timedelta(seconds=10)


async def reset(client: Client, action: ResetWorkflow, *, event_id: str) -> Outcome:
    """Once for an event: its id makes the request's. Raises RPCError."""
    handle = client.get_workflow_handle(action.workflow_id)
    try:
        newest = await handle.describe(rpc_timeout=_RPC_TIMEOUT)
        if newest.status is WorkflowExecutionStatus.RUNNING:
            return Delivered("ignored" if newest.run_id == action.run_id else "already known", action.workflow_id)
        place = await _place(client, action)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND or error.message.lower().startswith("namespace"):
            raise
        return Refused("workflow-gone", f"workflow {action.workflow_id!r} is no longer kept: discard the letter, or request the task anew")
    if place is None:
        return Refused("step-not-found", f"workflow {action.workflow_id!r} has no activity {action.activity_id!r} that could be repeated")
    request = ResetWorkflowExecutionRequest(
        namespace=client.namespace,
        workflow_execution=WorkflowExecution(workflow_id=action.workflow_id, run_id=action.run_id),
        reason="a person retried a dead letter",
        workflow_task_finish_event_id=place,
        request_id=str(derived_id("reset", event_id)),
    )
    await client.workflow_service.reset_workflow_execution(request, retry=True, timeout=_RPC_TIMEOUT)
    return Delivered("started", action.workflow_id)


async def _place(client: Client, action: ResetWorkflow) -> int | None:
    """The workflow task that scheduled the step; for a local activity, which no event schedules, the last one that there was."""
    last: int | None = None
    history = client.get_workflow_handle(action.workflow_id, run_id=action.run_id).fetch_history_events(rpc_timeout=_RPC_TIMEOUT)
    async for event in history:
        scheduled = event.activity_task_scheduled_event_attributes
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED and scheduled.activity_id == action.activity_id:
            return int(scheduled.workflow_task_completed_event_id)
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            last = event.event_id
    return last
