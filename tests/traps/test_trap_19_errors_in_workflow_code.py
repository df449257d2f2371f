"""An exception that is not a Temporal failure, raised in workflow code, retries the workflow task for ever.

`ValueError` is what everybody writes; the workflow then stays RUNNING and nobody is told. So the worker lists the errors of our
domain (and pydantic's) as failures of the workflow: `orchestration.failures.FAILS_THE_WORKFLOW`. When the first test here
fails, the SDK has changed its mind and the list can go.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from pydantic import BaseModel
from temporalio import activity, workflow
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from orchestration.worker import THREADS, worker_of
from spine.errors import InvalidInput
from spine.settings import Settings
from spine.telemetry import setup_telemetry
from spine.temporal import connect


class Strict(BaseModel):
    number: int


@workflow.defn(name="trap-19")
class Raises:
    @workflow.run
    async def run(self, what: str) -> None:
        match what:
            case "bug":
                raise ValueError("nobody expected this")
            case "domain":
                raise InvalidInput("a field does not fit")
            case "pydantic":
                Strict.model_validate({"number": "none"})


@activity.defn(name="trap-19-idle")
def _idle() -> None:
    """A worker without activities takes ten seconds to stop."""


async def _started(address: str, what: str, watch: Callable[..., object]) -> object:
    setup_telemetry("spine-tests", Settings())
    client, queue = await connect(address), f"trap-19-{uuid4()}"
    with ThreadPoolExecutor(THREADS) as threads:
        async with worker_of(client, [_idle], threads, workflows=[Raises], task_queue=queue):
            handle = await client.start_workflow("trap-19", what, id=queue, task_queue=queue)
            return await watch(handle)  # type: ignore[misc]


def test_an_unlisted_error_leaves_the_workflow_running_with_a_task_that_fails(temporal: str, caplog: pytest.LogCaptureFixture) -> None:
    async def watch(handle: object) -> WorkflowExecutionStatus | None:
        for _ in range(100):
            history = await handle.fetch_history()  # type: ignore[attr-defined]
            if any(event.HasField("workflow_task_failed_event_attributes") for event in history.events):
                break
            await asyncio.sleep(0.05)
        else:
            pytest.fail("the workflow task did not fail")
        status = (await handle.describe()).status  # type: ignore[attr-defined]
        await handle.terminate()  # type: ignore[attr-defined]
        return status  # type: ignore[no-any-return]

    assert asyncio.run(_started(temporal, "bug", watch)) is WorkflowExecutionStatus.RUNNING


@pytest.mark.parametrize("what", ["domain", "pydantic"])
def test_an_error_of_the_domain_fails_the_workflow(temporal: str, what: str) -> None:
    async def watch(handle: object) -> str | None:
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()  # type: ignore[attr-defined]
        assert isinstance(failed.value.cause, ApplicationError)
        return failed.value.cause.type

    assert asyncio.run(_started(temporal, what, watch)) == {"domain": "InvalidInput", "pydantic": "ValidationError"}[what]
