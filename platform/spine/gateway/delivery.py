"""Telling a workflow at once what was decided about it.

Only a shortcut. The decision is committed and so is its event, which a trigger sensor turns into the signal `approval-resolved`:
what fails here arrives a moment later.
"""

import logging
from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.service import RPCError

from spine.errors import ProviderUnavailable
from spine.temporal import TemporalLoop

UPDATE = "resolve-approval"
PATIENCE = timedelta(seconds=2)  # a person is waiting for the answer, and a worker that is up answers in tens of milliseconds

_log = logging.getLogger(__name__)


def tell_workflow(temporal: TemporalLoop | None, *, workflow_id: str, decision_id: str, decision: dict[str, Any]) -> bool:
    """True when the workflow took it in. The update's id is the decision's, so telling it again changes nothing (trap 27).

    Waits until the handler has ended, which for this update is the moment it was accepted, and learns of a refusal that way;
    never longer than `PATIENCE`, since without a worker the server holds the call (trap 26).
    """
    if temporal is None:
        return False

    async def update(client: Client) -> None:
        await client.get_workflow_handle(workflow_id).execute_update(UPDATE, decision, id=decision_id, rpc_timeout=PATIENCE)

    try:
        temporal.run(update, timeout=PATIENCE.total_seconds())
    except (ProviderUnavailable, TimeoutError, RPCError, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
        _log.warning("decision %s was not told to workflow %r at once (%s); its event will", decision_id, workflow_id, _why(error))
        return False
    return True


def _why(error: Exception) -> str:
    cause = error.__cause__ or error
    return f"{type(cause).__name__}: {cause}"
