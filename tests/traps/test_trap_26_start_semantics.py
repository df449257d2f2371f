"""What "start it once" rests on: the workflow's id, a conflict policy for while it runs, a reuse policy for after it has ended.

Update-with-start is no substitute in a tick: it blocks until a worker accepts. REJECT_DUPLICATE holds as long as the namespace
keeps closed workflows, so the effect ledger must remember longer.
"""

from collections.abc import Iterator

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from spine.ids import new_id
from spine.temporal import TemporalLoop, connect


@pytest.fixture
def loop(temporal: str) -> Iterator[TemporalLoop]:
    made = TemporalLoop(lambda: connect(temporal))
    yield made
    made.close()


def start(loop: TemporalLoop, workflow_id: str, conflict: WorkflowIDConflictPolicy) -> WorkflowHandle:
    async def call(client: Client) -> WorkflowHandle:
        return await client.start_workflow(
            "anything",
            id=workflow_id,
            task_queue="trap-26",
            id_conflict_policy=conflict,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        )

    return loop.run(call)


def test_while_it_runs_use_existing_gives_the_same_run_and_fail_says_that_it_was_not_us(loop: TemporalLoop) -> None:
    workflow_id = f"trap-26/{new_id()}"
    first = start(loop, workflow_id, WorkflowIDConflictPolicy.FAIL)
    again = start(loop, workflow_id, WorkflowIDConflictPolicy.USE_EXISTING)
    assert again.result_run_id == first.result_run_id
    with pytest.raises(WorkflowAlreadyStartedError):
        start(loop, workflow_id, WorkflowIDConflictPolicy.FAIL)


@pytest.mark.parametrize("conflict", [WorkflowIDConflictPolicy.FAIL, WorkflowIDConflictPolicy.USE_EXISTING])
def test_after_it_has_ended_a_second_start_is_refused(loop: TemporalLoop, conflict: WorkflowIDConflictPolicy) -> None:
    workflow_id = f"trap-26/{new_id()}"
    handle = start(loop, workflow_id, conflict)

    async def end(_client: Client) -> None:
        await handle.terminate()

    loop.run(end)
    with pytest.raises(WorkflowAlreadyStartedError):
        start(loop, workflow_id, conflict)
